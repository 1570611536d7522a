"""``fairthesis monitor``: predictions in use, by period and group, against fixed limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairthesis.cli import _layout, _options
from fairthesis.errors import InputError

if TYPE_CHECKING:
    from fairthesis.auditing import MonitorReport

ALARM = 3  # the exit code: 2 is for input that cannot be used


@click.command(name="monitor", context_settings=_options.WIDE)
@_options.table()
@click.option("--time", required=True, help="Column of dates, the year first: 2024-03-31.")
@_options.label("; empty where not known yet")
@_options.score()
@_options.groups()
@_options.patient(": each bets once, however many images")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    required=True,
    metavar="NAME=VALUE",
    help="tpr=0.8 and auroc=0.8 (at least), fpr=0.2 (at most), oe=1.25 (observed over expected, "
    "within this factor either way); repeatable.",
)
@_options.folder()
@_options.threshold("applied to the rows")
@click.option(
    "--by",
    type=click.Choice(["week", "month", "quarter"]),
    default="month",
    show_default=True,
    help="Length of a period.",
)
@click.option(
    "--reference",
    help="Periods that shifts are measured from: 2024-01..2024-06.  [default: the first]",
)
@click.option(
    "--alpha", default=0.05, show_default=True, help="Chance of any false alarm, ever and in all."
)
@_options.seed("Same seed, same report.")
@_options.split("to follow where there is a split column")
@_options.target()
@_options.quiet()
@click.pass_context
def command(
    ctx: click.Context,
    file: Path,
    time: str,
    label: str,
    score: str,
    groups: tuple[str, ...],
    patient: str | None,
    limits: tuple[str, ...],
    out: Path,
    threshold: str,
    by: str,
    reference: str | None,
    alpha: float,
    seed: int,
    split: str | None,
    target: str | None,
    quiet: bool,
) -> None:
    """Follow the predictions in FILE (CSV or Parquet) over time, group by group.

    Each group is held to the limits by a test that may be looked at after every period: the chance
    of any false alarm is --alpha at most. Writes monitor.json, monitor.html (one page, opens
    anywhere) and periods.csv into --out.

    Exit code: 0 without an alarm, 3 with one, 2 for input that cannot be used.

    \b
    Examples:
      fairthesis monitor predictions.csv --time study_date --group sex --patient patient_id \\
          --limit tpr=0.8 --limit fpr=0.2 --out monitor/
      fairthesis monitor results.parquet --time date --group sex --group site --limit auroc=0.85 \\
          --limit oe=1.25 --by quarter --reference 2023Q1..2023Q4 --out monitor/
    """
    from fairthesis.auditing import monitor, read_predictions
    from fairthesis.inputs import option_pairs
    from fairthesis.provenance import used_test_labels
    from fairthesis.storage import warn_of_damage

    used_test_labels(file.resolve().parent)
    warn_of_damage(file)
    columns = [*groups, time]  # the dates are read as the groups are: as the file has them
    report = monitor(
        read_predictions(file, label=label, score=score, groups=columns, patient=patient),
        time=time,
        groups=groups,
        limits=_numbers(option_pairs(limits, "--limit")),
        label=label,
        score=score,
        patient=patient,
        split=split,
        target=target,
        threshold=threshold,
        by=by,
        reference=reference,
        alpha=alpha,
        seed=seed,
    )
    _options.tell(lambda: summary(report), report.write(out), quiet)
    if report.alarms:
        ctx.exit(ALARM)


def _numbers(given: dict[str, str]) -> dict[str, float]:
    found = {}
    for name, text in given.items():
        try:
            found[name] = float(text)
        except ValueError as error:
            raise InputError(
                f"--limit {name} is {text!r}: expected a number, as in {name}=0.8."
            ) from error
    return found


def summary(report: MonitorReport) -> str:
    """The monitoring as plain text: the tests against the limits, and the alarms."""
    first, last = report.periods["period"].iloc[0], report.periods["period"].iloc[-1]
    lines = [f"{report.n_rows} rows, {first} to {last}; {len(report.alarms)} alarms", ""]
    now = report.periods.groupby(["attribute", "group"], sort=False).last()
    rows = []
    for test in report.tests.to_dict("records"):
        key = (test["attribute"], test["group"])
        rows.append(
            [
                ": ".join(part for part in key if part),
                test["metric"],
                f"{test['limit']:g}",
                _layout.number(now.loc[key, test["metric"]]),
                str(test["n_bets"]),
                _layout.p_value(test["p_value"]),
                test["alarm"] or "-",
            ]
        )
    head = ["group", "metric", "limit", "last value", "patients", "p", "alarm"]
    lines += _layout.table(head, rows, left=2)
    lines += ["", "p: valid at any time, corrected for all groups and limits."]
    for warning in report.warnings:
        lines += [f"Warning: {warning}"]
    return "\n".join(lines)
