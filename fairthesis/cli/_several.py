"""What ``fairthesis audit`` does with a table of several targets, findings or classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairthesis.cli import _layout, _options
from fairthesis.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from fairthesis.auditing import FairnessReports

GAPS = {"auroc_gap": "AUROC", "tpr_difference": "tpr", "fpr_difference": "fpr", "ece_gap": "ece"}


def columns() -> _options.Option:
    """``--finding`` and ``--classes``, columns of wide tables."""
    finding = (
        "Columns of a finding's 0/1 labels and of its scores, in a table with a row per image; "
        "repeat for several. The last colon parts them."
    )
    classes = (
        "A class and the column of its probability; repeat for each class. --label is then the "
        "column of class names, and each class is audited against the rest."
    )
    return _options.together(
        click.option("--finding", "findings", multiple=True, metavar="LABEL:SCORE", help=finding),
        click.option("--classes", multiple=True, metavar="CLASS=SCORE", help=classes),
    )


def pairs(given: Sequence[str], option: str, sign: str, shape: str) -> dict[str, str]:
    """``A:B`` texts, parted at the last ``sign``, as a dict of A to B."""
    found: dict[str, str] = {}
    for text in given:
        first, _, second = text.rpartition(sign)
        if not first or not second:
            raise InputError(f"Cannot read {option} {text!r}: expected {shape}.")
        if first in found:
            raise InputError(
                f"{option} {first} is given twice, with {found[first]} and {second}: expected each "
                "once."
            )
        found[first] = second
    return found


class Several:
    """What is asked for by ``--target``, ``--finding`` and ``--classes``, of which one is given."""

    def __init__(
        self, targets: Sequence[str], findings: Sequence[str], classes: Sequence[str]
    ) -> None:
        given = {"--target": targets, "--finding": findings, "--classes": classes}
        named = [option for option, values in given.items() if values]
        if len(named) > 1:
            raise InputError(
                f"{' and '.join(named)} are given: expected one of them. --target chooses among "
                "the targets of a long table, --finding and --classes name the columns of a wide "
                "one."
            )
        self.targets = targets
        self.findings = pairs(findings, "--finding", ":", "LABEL:SCORE")
        self.classes = pairs(classes, "--classes", "=", "CLASS=SCORE")
        self.target: str | None = None  # the one that is asked for, of a table of several

    def read(
        self,
        file: Path,
        label: str,
        score: str,
        groups: Sequence[str],
        patient: str | None,
        more: Sequence[str] = (),
    ) -> pd.DataFrame:
        """The columns of the table that are needed."""
        from fairthesis.auditing import read_predictions

        wide = self.findings or self.classes
        return read_predictions(
            file,
            label=list(self.findings) or label,
            score=list(wide.values()) or score,
            groups=groups,
            patient=patient,
            more=more,
            class_names=bool(self.classes),
        )

    def asked(self, table: pd.DataFrame, used: Sequence[str | None]) -> bool:
        """Whether several are asked for; where it is one of a long table, it is ``target``."""
        from fairthesis.auditing import wanted_targets

        if self.findings or self.classes:
            return True
        wanted = wanted_targets(table, self.targets, used)
        if self.targets and len(wanted) == 1:
            self.target = wanted[0]
        return len(wanted) > 1

    def audit(self, table: pd.DataFrame, **settings: Any) -> FairnessReports:
        """Audit all that are asked for."""
        from fairthesis.auditing import audit_targets

        return audit_targets(
            table,
            targets=self.targets or None,
            findings={label: (label, score) for label, score in self.findings.items()} or None,
            classes=self.classes or None,
            **settings,
        )


def summary(found: FairnessReports) -> str:
    """The reports as a few plain-text tables: targets overall, and their gaps by attribute."""
    rows = [
        [name, str(report.n_rows), _value(report.overall["auroc"]), _ci(report.overall["auroc"])]
        for name, report in found.reports.items()
    ]
    mean = found.averages["", "auroc"]
    rows.append(["mean over targets", "", _value(mean), _ci(mean)])
    lines = _layout.table(["target", "rows", "AUROC", "95 % interval"], rows)
    first = next(iter(found.reports.values()))
    for attribute in first.groups:
        head = [f"gaps by {attribute}"]
        for short in GAPS.values():
            head += [short, "p"]
        rows = []
        for name, report in found.reports.items():
            row = [name]
            for gap in GAPS:
                p = found.p_over_targets[attribute, gap][name]
                row += [_value(report.disparities[attribute][gap]), _layout.p_value(p)]
            rows.append(row)
        means = [found.averages[attribute, gap] for gap in GAPS]
        rows.append(["mean over targets", *(text for m in means for text in (_value(m), ""))])
        lines += ["", *_layout.table(head, rows)]
    lines += ["", f"{found.n_comparisons} gaps tested. p: corrected over the targets (Holm)."]
    if found.decisions:
        of = found.decisions.overall.metrics
        lines += ["", "The most probable class as the decision:"]
        lines += [f"  {m.replace('_', ' ')} {_value(e)} ({_ci(e)})" for m, e in of.items()]
    lines += [f"Not audited: {name}: {why}" for name, why in found.failed.items()]
    return "\n".join([*lines, *_warnings(found)])


def _warnings(found: FairnessReports) -> list[str]:
    """Each warning once, with the targets that it is of."""
    told: dict[str, list[str]] = {}
    for name, report in found.reports.items():
        for warning in report.warnings:
            told.setdefault(warning, []).append(name)
    lines = [f"Warning: {warning}" for warning in found.warnings]
    for warning, names in told.items():
        of = "" if len(names) == len(found.reports) else f"{', '.join(names)}: "
        lines.append(f"Warning: {of}{warning}")
    return lines


def _value(estimate: Any) -> str:
    return _layout.number(estimate.value)


def _ci(estimate: Any) -> str:
    return _layout.interval(*(estimate.ci or (float("nan"), float("nan"))))
