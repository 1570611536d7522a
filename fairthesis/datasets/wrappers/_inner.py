"""The data set that a wrapper is of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairthesis.data import Cohort
from fairthesis.errors import InputError

DEFAULT = "synthetic-derm"  # which needs no files


def inner_cohort(
    name: str, of: str, root: str | Path | None, seed: int, options: Mapping[str, Any] | None
) -> Cohort:
    """The cohort ``of``, with the wrapper's root and seed and its own options."""
    from fairthesis.datasets._registry import load, typed_options

    given = dict(options or {})
    if "seed" in given:
        raise InputError(f"Leave seed out of the option inner of {name}: both have the same.")
    return load(of, root, seed=seed, **typed_options(of, given))


def inner_twins(options: Mapping[str, Any]) -> bool:
    """Whether the data set that these options name has twins, which a selection of it keeps."""
    from fairthesis.datasets._registry import _home

    said = getattr(_home(options.get("of", DEFAULT)), "TWINS", False)
    return bool(said(options.get("inner") or {}) if callable(said) else said)
