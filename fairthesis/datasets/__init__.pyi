from ._registry import DATASETS as DATASETS
from ._registry import Seed as Seed
from ._registry import about as about
from ._registry import load as load
from ._registry import needs_root as needs_root
from ._registry import options as options
from ._registry import typed_options as typed_options
from .fetching._fetch import SOURCES as SOURCES
from .fetching._fetch import THEN as THEN
from .fetching._fetch import fetch as fetch
from .fetching._fetch import steps as steps
from .synthetic._drawing import Drawing as Drawing
from .synthetic._drawing import twin as twin
from .synthetic._planting import Mechanisms as Mechanisms

__all__ = [
    "DATASETS",
    "SOURCES",
    "THEN",
    "Drawing",
    "Mechanisms",
    "Seed",
    "about",
    "fetch",
    "load",
    "needs_root",
    "options",
    "steps",
    "twin",
    "typed_options",
]
