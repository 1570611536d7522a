"""Data sets: one file each, ``load(root, ...) -> Cohort``, and the table ``DATASETS`` of them."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from fairthesis.cohort import Cohort
from fairthesis.errors import unknown


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
        accepted = _accepted(home)
        for name in options:
            if name not in accepted:
                raise unknown(f"option of {module.replace('_', '-')}", name, accepted)
        return home.load(root, seed=seed, **options)

    loader.__name__ = module
    return loader


def _accepted(home: Any) -> list[str]:
    """The options that a data set's ``load`` takes."""
    names = [
        p.name
        for p in inspect.signature(home.load).parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.name != "seed"
    ]
    return sorted({*names, *getattr(home, "MECHANISMS", ())})


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
    return _accepted(_home(name))


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
