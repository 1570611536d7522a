"""Methods ranked over many data sets: Friedman's test, Nemenyi's critical difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, studentized_range

from fairthesis.errors import InputError


@dataclass(frozen=True)
class Ranks:
    """Mean ranks of methods over data sets, and which differences are beyond chance.

    Attributes:
        mean: Mean rank of each method, best first; 1 is best.
        n: Number of data sets.
        statistic: Friedman's chi square.
        p_value: That all methods rank alike.
        critical_difference: How far apart two mean ranks must lie at least.
        alpha: Level of that comparison, over all pairs.

    >>> table = pd.DataFrame({"a": [0.9, 0.8, 0.7, 0.9], "b": [0.8, 0.7, 0.6, 0.8],
    ...                       "c": [0.7, 0.6, 0.5, 0.7]})
    >>> found = friedman_nemenyi(table)
    >>> found.differ("a", "c"), found.differ("a", "b"), found.cliques()
    (True, False, [('a', 'b'), ('b', 'c')])
    """

    mean: pd.Series
    n: int
    statistic: float
    p_value: float
    critical_difference: float
    alpha: float

    def differ(self, first: str, second: str) -> bool:
        """Whether two methods' mean ranks lie at least the critical difference apart."""
        return bool(abs(self.mean[first] - self.mean[second]) >= self.critical_difference)

    def cliques(self) -> list[tuple[str, ...]]:
        """Largest runs of neighbouring methods of which none differs from another."""
        names, found = list(self.mean.index), []
        end = 0
        for start in range(len(names)):
            last = max(
                k for k in range(start, len(names)) if not self.differ(names[start], names[k])
            )
            if last > start and last + 1 > end:
                found.append(tuple(names[start : last + 1]))
                end = last + 1
        return found


def friedman_nemenyi(
    values: pd.DataFrame, *, larger_is_better: bool = True, alpha: float = 0.05
) -> Ranks:
    """Rank methods on every data set, test whether they differ, and find by how much they must.

    Friedman's test (1937, JASA 32) asks whether all methods rank alike; two methods differ at level
    ``alpha`` over all pairs where their mean ranks lie at least

        CD = q_alpha sqrt(k (k + 1) / (6 N))

    apart, k methods, N data sets and q_alpha the studentized range over infinite degrees of
    freedom by sqrt(2) (Nemenyi 1963; Demšar 2006, JMLR 7, 3.2.2). Data sets are the unit: seeds of
    one data set are no independent evidence, average over them first.

    Args:
        values: A row per data set (or split) and a column per method, without NaN; ties share the
            mean of their ranks.
        larger_is_better: Whether the largest value has rank 1.
        alpha: Level over all pairs.

    Raises:
        InputError: There are fewer than 2 rows or 3 columns, a method has two columns, or a value
            is not finite.

    >>> table = pd.DataFrame({"a": [0.9, 0.8, 0.7, 0.9], "b": [0.8, 0.7, 0.6, 0.8],
    ...                       "c": [0.7, 0.6, 0.5, 0.7]})
    >>> found = friedman_nemenyi(table)
    >>> found.mean.to_dict(), round(found.critical_difference, 3), round(found.p_value, 3)
    ({'a': 1.0, 'b': 2.0, 'c': 3.0}, 1.657, 0.018)
    """
    if not 0 < alpha < 1:
        raise InputError(
            f"alpha is {alpha:g}: expected a level between 0 and 1, 0.05 for instance."
        )
    n, k = values.shape
    if n < 2 or k < 3:
        raise InputError(
            f"Expected at least 2 data sets (rows) and 3 methods (columns), but got {n} and {k}. "
            "For two methods use a paired comparison (fairthesis compare)."
        )
    if values.columns.has_duplicates:
        twice = values.columns[values.columns.duplicated()][0]
        raise InputError(f"The method {twice!r} has two columns: expected one per method.")
    if not np.isfinite(values.to_numpy(np.float64)).all():
        row = values.index[~np.isfinite(values.to_numpy(np.float64)).all(axis=1)][0]
        raise InputError(
            f"A method has no value on data set {row!r}: every method must have been run on every "
            "data set. Leave the data set out, or run it."
        )
    ranks = values.astype(float).rank(axis=1, ascending=not larger_is_better)
    columns = [values[name].to_numpy(np.float64) for name in values.columns]
    # Where all methods tie everywhere there is nothing to test (scipy divides by 0).
    alike = bool((values.nunique(axis=1) == 1).all())
    statistic, p = (0.0, 1.0) if alike else map(float, friedmanchisquare(*columns))
    q = float(studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    return Ranks(
        mean=ranks.mean().sort_values(kind="stable"),
        n=n,
        statistic=statistic,
        p_value=p,
        critical_difference=q * math.sqrt(k * (k + 1) / (6 * n)),
        alpha=alpha,
    )
