"""Predictions and group labels -> FairnessReport: intervals, chance levels, calibration."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from fairthesis import metrics, stats
from fairthesis.auditing._adjusted import AdjustedGroups, columns_for
from fairthesis.auditing._comparing import reference_groups, warn_of_floor, warn_of_permutations
from fairthesis.auditing._estimates import GroupEstimates
from fairthesis.auditing._gaps import AttributeGaps
from fairthesis.auditing._hard import (
    additional_of_decisions,
    check_decisions,
    group_of_decisions,
    rates_only,
    threshold_of_decisions,
)
from fairthesis.auditing._meaning import meaning_of_positive
from fairthesis.auditing._metrics import Metric, checked, gap_of
from fairthesis.auditing._missing import missing_group
from fairthesis.auditing._report import FairnessReport, Gap
from fairthesis.auditing._rows import AuditedRows, audited_rows
from fairthesis.auditing._threshold_source import Source
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import PREDICTIONS_TABLE, as_frame, attribute_parts

FLOOR = 30
INTERVALS = ("percentile", "bca")


def audit(
    frame: pd.DataFrame,
    *,
    groups: Sequence[str],
    label: str = "y_true",
    score: str = "y_score",
    decision: str | None = None,
    patient: str | None = None,
    split: str | None = None,
    target: str | None = None,
    threshold: float | str = 0.5,
    threshold_from: Source | None = None,
    n_boot: int = 2000,
    n_permutations: int = 2000,
    seed: int = 0,
    floor: int = FLOOR,
    primary: Sequence[str] = (),
    reference: Mapping[str, str] | None = None,
    positive_means: str | None = None,
    small_cells: bool = False,
    interval: str = "percentile",
    extra_metrics: Mapping[str, Metric] | None = None,
    weight: str | None = None,
    adjust: Sequence[str] = (),
) -> FairnessReport:
    """Audit a table of predictions for differences between groups.

    Intervals of groups are percentiles over resampled patients, at a level that knows of patients
    with many images (``stats.expanded_level``); those of gaps are made of the groups' own (MOVER,
    ``stats.GroupEnds``). Chance levels and p values come from studentised permutation over
    patients (``stats.permuted_tests``), corrected for the gaps of the attribute
    (``stats.step_down``). What they promise is simulated in benchmarks/auditing/coverage.md.

    Args:
        frame: one row per image, with a 0/1 label, a probability, and a column per attribute.
        groups: attribute columns; ``"sex*age_group"`` is an intersection.
        label: the column of 0/1 labels; empty where not stated.
        score: the column of probabilities.
        decision: in its place, a column of decisions, 0 or 1: rates and their gaps are given, and
            no AUROC, which would be that of one threshold.
        patient: the column of patient keys; without it each row counts as a patient.
        split: the part to audit; ``test`` where the table has a ``split`` column.
        target: the target to audit, where the table has several.
        threshold: a number, or ``youden``, ``fpr=0.2``, ``tnr=0.8``, applied to the rows with
            ``split == "val"``. A case is called positive at score >= threshold.
        threshold_from: in the place of these rows, the validation part of a run (its directory) or
            of another table: a new cohort is judged at the operating point of the model.
        n_boot: resamples of patients for the intervals; 0 for none.
        n_permutations: permutations of the group over patients for chance levels; 0 for none.
        seed: the same seed gives the same report.
        floor: groups with fewer cases than this of the kind that a metric rests on (positives for
            a true positive rate, negatives for a false positive rate, both for AUROC, rows
            elsewhere) are shown, not compared in it.
        primary: the gaps that the audit was planned for (``tpr_difference``); their p values are
            corrected among themselves alone, the others' among the others.
        reference: attribute to the group with which each other one is compared in the table of
            pairs; the group with most rows where none is named.
        positive_means: what label 1 means, ``disease`` or ``healthy`` (as of "No Finding"): it
            decides which error is a missed diagnosis. Taken from the name of the target or the
            label where None, with a warning where that says ``healthy``.
        small_cells: whether no count under 5 may be shown: groups with such counts are pooled.
        interval: ``percentile`` or ``bca`` (bias-corrected and accelerated); calibration errors
            and their gap have their own (``stats.calibration_intervals``), and so have shares of
            exactly 0 or 1 (``unanimous_interval``).
        extra_metrics: metrics of your own by name, each a function of ``y_true`` (0 or 1) and
            ``y_score`` (and of ``threshold``, where it has a parameter of that name) that gives a
            number. Each gets values, intervals and chance levels, and a gap called
            ``NAME_difference`` (the largest value less the smallest, as tested as the others). A
            function is called once per resample and group: what takes 1 ms takes about 5 s. Where
            it raises ``ValueError``, as of one class, its value is not known. Where rows are
            weighted it must take ``weight`` as well, an array.
        weight: the column of weights, as of an enriched or case-control test set: a row counts as
            so many cases in every value, in resamples, standard errors and permutations, and in a
            threshold by a rule. Rows without a weight, or of weight 0, are left out. Counts of rows
            and ``floor`` stay unweighted. Only their ratios count; all equal, they change nothing.
        adjust: columns that gaps are also given adjusted for, all together: each group's value if
            all groups had the same mix of them (direct standardisation; ``further.adjusted`` of
            ``audit.json``). Columns of more than 10 different numbers are cut into fifths; empty
            values are a stratum of their own. A column that an attribute is made of is passed over
            for that attribute. Their intervals are percentiles, whatever ``interval`` says.

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
    for name, number in (
        ("n_boot", n_boot),
        ("n_permutations", n_permutations),
        ("seed", seed),
        ("floor", floor),
    ):
        if number < 0:
            raise InputError(f"{name} is {number}: expected 0 or more.")
    if interval not in INTERVALS:
        raise unknown("interval", interval, INTERVALS)
    frame = as_frame(frame, PREDICTIONS_TABLE)
    if decision is not None:
        score, threshold = decision, threshold_of_decisions(threshold)
    data = audited_rows(
        frame,
        groups=groups,
        label=label,
        score=score,
        patient=patient,
        split=split,
        target=target,
        threshold=threshold,
        threshold_from=threshold_from,
        weight=weight,
        adjust=adjust,
        floor=floor,
        small_cells=small_cells,
    )
    if decision is not None:
        check_decisions(data, decision)
    means = meaning_of_positive(positive_means, (data.target, label), data.warnings)
    extra = checked(extra_metrics, data.threshold, data.weight is not None)
    for name in primary:
        known = [*metrics.DISPARITIES, *map(gap_of, extra)]
        if name not in known:
            raise unknown("primary gap", name, known)
    # Permutations of all rows, and of the cases of each label.
    draws = n_boot + 2 * n_permutations * len(data.groups)
    with stats.progress_of_all(draws, "audit"):
        parts = GroupEstimates(data, n_boot, seed, interval, extra)
        overall, members = parts.overall(), {a: parts.groups(a) for a in data.groups}
        additional = parts.additional(overall, members, means)
        if decision is not None:
            overall, additional = rates_only(overall), additional_of_decisions(additional)
            members = {
                a: {name: group_of_decisions(g) for name, g in groups.items()}
                for a, groups in members.items()
            }
        references = reference_groups(members, reference or {})
        gaps: dict[str, dict[str, Gap]] = {}
        pairs, adjusted = {}, {}
        made_of = {name: attribute_parts(frame, name) for name in (*members, *data.covariates)}
        for attribute, found in members.items():
            between = AttributeGaps(
                data,
                attribute,
                found,
                parts.replicates(attribute),
                floor=floor,
                n_permutations=n_permutations,
                seed=seed,
                intervals=n_boot > 0,
                scored=decision is None,
            )
            counts = {name: (group.n_positive, group.n_negative) for name, group in found.items()}
            scored = decision is None
            warn_of_floor(attribute, counts, between.compared, floor, data.warnings, scored=scored)
            gaps[attribute] = between.gaps(primary)
            pairs[attribute] = between.pairs(references[attribute])
            by = columns_for(made_of[attribute], data.covariates, made_of)
            if by:
                standardised = AdjustedGroups(data, attribute, by, between.compared, n_boot, seed)
                adjusted[attribute] = standardised.to_dict(found, gaps[attribute], data.warnings)
            elif data.covariates:
                data.warnings.append(
                    f"{attribute} is not adjusted: there is no column but its own."
                )
            for name, chance in between.bands().items():
                found[name] = replace(found[name], chance=chance)
    warn_of_permutations(
        ([gap.p_value for gap in row.values()] for row in gaps.values()),
        n_permutations,
        data.warnings,
    )
    return FairnessReport(
        n_rows=len(data.y),
        n_patients=int(data.patient.max()) + 1 if data.has_patients else None,
        threshold=data.threshold,
        rule=data.rule,
        overall=overall,
        groups=members,
        disparities=gaps,
        warnings=tuple(data.warnings),
        settings={
            "label": label,
            "score": None if decision else score,
            "decision": decision,
            "patient": patient,
            "split": data.split,
            "target": data.target,
            "n_boot": n_boot,
            "n_permutations": n_permutations,
            "seed": seed,
            "floor": floor,
            "primary": list(primary),
            "reference": references,
            "positive_means": means,
            "interval": interval,
            "small_cells": small_cells,
            **({"threshold_from": data.rule_from} if data.rule_from else {}),
            **({"weight": weight} if weight else {}),
            **({"adjust": list(data.covariates)} if data.covariates else {}),
            "rows_fingerprint": _fingerprint(data),
        },
        additional=additional
        | {
            "pairs": pairs,
            "flow": data.flow,
            "missing": {a: missing_group(data, a, small_cells) for a in members},
            "positive_means": means,
        }
        | ({"adjusted": adjusted} if adjusted else {})
        | ({} if data.weight is None else {"weight": weight}),
        data=data,
    )


def _fingerprint(data: AuditedRows) -> str:
    """Of the audited labels, scores, patients and groups, in their order."""
    digest = hashlib.sha256()
    columns = [data.y, data.s, data.patient, *(c.codes for c in data.groups.values())]
    columns += [] if data.weight is None else [data.weight]
    columns += [c.codes for c in data.covariates.values()]
    for column in columns:
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]
