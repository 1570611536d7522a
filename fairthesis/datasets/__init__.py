"""Data sets: one file each, ``load(root, ...) -> Cohort``, and the table ``DATASETS`` of them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Protocol

from fairthesis.cohort import Cohort
from fairthesis.datasets._planting import Mechanisms
from fairthesis.errors import unknown
from fairthesis.kinds import Range, kinds
from fairthesis.options import fit, typed

Seed = Annotated[int, Range(least=0, most=2**32 - 1)]


class Loader(Protocol):
    """``load`` of a data set's file: a folder (or None), a seed, and the data set's options."""

    __name__: str

    def __call__(
        self, root: str | Path | None = None, *, seed: int = 0, **options: Any
    ) -> Cohort: ...


def _lazy(module: str) -> Loader:
    """The ``load`` of a file of this folder, imported when it is first called."""

    def loader(root: str | Path | None = None, *, seed: int = 0, **options: Any) -> Cohort:
        home = importlib.import_module(f"fairthesis.datasets.{module}")
        accepted = typed(_accepted(home), options, _option_of(module), text=False)
        fit("the data root", str | None, root)
        return home.load(root, seed=fit("seed", Seed, seed), **accepted)

    loader.__name__ = module
    return loader


def _accepted(home: Any) -> dict[str, Any]:
    """The options that a data set's ``load`` takes, and the annotation of each."""
    known = kinds(home.load)
    own = {
        p.name: known[p.name]
        for p in inspect.signature(home.load).parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.name != "seed"
    }
    planted = kinds(Mechanisms) if hasattr(home, "MECHANISMS") else {}
    return dict(sorted((planted | own).items()))


def _option_of(module: str) -> str:
    return f"option of {module.replace('_', '-')}"


DATASETS: dict[str, Loader] = {
    "synthetic-cxr": _lazy("synthetic_cxr"),
    "synthetic-derm": _lazy("synthetic_derm"),
    "nih-cxr14": _lazy("nih_cxr14"),
    "ham10000": _lazy("ham10000"),
    "pad-ufes-20": _lazy("pad_ufes_20"),
    "isic2019": _lazy("isic2019"),
    "isic2020": _lazy("isic2020"),
    "fitzpatrick17k": _lazy("fitzpatrick17k"),
    "ddi": _lazy("ddi"),
    "chexpert": _lazy("chexpert"),
    "mimic-cxr-jpg": _lazy("mimic_cxr"),
    "padchest": _lazy("padchest"),
    "csv": _lazy("own_csv"),
}


def load(name: str, root: str | Path | None = None, *, seed: int = 0, **options: Any) -> Cohort:
    """The cohort ``name``; ``root`` is the folder of the data set's official release.

    ``seed`` decides the split (and, for the made cohorts, the patients); ``options`` are those of
    the data set's own ``load``. Raises ``InputError`` for an unknown name or option, and for a
    folder that is missing or lacks the table.

    >>> len(load("synthetic-cxr", n_train=20, n_val=10, n_test=10))
    40
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return DATASETS[name](root, seed=seed, **options)


def options(name: str) -> list[str]:
    """The options that ``load(name, ...)`` accepts."""
    return list(_accepted(_home(name)))


def typed_options(name: str, given: Mapping[str, Any], *, text: bool = False) -> dict[str, Any]:
    """The options ``given`` to ``load(name, ...)``, each of the type that its annotation says.

    ``text`` says that they are text still, as on a command line. Nothing is read.

    >>> typed_options("nih-cxr14", {"age_cuts": "40,60", "target": "effusion"}, text=True)
    {'age_cuts': [40, 60], 'target': 'effusion'}
    """
    home = _home(name)
    return typed(_accepted(home), given, _option_of(DATASETS[name].__name__), text=text)


def about(name: str) -> str:
    """What the data set's file says: images, labels, pitfalls, licence, access, citation."""
    return _home(name).__doc__ or ""


def needs_root(name: str) -> bool:
    """Whether the data set is read from files; the made ones are not."""
    return not name.startswith("synthetic-") and _home(name) is not None


def _home(name: str) -> ModuleType:
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return importlib.import_module(f"fairthesis.datasets.{DATASETS[name].__name__}")
