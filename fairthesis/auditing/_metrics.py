"""The audit's list of metrics, and those that a user adds.

Built-in ones are functions of a resample (``stats.Resampled``), a user's of the rows' labels and
scores. What gaps are made of has a standard error over patients as well (``stats.Clustered``).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.auditing._additional import ADDITIONAL
from fairthesis.errors import InputError
from fairthesis.stats import (
    Clustered,
    RankedCases,
    RatioOfSums,
    Resampled,
    SquaredCalibrationError,
)

Array = NDArray[np.float64]
Metric = Callable[..., float]  # of y_true (0 or 1), y_score and, where it is asked for, threshold

#: Rates at a fixed other rate, beyond ``metrics.METRICS``.
FIXED = ("tpr_at_fpr_0.2", "fpr_at_tpr_0.8")
#: Calibration as a whole, beyond ``metrics.METRICS``.
CALIBRATION = ("observed_expected", "calibration_in_the_large")


def _rate(of: Callable[..., Array]) -> Callable[[Resampled], Array]:
    return lambda found: of(*found.confusion)


def _ece_debiased(found: Resampled) -> Array:
    n, scores, labels = found.bins
    return metrics.ece_debiased_from_bins(
        n, scores, labels, noise=found.noise, squares=found.bin_squares
    )


_RESAMPLED: Mapping[str, Callable[[Resampled], Array]] = {
    **{name: _rate(of) for name, of in metrics.RATES.items()},
    "auroc": lambda found: found.auroc,
    "brier": lambda found: found.brier,
    "ece_debiased": _ece_debiased,
    "average_precision": lambda found: found.average_precision,
    "log_loss": lambda found: found.log_loss,
    "ece": lambda found: metrics.ece_from_bins(*found.bins),
    "calibration_intercept": lambda found: found.recalibration[0],
    "calibration_slope": lambda found: found.recalibration[1],
    "tpr_at_fpr_0.2": lambda found: found.tpr_at_fpr(metrics.RATE),
    "fpr_at_tpr_0.8": lambda found: found.fpr_at_tpr(1 - metrics.RATE),
    "observed_expected": lambda found: found.observed_expected,
    "calibration_in_the_large": lambda found: found.in_the_large,
}
#: What every resample is asked for, in the order of its columns: functions of ``stats.Resampled``.
RESAMPLED_METRICS = {name: _RESAMPLED[name] for name in (*metrics.METRICS, *FIXED, *CALIBRATION)}


def _mean(
    value: Callable[[Array, Array, float], NDArray[Any]],
    among: Callable[[Array], Array] = np.ones_like,
    share: bool = True,
) -> Callable[..., Clustered]:
    """The mean of a value of each row, among some rows, each as often as its weight says."""

    def of(y: Array, s: Array, t: float, weight: Array | None = None) -> Clustered:
        rows = among(y) if weight is None else weight * among(y)
        return RatioOfSums(value(y, s, t) * rows, rows, share)

    return of


#: The metrics that gaps are made of: functions of labels, scores, the threshold and, where rows
#: have them, weights, that give a ``stats.Clustered``. Calibration errors are compared by their
#: squares.
TESTED_METRICS: Mapping[str, Callable[..., Clustered]] = {
    "auroc": lambda y, s, t, weight=None: RankedCases(y, s, weight),
    "tpr": _mean(lambda y, s, t: s >= t, lambda y: y),
    "fpr": _mean(lambda y, s, t: s >= t, lambda y: 1 - y),
    "selection_rate": _mean(lambda y, s, t: s >= t),
    "accuracy": _mean(lambda y, s, t: (s >= t) == (y > 0)),
    "ece_debiased": lambda y, s, t, weight=None: SquaredCalibrationError(y, s, weight),
    "brier": _mean(lambda y, s, t: (s - y) ** 2, share=False),
}
#: Metrics of the cases of one label: that groups differ in prevalence makes no difference in them.
WITHIN_LABEL = ("auroc", "tpr", "fpr")


def bin_residuals(found: Resampled) -> Array:
    """Cases and sum of label - score of each calibration bin, shape (c, 2 * bins).

    Bins count upwards, as everywhere but in ``Resampled.bins``.

    >>> from fairthesis.stats import prepare
    >>> group = prepare(np.array([0.0, 1.0]), np.array([0.1, 0.9]), np.arange(2), threshold=0.5)
    >>> bin_residuals(group.resampled(np.ones((1, 2), np.float32))).shape
    (1, 30)
    """
    n, scores, labels = found.bins
    both = np.stack([n, labels - scores], axis=1)[:, :, ::-1]
    return both.reshape(len(both), -1)


def checked(
    extra: Mapping[str, Metric] | None, threshold: float, weighted: bool = False
) -> dict[str, Metric]:
    """A user's metrics as functions of labels and scores; ``threshold`` is filled in.

    Raises:
        InputError: for a name that is taken, what is no function, or, where rows are ``weighted``,
            one that takes no ``weight``.
    """
    taken = {*metrics.METRICS, *ADDITIONAL, *metrics.DISPARITIES}
    found: dict[str, Metric] = {}
    for name, function in (extra or {}).items():
        if not isinstance(name, str) or not name.strip():
            raise InputError(
                f"extra_metrics has the name {name!r}: expected a word for each metric."
            )
        if {name, gap_of(name)} & taken:
            raise InputError(f"extra_metrics has {name!r}, which is built in: choose another name.")
        if not callable(function):
            raise InputError(
                f"extra_metrics[{name!r}] is {function!r}: expected a function of y_true and "
                "y_score that gives a number."
            )
        if weighted and "weight" not in _parameters(function):
            raise InputError(
                f"extra_metrics[{name!r}] knows no weights, and the rows are weighted: expected a "
                "function of y_true, y_score and weight (an array, one for each row)."
            )
        if "threshold" in _parameters(function):
            function = functools.partial(function, threshold=threshold)
        found[name] = function
    return found


def _parameters(function: Metric) -> Mapping[str, Any]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions that are written in C
        return {}


def gap_of(name: str) -> str:
    """What the difference between groups in a user's metric is called."""
    return f"{name}_difference"


def first_values(
    extra: Mapping[str, Metric], y: Array, s: Array, weight: Array | None = None
) -> dict[str, float]:
    """The values of a user's metrics over all rows; in words where one cannot be computed."""
    found = {}
    for name, function in extra.items():
        try:
            own = {} if weight is None else {"weight": weight}
            found[name] = float(function(y.astype(np.int64), s, **own))
        except Exception as error:
            raise InputError(
                f"extra_metrics[{name!r}] cannot be computed on the {len(y)} audited rows: "
                f"{type(error).__name__}: {error}. Expected a function of y_true (0 or 1) and "
                "y_score, two arrays of one length, that gives a number."
            ) from error
        if not np.isfinite(found[name]):
            raise InputError(
                f"extra_metrics[{name!r}] gives {found[name]} on the {len(y)} audited rows: "
                "expected a number."
            )
    return found
