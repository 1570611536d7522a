"""A table with any number per case -> OutcomesReport: the audit of all that is not yes or no."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from fairthesis.auditing._comparing import reference_groups, warn_of_permutations
from fairthesis.auditing._outcome_estimates import OutcomeEstimates
from fairthesis.auditing._outcome_gaps import OutcomeGaps
from fairthesis.auditing._outcome_metrics import outcome_metrics
from fairthesis.auditing._outcome_report import (
    OutcomeGap,
    OutcomeGroup,
    OutcomesReport,
)
from fairthesis.auditing._outcome_rows import OutcomeRows, outcome_rows
from fairthesis.auditing._outcome_sides import gap_of, worst_of
from fairthesis.auditing._outcome_sketches import sketches
from fairthesis.errors import InputError, unknown


def audit_outcomes(
    frame: pd.DataFrame,
    *,
    groups: Sequence[str],
    metrics: Sequence[str],
    patient: str | None = None,
    split: str | None = None,
    target: str | None = None,
    n_boot: int = 2000,
    n_permutations: int = 2000,
    seed: int = 0,
    floor: int = 30,
    primary: Sequence[str] = (),
    reference: Mapping[str, str] | None = None,
    orders: Sequence[Sequence[str]] = (),
    functions: Mapping[str, Callable[..., object]] | None = None,
) -> OutcomesReport:
    """Audit numbers per case for differences between groups: segmentation, regression, survival.

    Intervals of groups are percentiles over resampled patients, at a level that knows of patients
    with many rows (``stats.expanded_level``); those of gaps are made of the groups' own
    (``stats.GroupEnds``). Chance levels and p values come from studentised permutation of groups
    over patients (``stats.permuted_tests``), with standard errors of the jackknife over patients,
    of a median Woodruff's; corrected for all gaps of the attribute (``stats.step_down``). What they
    promise is simulated in benchmarks/auditing/outcomes.md.

    A package offers metrics to this function and to the command line by entry points, here
    ``pinball:TRUTH,PREDICTION:lower``, the function ``pinball_loss`` of ``my_package/losses.py``::

        [project.entry-points."fairthesis.metrics"]
        pinball = "my_package.losses:pinball_loss"

    Args:
        frame: one row per case, with the metrics' columns and one per attribute. Rows where a
            metric's number is empty are left out of it, and counted by group.
        groups: attribute columns; ``"sex*age_group"`` is an intersection.
        metrics: ``KIND:COLUMNS``, and ``:higher`` or ``:lower`` where the kind does not say which
            is better: ``mean:dice:higher``, ``median:distance:lower``; ``mae``, ``rmse``, ``bias``
            (mean error) or ``r2`` of ``TRUTH,PREDICTION``; ``kappa:TRUTH,PREDICTION`` (quadratic
            weights); ``concordance:TIME,EVENT,RISK`` (Harrell's C); or one of your own,
            ``NAME:COLUMNS``.
        patient: the column of patient keys; without it each row counts as a patient.
        split: the part to audit; ``test`` where the table has a ``split`` column.
        target: the target to audit, where the table has several.
        n_boot: resamples of patients for the intervals; 0 for none.
        n_permutations: permutations of the group over patients for chance levels; 0 for none.
        seed: the same seed gives the same report.
        floor: groups with fewer rows than this (events, of a concordance index) are shown, not
            compared.
        primary: the gaps that the audit was planned for (``mean:dice_gap``); their p values are
            corrected among themselves alone, the others' among the others.
        reference: attribute to the group with which each other one is compared in the table of
            pairs; the group with most rows where none is named.
        orders: the order of grades that are words, lowest first, for ``kappa``.
        functions: your own metrics by name: functions of arrays, the columns, that give one number
            for all rows, or a number for each row, of which the mean is compared. A number for each
            row has exact standard errors; another function is called once per resample and group,
            pairs and its worst group have no p value, and where it raises ``ValueError`` its value
            is not known.

    Raises:
        InputError: where a column is missing or cannot be read, an option is out of its range, or
            a metric is not defined over all rows.

    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"age": rng.integers(20, 80, 200), "sex": ["f", "m"] * 100})
    >>> table["predicted"] = table["age"] + rng.normal(size=200) * np.tile([3, 9], 100)
    >>> report = audit_outcomes(
    ...     table, groups=["sex"], metrics=["mae:age,predicted"], n_boot=50, n_permutations=50
    ... )
    >>> report.disparities["sex"]["worst_group_mae:age,predicted"].group
    'm'
    """
    for name, number in (
        ("n_boot", n_boot),
        ("n_permutations", n_permutations),
        ("seed", seed),
        ("floor", floor),
    ):
        if number < 0:
            raise InputError(f"{name} is {number}: expected 0 or more.")
    asked = outcome_metrics(metrics, functions)
    tested = {m for m, of in asked.items() if of.better in ("higher", "lower")}
    known = [gap_of(m) for m in asked] + [worst_of(m) for m in asked if m in tested]
    for name in primary:
        if name not in known:
            raise unknown("primary gap", name, known)
    data = outcome_rows(
        frame,
        asked,
        groups=groups,
        patient=patient,
        split=split,
        target=target,
        orders=orders,
    )
    parts = OutcomeEstimates(data, asked, n_boot, seed)
    overall, members = parts.overall(), {a: parts.groups(a) for a in data.groups}
    references = reference_groups(members, reference or {})
    gaps: dict[str, dict[str, OutcomeGap]] = {}
    pairs = {}
    for attribute, found in members.items():
        between = OutcomeGaps(
            data,
            attribute,
            found,
            asked,
            parts.measured,
            parts.replicates(attribute),
            floor=floor,
            n_permutations=n_permutations,
            seed=seed,
        )
        _warn_of_floor(attribute, found, between.compared, floor, data.warnings)
        gaps[attribute] = between.gaps(primary)
        pairs[attribute] = between.pairs(references[attribute])
        for name, chance in between.bands().items():
            found[name] = replace(found[name], chance=chance)
    warn_of_permutations(
        ([gap.p_value for gap in row.values()] for row in gaps.values()),
        n_permutations,
        data.warnings,
    )
    for m, of in asked.items():
        if of.better is None:
            data.warnings.append(
                f"{m}: which side is better was not said, so no worst group is named. Write "
                f"{m}:higher or {m}:lower."
            )
    return OutcomesReport(
        n_rows=len(data.patient),
        n_patients=int(data.patient.max()) + 1 if data.has_patients else None,
        metrics=asked,
        overall=overall,
        groups=members,
        disparities=gaps,
        pairs=pairs,
        warnings=tuple(data.warnings),
        settings={
            "metrics": [m if of.better is None else f"{m}:{of.better}" for m, of in asked.items()],
            "patient": patient,
            "split": data.split,
            "target": data.target,
            "n_boot": n_boot,
            "n_permutations": n_permutations,
            "seed": seed,
            "floor": floor,
            "primary": list(primary),
            "reference": references,
            "orders": [list(order) for order in orders],
            "rows_fingerprint": _fingerprint(data),
        },
        sketches=sketches(data, parts.measured),
    )


def _fingerprint(data: OutcomeRows) -> str:
    """Of the numbers, patients and groups, in their order."""
    digest = hashlib.sha256()
    columns = [one for own in data.columns.values() for one in own]
    for column in (*columns, data.patient, *(c.codes for c in data.groups.values())):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]


def _warn_of_floor(
    attribute: str,
    found: Mapping[str, OutcomeGroup],
    compared: Mapping[str, Sequence[int]],
    floor: int,
    messages: list[str],
) -> None:
    for k, (name, group) in enumerate(found.items()):
        few = [m for m in compared if group.metrics[m].n_cases < max(floor, 1)]
        undefined = [m for m in compared if m not in few and k not in compared[m]]
        if few:
            fewest = min(group.metrics[m].n_cases for m in few)
            messages.append(
                f"{attribute} = {name} has {fewest} cases, fewer than {max(floor, 1)}: shown, but "
                f"left out of the gaps in {', '.join(few)}."
            )
        if undefined:
            messages.append(f"{attribute} = {name}: {', '.join(undefined)} is not defined there.")
    for m, groups in compared.items():
        if len(groups) < 2:
            messages.append(
                f"{attribute}: fewer than two groups can be compared in {m}, so no gap is given. "
                "No gap shown does not mean no gap."
            )
