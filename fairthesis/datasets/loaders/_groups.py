"""Numbers as groups: ages in years and by decades, and Fitzpatrick's skin types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.datasets.loaders._values import KEPT, count_values
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import as_text

AGE_CUTS = (20, 40, 60, 80)
FITZPATRICK = {
    **{"1": "I-II", "2": "I-II", "3": "III-IV"},
    **{"4": "III-IV", "5": "V-VI", "6": "V-VI"},
}
SKIN_TYPES = {
    "grouped": FITZPATRICK,
    "single": {"1": "I", "2": "II", "3": "III", "4": "IV", "5": "V", "6": "VI"},
}


def skin_type(types: pd.Series, skin_types: str = "grouped") -> pd.Series:
    """Fitzpatrick types 1 to 6 as I-II, III-IV, V-VI, or each by itself as I to VI (``single``).

    ``types`` are the published values by their meaning, ``"1"`` to ``"6"``; null stays null.
    """
    if skin_types not in SKIN_TYPES:
        raise unknown("choice of skin_types", skin_types, SKIN_TYPES)
    return as_text(types.map(SKIN_TYPES[skin_types]))


def years(
    given: pd.Series, left_out: Counter[str], here: NDArray[np.bool_] | None = None
) -> pd.Series:
    """Ages in years from ``058Y``, ``006M``, ``030D``, ``58`` or ``58.0``; null where unknown.

    Ages above 120 or below 0 are typing errors, and other words are no ages: null, and counted in
    ``left_out`` (the image stays in the cohort), among the rows ``here``. An empty cell is unknown
    and is not counted.
    """
    clean = given.astype("string").str.strip().str.upper()
    parts = clean.str.extract(r"^([+-]?\d+(?:\.\d*)?)([YMWD]?)$")
    number = pd.to_numeric(parts[0], errors="coerce").astype(float)
    per_year = parts[1].map({"": 1.0, "Y": 1.0, "M": 12.0, "W": 52.0, "D": 365.25}).astype(float)
    age = number / per_year
    counted = np.ones(len(age), dtype=bool) if here is None else here
    impossible = (age > 120) | (age < 0)
    if (impossible & counted).any():
        left_out["age not possible (set to unknown, image kept)"] += int(
            (impossible & counted).sum()
        )
    words = number.isna() & clean.notna() & clean.ne("").fillna(False) & counted
    count_values(given[words.astype(bool)], "age", KEPT, left_out)
    return age.mask(impossible)


def age_group(age: pd.Series, cuts: Sequence[int] = AGE_CUTS) -> pd.Series:
    """``0-19``, ``20-39``, ... ``80+`` for cuts 20, 40, 60, 80; null where the age is."""
    edges = [int(cut) for cut in cuts]
    if not edges or edges != sorted(set(edges)) or edges[0] <= 0:
        raise InputError(f"Expected age_cuts to be rising ages above 0, but got {tuple(cuts)!r}.")
    bounds = [0, *edges]
    names = [f"{a}-{b - 1}" for a, b in zip(bounds, edges, strict=False)] + [f"{edges[-1]}+"]
    values = age.to_numpy(dtype=float)
    code = np.searchsorted(edges, np.nan_to_num(values), side="right")
    named = pd.Series(np.array(names, dtype=object)[code], index=age.index, dtype="object")
    return as_text(named.mask(np.isnan(values), None))
