"""What kind of shift lies between two cohorts, named without labels of the second one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fairthesis.auditing._wording import ALPHA
from fairthesis.stats import (
    LabelShift,
    TwoSample,
    classifier_two_sample,
    generator,
    holm,
    label_shift_prevalence,
    mmd,
    one_row_per_patient,
)

Array = NDArray[np.float64]
TESTS = 3  # of a pair of samples, at most
FEW = 20  # patients of a side, below which nothing is tested

NO_SHIFT = "no shift shown"
PREVALENCE = "explained by prevalence"
APPEARANCE = "appearance; prevalence cannot be told beside it"
UNNAMED = "a shift that cannot be named"
TOO_FEW = "too few patients to test"
#: What ``name_shifts`` may say of a shift.
SHIFTS = (NO_SHIFT, PREVALENCE, APPEARANCE, UNNAMED, TOO_FEW)


@dataclass(frozen=True)
class Sample:
    """Rows of a cohort: labels (NaN or None where not known), scores, patients, embeddings.

    >>> Sample(np.array([0.2, 0.9]), np.array([0, 1])).z is None
    True
    """

    s: Array
    patient: NDArray[np.intp]
    y: Array | None = None
    z: Array | None = None

    def rows(self, at: NDArray[np.bool_] | NDArray[np.intp]) -> Sample:
        """Some of the rows, by mask or by place."""
        y, z = (None if x is None else x[at] for x in (self.y, self.z))
        return Sample(self.s[at], self.patient[at], y, z)

    @property
    def n_patients(self) -> int:
        """The number of patients."""
        return len(np.unique(self.patient))


@dataclass(frozen=True)
class Shift:
    """A shift from the in-distribution cohort to the external one, and the evidence for its name.

    ``any`` are tests of the two as they are, ``same_size`` of as many in-distribution patients as
    can be kept when their prevalence is set to the estimated one, drawn without looking at labels,
    and ``rest`` of those with that prevalence: by name, ``scores`` (``stats.mmd`` on the ranks),
    ``embeddings`` (``stats.mmd``) and ``classifier`` (``stats.classifier_two_sample`` on the
    embeddings). Each of the p values is the smallest of its tests' by Bonferroni, and after
    ``name_shifts`` Holm's over the groups. ``label_shift`` is the external prevalence if nothing
    but the prevalence differs; ``verdict`` one of ``SHIFTS``.

    >>> found = Shift(500, 400, None, {}, {}, {})
    >>> found.verdict
    'too few patients to test'
    """

    n_internal: int
    n_external: int
    label_shift: LabelShift | None
    any: dict[str, TwoSample]
    same_size: dict[str, TwoSample]
    rest: dict[str, TwoSample]
    p_any: float = math.nan
    p_same_size: float = math.nan
    p_rest: float = math.nan
    verdict: str = TOO_FEW


def shift_between(
    internal: Sample, external: Sample, *, n_permutations: int, n_boot: int, seed: int
) -> Shift:
    """The tests of one pair of cohorts, or of one group in both; ``name_shifts`` gives verdicts.

    One row of each patient is tested, so that rows may be permuted singly; the prevalence is
    estimated from all rows (``stats.label_shift_prevalence``). Fewer than 20 patients of a cohort
    are not tested.

    Args:
        internal: the in-distribution rows, with a label each.
        external: the other cohort's; its labels are not looked at.
        n_permutations: permutations of each test.
        n_boot: resamples of patients for the interval of the prevalence.
        seed: the same seed gives the same tests.

    >>> rng = np.random.default_rng(0)
    >>> def cohort(n, look):
    ...     y, z = rng.integers(0, 2, n), rng.normal(size=(n, 3))
    ...     z[:, 0] += 2 * y
    ...     z[:, 1] += look
    ...     return Sample(1 / (1 + np.exp(-z[:, 0])), np.arange(n), y.astype(float), z)
    >>> draws = {"n_permutations": 99, "n_boot": 100, "seed": 0}
    >>> found = [shift_between(cohort(200, 0.0), cohort(150, look), **draws) for look in (0.0, 1.0)]
    >>> [name_shifts([shift])[0].verdict for shift in found]
    ['no shift shown', 'appearance; prevalence cannot be told beside it']
    """
    n, m = internal.n_patients, external.n_patients
    if min(n, m) < FEW:
        return Shift(n, m, None, {}, {}, {})
    y = internal.y if internal.y is not None else np.empty(0)
    estimated = None
    if 0 < y.sum() < len(y):
        estimated = label_shift_prevalence(
            y, internal.s, internal.patient, external.s, external.patient,
            n_boot=n_boot, seed=seed,
        )  # fmt: skip
    home = internal.rows(one_row_per_patient(internal.patient, seed))
    away = external.rows(one_row_per_patient(external.patient, seed + 1))
    whole = _tests(home, away, n_permutations, seed)
    alike: dict[str, TwoSample] = {}
    rest: dict[str, TwoSample] = {}
    if estimated is not None and math.isfinite(estimated.prevalence):
        kept = _thinned(home, estimated.prevalence, seed)
        if len(kept) >= FEW:
            drawn = generator(seed, "same size", 0).permutation(len(home.s))[: len(kept)]
            alike = _tests(home.rows(np.sort(drawn)), away, n_permutations, seed)
            rest = _tests(home.rows(kept), away, n_permutations, seed)
    p_any, p_alike, p_rest = (_smallest(tests) for tests in (whole, alike, rest))
    return Shift(n, m, estimated, whole, alike, rest, p_any, p_alike, p_rest)


def name_shifts(found: Sequence[Shift]) -> list[Shift]:
    """Verdicts of several groups, or of one cohort; p values corrected over them by Holm's method.

    - ``no shift shown``: the samples as they are cannot be told apart;
    - ``explained by prevalence``: they can, also with as few patients as are left when the
      in-distribution prevalence is set to the estimated one, but not any more once it is, and the
      estimate differs from the in-distribution prevalence. A shift of appearance that moves scores
      and embeddings as a prevalence does, or that is small for so many patients, is called so too;
    - ``appearance; prevalence cannot be told beside it``: they can be told apart still. What is
      left is not prevalence. The estimate rests on there being nothing else, so that it then says
      nothing;
    - ``a shift that cannot be named``: a difference is shown, but none of these holds, mostly for
      want of patients.

    >>> several = [Shift(90, 90, None, {}, {}, {}, p, p, 0.5) for p in (0.001, 0.04)]
    >>> [shift.verdict for shift in name_shifts(several)]
    ['a shift that cannot be named', 'a shift that cannot be named']
    """
    names = ("p_any", "p_same_size", "p_rest")
    p = {name: holm([getattr(shift, name) for shift in found]) for name in names}
    corrected = [
        replace(shift, **{name: p[name][k] for name in names})  # type: ignore[arg-type]
        for k, shift in enumerate(found)
    ]
    return [replace(shift, verdict=_verdict(shift)) for shift in corrected]


def _verdict(shift: Shift) -> str:
    if math.isnan(shift.p_any):
        return TOO_FEW
    if shift.p_any > ALPHA:
        return NO_SHIFT
    if shift.p_rest <= ALPHA:
        return APPEARANCE
    changed = shift.label_shift is not None and shift.label_shift.p_value <= ALPHA
    # The p values of too few patients are large whatever their prevalence.
    if changed and shift.p_same_size <= ALPHA and math.isfinite(shift.p_rest):
        return PREVALENCE
    return UNNAMED


def _tests(home: Sample, away: Sample, n_permutations: int, seed: int) -> dict[str, TwoSample]:
    # Ranks: a score's scale is arbitrary, and most lie near 0.
    ranks = np.unique(np.concatenate([home.s, away.s]), return_inverse=True)[1].reshape(-1)
    share = np.cumsum(np.bincount(ranks))[ranks] / len(ranks)
    at = len(home.s)
    found = {"scores": mmd(share[:at], share[at:], n_permutations=n_permutations, seed=seed)}
    if home.z is not None and away.z is not None:
        for name, test in (("embeddings", mmd), ("classifier", classifier_two_sample)):
            found[name] = test(home.z, away.z, n_permutations=n_permutations, seed=seed)
    return found


def _smallest(tests: dict[str, TwoSample]) -> float:
    """Bonferroni's: the smallest p value times the number of tests."""
    return min([1.0, *(len(tests) * t.p_value for t in tests.values())]) if tests else math.nan


def _thinned(home: Sample, prevalence: float, seed: int) -> NDArray[np.intp]:
    """Places of rows with this prevalence: cases of one label are left out at random."""
    positive = home.y > 0 if home.y is not None else np.zeros(len(home.s), bool)
    n1, n0 = int(positive.sum()), int((~positive).sum())
    if prevalence <= 0 or n1 == 0:
        keep1, keep0 = 0, n0
    elif prevalence >= 1 or n0 == 0:
        keep1, keep0 = n1, 0
    else:
        keep1 = min(n1, round(n0 * prevalence / (1 - prevalence)))
        keep0 = min(n0, round(n1 * (1 - prevalence) / prevalence))
    order = generator(seed, "thinned", 0).permutation(len(home.s))
    kept = [order[positive[order]][:keep1], order[~positive[order]][:keep0]]
    return np.sort(np.concatenate(kept))
