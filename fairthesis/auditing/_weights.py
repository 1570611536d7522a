"""Rows that stand for more or fewer cases than one: enriched test sets, surveys.

A row of weight w counts as w cases in every value. That makes the values those of the population
that the weights lead back to; it does not make more cases: whatever says how sure a value is rests
on patients, and on their effective number (Kish 1965).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import metrics, stats
from fairthesis.errors import InputError
from fairthesis.inputs import PREDICTIONS_TABLE, number_column

Array = NDArray[np.float64]


def weights_of(rows: pd.DataFrame, column: str, what: str = PREDICTIONS_TABLE) -> Array:
    """The weights of a column, shape (n,): 0 or more, NaN where it is empty.

    Raises:
        InputError: a weight is negative, infinite or no number.

    >>> weights_of(pd.DataFrame({"w": ["1.5", None]}), "w").tolist()
    [1.5, nan]
    """
    expected = "a weight: how many cases the row stands for, 0 or more"
    found: Array = number_column(rows, column, what, expected)
    wrong = np.isinf(found) | (found < 0)
    if wrong.any():
        raise InputError(f"{column} is {found[wrong][0]:g} in {what}: expected {expected}.")
    return found


def with_weights(
    rows: pd.DataFrame, column: str | None, told: list[str], what: str = PREDICTIONS_TABLE
) -> pd.DataFrame:
    """The rows with a weight above 0, as numbers; the others are left out and counted in ``told``.

    Raises:
        InputError: as for ``weights_of``, or where no row is left.
    """
    if column is None:
        return rows
    weight = weights_of(rows, column, what)
    for gone, why in ((np.isnan(weight), f"no {column}"), (weight == 0, f"a {column} of 0")):
        if gone.any():
            told.append(f"{int(gone.sum())} of {len(rows)} rows have {why} and are left out.")
    kept = weight > 0
    if len(rows) and not kept.any():
        raise InputError(
            f"No row of {what} has a {column} above 0: expected how many cases each row stands for."
        )
    return rows[kept].assign(**{column: weight[kept]})


def relative(rows: pd.DataFrame, column: str | None, told: list[str]) -> Array | None:
    """Weights over their mean, shape (n,); None where there are none, or all are the same.

    ``rows`` are those of ``with_weights``. What the weights do is said in ``told``.

    >>> relative(pd.DataFrame({"w": [1.0, 3.0]}), "w", []).tolist()
    [0.5, 1.5]
    """
    if column is None or not len(rows):
        return None
    weight = rows[column].to_numpy(np.float64)
    low, high = weight.min(), weight.max()
    if low == high:
        told.append(f"All rows have a {column} of {low:g}: that is as if they had no weights.")
        return None
    worth = stats.effective_patients(weight)
    told.append(
        f"Rows are weighted by {column} ({low:g} to {high:g}): a row counts as so many cases in "
        "every value. Counts of rows and patients, and the least number of cases of a group, are "
        f"not weighted. As far as precision goes, the {len(weight)} rows are worth {worth:.0f} of "
        "equal weight."
    )
    return np.asarray(weight / weight.mean())


def values_of(y: Array, s: Array, threshold: float, weight: Array | None) -> dict[str, float]:
    """``metrics.evaluate`` of rows whose weights say how many cases each stands for.

    The debiased calibration error takes off the noise of the rows there are
    (``metrics.ece_debiased_from_bins``), not that of as many as the weights add up to.

    >>> y, s = np.array([0.0, 1, 1]), np.array([0.4, 0.2, 0.9])
    >>> values_of(y, s, 0.5, np.array([1.0, 1, 2]))["tpr"].__round__(3)
    0.667
    """
    found = metrics.evaluate(y, s, threshold=threshold, weight=weight)
    if weight is not None:
        squares = metrics.bin_sums(y, s, weight**2)[0]
        sums = metrics.bin_sums(y, s, weight)
        found["ece_debiased"] = float(metrics.ece_debiased_from_bins(*sums, squares=squares))
    return found
