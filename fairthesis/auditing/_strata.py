"""Columns that an audit is adjusted for, as strata of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.errors import InputError
from fairthesis.inputs import PREDICTIONS_TABLE, group_values, number_column

MANY = 10  # distinct numbers, above which a column is cut into fifths
FIFTHS = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Covariate:
    """A column's strata: ``codes`` from 0, shape (n,), an empty value among them as one of its own.

    ``cuts`` are the numbers at which a stratum begins, where a column of numbers was cut.

    >>> Covariate(np.array([0, 1, 0]), (40.0,)).codes.tolist()
    [0, 1, 0]
    """

    codes: NDArray[np.intp]
    cuts: tuple[float, ...] | None = None


def covariate(rows: pd.DataFrame, name: str, told: list[str]) -> Covariate:
    """The strata of one column: its values, or fifths of more than 10 different numbers.

    Empty values are a stratum of their own, and counted in ``told``.

    Raises:
        InputError: the column is missing, or holds one value only.

    >>> table = pd.DataFrame({"age": range(100), "view": ["PA", None] * 50})
    >>> covariate(table, "age", []).cuts
    (20.0, 40.0, 60.0, 80.0)
    >>> told: list[str] = []
    >>> covariate(table, "view", told).codes[:2].tolist(), told
    ([0, 1], ['50 of 100 rows have no view: in what is adjusted they are a stratum of their own.'])
    """
    text = group_values(rows, name, PREDICTIONS_TABLE)
    values = sorted(text.dropna().unique())
    known = text.notna().to_numpy(bool)
    numbers = _numbers(rows, name) if len(values) > MANY else None
    cuts = None
    if numbers is None:
        codes = np.asarray(pd.Categorical(text, categories=values).codes, np.intp)
        codes = np.where(known, codes, len(values))
    else:
        # Edges are values that occur: a stratum begins at one.
        of_known = np.sort(numbers[known])
        cuts = np.unique(of_known[[int(share * len(of_known)) for share in FIFTHS]])
        codes = np.where(known, np.searchsorted(cuts, numbers, "right"), len(cuts) + 1)
    if len(np.unique(codes)) < 2:
        raise InputError(
            f"{name} has one value only in the audited rows: expected two or more of a column that "
            "is adjusted for."
        )
    if not known.all():
        told.append(
            f"{int((~known).sum())} of {len(rows)} rows have no {name}: in what is adjusted they "
            "are a stratum of their own."
        )
    return Covariate(codes, None if cuts is None else tuple(float(cut) for cut in cuts))


def _numbers(rows: pd.DataFrame, name: str) -> NDArray[np.float64] | None:
    """The column as numbers; None where it holds anything else."""
    if name not in rows.columns:  # an intersection
        return None
    try:
        found: NDArray[np.float64] = number_column(rows, name, PREDICTIONS_TABLE)
    except InputError:
        return None
    return found if np.isfinite(found[~np.isnan(found)]).all() else None


def joined(covariates: Sequence[Covariate]) -> NDArray[np.intp]:
    """The strata of several columns together, numbered from 0 without holes, shape (n,).

    >>> joined([Covariate(np.array([0, 1, 1])), Covariate(np.array([5, 5, 7]))]).tolist()
    [0, 1, 2]
    """
    columns = np.stack([one.codes for one in covariates])
    return np.unique(columns, axis=1, return_inverse=True)[1].ravel().astype(np.intp)
