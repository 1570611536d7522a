"""Data sets: one file each, ``load(root, ...) -> Cohort``, and ``DATASETS``, the dict of them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Protocol

from fairthesis.data import Cohort, Window
from fairthesis.datasets.synthetic._planting import Mechanisms
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import (
    Range,
    fit_option,
    load_plugin,
    parameter_kinds,
    plugins,
    typed_option,
)

#: The type of a seed: an integer from 0 to 2**32 - 1, as numpy's older generators take it.
Seed = Annotated[int, Range(least=0, most=2**32 - 1)]


# data set -> its file in this room
FILES = {
    "synthetic-cxr": "synthetic.cxr",
    "synthetic-derm": "synthetic.derm",
    "nih-cxr14": "loaders.nih_cxr14",
    "ham10000": "loaders.ham10000",
    "pad-ufes-20": "loaders.pad_ufes_20",
    "isic2019": "loaders.isic2019",
    "isic2020": "loaders.isic2020",
    "fitzpatrick17k": "loaders.fitzpatrick17k",
    "ddi": "loaders.ddi",
    "chexpert": "loaders.chexpert",
    "mimic-cxr-jpg": "loaders.mimic_cxr",
    "padchest": "loaders.padchest",
    "csv": "loaders.own_csv",
    "embeddings": "loaders.embeddings",
    "planted": "wrappers.planted",
    "select": "wrappers.select",
    "folds": "wrappers.folds",
}


class Loader(Protocol):
    """``load`` of a data set's file: a folder (or None), a seed, and the data set's options."""

    __name__: str

    def __call__(
        self, root: str | Path | None = None, *, seed: int = 0, **options: Any
    ) -> Cohort: ...


def _lazy(name: str) -> Loader:
    """The ``load`` of a data set's file, which is imported when it is first called."""

    def loader(root: str | Path | None = None, *, seed: int = 0, **options: Any) -> Cohort:
        home = _home(name)
        accepted = typed_option(_accepted(home), options, f"option of {name}", text=False)
        fit_option("the data root", str | None, root)
        # Every data set that is read has a window; one that is not its loader's own is put on here.
        window = None if "window" in parameter_kinds(home.load) else accepted.pop("window", None)
        cohort = home.load(root, seed=fit_option("seed", Seed, seed), **accepted)
        return cohort if window is None else replace(cohort, window=window)

    loader.__name__ = name
    return loader


def _accepted(home: Any) -> dict[str, Any]:
    """The options that a data set's ``load`` takes, and the annotation of each."""
    known = parameter_kinds(home.load)
    own = {
        p.name: known[p.name]
        for p in inspect.signature(home.load).parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.name != "seed"
    }
    more: dict[str, Any] = {"window": Window}
    if hasattr(home, "MECHANISMS"):
        more = parameter_kinds(Mechanisms)
    elif hasattr(home, "WRAPS"):  # the inner data set has the window
        more = {}
    return dict(sorted((more | own).items()))


# Data sets of other packages: a module each, with a docstring and a ``load`` as in FILES.
_PLUGINS = plugins("datasets", FILES)
#: Data set -> its loader, called as ``loader(root, seed=0, **options)``; its file is imported then.
#: Another package adds its own by an entry point of the group ``fairthesis.datasets`` that names a
#: module with a docstring and a function ``load(root, *, seed, ...) -> Cohort``.
DATASETS: dict[str, Loader] = {name: _lazy(name) for name in (*FILES, *_PLUGINS)}


def load(name: str, root: str | Path | None = None, *, seed: int = 0, **options: Any) -> Cohort:
    """The cohort ``name``, read from its official release or drawn.

    Args:
        name: one of ``DATASETS``.
        root: the folder of the data set's official release; None for a synthetic cohort.
        seed: of the split and, for synthetic cohorts, of the patients.
        options: those of the data set's own ``load`` (``option_names``).

    Raises:
        InputError: for an unknown name or option, an option of another type, and a folder that is
            missing or lacks the table or the images.

    >>> len(load("synthetic-cxr", n_train=20, n_val=10, n_test=10))
    40
    >>> load("nih-cxr14", "no/such/folder")
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: No such folder: 'no/such/folder'. Expected the release of ...
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return DATASETS[name](root, seed=seed, **options)


def option_names(name: str) -> list[str]:
    """The options that ``load(name, ...)`` accepts, in alphabetical order.

    Raises:
        InputError: for an unknown name.

    >>> option_names("ham10000")
    ['age_cuts', 'fractions', 'target', 'window']
    """
    return list(_accepted(_home(name)))


def typed_options(name: str, given: Mapping[str, Any], *, text: bool = False) -> dict[str, Any]:
    """The options ``given`` to ``load(name, ...)``, each of the type that its annotation says.

    Nothing is read.

    Args:
        name: one of ``DATASETS``.
        given: option -> value.
        text: the values are text still, as on a command line.

    Raises:
        InputError: for an unknown name or option, and a value of another type or out of its range.

    >>> typed_options("nih-cxr14", {"age_cuts": "40,60", "target": "effusion"}, text=True)
    {'age_cuts': [40, 60], 'target': 'effusion'}
    """
    return typed_option(_accepted(_home(name)), given, f"option of {name}", text=text)


def about(name: str) -> str:
    """What the data set's file says: images, labels, pitfalls, licence, access, citation.

    Raises:
        InputError: for an unknown name.

    >>> print(about("ddi").splitlines()[0])
    DDI (Diverse Dermatology Images): 656 clinical images of 570 patients. Layout unverified.
    """
    return _home(name).__doc__ or ""


def needs_root(name: str, options: Mapping[str, Any] | None = None) -> bool:
    """Whether the data set is read from files; synthetic ones are not.

    Args:
        name: one of ``DATASETS``.
        options: those of its ``load``. ``planted``, ``select`` and ``folds`` need what
            the data set ``of`` needs; without one they are of a synthetic cohort.

    Raises:
        InputError: for an unknown name.

    >>> [name for name in DATASETS if not needs_root(name)]
    ['synthetic-cxr', 'synthetic-derm', 'planted', 'select', 'folds']
    >>> needs_root("planted", {"of": "select", "inner": {"of": "ham10000"}})
    True
    """
    given = options or {}
    if hasattr(_home(name), "WRAPS"):
        return "of" in given and needs_root(given["of"], given.get("inner"))
    return not name.startswith("synthetic-")


def has_twins(name: str, options: Mapping[str, Any] | None = None) -> bool:
    """Whether cohorts of the data set have twins (``twin_changes``). Nothing is read.

    Its file says so: ``TWINS`` is true, or a function that says so of the options.

    Args:
        name: one of ``DATASETS``.
        options: those that it is loaded with.

    Raises:
        InputError: for an unknown name.

    >>> has_twins("synthetic-cxr"), has_twins("nih-cxr14")
    (True, False)
    """
    said = getattr(_home(name), "TWINS", False)
    return bool(said(dict(options or {})) if callable(said) else said)


def _home(name: str) -> ModuleType:
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    if name in FILES:
        return importlib.import_module(f"fairthesis.datasets.{FILES[name]}")
    home = load_plugin(_PLUGINS[name], "datasets")
    if not isinstance(home, ModuleType) or not callable(getattr(home, "load", None)):
        raise InputError(
            f"The data set {name!r} ({_PLUGINS[name].value}) cannot be used: expected a module "
            "with a function load(root, *, seed, ...) that gives a Cohort."
        )
    return home
