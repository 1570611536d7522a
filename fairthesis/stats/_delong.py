"""The variance of an AUROC in closed form, and the paired test of two AUROCs on the same cases.

DeLong's for independent cases; Obuchowski's where patients have several rows. The audit resamples
patients: these are the cross-checks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from fairthesis import inputs
from fairthesis.errors import InputError
from fairthesis.stats._resampling import patient_index

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Normal:
    """An estimate with a normal approximation.

    Attributes:
        value: The AUROC, or the difference of two.
        standard_error: Its standard error.
        ci: Ends of its interval, ``value`` plus and minus a multiple of the error; not cut off at 0
            or 1.
        p_value: Two-sided, for no difference (paired) or an AUROC of 0.5 (single).

    >>> Normal(0.1, 0.04, ci=(0.02, 0.18), p_value=0.012).ci
    (0.02, 0.18)
    """

    value: float
    standard_error: float
    ci: tuple[float, float]
    p_value: float


def _placements(y: NDArray[np.bool_], s: Array) -> tuple[Array, Array]:
    """For each positive the share of negatives below it, for each negative that of positives above.

    Ties count one half. The mean of either is the AUROC.
    """
    pos, neg = s[y], s[~y]
    sorted_pos, sorted_neg = np.sort(pos), np.sort(neg)

    def below(reference: Array, values: Array) -> Array:
        left, right = (np.searchsorted(reference, values, side) for side in ("left", "right"))
        return np.asarray((left + right) / 2 / len(reference))

    return below(sorted_neg, pos), 1 - below(sorted_pos, neg)


def _estimate(value: float, variance: float, null: float, level: float) -> Normal:
    error = float(np.sqrt(max(variance, 0.0)))
    half = float(ndtri((1 + level) / 2)) * error
    distance = abs(value - null)
    p = float(2 * ndtr(-distance / error)) if error > 0 else float(distance == 0)
    return Normal(value, error, (value - half, value + half), p)


def _both(y_true: ArrayLike) -> NDArray[np.bool_]:
    y = inputs.check_binary(y_true)
    if min(y.sum(), (~y).sum()) < 2:
        raise InputError(
            "The variance of an AUROC needs two positive and two negative cases, but got "
            f"{int(y.sum())} and {int((~y).sum())}."
        )
    return y


def _scores(y: NDArray[np.bool_], values: ArrayLike, name: str = "y_score") -> Array:
    s = inputs.check_scores(values, name)
    inputs.check_same_length(y, s, name)
    return s


def delong(y_true: ArrayLike, y_score: ArrayLike, level: float = 0.95) -> Normal:
    """AUROC with DeLong's standard error, for independent cases.

    var = var(V10)/P + var(V01)/N over the placements V of the P positives and N negatives: the
    share of the other class that each is ranked rightly against (DeLong, DeLong and Clarke-Pearson
    1988, Biometrics 44).

    Args:
        y_true: Labels of 0 and 1, shape (n,), at least two of each.
        y_score: Scores of any range, shape (n,).
        level: Coverage of the interval.

    Returns:
        ``value``, ``standard_error``, ``ci`` (low, high) and ``p_value`` for an AUROC of 0.5.

    Raises:
        InputError: There are fewer than two cases of a class, or labels or scores cannot be used.

    >>> found = delong([0, 0, 0, 1, 1, 1], [0.1, 0.3, 0.6, 0.4, 0.7, 0.9])
    >>> round(found.value, 3), round(found.standard_error, 3), round(found.p_value, 3)
    (0.889, 0.157, 0.013)
    """
    y = _both(y_true)
    v10, v01 = _placements(y, _scores(y, y_score))
    variance = v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01)
    return _estimate(float(v10.mean()), float(variance), 0.5, level)


def delong_paired(
    y_true: ArrayLike, first: ArrayLike, second: ArrayLike, level: float = 0.95
) -> Normal:
    """AUROC of ``second`` minus that of ``first`` on the same cases, by DeLong's paired test.

    The formula of ``delong`` on the differences of placements, which carry the covariance of the
    two AUROCs.

    Args:
        y_true: Labels of 0 and 1, shape (n,), at least two of each.
        first: Scores of one model, shape (n,).
        second: Scores of the other, shape (n,).
        level: Coverage of the interval.

    Returns:
        ``value``, ``standard_error``, ``ci`` (low, high) and ``p_value`` for no difference.

    Raises:
        InputError: There are fewer than two cases of a class, or labels or scores cannot be used.

    >>> found = delong_paired([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0.1, 0.2, 0.7, 0.8])
    >>> found.value, found.p_value > 0.05
    (0.25, True)
    """
    y = _both(y_true)
    a = _placements(y, _scores(y, first, "first"))
    b = _placements(y, _scores(y, second, "second"))
    # The variance of the difference of placements carries the covariance of the two AUROCs.
    parts = [(v - u).var(ddof=1) / len(u) for u, v in zip(a, b, strict=True)]
    return _estimate(float(b[0].mean() - a[0].mean()), float(sum(parts)), 0.0, level)


def _clustered_variance(
    y: NDArray[np.bool_], patients: ArrayLike, placements: tuple[Array, Array], value: float
) -> float:
    """Obuchowski's variance from the placements of positives and of negatives about ``value``."""
    patient = patient_index(np.asarray(patients))
    if len(patient) != len(y):
        raise InputError(
            f"Expected a patient for each of the {len(y)} cases, but got {len(patient)}."
        )
    n = int(patient.max()) + 1
    # Per patient, the sum of how far each of their placements lies from the AUROC.
    pos = np.bincount(patient[y], placements[0] - value, minlength=n)
    neg = np.bincount(patient[~y], placements[1] - value, minlength=n)
    P, N = int(y.sum()), int((~y).sum())
    with_pos = len(np.unique(patient[y]))
    with_neg = len(np.unique(patient[~y]))
    if min(with_pos, with_neg) < 2:
        raise InputError(
            "Obuchowski's variance needs two patients with a positive case and two with a negative "
            f"one, but got {with_pos} and {with_neg}."
        )
    s10 = with_pos / (with_pos - 1) * (pos**2).sum() / P**2
    s01 = with_neg / (with_neg - 1) * (neg**2).sum() / N**2
    # Patients with cases of both kinds tie the two parts together.
    s11 = n / (n - 1) * (pos * neg).sum() / (P * N)
    return float(s10 + s01 + 2 * s11)


def obuchowski(
    y_true: ArrayLike, y_score: ArrayLike, patients: ArrayLike, level: float = 0.95
) -> Normal:
    """AUROC with Obuchowski's standard error, for patients with several rows.

    var = S10/P + S01/N + 2 S11/(P N), each S from the sums of a patient's placements about the
    AUROC: S10 over positives, S01 over negatives, S11 their product in patients with both
    (Obuchowski 1997, Biometrics 53). With one row per patient it is DeLong's variance.

    Args:
        y_true: Labels of 0 and 1, shape (n,), at least two of each.
        y_score: Scores of any range, shape (n,).
        patients: Key of each row's patient, shape (n,).
        level: Coverage of the interval.

    Returns:
        ``value``, ``standard_error``, ``ci`` (low, high) and ``p_value`` for an AUROC of 0.5.

    Raises:
        InputError: There are fewer than two cases of a class, or patients with one; a patient is
            null; or lengths differ.

    >>> y, s = [0, 0, 0, 1, 1, 1], [0.1, 0.3, 0.6, 0.4, 0.7, 0.9]
    >>> twice = obuchowski(y * 2, s * 2, list("abcdef") * 2)  # every row is there twice
    >>> round(twice.standard_error, 3), round(delong(y, s).standard_error, 3)
    (0.157, 0.157)
    >>> round(delong(y * 2, s * 2).standard_error, 3)  # takes the copies for independent cases
    0.099
    """
    y = _both(y_true)
    placements = _placements(y, _scores(y, y_score))
    value = float(placements[0].mean())
    variance = _clustered_variance(y, patients, placements, value)
    return _estimate(value, variance, 0.5, level)


def obuchowski_paired(
    y_true: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    patients: ArrayLike,
    level: float = 0.95,
) -> Normal:
    """AUROC of ``second`` minus that of ``first`` on the same clustered cases (Obuchowski 1997).

    The formula of ``obuchowski`` on the differences of placements, which carry the covariance.

    Args:
        y_true: Labels of 0 and 1, shape (n,), at least two of each.
        first: Scores of one model, shape (n,).
        second: Scores of the other, shape (n,).
        patients: Key of each row's patient, shape (n,).
        level: Coverage of the interval.

    Returns:
        ``value``, ``standard_error``, ``ci`` (low, high) and ``p_value`` for no difference.

    Raises:
        InputError: As for ``obuchowski``.

    >>> found = obuchowski_paired(
    ...     [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0.1, 0.2, 0.7, 0.8], ["a", "b", "a", "b"]
    ... )
    >>> found.value
    0.25
    """
    y = _both(y_true)
    a = _placements(y, _scores(y, first, "first"))
    b = _placements(y, _scores(y, second, "second"))
    placements = (b[0] - a[0], b[1] - a[1])
    value = float(placements[0].mean())
    variance = _clustered_variance(y, patients, placements, value)
    return _estimate(value, variance, 0.0, level)
