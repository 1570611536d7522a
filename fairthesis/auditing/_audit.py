"""Predictions and group labels -> FairnessReport: intervals, chance levels, calibration."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import metrics, stats
from fairthesis.auditing._estimates import GroupEstimates, Replicates, interval_of
from fairthesis.auditing._metrics import PERMUTED_METRICS, Metric, checked, gap_of
from fairthesis.auditing._report import FairnessReport, Gap, Group
from fairthesis.auditing._rows import AuditedRows, audited_rows
from fairthesis.auditing._wording import ALPHA
from fairthesis.errors import InputError, unknown
from fairthesis.stats import Interval, gap_interval

FLOOR = 30
INTERVALS = ("percentile", "bca")
# The gaps that are the range of one rate.
RATE_GAPS = {
    "tpr_difference": "tpr",
    "fpr_difference": "fpr",
    "demographic_parity_difference": "selection_rate",
    "accuracy_gap": "accuracy",
}


def audit(
    frame: pd.DataFrame,
    *,
    groups: Sequence[str],
    label: str = "y_true",
    score: str = "y_score",
    patient: str | None = None,
    split: str | None = None,
    target: str | None = None,
    threshold: float | str = 0.5,
    n_boot: int = 2000,
    n_permutations: int = 2000,
    seed: int = 0,
    floor: int = FLOOR,
    interval: str = "percentile",
    extra_metrics: Mapping[str, Metric] | None = None,
) -> FairnessReport:
    """Audit a table of predictions for differences between groups.

    Args:
        frame: one row per image, with a 0/1 label, a probability, and a column per attribute.
        groups: attribute columns; ``"sex*age_group"`` is an intersection.
        label: the column of 0/1 labels; empty where not stated.
        score: the column of probabilities.
        patient: the column of patient keys; without it each row counts as a patient.
        split: the part to audit; ``test`` where the table has a ``split`` column.
        target: the target to audit, where the table has several.
        threshold: a number, or ``youden``, ``fpr=0.2``, ``tnr=0.8``, applied to the rows with
            ``split == "val"``. A case is called positive at score >= threshold.
        n_boot: resamples of patients for the intervals; 0 for none.
        n_permutations: permutations of the group over patients for chance levels; 0 for none.
        seed: the same seed gives the same report.
        floor: groups with fewer positives or negatives than this are shown, not compared.
        interval: ``percentile`` or ``bca`` (bias-corrected and accelerated); calibration errors
            and their gap have their own (``stats.calibration_intervals``), and so have shares of
            exactly 0 or 1 (``unanimous_interval``) and the gaps in which a group has one.
        extra_metrics: metrics of your own by name, each a function of ``y_true`` (0 or 1) and
            ``y_score`` (and of ``threshold``, where it has a parameter of that name) that gives a
            number. Each gets values, intervals and chance levels, and a gap called
            ``NAME_difference`` (the largest value less the smallest, as tested as the others). A
            function is called once per resample, permutation and group: what takes 1 ms takes
            about 10 s. Where it raises ``ValueError``, as of one class, its value is not known.

    Raises:
        InputError: where a column is missing or cannot be read, an option is out of its range, or
            a metric of your own cannot be computed over all rows.

    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"y_true": [0, 1] * 100, "sex": ["f", "f", "m", "m"] * 50})
    >>> table["y_score"] = rng.random(200) / 2 + table["y_true"] / 4
    >>> report = audit(table, groups=["sex"], n_boot=50, n_permutations=50)
    >>> sorted(report.groups["sex"])
    ['f', 'm']
    """
    for name, number in (("n_boot", n_boot), ("n_permutations", n_permutations), ("seed", seed)):
        if number < 0:
            raise InputError(f"{name} is {number}: expected 0 or more.")
    if interval not in INTERVALS:
        raise unknown("interval", interval, INTERVALS)
    data = audited_rows(
        frame,
        groups=groups,
        label=label,
        score=score,
        patient=patient,
        split=split,
        target=target,
        threshold=threshold,
    )
    extra = checked(extra_metrics, data.threshold)
    parts = GroupEstimates(data, n_boot, seed, interval, extra)
    overall, members = parts.overall(), {a: parts.groups(a) for a in data.groups}
    gaps: dict[str, dict[str, Gap]] = {}
    for attribute, found in members.items():
        compared = [k for k, group in enumerate(found.values()) if group.above(floor)]
        _warn_of_floor(attribute, found, floor, len(compared), data.warnings)
        null = _null(data, attribute, compared, extra, n_permutations, seed)
        kept = [list(found.values())[k] for k in compared]
        gaps[attribute] = _gaps(kept, *parts.replicates(attribute, compared), null, list(extra))
        for k, name in enumerate([list(found)[k] for k in compared] if null else []):
            ranges = {m: stats.percentile_interval(null[m][:, k]) for m in null}
            found[name] = replace(found[name], chance={m: r for m, r in ranges.items() if r})
    _warn_of_permutations(gaps, n_permutations, data.warnings)
    return FairnessReport(
        n_rows=len(data.y),
        n_patients=int(data.patient.max()) + 1 if data.has_patients else None,
        threshold=data.threshold,
        rule=data.rule,
        overall=overall,
        groups=members,
        disparities=_corrected(gaps),
        warnings=tuple(data.warnings),
        settings={
            "label": label,
            "score": score,
            "patient": patient,
            "split": data.split,
            "target": data.target,
            "n_boot": n_boot,
            "n_permutations": n_permutations,
            "seed": seed,
            "floor": floor,
            "interval": interval,
            "rows_fingerprint": _fingerprint(data),
        },
        additional=parts.additional(overall, members),
        data=data,
    )


def _fingerprint(data: AuditedRows) -> str:
    """Of the audited labels, scores, patients and groups, in their order."""
    digest = hashlib.sha256()
    for column in (data.y, data.s, data.patient, *(c.codes for c in data.groups.values())):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]


def _null(
    data: AuditedRows,
    attribute: str,
    compared: list[int],
    extra: Mapping[str, Metric],
    n_permutations: int,
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Metrics of the compared groups under permutation, each (n_permutations, groups)."""
    if len(compared) < 2 or not n_permutations:
        return {}
    codes = data.groups[attribute].codes
    rows = np.isin(codes, compared)
    labels = np.searchsorted(compared, codes[rows]).astype(np.uint8)
    y, s, patient = data.y[rows], data.s[rows], data.patient[rows]
    null = stats.permuted_groups(
        y, s, patient, labels, data.threshold, PERMUTED_METRICS, n_permutations, seed, attribute
    )
    if extra:
        with warnings.catch_warnings():  # once per permutation says no more than once
            warnings.simplefilter("ignore")
            null |= stats.permuted_functions(
                extra, y, s, patient, labels, n_permutations, seed, attribute
            )
    return null


def _gaps(
    kept: Sequence[Group],
    drawn: Replicates,
    left_out: Replicates,
    null: Replicates,
    extra: Sequence[str],
) -> dict[str, Gap]:
    """The disparities of one attribute among the groups that are compared."""
    names = [*metrics.DISPARITIES, *map(gap_of, extra)]
    if len(kept) < 2:
        return {name: Gap(math.nan) for name in names}

    def gaps(found: Replicates) -> dict[str, NDArray[np.float64]]:
        own = {gap_of(name): metrics.spread(found[name]) for name in extra}
        return metrics.disparities(found) | own

    values = gaps(
        {m: np.array([g.metrics[m].value for g in kept]) for m in (*metrics.NEEDED, *extra)}
    )
    spread, without = gaps(drawn), gaps(left_out)
    chance = gaps(null) if null else {}
    ends = {name: interval_of(float(values[name]), spread[name], without[name]) for name in values}
    own = [g.metrics["ece_debiased"] for g in kept]
    ends["ece_gap"] = gap_interval([e.value for e in own], [e.ci for e in own])
    ends |= _of_unanimous(kept, values, ends)
    return {name: _gap(name, float(values[name]), ends[name], chance.get(name)) for name in values}


def _of_unanimous(
    kept: Sequence[Group],
    values: Mapping[str, NDArray[np.float64]],
    ends: Mapping[str, Interval | None],
) -> dict[str, Interval | None]:
    """Intervals of gaps in rates of which a group has 0 or 1: from the groups' own (MOVER).

    In resamples such a group's rate does not move, as if it were known. The two equalized odds
    differences are made of the two rates' gaps: the largest of their ends, and MOVER for the mean.
    """
    found: dict[str, Interval | None] = {}
    for name, metric in RATE_GAPS.items():
        own = [group.metrics[metric] for group in kept]
        if any(e.value in (0, 1) for e in own):
            found[name] = gap_interval([e.value for e in own], [e.ci for e in own])
    parts = ("tpr_difference", "fpr_difference")
    if any(name in found for name in parts):
        both = [found.get(name, ends[name]) for name in parts]
        larger = mean = None
        if both[0] is not None and both[1] is not None:
            low, high = np.array(both).T
            value = np.clip([float(values[name]) for name in parts], low, high)
            larger = float(low.max()), float(high.max())
            below, above = np.linalg.norm(value - low), np.linalg.norm(high - value)
            mean = float(value.mean() - below / 2), float(value.mean() + above / 2)
        found |= {"equalized_odds_difference": larger, "equalized_odds_difference_mean": mean}
    return found


def _gap(name: str, value: float, ci: Interval | None, null: NDArray[np.float64] | None) -> Gap:
    known = np.empty(0) if null is None else null[np.isfinite(null)]
    if not len(known) or not math.isfinite(value):
        return Gap(value, ci)
    smaller = name in metrics.SMALLER_IS_WORSE
    return Gap(
        value,
        ci,
        null_mean=float(known.mean()),
        null_q95=float(np.quantile(known, 0.05 if smaller else 0.95)),
        p_value=stats.permutation_p_value(value, known, smaller),
    )


def _corrected(gaps: dict[str, dict[str, Gap]]) -> dict[str, dict[str, Gap]]:
    """The same gaps with Holm's p values over all attributes and disparities of the audit."""
    keys = [(a, n) for a, row in gaps.items() for n, g in row.items() if math.isfinite(g.p_value)]
    adjusted = dict(zip(keys, stats.holm([gaps[a][n].p_value for a, n in keys]), strict=True))
    return {
        a: {n: replace(gap, p_value_holm=adjusted.get((a, n), math.nan)) for n, gap in row.items()}
        for a, row in gaps.items()
    }


def _warn_of_floor(
    attribute: str, found: Mapping[str, Group], floor: int, compared: int, messages: list[str]
) -> None:
    for name, group in found.items():
        if not group.above(floor):
            messages.append(
                f"{attribute} = {name} has {group.n_positive} positive and {group.n_negative} "
                f"negative cases, fewer than {floor} of each: shown, but left out of the gaps."
            )
    if compared < 2:
        messages.append(
            f"{attribute}: fewer than two groups have {floor} positive and {floor} negative "
            "cases, so no gap is given. No gap shown does not mean no gap."
        )


def _warn_of_permutations(
    gaps: Mapping[str, Mapping[str, Gap]], n_permutations: int, messages: list[str]
) -> None:
    tested = sum(math.isfinite(gap.p_value) for row in gaps.values() for gap in row.values())
    least = tested / (n_permutations + 1)  # p is never below 1 / (n + 1); Holm multiplies it
    if least > ALPHA:
        messages.append(
            f"With {n_permutations} permutations and {tested} gaps no corrected p value can be "
            f"below {min(least, 1):.2f}, so no gap can be told from chance, however large. Take "
            f"at least {math.ceil(tested / ALPHA)} permutations (--n-permutations)."
        )
