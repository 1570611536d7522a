"""``fairthesis audit``: a table of predictions in, an audit out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairthesis.cli import _layout, _options, _outcomes, _several
from fairthesis.errors import InputError

if TYPE_CHECKING:
    from fairthesis.auditing import Estimate, FairnessReport, Gap

OVERALL = ("auroc", "average_precision", "accuracy", "tpr", "fpr", "ppv", "brier", "ece_debiased")
BY_GROUP = ("auroc", "tpr", "fpr", "ppv", "ece_debiased")


@click.command(name="audit", context_settings=_options.WIDE)
@_options.table()
@_options.label()
@_options.score()
@click.option("--decision", help="In place of --score: a column of decisions, 0 or 1. Rates only.")
@_options.groups()
@_options.patient(": patients are resampled, not rows")
@_options.weight()
@click.option(
    "--adjust",
    multiple=True,
    metavar="COLUMN",
    help="Also give every gap adjusted for this column, such as age_group; repeat for several, "
    "which are adjusted for together.",
)
@_options.folder()
@_options.threshold("applied to the rows")
@_options.threshold_from()
@_options.n_boot()
@click.option(
    "--n-permutations", default=2000, show_default=True, help="Permutations for chance levels."
)
@click.option(
    "--floor",
    default=30,
    show_default=True,
    help="Cases that a group needs to be compared: positives for a true positive rate, negatives "
    "for a false positive rate, both for AUROC, rows for the rest.",
)
@click.option(
    "--primary",
    multiple=True,
    metavar="GAP",
    help="A gap that the audit was planned for, such as tpr_difference; repeat for several. They "
    "are corrected among themselves, the others among the others.",
)
@click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="ATTRIBUTE=GROUP",
    help="The group that others are compared with in the table of pairs; else the largest.",
)
@click.option(
    "--positive-means",
    type=click.Choice(["disease", "healthy"]),
    help="What label 1 means: it decides which error is a missed diagnosis. By default disease, "
    "and healthy for a target such as No Finding.",
)
@click.option(
    "--interval",
    type=click.Choice(["percentile", "bca"]),
    default="percentile",
    show_default=True,
    help="Kind of bootstrap interval; calibration errors have their own.",
)
@_options.seed("Same seed, same report.")
@_options.split("to audit where there is a split column")
@_options.targets()
@_several.columns()
@_outcomes.options()
@click.option(
    "--small-cells",
    is_flag=True,
    help="Show no count under 5: groups with such counts are pooled, and there is no explorer.",
)
@click.option(
    "--no-explorer",
    is_flag=True,
    help="Leave the threshold explorer out of the page: single rows can be read back from it.",
)
@_options.quiet()
def command(
    file: Path,
    label: str,
    score: str,
    decision: str | None,
    groups: tuple[str, ...],
    patient: str | None,
    weight: str | None,
    adjust: tuple[str, ...],
    out: Path,
    threshold: str,
    threshold_from: Path | None,
    n_boot: int,
    n_permutations: int,
    floor: int,
    primary: tuple[str, ...],
    references: tuple[str, ...],
    positive_means: str | None,
    interval: str,
    seed: int,
    split: str | None,
    targets: tuple[str, ...],
    findings: tuple[str, ...],
    classes: tuple[str, ...],
    small_cells: bool,
    metrics: tuple[str, ...],
    orders: tuple[str, ...],
    no_explorer: bool,
    quiet: bool,
) -> None:
    """Audit the predictions in FILE (CSV or Parquet) for differences between groups.

    Writes audit.json, audit.html (one page, opens anywhere) and tidy CSVs into --out. Intervals
    come from resampling patients; next to each gap stands what chance alone gives.

    A table of several targets, or of classes, gives one page of all of them, and a folder for each.

    \b
    Examples:
      fairthesis audit predictions.csv --group sex --group age_group \\
          --patient patient_id --out audit/
      fairthesis audit predictions.csv --group sex --reference sex=M --primary tpr_difference \\
          --positive-means healthy --patient patient_id --out audit/
      fairthesis audit results.parquet --label disease --score probability \\
          --group 'sex*age_group' --patient patient_id --threshold fpr=0.2 --out audit/
      fairthesis audit external/predictions.parquet --group sex --threshold-from runs/erm \\
          --patient patient_id --out audit/
      fairthesis audit enriched.csv --group sex --weight sampling_weight --out audit/
      fairthesis audit predictions.csv --group sex --adjust age_group --adjust view --out audit/
      fairthesis audit films.csv --group sex --finding Effusion:p_effusion \\
          --finding Mass:p_mass --out audit/
      fairthesis audit skin.csv --group sex --label dx --classes mel=p_mel \\
          --classes nv=p_nv --classes bkl=p_bkl --out audit/
      fairthesis audit masks.csv --group sex --patient patient_id --metric mean:dice:higher \\
          --metric median:distance:lower --out audit/
    """
    from fairthesis.auditing import audit
    from fairthesis.provenance import used_test_labels
    from fairthesis.storage import warn_of_damage

    if threshold_from is not None and threshold == "0.5":
        threshold = "youden"
    used_test_labels(file.resolve().parent)
    warn_of_damage(file)
    settings: dict[str, Any] = {
        "groups": groups,
        "label": label,
        "score": decision or score,
        "decision": decision,
        "patient": patient,
        "split": split,
        "threshold": threshold,
        "threshold_from": threshold_from,
        "n_boot": n_boot,
        "n_permutations": n_permutations,
        "floor": floor,
        "primary": primary,
        "reference": _references(references),
        "positive_means": positive_means,
        "small_cells": small_cells,
        "interval": interval,
        "seed": seed,
        "weight": weight,
        "adjust": adjust,
    }
    if _outcomes.asked(metrics, orders, targets):
        outcomes = _outcomes.audit(file, metrics, orders, targets, **settings)
        _options.tell(lambda: _outcomes.summary(outcomes), outcomes.write(out), quiet)
        return
    several = _several.Several(targets, findings, classes)
    more = [*([weight] if weight else []), *adjust]
    table = several.read(file, label, settings["score"], groups, patient, more)
    if several.asked(table, (label, settings["score"], patient)):
        reports = several.audit(table, progress=not quiet, **settings)
        written = reports.write(out, explorer=not no_explorer)
        _options.tell(lambda: _several.summary(reports), written, quiet)
        return
    report = audit(table, target=several.target, **settings)
    _options.tell(lambda: summary(report), report.write(out, explorer=not no_explorer), quiet)


def _references(given: tuple[str, ...]) -> dict[str, str]:
    """``ATTRIBUTE=GROUP`` as a dictionary."""
    found = {}
    for text in given:
        attribute, equals, group = text.partition("=")
        if not equals or not attribute.strip() or not group.strip():
            raise InputError(f"--reference is {text!r}: expected ATTRIBUTE=GROUP, such as sex=M.")
        found[attribute.strip()] = group.strip()
    return found


def summary(report: FairnessReport) -> str:
    """The report as a few plain-text tables."""
    patients = "" if report.n_patients is None else f" of {report.n_patients} patients"
    source = report.settings.get("threshold_from")
    where = f"split = val of {source}" if source else "split = val"
    rule = "" if report.rule == "fixed" else f" ({report.rule}, chosen on {where})"
    lines = [f"{report.n_rows} rows{patients}; threshold {report.threshold:.4g}{rule}", ""]
    lines += _layout.table(
        ["overall", "value", "95 % interval"],
        [[m, _layout.number(report.overall[m].value), _ci(report.overall[m])] for m in OVERALL],
    )
    for attribute, members in report.groups.items():
        rows = [
            [name, str(group.n), str(group.n_positive)]
            + [_layout.number(group.metrics[m].value) for m in BY_GROUP]
            for name, group in members.items()
        ]
        lines += ["", *_layout.table([attribute, "n", "positive", *BY_GROUP], rows)]
        gaps = report.disparities[attribute]
        rows = [
            [n, _layout.number(g.value), _ci(g), _chance(g), *_p_values(g)] for n, g in gaps.items()
        ]
        lines += [
            "",
            *_layout.table(
                [f"gaps by {attribute}", "value", "95 % interval", "equal", "p", "corrected"], rows
            ),
        ]
        lines += _adjusted(report, attribute)
    lines += ["", "equal: mean of the gap, and its 95 % point, where groups are equal (studentised"]
    lines += ["permutation over patients). corrected: p for all gaps of the attribute."]
    if "adjusted" in report.additional:
        lines += [
            "adjusted: as if all groups had the same mix of these columns; in common: the share of"
        ]
        lines += ["cases in strata that every group has cases in."]
    for warning in report.warnings:
        lines += [f"Warning: {warning}"]
    return "\n".join(lines)


def _adjusted(report: FairnessReport, attribute: str) -> list[str]:
    """Crude and adjusted gaps of an attribute; nothing where none is asked for."""
    found = report.additional.get("adjusted", {}).get(attribute)
    if found is None:
        return []
    rows = [
        [
            metric,
            *(
                text
                for kind in ("crude", "adjusted")
                for text in (_value(both[kind]["value"]), _ends(both[kind]["ci"]))
            ),
            _value(found["support"][metric]),
        ]
        for metric, both in found["gaps"].items()
    ]
    head = [f"gaps by {attribute}, adjusted for {', '.join(found['by'])}", "crude"]
    head += ["95 % interval", "adjusted", "95 % interval", "in common"]
    return ["", *_layout.table(head, rows)]


def _value(value: float | None) -> str:
    return _layout.number(math.nan if value is None else value)


def _ends(ci: list[float] | None) -> str:
    return _layout.interval(*(ci or (math.nan, math.nan)))


def _ci(estimate: Estimate) -> str:
    return _layout.interval(*(estimate.ci or (math.nan, math.nan)))


def _p_values(gap: Gap) -> list[str]:
    return [_layout.p_value(p) for p in (gap.p_value, gap.p_value_corrected)]


def _chance(gap: Gap) -> str:
    if gap.null_mean != gap.null_mean:
        return "-"
    return f"{gap.null_mean:.3f} / {gap.null_q95:.3f}"
