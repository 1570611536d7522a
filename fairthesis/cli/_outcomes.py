"""What ``fairthesis audit --metric`` does: an audit of numbers per case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairthesis.cli import _layout, _options
from fairthesis.errors import InputError

if TYPE_CHECKING:
    from fairthesis.auditing import OutcomesReport

# What only predictions of yes or no have.
OF_PREDICTIONS = (
    *("label", "score", "threshold", "threshold_from", "positive_means", "interval"),
    *("findings", "classes", "no_explorer", "small_cells", "weight", "adjust"),
)


def options() -> _options.Option:
    """``--metric`` and ``--order``."""
    metric = (
        "A number per case instead of yes or no, KIND:COLUMNS; repeat for several. "
        "mean:dice:higher and median:distance:lower (the side that is better); mae, rmse, bias, "
        "r2 or kappa of TRUTH,PREDICTION; concordance:TIME,EVENT,RISK; or an installed one of "
        "your own."
    )
    order = "The order of grades that are words, lowest first, for kappa; repeat for several."
    return _options.together(
        click.option("--metric", "metrics", multiple=True, metavar="KIND:COLUMNS", help=metric),
        click.option("--order", "orders", multiple=True, metavar="A<B<C", help=order),
    )


def asked(metrics: Sequence[str], orders: Sequence[str], targets: Sequence[str]) -> bool:
    """Whether numbers per case are asked for; refuses what these have not."""
    if not metrics:
        if orders:
            raise InputError("--order is given without --metric: expected --metric kappa:... too.")
        return False
    context = click.get_current_context()
    options = {p.name: p.opts[0] for p in context.command.params if p.name}
    for name in OF_PREDICTIONS:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise InputError(
                f"{options[name]} and --metric are given: expected one of them. --metric audits "
                "numbers per case, which have no labels, scores or thresholds, and takes no "
                "weights, no columns to adjust for and no pooling of small groups."
            )
    if len(targets) > 1:
        raise InputError(f"--metric with {len(targets)} targets: expected one --target at most.")
    return True


def audit(
    file: Path, metrics: Sequence[str], orders: Sequence[str], targets: Sequence[str], **given: Any
) -> OutcomesReport:
    """The audit of a table in a file."""
    from fairthesis.auditing import audit_outcomes, outcome_columns, read_predictions

    wanted = ("groups", "patient", "split", "n_boot", "n_permutations", "floor", "primary")
    settings = {name: given[name] for name in (*wanted, "reference", "seed")}
    table = read_predictions(
        file,
        label=[],
        score=outcome_columns(metrics),
        groups=settings["groups"],
        patient=settings["patient"],
    )
    return audit_outcomes(
        table,
        metrics=metrics,
        orders=[_order(text) for text in orders],
        target=targets[0] if targets else None,
        **settings,
    )


def _order(text: str) -> list[str]:
    """``none<mild<severe`` as a list."""
    names = [name.strip() for name in text.split("<")]
    if len(names) < 2 or not all(names) or len(set(names)) < len(names):
        raise InputError(
            f"Cannot read --order {text!r}: expected different words, lowest first, such as "
            "none<mild<severe."
        )
    return names


def summary(report: OutcomesReport) -> str:
    """The report as a few plain-text tables."""
    patients = "" if report.n_patients is None else f" of {report.n_patients} patients"
    rows = [
        [m, _number(e.value), _ci(e), str(e.n), str(e.n_missing), report.metrics[m].better or "-"]
        for m, e in report.overall.items()
    ]
    lines = [f"{report.n_rows} rows{patients}", ""]
    lines += _layout.table(["overall", "value", "95 % interval", "n", "missing", "better"], rows)
    for attribute, members in report.groups.items():
        rows = [
            [name, m, _number(e.value), _ci(e), str(e.n), str(e.n_missing)]
            for m in report.metrics
            for name, group in members.items()
            for e in [group.metrics[m]]
        ]
        head = [attribute, "metric", "value", "95 % interval", "n", "missing"]
        lines += ["", *_layout.table(head, rows, left=2)]
        rows = [
            [
                name if gap.group is None else f"{name}: {gap.group}",
                *(_number(gap.value), _ci(gap), _chance(gap)),
                *(_layout.p_value(p) for p in (gap.p_value, gap.p_value_corrected)),
            ]
            for name, gap in report.disparities[attribute].items()
        ]
        head = [f"gaps by {attribute}", "value", "95 % interval", "equal", "p", "corrected"]
        lines += ["", *_layout.table(head, rows)]
    lines += ["", "equal: mean of the gap, and its 95 % point, where groups are equal (studentised"]
    lines += ["permutation over patients). corrected: p for all gaps of the attribute."]
    return "\n".join([*lines, *(f"Warning: {warning}" for warning in report.warnings)])


def _number(value: float) -> str:
    """Four digits; a dash where it is not known."""
    return "-" if value != value else f"{value:#.4g}".rstrip(".")


def _ci(estimate: Any) -> str:
    return "-" if estimate.ci is None else " to ".join(map(_number, estimate.ci))


def _chance(gap: Any) -> str:
    return (
        "-"
        if gap.null_mean != gap.null_mean
        else f"{_number(gap.null_mean)} / {_number(gap.null_q95)}"
    )
