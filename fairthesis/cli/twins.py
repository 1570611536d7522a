"""``fairthesis twins``: what moves a run's scores when one thing alone is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairthesis.cli import _layout, _options
from fairthesis.cli.predict import cohort_for
from fairthesis.errors import InputError

if TYPE_CHECKING:
    from fairthesis.auditing import TwinReport

MOST = "Images of each group of the run's first attribute, the first in order.  [default: all]"


@click.command(context_settings=_options.WIDE)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--dataset", help="A cohort that has twins; by default the run's own.")
@_options.data_root()
@_options.pairs("--dataset-option")
@click.option("--split", default="test", show_default=True, help="train, val, test or all.")
@click.option(
    "--change",
    "changes",
    multiple=True,
    metavar="NAME",
    help="One of the cohort's changes; repeat for several.  [default: all of them]",
)
@click.option("--most", type=int, metavar="N", help=MOST)
@click.option(
    "--threshold",
    default="youden",
    show_default=True,
    help="A rule for the run's own validation rows (youden, fpr=0.2, tnr=0.8), or a number.",
)
@_options.n_boot()
@_options.seed()
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")
@_options.folder("Folder for twins.csv, twins.json and pairs.parquet.", required=False)
@_options.quiet("No progress bar and no table; print the paths written only.")
def command(
    run: Path,
    dataset: str | None,
    data_root: str | None,
    dataset_option: tuple[str, ...],
    split: str,
    changes: tuple[str, ...],
    most: int | None,
    threshold: str,
    n_boot: int,
    seed: int,
    device: str,
    out: Path | None,
    quiet: bool,
) -> None:
    """See what moves the scores of the finished RUN: the group, the device or the disease alone.

    The images of a synthetic cohort, or of one with planted markers, are drawn again with one thing
    changed and all else as it was. By change and group: the mean change of the score and of the
    logit over its spread within the classes, and the share of decisions that flip at the run's own
    operating point, with intervals over patients. It sees a shortcut that is the same in all
    groups, which moves no gap.

    A post-hoc result (training.apply_posthoc) is measured with the model of the run that it was
    made from, which has to lie beside it.

    OUT gets twins.csv, twins.json, and pairs.parquet with the scores of single images.

    \b
    Examples:
      fairthesis twins runs/erm
      fairthesis twins runs/erm --change device_removed --change sex --out runs/erm/twins
      fairthesis twins runs/erm --most 500 --n-boot 500
    """  # fmt: skip
    from fairthesis.training import load_run, twins_of_run

    if quiet and out is None:
        raise InputError("--quiet leaves nothing to see without --out: give a folder.")
    if n_boot < 0:
        raise InputError(f"--n-boot is {n_boot}: expected 0 or more.")
    model_run = _model_of(run)
    model = load_run(model_run, device=device)
    cohort = cohort_for(model, dataset, data_root, dataset_option, None, None)
    report, pairs = twins_of_run(
        model, cohort, after=None if model_run == run else run, split=split,
        changes=list(changes) or None, most=most,
        threshold=threshold, n_boot=n_boot, seed=seed, progress=not quiet,
    )  # fmt: skip
    if out is None:
        click.echo(summary(report))
    else:
        _options.tell(lambda: summary(report), report.write(out, pairs), quiet)


def _model_of(run: Path) -> Path:
    """The run whose weights are used: the parent of a post-hoc result."""
    try:
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
        name = str(config["parent"]["run"]) if "posthoc" in config else run.name
    except (OSError, ValueError, KeyError, TypeError):
        return run  # `load_run` says what is wrong with it
    if name == run.name:
        return run
    parent = run.resolve().with_name(name)
    if not parent.is_dir():
        raise InputError(
            f"{str(run)!r} was made by the post-hoc method {config['posthoc']} from the run "
            f"{name!r}, which has the weights: expected it beside, in {str(parent)!r}."
        )
    return parent


def summary(report: TwinReport) -> str:
    """What was found, as plain text."""
    lines: list[str] = []
    for target, about in report.targets.items():
        point = about["threshold"]
        lines += [
            f"{target}: threshold {_layout.number(point['value'])} ({point['rule']}), "
            f"{about['n']} images of {about['n_patients']} patients",
            f"spread of the logit within the classes {_layout.number(about['spread'])}, classes "
            f"{_layout.number(about['separation'])} spreads apart",
            "",
        ]
        lines += [*_table(report, target), ""]
    lines += [
        "score: mean change; logit and moved: mean change and mean absolute change of the logit,",
        "in spreads; flips: share of decisions that change. n: images that a change applies to.",
    ]
    lines += [f"Warning: {warning}" for warning in report.warnings]
    return "\n".join(lines)


def _table(report: TwinReport, target: str) -> list[str]:
    """A row per change and group."""
    effects = report.effects[report.effects["target"] == target]
    head = ["change", "group", "n", "score", "logit", "95 %", "moved", "flips", "95 %"]
    rows = []
    keys = ["change", "attribute", "group"]
    for (change, attribute, group), part in effects.groupby(keys, sort=False):
        by = {str(row["measure"]): row for row in part.to_dict("records")}
        ends = {m: _layout.interval(r["ci_low"], r["ci_high"]) for m, r in by.items()}
        value = {m: _layout.number(r["value"]) for m, r in by.items()}
        name = "all" if attribute == "all" else f"{attribute} {group}"
        rows.append([
            report.changes[str(change)] if attribute == "all" else "", name,
            str(by["score"]["n"]), value["score"], value["logit"], ends["logit"],
            value["logit_absolute"], value["flips"], ends["flips"],
        ])  # fmt: skip
    return _layout.table(head, rows, left=2)
