"""What a study of a given size can see: the smallest gap, and the patients that a gap needs.

Normal approximations for two independent groups, two-sided. Several images of a patient say less
than as many patients: every variance is multiplied by a design effect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from fairthesis.errors import InputError


@dataclass(frozen=True)
class Size:
    """How many cases a group has.

    Attributes:
        positive: Positive cases, 1 or more.
        negative: Negative cases, 1 or more.

    Raises:
        InputError: A number is below 1.

    >>> Size(positive=20, negative=180)
    Size(positive=20, negative=180)
    >>> Size(0, 180)
    Traceback (most recent call last):
    ...
    fairthesis.errors.InputError: The number of positive cases is 0: expected 1 or more.
    """

    positive: int
    negative: int

    def __post_init__(self) -> None:
        for name in ("positive", "negative"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"The number of {name} cases is {getattr(self, name)}: expected 1 or more."
                )


def auroc_variance(auroc: float, positive: float, negative: float) -> float:
    """Hanley and McNeil's variance of an AUROC, for exponential scores (1982, Radiology 143).

    [A(1-A) + (P-1)(Q1 - A²) + (N-1)(Q2 - A²)] / (P N), Q1 = A/(2-A), Q2 = 2A²/(1+A).

    Args:
        auroc: The AUROC A, in [0, 1].
        positive: Number of positive cases P.
        negative: Number of negative cases N.

    Returns:
        The variance, the square of the standard error.

    Raises:
        InputError: ``auroc`` lies outside [0, 1].

    >>> errors = [auroc_variance(0.85, *cases) ** 0.5 for cases in ((20, 180), (100, 100))]
    >>> [round(error, 3) for error in errors]  # 200 cases each: the rarer class decides
    [0.055, 0.028]
    """
    _check_rate("auroc", auroc)
    a, q1, q2 = auroc, auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    total = a * (1 - a) + (positive - 1) * (q1 - a**2) + (negative - 1) * (q2 - a**2)
    return total / (positive * negative)


def rate_variance(rate: float, n: float) -> float:
    """The binomial variance of a rate, r (1 - r) / n.

    Args:
        rate: The rate r, in [0, 1].
        n: Number of cases that it is taken over.

    Returns:
        The variance, the square of the standard error.

    Raises:
        InputError: ``rate`` lies outside [0, 1].

    >>> rate_variance(0.5, 100)
    0.0025
    """
    _check_rate("rate", rate)
    return rate * (1 - rate) / n


def design_effect(images_per_patient: float, correlation: float) -> float:
    """Kish's design effect, 1 + (m - 1) rho: how much clustering inflates a variance.

    Kish 1965, "Survey Sampling".

    Args:
        images_per_patient: Images m of each patient, 1 or more; where patients have unequal numbers
            it is not their mean but ``cluster_size``.
        correlation: Correlation rho of outcomes within a patient, in [0, 1].

    Returns:
        A factor of 1 or more.

    Raises:
        InputError: A number lies outside its range.

    >>> design_effect(3, 0.5)  # 300 images of 100 patients are worth 150 independent ones
    2.0
    """
    if not 1 <= images_per_patient < math.inf:
        raise InputError(f"images_per_patient is {images_per_patient}: expected 1 or more.")
    if not 0 <= correlation <= 1:
        raise InputError(f"correlation is {correlation}: expected a number from 0 to 1.")
    return 1 + (images_per_patient - 1) * correlation


def cluster_size(images: ArrayLike) -> float:
    """The m of ``design_effect`` from each patient's number of images, sum m_i^2 / sum m_i.

    It is the number of images of the patient of an image drawn at random, the mean times 1 + cv^2,
    with cv the coefficient of variation (Eldridge, Ashby and Kerry 2006, "Sample size for cluster
    randomized trials", Int J Epidemiol 35). The variance of a mean over all images is then
    inflated by exactly the design effect.

    Args:
        images: Number of images of each patient, shape (patients,), each 1 or more.

    Raises:
        InputError: There is no patient, or one without an image.

    >>> cluster_size([2, 2, 2]), cluster_size([1, 1, 4])
    (2.0, 3.0)
    """
    m = np.asarray(images, np.float64)
    if not len(m) or not (m >= 1).all():
        raise InputError("images: expected one number per patient, each of them 1 or more.")
    return float((m**2).sum() / m.sum())


Variance = Callable[[float, Size], float]
# What a gap can be in -> variance of one group's value at that value.
VARIANCES: dict[str, Variance] = {
    "auroc": lambda value, size: auroc_variance(value, size.positive, size.negative),
    "tpr": lambda value, size: rate_variance(value, size.positive),
    "fpr": lambda value, size: rate_variance(value, size.negative),
}


def power(
    metric: str,
    gap: float,
    reference: float,
    first: Size,
    second: Size,
    *,
    alpha: float = 0.05,
    design: float = 1.0,
) -> float:
    """The chance that a gap is seen: that the two-sided z test between two groups rejects.

    The test's own standard error is that of no gap, both groups at the mean of the two values; the
    estimate's spread is that of the two values (Fleiss, Levin and Paik 2003, "Statistical Methods
    for Rates and Proportions", 4.2).

    Args:
        metric: ``auroc``, ``tpr`` or ``fpr``.
        gap: How far the second group's value lies below the first's.
        reference: Value of the first group.
        first: Cases of the first group.
        second: Cases of the second group.
        alpha: Level of the test.
        design: Design effect by which variances are multiplied.

    Returns:
        A chance in [0, 1].

    Raises:
        InputError: The metric is not known, or one of the two values lies outside (0, 1].

    >>> round(power("tpr", 0.1, 0.8, Size(300, 1), Size(300, 1)), 2)
    0.81
    """
    variance = _variance(metric)
    other = reference - gap
    if not 0 < other <= 1 or not 0 < reference <= 1:
        raise InputError(
            f"{metric} {reference:g} less a gap of {gap:g} is {other:g}: expected both between 0 "
            "and 1."
        )
    middle = (reference + other) / 2
    null = math.sqrt(design * (variance(middle, first) + variance(middle, second)))
    spread = math.sqrt(design * (variance(reference, first) + variance(other, second)))
    if spread == 0:
        return float(gap != 0)
    z = float(ndtri(1 - alpha / 2))
    return float(ndtr((gap - z * null) / spread) + ndtr((-gap - z * null) / spread))


def smallest_gap(
    metric: str,
    reference: float,
    first: Size,
    second: Size,
    *,
    alpha: float = 0.05,
    wanted: float = 0.8,
    design: float = 1.0,
) -> float:
    """The smallest gap that is seen with power ``wanted``.

    Solves ``power(gap) = wanted`` for gaps between 0 and the reference value (for AUROC, down to
    an AUROC of 0.5 in the second group).

    Args:
        metric: ``auroc``, ``tpr`` or ``fpr``.
        reference: Value of the first group; an AUROC must be above 0.5.
        first: Cases of the first group.
        second: Cases of the second group.
        alpha: Level of the test.
        wanted: Power that is asked for, between ``alpha`` and 1.
        design: Design effect, 1 or more.

    Returns:
        The gap; NaN where even the largest is not seen so often.

    Raises:
        InputError: The metric is not known, or a number lies outside its range.

    >>> round(smallest_gap("auroc", 0.85, Size(100, 400), Size(100, 400)), 3)
    0.111
    >>> smallest_gap("auroc", 0.85, Size(5, 20), Size(5, 20))
    nan
    """
    _check_options(alpha, wanted, design)
    _check_rate(metric, reference)
    top = reference - (0.5 if metric == "auroc" else 0.0)
    if top <= 0:
        raise InputError(f"auroc is {reference:g}: expected more than 0.5.")

    def short(gap: float) -> float:
        return power(metric, gap, reference, first, second, alpha=alpha, design=design) - wanted

    top *= 1 - 1e-9
    return float(brentq(short, 0.0, top, xtol=1e-10)) if short(top) >= 0 else math.nan


def patients_needed(
    metric: str,
    gap: float,
    reference: float,
    prevalences: tuple[float, float],
    *,
    share: float = 0.5,
    images_per_patient: float = 1.0,
    cluster: float | None = None,
    correlation: float = 0.0,
    design: float | None = None,
    alpha: float = 0.05,
    wanted: float = 0.8,
) -> int:
    """Patients, both groups together, that are needed to see ``gap`` with power ``wanted``.

    Args:
        metric: ``auroc``, ``tpr`` or ``fpr``.
        gap: How far the second group's value lies below the first's, above 0.
        reference: Value of the first group.
        prevalences: Shares of positive cases of the two groups, between 0 and 1.
        share: Share of patients that are of the first group, between 0 and 1.
        images_per_patient: Mean number of images of a patient.
        cluster: ``cluster_size`` where patients have unequal numbers of images; their mean if None.
        correlation: Correlation of outcomes within a patient, in [0, 1].
        design: Design effect, in the place of that of ``cluster`` and ``correlation``.
        alpha: Level of the test.
        wanted: Power that is asked for, between ``alpha`` and 1.

    Raises:
        InputError: A number lies outside its range, or more than a thousand million patients are
            needed.

    >>> patients_needed("tpr", 0.1, 0.8, (0.5, 0.5))
    1176
    >>> patients_needed("tpr", 0.1, 0.8, (0.1, 0.1))  # the positives are what counts
    5880
    """
    if cluster is not None and cluster < images_per_patient:
        raise InputError(
            f"cluster is {cluster:g}: expected cluster_size of each patient's number of images, "
            f"which is at least their mean, {images_per_patient:g}."
        )
    if design is None:
        own = images_per_patient if cluster is None else cluster
        design = design_effect(own, correlation)
    _check_options(alpha, wanted, design)
    for name, value in (("share", share), *(("prevalence", p) for p in prevalences)):
        if not 0 < value < 1:
            raise InputError(f"The {name} is {value:g}: expected a number between 0 and 1.")
    if gap <= 0:
        raise InputError(f"gap is {gap:g}: expected more than 0.")

    def reached(patients: int) -> bool:
        sizes = []
        for part, prevalence in zip((share, 1 - share), prevalences, strict=True):
            images = patients * part * images_per_patient
            cases = [math.floor(images * p) for p in (prevalence, 1 - prevalence)]
            if min(cases) < 2:
                return False
            sizes.append(Size(*cases))
        found = power(metric, gap, reference, *sizes, alpha=alpha, design=design)
        return found >= wanted

    high = 8
    while not reached(high):
        high *= 2
        if high > 10**9:
            raise InputError(f"A gap of {gap:g} needs more than a thousand million patients.")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


#: How many independent tests the ten gaps of an attribute are worth in ``step_down``: of two groups
#: 6, of eight 8, whatever their prevalence, size and images per patient (measured).
EFFECTIVE_GAPS = 7


def corrected_level(alpha: float, groups: int) -> float:
    """The level at which an audit judges one pair of groups in one gap that nobody planned.

    Sidak's level for ``EFFECTIVE_GAPS`` gaps of every pair. A gap that is planned (``primary``) and
    two groups: ``alpha`` itself.

    >>> round(corrected_level(0.05, 2), 4), round(corrected_level(0.05, 4), 4)
    (0.0073, 0.0012)
    """
    tests = EFFECTIVE_GAPS * groups * (groups - 1) // 2
    return float(-np.expm1(np.log1p(-alpha) / tests))


def smallest_gaps(
    sizes: dict[str, Size],
    references: dict[str, float],
    *,
    alpha: float = 0.05,
    wanted: float = 0.8,
    design: float | Mapping[str, float] = 1.0,
) -> pd.DataFrame:
    """The smallest gap in each metric of ``references`` for each pair of groups.

    Args:
        sizes: Cases of each group by its name.
        references: Value of the first group by metric (``auroc``, ``tpr``, ``fpr``).
        alpha: Level of the test.
        wanted: Power that is asked for.
        design: Design effect, the same for all or by metric: a true positive rate rests on the
            positive images of a patient alone.

    Returns:
        A row per metric and pair, columns ``metric, first, second, reference, gap,
        gap_corrected``: the gap that a test of this pair alone sees, as of a planned gap of two
        groups, and the one that is still seen after an audit's correction for all gaps and pairs
        (``corrected_level``). See ``smallest_gap`` for the gap, and for what is refused.

    >>> smallest_gaps({"f": Size(90, 90), "m": Size(90, 90)}, {"tpr": 0.8}).round(2).values.tolist()
    [['tpr', 'f', 'm', 0.8, 0.19, 0.24]]
    """
    names = list(sizes)
    levels = {"gap": alpha, "gap_corrected": corrected_level(alpha, len(names))}
    rows = [
        {
            "metric": metric,
            "first": first,
            "second": second,
            "reference": reference,
            **{
                column: smallest_gap(
                    metric,
                    reference,
                    sizes[first],
                    sizes[second],
                    alpha=level,
                    wanted=wanted,
                    design=design if isinstance(design, float | int) else design[metric],
                )
                for column, level in levels.items()
            },
        }
        for metric, reference in references.items()
        for k, first in enumerate(names)
        for second in names[k + 1 :]
    ]
    return pd.DataFrame(rows)


def _variance(metric: str) -> Variance:
    if metric not in VARIANCES:
        raise InputError(f"Unknown metric {metric!r}: expected one of {', '.join(VARIANCES)}.")
    return VARIANCES[metric]


def _check_rate(name: str, value: float) -> None:
    if not 0 <= value <= 1 or np.isnan(value):
        raise InputError(f"{name} is {value:g}: expected a number from 0 to 1.")


def _check_options(alpha: float, wanted: float, design: float) -> None:
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha:g}: expected a number between 0 and 1.")
    if not alpha < wanted < 1:
        raise InputError(f"power is {wanted:g}: expected a number between alpha and 1.")
    if design < 1:
        raise InputError(f"The design effect is {design:g}: expected 1 or more.")
