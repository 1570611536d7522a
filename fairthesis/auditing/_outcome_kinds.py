"""Kinds of metrics of a number per case: how each is measured, and which side of it is worse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis.stats import (
    Clustered,
    ConcordantPairs,
    Counts,
    FunctionOfSums,
    MedianOfCases,
    RatioOfSums,
)

Array = NDArray[np.float64]
Index = NDArray[np.intp]
#: Patient of each row, places of rows and number of patients, to a function of patient counts.
Resample = Callable[[Index, Index, int], Callable[[Counts], Array]]
TINY = 1e-12  # of the mean square, below which there is no spread but rounding


@dataclass(frozen=True)
class Measured:
    """A metric of given rows.

    ``tested`` has its standard errors over patients, None for a function of the rows as a whole;
    ``resampled`` gives its values in resamples of patients. ``cases`` are the rows that it rests
    on, ``shown`` the number of each row that is drawn, ``share`` says that it is a share of rows.
    """

    tested: Clustered | None
    resampled: Resample
    cases: NDArray[np.bool_]
    shown: Array | None
    share: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of metric.

    ``roles`` say what its columns hold; ``better`` is ``higher``, ``lower``, ``zero`` or None where
    only the user can know; ``words`` is its name with places for the columns.
    """

    roles: tuple[str, ...]
    better: str | None
    words: str
    measure: Callable[[Sequence[Array]], Measured]


def _sums(columns: Sequence[Array], function: Callable[[Array], Array], shown: Array) -> Measured:
    of = FunctionOfSums(np.stack([np.ones(len(shown)), *columns], axis=1), function)
    return Measured(of, of.resampled, np.ones(len(shown), bool), shown)


def mean_of(x: Array) -> Measured:
    """The mean; of a column of 0 and 1, a share."""
    share = bool(np.isin(x, (0.0, 1.0)).all())
    one = np.ones(len(x))
    sums = FunctionOfSums(np.stack([one, x], axis=1), lambda s: s[..., 1] / s[..., 0])
    return Measured(RatioOfSums(x, one, share), sums.resampled, one > 0, x, share)


def _median(columns: Sequence[Array]) -> Measured:
    of = MedianOfCases(columns[0])
    return Measured(of, of.resampled, np.ones(len(columns[0]), bool), columns[0])


def _absolute(columns: Sequence[Array]) -> Measured:
    truth, prediction = columns
    return mean_of(np.abs(prediction - truth))


def _bias(columns: Sequence[Array]) -> Measured:
    truth, prediction = columns
    return mean_of(prediction - truth)


def _rmse(columns: Sequence[Array]) -> Measured:
    truth, prediction = columns
    error = prediction - truth
    return _sums([error**2], lambda s: np.sqrt(np.maximum(s[..., 1], 0) / s[..., 0]), error)


def _r2(columns: Sequence[Array]) -> Measured:
    """1 - sum of squared errors / sum of squared differences from the group's own mean."""
    truth, prediction = columns
    error, t = prediction - truth, truth - truth.mean()

    def value(s: Array) -> Array:
        spread = s[..., 2] - s[..., 1] ** 2 / s[..., 0]
        return np.where(spread > TINY * s[..., 2], 1 - s[..., 3] / spread, np.nan)

    return _sums([t, t**2, error**2], value, error)


def _kappa(columns: Sequence[Array]) -> Measured:
    """Cohen's kappa with quadratic weights (Cohen 1968).

    1 - mean (p - t)^2 / mean over all pairs of a truth and any prediction, which is
    mean t^2 + mean p^2 - 2 mean t mean p.
    """
    truth, prediction = columns
    error, middle = prediction - truth, truth.mean()
    t, p = truth - middle, prediction - middle

    def value(s: Array) -> Array:
        n = s[..., 0]
        expected = s[..., 3] / n - 2 * s[..., 1] * s[..., 2] / n**2
        spread = expected > TINY * s[..., 3] / n
        return np.where(spread, 1 - s[..., 4] / n / expected, np.nan)

    return _sums([t, p, t**2 + p**2, error**2], value, error)


def _concordance(columns: Sequence[Array]) -> Measured:
    time, event, risk = columns
    of = ConcordantPairs(time, event, risk)
    return Measured(of, of.resampled, event > 0, risk)


def own_kind(name: str, function: Callable[..., object], n_columns: int) -> Kind:
    """The kind of a user's function, of ``n_columns`` arrays: a number, or one for each case."""

    def measure(columns: Sequence[Array]) -> Measured:
        found = np.asarray(function(*columns), np.float64)
        n = len(columns[0])
        if found.shape == (n,) and n > 1:
            return mean_of(found)
        if found.size != 1:
            raise TypeError(
                f"it gives an array of shape {found.shape}, and not a number or one for each of "
                f"the {n} rows"
            )
        return Measured(None, _function(function, columns), np.ones(n, bool), None)

    words = f"{name.replace('_', ' ')} of {', '.join(f'{{{k}}}' for k in range(n_columns))}"
    return Kind(("number",) * n_columns, None, words, measure)


def _function(function: Callable[..., object], columns: Sequence[Array]) -> Resample:
    def resampled(patient: Index, rows: Index, n_patients: int) -> Callable[[Counts], Array]:
        def value(times: NDArray[np.float32]) -> float:
            drawn = np.repeat(rows, times[patient[rows]].astype(np.intp))
            if not len(drawn):
                return float("nan")
            try:
                return float(np.asarray(function(*(c[drawn] for c in columns))).item())
            except (ValueError, ZeroDivisionError):  # of one class, say
                return float("nan")

        return lambda counts: np.array([value(times) for times in counts])

    return resampled


#: Kinds that are built in.
KINDS: Mapping[str, Kind] = {
    "mean": Kind(("number",), None, "mean of {0}", lambda c: mean_of(c[0])),
    "median": Kind(("number",), None, "median of {0}", _median),
    "mae": Kind(("truth", "prediction"), "lower", "mean absolute error of {1}", _absolute),
    "rmse": Kind(("truth", "prediction"), "lower", "root mean square error of {1}", _rmse),
    "bias": Kind(("truth", "prediction"), "zero", "mean error of {1} ({1} less {0})", _bias),
    "r2": Kind(("truth", "prediction"), "higher", "R² of {1}", _r2),
    "kappa": Kind(("grade", "grade"), "higher", "quadratic weighted kappa of {1}", _kappa),
    "concordance": Kind(
        ("time", "event", "risk"), "higher", "concordance index (Harrell's C) of {2}", _concordance
    ),
}
#: Metrics that are above 0 wherever they are worth a ratio of two groups.
RATIOS = ("mean", "median", "mae", "rmse")


def value_over(measured: Measured, rows: Index, n_patients: int, patient: Index) -> float:
    """The metric's value over ``rows``, each patient once."""
    if not len(rows):
        return float("nan")
    return float(measured.resampled(patient, rows, n_patients)(np.ones((1, n_patients), "f4"))[0])
