"""A model in another hospital: what changed, and what kind of shift lies between the cohorts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairthesis import metrics, stats
from fairthesis.auditing._audit import FLOOR, audit
from fairthesis.auditing._pairs import EVERYONE
from fairthesis.auditing._report import FairnessReport
from fairthesis.auditing._shift import TESTS, Sample, Shift, name_shifts, shift_between
from fairthesis.auditing._transfer_changes import (
    TESTED,
    gap_changes,
    metric_changes,
    score_changes,
)
from fairthesis.auditing._transfer_compared import compared_models
from fairthesis.auditing._transfer_report import ModelTransfer, TransferReport, shift_row
from fairthesis.auditing._transfer_rows import (
    EXTERNAL,
    INTERNAL,
    CohortRows,
    Columns,
    TransferTables,
    alone,
    checked_tables,
    cohort_rows,
)
from fairthesis.auditing._wording import ALPHA
from fairthesis.errors import InputError
from fairthesis.inputs import in_order, rows_of_part


def transfer(
    models: Mapping[str, TransferTables],
    *,
    groups: Sequence[str],
    label: str = "y_true",
    score: str = "y_score",
    patient: str = "patient_id",
    target: str | None = None,
    split: str | None = None,
    threshold: float | str = "youden",
    prefix: str | Sequence[str] = ("disease_", "sensitive_"),
    n_boot: int = 2000,
    n_permutations: int = 2000,
    n_shift: int = 999,
    seed: int = 0,
    floor: int = FLOOR,
) -> TransferReport:
    """What becomes of models in another cohort, at their own fixed operating points.

    Each model is audited in both cohorts at one threshold, which the rule chose on the validation
    rows of its own cohort. Changes are of different patients: their intervals are made of the two
    cohorts' own (``MOVER``: Zou and Donner 2008). Where the external cohort has no labels, only
    scores are compared. The kind of the shift is named without the external labels in any case,
    over all patients and in each group (``Shift``): by whether the cohorts can be told apart as
    they are, and once the in-distribution patients are drawn with the prevalence that label shift
    would give (Rabanser, Guennemann and Lipton 2019, "Failing loudly"; Roschewitz, Mehta, Jones and
    Glocker 2024, "Automatic dataset shift identification to support safe deployment of medical
    imaging AI"). Several models are compared on the same patients, in each cohort.

    Args:
        models: name -> its tables in both cohorts.
        groups: attribute columns; ``"sex*age_group"`` is an intersection.
        label: the column of 0/1 labels; of the external table it may be missing or empty.
        score: the column of probabilities.
        patient: the column of patient keys. A patient of both cohorts counts as two.
        target: the target, where the tables have several.
        split: the part of the in-distribution table that is audited; ``test`` where None.
        threshold: a rule for the in-distribution validation rows (``youden``, ``fpr=0.2``,
            ``tnr=0.8``), or a number.
        prefix: what the columns of the embeddings begin with, one or several; those that are there
            are tested together.
        n_boot: resamples of patients for intervals; 0 for none.
        n_permutations: permutations for the audits' chance levels; 0 for none.
        n_shift: permutations of each test of a shift, 99 or more.
        seed: the same seed gives the same report.
        floor: cases that a group must have to be compared, as for ``audit``.

    Raises:
        InputError: where a column is missing or cannot be read, the in-distribution table has no
            validation rows for the rule, no group is in both cohorts, an image has no embedding, or
            an option is out of its range.

    >>> rng = np.random.default_rng(0)
    >>> def cohort(n, prevalence):
    ...     table = pd.DataFrame({"image_id": np.arange(n), "patient_id": np.arange(n)})
    ...     table["sex"], table["split"] = rng.choice(["F", "M"], n), rng.choice(["val", "test"], n)
    ...     table["y_true"] = (rng.random(n) < prevalence) * 1
    ...     return table.assign(y_score=(rng.random(n) + table["y_true"]) / 2)
    >>> tables = TransferTables(cohort(800, 0.3), cohort(300, 0.6))
    >>> quick = {"n_boot": 200, "n_permutations": 0, "n_shift": 99}
    >>> report = transfer({"erm": tables}, groups=["sex"], **quick)
    >>> report.shifts["verdict"].iloc[0], report.labelled
    ('explained by prevalence', True)
    """
    if not models:
        raise InputError("No model is given: expected the tables of at least one.")
    for name in models:
        if not re.fullmatch(r"[\w][\w .+-]*", name):
            raise InputError(
                f"The model's name is {name!r}: expected letters, digits, _, -, + and dots, as its "
                "reports get a folder of that name."
            )
    names = (groups,) if isinstance(groups, str) else tuple(dict.fromkeys(groups))
    if not names:
        raise InputError("No group is given: expected at least one attribute column.")
    if n_shift < 99:
        raise InputError(f"n_shift is {n_shift}: expected 99 or more permutations.")
    prefixes = (prefix,) if isinstance(prefix, str) else tuple(prefix)
    if not prefixes:
        raise InputError("No prefix is given: expected at least one, such as disease_.")
    columns = Columns(names, label, score, patient, target, split, prefixes)
    audited: dict[str, Any] = {
        "groups": names, "label": label, "score": score, "patient": patient, "target": target,
        "n_boot": n_boot, "n_permutations": n_permutations, "seed": seed, "floor": floor,
        "threshold": threshold,
    }  # fmt: skip
    tables = {name: checked_tables(given, name, columns) for name, given in models.items()}
    rows = {name: _both(given, name, columns) for name, given in tables.items()}
    found, changes, shifts = {}, [], []
    for name, given in tables.items():
        first, second = rows[name]
        internal = audit(given.internal, split=split, **audited)
        external = None
        if second.labelled:
            fixed = metrics.parse_threshold(threshold)[0] == "fixed"
            held = None if fixed else rows_of_part(given.internal, "val")
            external = audit(given.external, threshold_from=held, **audited)
        found[name] = ModelTransfer(
            internal, external, len(second.sample.s), second.sample.n_patients
        )
        changes.append(_changes(internal, external, _samples(first, second, names)))
        changes[-1].insert(0, "model", name)
        shifts += [
            {"model": name, **row}
            for row in _shifts(first, second, names, (n_shift, max(n_boot, 200), seed))
        ]
    comparisons, told = compared_models(tables, found, columns, audited)
    return TransferReport(
        models=found,
        changes=_corrected(pd.concat(changes, ignore_index=True)),
        shifts=pd.DataFrame(shifts),
        alone=alone(*next(iter(rows.values())), names),
        comparisons=comparisons,
        warnings=(*_warnings(found), *told, *_too_few_permutations(shifts, n_shift)),
        settings={
            **audited, "groups": list(names), "split": split or "test", "prefix": list(prefixes),
            "n_shift": n_shift, "tested": list(TESTED),
            "embeddings": all(t.internal_embeddings is not None for t in tables.values()),
        },
    )  # fmt: skip


def _both(tables: TransferTables, name: str, columns: Columns) -> tuple[CohortRows, CohortRows]:
    """The rows of both cohorts, with their embeddings where both have some."""
    given = (tables.internal_embeddings, tables.external_embeddings)
    if (given[0] is None) != (given[1] is None):
        raise InputError(
            f"{name} has embeddings of one cohort only: expected those of both, or of none."
        )
    first = cohort_rows(tables.internal, given[0], columns, f"the {INTERNAL} predictions of {name}")
    second = cohort_rows(
        tables.external, given[1], columns, f"the {EXTERNAL} predictions of {name}"
    )
    known = np.isfinite(first.sample.y) if first.sample.y is not None else np.zeros(0, bool)
    groups = {attribute: values[known] for attribute, values in first.groups.items()}
    first = CohortRows(first.sample.rows(known), groups)
    alone(first, second, columns.groups)
    for attribute in columns.groups:
        if len(first.members(attribute)) < 2:
            raise InputError(
                f"{attribute} has {len(first.members(attribute))} group in the {INTERNAL} rows of "
                f"{name} that are audited: expected at least two groups."
            )
    widths = [None if r.sample.z is None else r.sample.z.shape[1] for r in (first, second)]
    if widths[0] != widths[1]:
        raise InputError(
            f"The embeddings of {name} have {widths[0]} and {widths[1]} columns "
            f"{' and '.join(columns.prefix)}: "
            "expected those of one model."
        )
    return first, second


def _samples(
    first: CohortRows, second: CohortRows, attributes: Sequence[str]
) -> list[tuple[str, str, Sample, Sample]]:
    """All rows, and each group that both cohorts have, in both."""
    found = [("", EVERYONE, first.sample, second.sample)]
    for attribute in attributes:
        for group in in_order(first.members(attribute) & second.members(attribute)):
            found.append(
                (attribute, group, first.of(attribute, group), second.of(attribute, group))
            )
    return found


def _changes(
    internal: FairnessReport,
    external: FairnessReport | None,
    samples: Sequence[tuple[str, str, Sample, Sample]],
) -> pd.DataFrame:
    rows = score_changes(samples, internal.threshold, external is not None)
    if external is not None:
        rows = [*metric_changes(internal, external), *rows, *gap_changes(internal, external)]
    return pd.DataFrame(rows)


def _shifts(
    first: CohortRows,
    second: CohortRows,
    attributes: Sequence[str],
    draws: tuple[int, int, int],
) -> list[dict[str, Any]]:
    """The shift of all rows, and of each group, corrected over the groups of an attribute."""
    by_attribute: dict[str, list[tuple[str, Shift]]] = {}
    n_shift, n_boot, seed = draws
    for attribute, group, here, there in _samples(first, second, attributes):
        shift = shift_between(here, there, n_permutations=n_shift, n_boot=n_boot, seed=seed)
        by_attribute.setdefault(attribute, []).append((group, shift))
    rows = []
    for attribute, found in by_attribute.items():
        named = name_shifts([shift for _, shift in found])
        for (group, _), shift in zip(found, named, strict=True):
            rows.append({"attribute": attribute, "group": group, **shift_row(shift)})
    return rows


def _warnings(found: Mapping[str, ModelTransfer]) -> list[str]:
    return [
        f"{name}, {which}: {text}"
        for name, model in found.items()
        for which, report in ((INTERNAL, model.internal), (EXTERNAL, model.external))
        if report is not None
        for text in report.warnings
    ]


def _too_few_permutations(shifts: Sequence[Mapping[str, Any]], n_shift: int) -> list[str]:
    """A warning where a corrected p value of a group cannot be small."""
    sizes = pd.Series([(row["model"], row["attribute"]) for row in shifts]).value_counts()
    least = TESTS * int(sizes.max()) / (n_shift + 1)
    if least <= ALPHA:
        return []
    return [
        f"With {n_shift} permutations and {sizes.max()} groups a corrected p value of a shift may "
        f"not get below {min(least, 1):.2f}: no shift of a group can be shown. Take at least "
        f"{math.ceil(TESTS * int(sizes.max()) / ALPHA)} permutations (n_shift, --n-shift)."
    ]


def _corrected(changes: pd.DataFrame) -> pd.DataFrame:
    """With ``p_holm`` over the tested changes of each model."""
    changes["p_holm"] = np.nan
    tested = changes["metric"].isin(TESTED) & changes["p_value"].notna()
    for _, part in changes[tested].groupby("model", sort=False):
        changes.loc[part.index, "p_holm"] = stats.holm([float(p) for p in part["p_value"]])
    return changes
