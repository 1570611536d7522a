from ._registry import DATASETS as DATASETS, Seed as Seed, about as about, load as load, needs_root as needs_root, options as options, typed_options as typed_options
from .fetching._fetch import SOURCES as SOURCES, THEN as THEN, fetch as fetch, steps as steps
from .synthetic._drawing import Drawing as Drawing, twin as twin
from .synthetic._planting import Mechanisms as Mechanisms

__all__ = [
    "DATASETS",
    "Drawing",
    "Mechanisms",
    "SOURCES",
    "Seed",
    "THEN",
    "about",
    "fetch",
    "load",
    "needs_root",
    "options",
    "steps",
    "twin",
    "typed_options",
]
