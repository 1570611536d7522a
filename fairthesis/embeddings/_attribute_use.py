"""Whether an attribute that is encoded is also used: erased, the head refitted, the change shown.

A probe says what could be recovered from an embedding, and nothing of whether a disease head goes
by it. Beside it stands what becomes of AUROC and gaps when the attribute is taken out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone

from fairthesis import stats
from fairthesis.embeddings._erasers import Leace
from fairthesis.embeddings._measured_erasure import TooFewPatientsError
from fairthesis.embeddings._probes import Array, Codes
from fairthesis.embeddings._refitted_heads import Cases, Scored, refitted
from fairthesis.errors import InputError
from fairthesis.inputs import check_binary, check_same_length

FLOOR = 30  # positives and negatives that a group needs to enter a gap, as in an audit
SCOPES = ("marginal", "given the target")
#: What ``use_of_attribute`` measures, in its order, by the names of an audit.
USE_METRICS = ("auroc", "auroc_gap", "equalized_odds_difference")


@dataclass(frozen=True)
class UseReading:
    """One metric of a refitted head on new patients, before and after erasure.

    ``scope`` is ``marginal``, or ``given the target`` where the eraser makes the groups alike
    within each class. ``kept`` is the metric of a head refitted on the embedding as it is,
    ``erased`` of one refitted after erasure; ``change`` is the second less the first, with a 95 %
    interval paired by patient (NaN without resamples). ``random_change`` is the mean change when
    as many directions are taken out at random, ``random_low`` and ``random_high`` the least and
    largest of the draws.

    >>> UseReading("marginal", "auroc_gap", 0.2, 0.05, -0.15, -0.18, -0.12).change
    -0.15
    """

    scope: str
    metric: str
    kept: float
    erased: float
    change: float
    ci_low: float = math.nan
    ci_high: float = math.nan
    random_change: float = math.nan
    random_low: float = math.nan
    random_high: float = math.nan


@dataclass(frozen=True)
class AttributeUse:
    """What ``use_of_attribute`` found.

    Args:
        readings: one of each metric, for each way to erase.
        groups: the attribute's groups.
        n_rows: rows that were given.
        n_patients: patients in them.
        warnings: what a reader must know, in words.
        settings: of the call.

    >>> rng = np.random.default_rng(0)
    >>> y, a = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
    >>> x = rng.normal(size=(400, 2)) + np.c_[y, 3 * a]
    >>> found = use_of_attribute(x, y, a, n_boot=0, n_random=0)
    >>> found.groups, found.table().columns.tolist()[:5]
    (('0', '1'), ['scope', 'metric', 'kept', 'erased', 'change'])
    """

    readings: tuple[UseReading, ...]
    groups: tuple[str, ...]
    n_rows: int
    n_patients: int
    warnings: tuple[str, ...]
    settings: dict[str, Any]

    def table(self) -> pd.DataFrame:
        """``readings`` as a tidy table, one row each."""
        return pd.DataFrame([asdict(reading) for reading in self.readings])

    def to_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes null."""
        found = asdict(self)
        found["readings"] = [
            {k: None if v != v else v for k, v in row.items()} for row in found["readings"]
        ]
        return found


def use_of_attribute(
    X: ArrayLike,
    y_true: ArrayLike,
    attribute: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    eraser: Any = None,
    folds: int = 5,
    n_random: int = 10,
    n_boot: int = 1000,
    seed: int = 0,
) -> AttributeUse:
    """What erasing an attribute from an embedding does to a refitted disease head.

    The patients are cut into ``folds``. Without each one, an eraser is fitted, and a logistic head
    (the probe of that name) is refitted on the erased embedding, on the embedding as it is, and on
    the embedding without as many random directions; each scores the fold that was left out, at the
    threshold of largest TPR - FPR on the rows that it was fitted on. From the scores of all folds:
    AUROC (within folds), its gap over groups, and the equalized odds difference. An attribute may
    be encoded and not used (no change), or used (gaps close, and AUROC may fall). Only what the
    eraser takes out is asked of: LEACE leaves what a curved head could use.

    Args:
        X: the embedding, shape (n, d), finite.
        y_true: 0 or 1, shape (n,).
        attribute: the group of each row, shape (n,), none unknown.
        patients: a key of each row, shape (n,); None takes every row for a patient.
        eraser: of ``ERASERS``, with its options; it is copied. By default ``Leace()``. One that can
            be told to erase given the target is used both ways.
        folds: parts of the patients, 2 or more.
        n_random: draws of random directions, the control of amnesic probing; 0 for none.
        n_boot: resamples of patients for the intervals; 0 for none. The interval of a gap's change
            is of the differences between the groups that are its ends.
        seed: of folds, draws and resamples.

    Raises:
        InputError: for numbers out of range, arrays that do not fit, one class or one group.
        TooFewPatientsError: an ``InputError``, where fewer patients of a group have a label than
            there are folds.

    Reference: Elazar, Ravfogel, Jacovi and Goldberg, TACL 2021 (amnesic probing); Belrose et al.,
    NeurIPS 2023 (LEACE).

    >>> rng = np.random.default_rng(0)
    >>> a = rng.integers(0, 2, 2000)
    >>> y = (rng.random(2000) < np.where(a == 1, 0.8, 0.2)).astype(int)  # goes with the group
    >>> x = rng.normal(size=(2000, 2)) + np.c_[y, 4 * a]  # and so the head goes by the group
    >>> found = use_of_attribute(x, y, a, n_boot=0, n_random=5).table().set_index("metric")
    >>> odds = found.loc["equalized_odds_difference"].iloc[0]
    >>> bool(odds["kept"] > 0.4), bool(odds["change"] < -0.3), bool(odds["random_change"] > -0.3)
    (True, True, True)
    """
    for key, number, low in (("folds", folds, 2), ("n_random", n_random, 0), ("n_boot", n_boot, 0)):
        if number < low:
            raise InputError(f"{key} is {number}: expected {low} or more.")
    cases, groups = _cases(X, y_true, attribute, patients, folds)
    eraser = Leace() if eraser is None else eraser
    erasers = {SCOPES[0]: eraser}
    if "given_target" in eraser.get_params():
        both = zip(SCOPES, (False, True), strict=True)
        erasers = {scope: clone(eraser).set_params(given_target=given) for scope, given in both}
    kept, erased, controls = refitted(cases, erasers, folds, n_random, seed)
    large, warnings = _large(cases, groups)
    base = _Measured(cases, kept, large, n_boot, seed)
    readings = []
    for scope in erasers:
        after = _Measured(cases, erased[scope], large, n_boot, seed)
        drawn = [_Measured(cases, control, large, 0, seed) for control in controls[scope]]
        readings += [_reading(scope, metric, base, after, drawn) for metric in USE_METRICS]
    return AttributeUse(
        readings=tuple(readings),
        groups=tuple(groups),
        n_rows=len(cases.y),
        n_patients=len(np.unique(cases.patient)),
        warnings=tuple(warnings),
        settings={
            **{"eraser": type(eraser).__name__, "folds": folds, "n_random": n_random},
            **{"n_boot": n_boot, "seed": seed},
        },
    )


def _cases(
    X: ArrayLike, y_true: ArrayLike, attribute: ArrayLike, patients: ArrayLike | None, folds: int
) -> tuple[Cases, list[str]]:
    x, a = np.asarray(X, np.float64), np.asarray(attribute)
    y = check_binary(y_true).astype(np.intp)
    check_same_length(y, a, "attribute")
    if x.ndim != 2 or len(x) != len(y) or not np.isfinite(x).all():
        raise InputError(
            f"Expected an embedding of finite numbers, shape ({len(y)}, d), but got {x.shape}"
            f"{'' if x.shape[:1] != (len(y),) or x.ndim != 2 else ' with numbers that are not'}."
        )
    if pd.isna(a).any():
        raise InputError(
            f"The attribute is unknown in {int(pd.isna(a).sum())} of {len(a)} rows: leave them out."
        )
    found, codes = np.unique(a.astype(str), return_inverse=True)
    names = [str(name) for name in found]
    who = stats.patient_index(np.arange(len(a)) if patients is None else patients)
    check_same_length(y, who, "patients")
    if len(names) < 2:
        raise InputError(f"The attribute is {names[0]!r} in all rows: expected two groups or more.")
    for g, name in enumerate(names):
        for label in (0, 1):
            few = len(np.unique(who[(codes == g) & (y == label)]))
            if few < folds:
                raise TooFewPatientsError(
                    f"{few} patients of the group {name!r} have label {label}: expected {folds} or "
                    "more, one for each fold. Leave the group out, merge it with another, or take "
                    "fewer folds."
                )
    return Cases(x, y, codes, who), names


def _large(cases: Cases, groups: Sequence[str]) -> tuple[Codes, list[str]]:
    """The groups that enter gaps, and a warning of the others."""
    sizes = np.array(
        [np.bincount(cases.y[cases.group == g], minlength=2) for g in range(len(groups))]
    )
    large = np.flatnonzero(sizes.min(1) >= FLOOR)
    return large, [
        f"The group {groups[g]!r} has {sizes[g, 1]} positives and {sizes[g, 0]} negatives, and is "
        f"kept out of gaps (expected {FLOOR} of each)."
        for g in range(len(groups))
        if g not in large
    ]


class _Measured:
    """Metrics of one way to refit, with paired replicates."""

    def __init__(self, cases: Cases, scored: Scored, large: Codes, n_boot: int, seed: int) -> None:
        self.n = len(large)
        self.value = scored.statistic(cases, np.ones(len(cases.y)), large)
        self.drawn: Array | None = None
        if n_boot:
            self.drawn = stats.bootstrap(
                lambda counts: scored.statistic(cases, counts[:, cases.patient], large),
                *(int(cases.patient.max()) + 1, n_boot, seed),
            )

    def ends(self, metric: str) -> tuple[int, int] | None:
        """Positions of the largest and the least value of a gap; None where there is no gap."""
        if self.n < 2:
            return None
        starts = [1] if metric == "auroc_gap" else [1 + self.n, 1 + 2 * self.n]
        start = max(starts, key=lambda at: float(np.ptp(self.value[at : at + self.n])))
        own = self.value[start : start + self.n]
        return start + int(own.argmax()), start + int(own.argmin())

    def of(self, metric: str, values: Array) -> Array:
        """The metric, or for replicates the difference of the groups that are its ends."""
        if metric == "auroc":
            return values[..., 0]
        ends = self.ends(metric)
        if ends is None:
            return np.full(values.shape[:-1], math.nan)
        return np.asarray(values[..., ends[0]] - values[..., ends[1]])


def _reading(
    scope: str, metric: str, base: _Measured, after: _Measured, drawn: Sequence[_Measured]
) -> UseReading:
    kept, erased = float(base.of(metric, base.value)), float(after.of(metric, after.value))
    low, high = math.nan, math.nan
    if base.drawn is not None and after.drawn is not None:
        moved = after.of(metric, after.drawn) - base.of(metric, base.drawn)
        low, high = stats.percentile_interval(moved) or (low, high)
    control = [float(one.of(metric, one.value)) - kept for one in drawn]
    spread = (float(np.mean(control)), min(control), max(control)) if control else ()
    return UseReading(scope, metric, kept, erased, erased - kept, low, high, *spread)
