"""How many cases of another place are positive, estimated without its labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis import inputs
from fairthesis.errors import InputError
from fairthesis.stats._inversion import Interval
from fairthesis.stats._p_values import bootstrap_p_value
from fairthesis.stats._resampling import patient_counts, patient_index, percentile_interval

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LabelShift:
    """A prevalence that was estimated without labels, and its change from the labelled sample's.

    ``change`` is ``prevalence`` less ``reference``; the intervals are of 95 %, None where no
    resample gives one; ``p_value`` is two-sided, for no change.

    >>> found = LabelShift(0.3, 0.5, (0.45, 0.55), 0.2, (0.14, 0.26), 0.001)
    >>> found.change_ci[0] > 0
    True
    """

    reference: float
    prevalence: float
    ci: Interval | None
    change: float
    change_ci: Interval | None
    p_value: float


def label_shift_prevalence(
    y_true: ArrayLike,
    y_score: ArrayLike,
    patients: ArrayLike,
    new_score: ArrayLike,
    new_patients: ArrayLike,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> LabelShift:
    """The prevalence of an unlabelled sample, if nothing but the prevalence differs.

    Where p(score given label) is that of the labelled sample, the mean score is a mixture of the
    means m1 of positives and m0 of negatives, and ::

        q = (mean of the new scores - m0) / (m1 - m0)

    cut to 0 and 1: black box shift estimation with a soft classifier of two classes (Lipton, Wang
    and Smola 2018, "Detecting and correcting for label shift with black box predictors", ICML).
    Scores need not be calibrated. Where p(score given label) differs, q is not the prevalence, and
    nothing in the scores says so. Intervals are percentiles over resampled patients of both
    samples.

    Args:
        y_true: Labels of 0 and 1 of the labelled sample, both present, shape (n,).
        y_score: Its scores, from 0 to 1, shape (n,).
        patients: Key of each row's patient, shape (n,).
        new_score: Scores of the other sample, shape (m,).
        new_patients: Key of each row's patient there, shape (m,).
        n_boot: Resamples.
        seed: Seed of the resamples.

    Raises:
        InputError: Labels are not 0 and 1 of both kinds, scores not from 0 to 1, or lengths differ.

    >>> rng = np.random.default_rng(0)
    >>> y, new = rng.random(600) < 0.3, rng.random(400) < 0.6
    >>> s, other = (np.clip(0.3 + 0.3 * k + rng.normal(0, 0.1, len(k)), 0, 1) for k in (y, new))
    >>> found = label_shift_prevalence(y, s, np.arange(600), other, np.arange(400), n_boot=200)
    >>> bool(abs(found.prevalence - new.mean()) < 0.1), bool(found.p_value < 0.05)
    (True, True)
    """
    y, s = inputs.check_cases(y_true, y_score)
    new = inputs.check_scores(new_score)
    if not 0 < y.sum() < len(y):
        raise InputError("All labels are the same: expected positive and negative cases.")
    if not len(new):
        raise InputError("The new sample has no scores: expected one or more.")
    who, other = patient_index(patients), patient_index(new_patients)
    inputs.check_same_length(y, who)
    inputs.check_same_length(new, other)
    columns = np.stack([np.bincount(who, value) for value in (s * y, y, s * (1 - y), 1 - y)], 1)
    there = np.stack([np.bincount(other, value) for value in (new, np.ones(len(new)))], 1)
    value, reference = _prevalence(columns.sum(0)[None], there.sum(0)[None])
    change = value - reference
    n, m = len(columns), len(there)
    drawn, base = _prevalence(
        patient_counts(n, range(n_boot), seed) @ columns,
        # Other replicates: two samples of one size must not be resampled alike.
        patient_counts(m, range(n_boot, 2 * n_boot), seed) @ there,
    )
    changes = drawn - base
    return LabelShift(
        reference=float(reference[0]),
        prevalence=float(value[0]),
        ci=percentile_interval(drawn) if n_boot else None,
        change=float(change[0]),
        change_ci=percentile_interval(changes) if n_boot else None,
        p_value=bootstrap_p_value(changes),
    )


def _prevalence(sums: NDArray[Any], there: NDArray[Any]) -> tuple[Array, Array]:
    """q and the labelled sample's own prevalence, of sums with a replicate per row."""
    of_positive, positive, of_negative, negative = sums.T.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        m1, m0 = of_positive / positive, of_negative / negative
        q = (there[:, 0] / there[:, 1] - m0) / (m1 - m0)
    return np.clip(q, 0.0, 1.0), positive / (positive + negative)
