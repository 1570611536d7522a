"""What a loaded cohort is checked for, and where the real images are."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from fairthesis import datasets
from fairthesis.data import Cohort

DATA = Path(__file__).parents[3] / "shared" / "data"


def real(folder: str) -> Path:
    path = DATA / folder
    if not path.is_dir():
        pytest.skip(f"{folder} is not in ../shared/data")
    return path


def crossed(cohort: Cohort, attribute: str, target: str) -> dict[tuple[str, float], int]:
    groups = cohort.frame[attribute].astype(object).where(cohort.frame[attribute].notna(), "?")
    return cohort.frame.groupby([groups, target]).size().to_dict()


def disjoint(cohort: Cohort, key: str = "patient_id") -> bool:
    return cohort.frame.groupby(key)["split"].nunique().max() == 1


def changed(name: str, root: Path, table: str, column: str, value: str | None) -> Cohort:
    """The made release with one value in every row of a column."""
    frame = pd.read_csv(root / table, dtype=str, index_col=False)
    frame[column] = value
    frame.to_csv(root / table, index=False)
    return datasets.load(name, root)
