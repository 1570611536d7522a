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
