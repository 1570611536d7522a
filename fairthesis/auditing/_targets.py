"""Several targets of one table, or its classes each against the rest: an audit of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from fairthesis.auditing._audit import FLOOR, audit
from fairthesis.auditing._averages import Average, Key, averages, draws_of, units_of
from fairthesis.auditing._deciding import decisions
from fairthesis.auditing._decisions import Decisions
from fairthesis.auditing._findings import (
    Finding,
    class_columns,
    class_findings,
    class_rows,
    long_findings,
    wide_findings,
)
from fairthesis.auditing._report import FairnessReport
from fairthesis.auditing._target_reports import FairnessReports
from fairthesis.errors import InputError
from fairthesis.inputs import (
    PREDICTIONS_TABLE,
    as_frame,
    attribute_parts,
    probability_column,
    require_columns,
    rows_of_split,
)


def audit_targets(
    frame: pd.DataFrame,
    *,
    groups: Sequence[str],
    targets: Sequence[str] | str | None = None,
    findings: Mapping[str, tuple[str, str]] | None = None,
    classes: Mapping[Any, str] | Sequence[str] | None = None,
    label: str = "y_true",
    score: str = "y_score",
    patient: str | None = None,
    split: str | None = None,
    progress: bool = False,
    **options: Any,
) -> FairnessReports:
    """Audit every target of a table, by itself and together.

    Each target's report is that of ``audit``. Beside them stand p values corrected over targets
    for each attribute and gap (Holm 1979), means over targets with intervals, and, for classes,
    how often the decision for the most probable one is right. A target that cannot be audited does
    not stop the others: it is in ``failed``, with the reason.

    Args:
        frame: one row per image and target, or per image where ``findings`` or ``classes`` name
            the columns.
        groups: attribute columns, as for ``audit``.
        targets: names in the column ``target``; all (None, or ``"all"``) by default.
        findings: of a wide table, name to the columns of its label (0, 1) and score.
        classes: of a table of classes, name to the column of its probability; or the columns that
            are called as the classes. ``label`` is then the column of class names. Each class is
            audited against the rest.
        label: the column of labels of a long table, or of classes.
        score: the column of scores of a long table.
        patient: the column of patient keys, as for ``audit``.
        split: the part to audit, as for ``audit``.
        progress: whether a bar is shown on standard error.
        options: the other options of ``audit``.

    Raises:
        InputError: where a name is not in the table, or no target can be audited.

    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"edema": [0, 1] * 100, "sex": ["f", "f", "m", "m"] * 50})
    >>> table["p_edema"] = rng.random(200) / 2 + table["edema"] / 4
    >>> table["mass"], table["p_mass"] = 0, rng.random(200)
    >>> found = audit_targets(
    ...     table,
    ...     groups=["sex"],
    ...     findings={"edema": ("edema", "p_edema"), "mass": ("mass", "p_mass")},
    ...     n_boot=50,
    ...     n_permutations=50,
    ... )
    >>> list(found.reports), found.failed["mass"][:35]
    (['edema'], 'All 200 labels in mass are 0 in the')
    """
    frame = as_frame(frame, PREDICTIONS_TABLE).reset_index(drop=True)
    groups = (groups,) if isinstance(groups, str) else tuple(groups)
    require_columns(frame, [patient] if patient else [], PREDICTIONS_TABLE)
    if sum(given is not None for given in (targets, findings, classes)) > 1:
        raise InputError(
            "Give targets of a long table, findings of a wide one, or classes: expected one of "
            "them, got several."
        )
    weight, adjust = options.get("weight"), options.get("adjust") or ()
    more = [*([weight] if weight else []), *((adjust,) if isinstance(adjust, str) else adjust)]
    require_columns(
        frame, [p for name in more for p in attribute_parts(frame, name)], PREDICTIONS_TABLE
    )
    if weight and classes is not None:
        raise InputError(
            "Classes are given and weights as well: the decision among classes knows no weights. "
            "Audit each class as a finding of its own (findings, --finding), or leave out --weight."
        )
    warnings: list[str] = []
    if classes is not None:
        columns = class_columns(classes)
        frame = _complete(frame, label, columns, split, warnings)
        plan = class_findings(frame, columns, label, groups, patient, more)
    elif findings is not None:
        plan = wide_findings(frame, findings, groups, patient, more)
    else:
        plan = long_findings(frame, targets, label, score, patient)
    run = _Run(groups, patient, split, options)
    for finding in tqdm(plan, desc="targets", unit="target", disable=not progress):
        run.audit(finding, frame)
    decided = None
    if classes is not None and run.reports:
        decided = run.decisions(frame, columns, label)
        warnings += decided.warnings
    return FairnessReports(
        reports=run.reports,
        failed=run.failed,
        averages=run.averages(len(plan)),
        warnings=tuple(warnings),
        decisions=decided,
    )


class _Run:
    """What is the same for every target, and what has been found so far."""

    def __init__(
        self,
        groups: Sequence[str],
        patient: str | None,
        split: str | None,
        options: Mapping[str, Any],
    ) -> None:
        self.groups, self.patient, self.split, self.options = groups, patient, split, options
        self.reports: dict[str, FairnessReport] = {}
        self.failed: dict[str, str] = {}
        self.draws: dict[str, dict[str, NDArray[np.float64]]] = {}
        self.units: pd.Series | None = None

    def audit(self, finding: Finding, frame: pd.DataFrame) -> None:
        """Audit one target, or note why it cannot be."""
        rows = finding.rows()
        try:
            report = audit(
                rows,
                groups=self.groups,
                label=finding.label,
                score=finding.score,
                patient=self.patient,
                split=self.split,
                target=finding.target,
                **self.options,
            )
        except InputError as error:
            self.failed[finding.name] = str(error)
            return
        if not self.reports:  # numbered alike for all targets, so that their draws are the same
            self.units = units_of(frame, self.patient)
        settings = {**report.settings, "target": finding.name}
        self.reports[finding.name] = replace(report, settings=settings)
        self.draws[finding.name] = draws_of(
            rows, report, finding.label, finding.score, self.split, self.units
        )

    def averages(self, asked: int) -> dict[Key, Average]:
        """The means over targets; refuses where there is none."""
        if self.reports:
            return averages(self.reports, self.draws)
        said = set(self.failed.values())
        if len(said) == 1:
            raise InputError(said.pop())
        each = "; ".join(f"{name}: {why}" for name, why in self.failed.items())
        raise InputError(f"None of the {asked} targets can be audited. {each}")

    def decisions(self, frame: pd.DataFrame, columns: Mapping[str, str], label: str) -> Decisions:
        """The decisions among classes, on the part that is audited."""
        rows, _ = rows_of_split(frame, self.split, (label, self.patient))
        return decisions(
            rows,
            columns,
            label,
            list(dict.fromkeys(self.groups)),
            self.patient,
            floor=self.options.get("floor", FLOOR),
            n_boot=self.options.get("n_boot", 2000),
            seed=self.options.get("seed", 0),
        )


def _complete(
    frame: pd.DataFrame,
    label: str,
    columns: Mapping[str, str],
    split: str | None,
    warnings: list[str],
) -> pd.DataFrame:
    """The rows with a class and all probabilities; how many of the part are left out is said."""
    rows = class_rows(frame, label, columns)
    for column in columns.values():  # one that holds none makes all of them meaningless
        probability_column(rows, column, PREDICTIONS_TABLE)
    part, _ = rows_of_split(frame, split, (label,))
    gone = len(part) - int(part.index.isin(rows.index).sum())
    if gone:
        warnings.append(
            f"{gone} of {len(part)} rows have no {label} or lack a class's probability, and are "
            "left out."
        )
    return rows
