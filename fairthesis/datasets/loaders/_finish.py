"""The last steps of every loader: skin types, images at hand, links, split, cohort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fairthesis.data import Cohort, split_by_patient
from fairthesis.datasets.loaders._links import count_links_out
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import as_text

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


def chosen(dataset: str, target: str, targets: Sequence[str]) -> tuple[str, ...]:
    """The targets with ``target`` first."""
    if target not in targets:
        raise unknown(f"target of {dataset}", target, targets)
    return (target, *(name for name in targets if name != target))


def present(home: Path, paths: pd.Series) -> pd.Series:
    """Each path where it is a file under ``home``, else null."""
    here = np.array([isinstance(p, str) and (home / p).is_file() for p in paths], dtype=bool)
    return paths.where(here)


def finish(
    name: str,
    home: Path,
    frame: pd.DataFrame,
    *,
    targets: tuple[str, ...],
    attributes: tuple[str, ...],
    channels: int,
    left_out: Counter[str],
    expected: str,
    seed: int,
    fractions: tuple[float, float, float],
    keys: Sequence[str] = ("patient_id",),
) -> Cohort:
    """A cohort of the rows whose ``path`` is not null, split by ``keys``.

    The split is stratified by the first target and the first attribute. ``expected`` says where
    the images should lie.
    """
    missing = frame["path"].isna()
    if missing.any():
        left_out["image file not found"] += int(missing.sum())
    frame = frame[~missing].reset_index(drop=True)
    if len(frame) == 0:
        raise InputError(
            f"None of the images of {name} in the table is in {str(home)!r} "
            f"({dict(left_out)}): expected {expected}."
        )
    count_links_out(home, frame["path"], left_out)
    strata = [targets[0], *attributes[:1]]
    frame["split"] = split_by_patient(frame, keys, strata, seed=seed, fractions=fractions)
    return Cohort(name, frame, targets, attributes, channels, home, left_out=dict(left_out))
