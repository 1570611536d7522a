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
    return metrics.ece_debiased_from_bins(n, scores, labels, noise=found.noise)


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


def _right(y: Array, s: Array, threshold: float) -> Array:
    return np.asarray((s >= threshold) == (y > 0), np.float64)


def _brier(y: Array, s: Array, threshold: float) -> Clustered:
    return RatioOfSums((s - y) ** 2, np.ones(len(y)), share=False)


#: The metrics that gaps are made of: functions of labels, scores and the threshold that give a
#: ``stats.Clustered``. Calibration errors are compared by their squares.
TESTED_METRICS: Mapping[str, Callable[[Array, Array, float], Clustered]] = {
    "auroc": lambda y, s, t: RankedCases(y, s),
    "tpr": lambda y, s, t: RatioOfSums((s >= t) * y, y),
    "fpr": lambda y, s, t: RatioOfSums((s >= t) * (1 - y), 1 - y),
    "selection_rate": lambda y, s, t: RatioOfSums(np.asarray(s >= t, np.float64), np.ones(len(y))),
    "accuracy": lambda y, s, t: RatioOfSums(_right(y, s, t), np.ones(len(y))),
    "ece_debiased": lambda y, s, t: SquaredCalibrationError(y, s),
    "brier": _brier,
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


def checked(extra: Mapping[str, Metric] | None, threshold: float) -> dict[str, Metric]:
    """A user's metrics as functions of labels and scores; ``threshold`` is filled in.

    Raises:
        InputError: for a name that is taken, or what is no function.
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


def first_values(extra: Mapping[str, Metric], y: Array, s: Array) -> dict[str, float]:
    """The values of a user's metrics over all rows; in words where one cannot be computed."""
    found = {}
    for name, function in extra.items():
        try:
            found[name] = float(function(y.astype(np.int64), s))
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
