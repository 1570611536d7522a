"""``fairthesis compare``: models on the same images, group by group."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairthesis.cli import _layout, _options
from fairthesis.errors import InputError

if TYPE_CHECKING:
    from fairthesis.auditing import Comparison


@click.command(name="compare", context_settings=_options.WIDE)
@click.argument("files", metavar="REFERENCE OTHER...", nargs=-1, required=True)
@_options.group("Column of the attribute, or an intersection: sex*age_group.")
@_options.folder()
@_options.patient(default="patient_id")
@_options.weight()
@click.option(
    "--key", "keys", multiple=True, help="Column that names an image; repeatable. [image_id]"
)
@click.option("--name", "names", multiple=True, help="A model's name, once per file, in order.")
@_options.label()
@_options.score()
@_options.threshold("for each model's rows")
@_options.split("to compare where there is a split column")
@_options.target("The target to compare, where the tables have several.")
@_options.n_boot()
@_options.seed()
@_options.quiet()
def command(
    files: tuple[str, ...],
    group: str,
    out: Path,
    patient: str,
    weight: str | None,
    keys: tuple[str, ...],
    names: tuple[str, ...],
    label: str,
    score: str,
    threshold: str,
    split: str | None,
    target: str | None,
    n_boot: int,
    seed: int,
    quiet: bool,
) -> None:
    """Compare the predictions of other models with those of the first, on the same images.

    Differences are paired: both models see the same resampled patients. Writes comparison.json,
    changes.csv and levelling.csv into --out. Levelling down: a gap that shrank because the better
    group lost more than the worse one gained: shown, not shown, or cannot be told.

    \b
    Examples:
      fairthesis compare erm/predictions.parquet adversarial/predictions.parquet \\
          --group sex --patient patient_id --out comparison/
      fairthesis compare a.csv b.csv c.csv --name plain --name first --name second \\
          --group age_group --threshold fpr=0.2 --out comparison/
    """
    from fairthesis.auditing import compare
    from fairthesis.inputs import read_table
    from fairthesis.storage import warn_of_damage

    titles = model_names(files, names)
    for file in files:
        warn_of_damage(Path(file))
    found = compare(
        {title: read_table(file) for title, file in zip(titles, files, strict=True)},
        group=group,
        patient=patient,
        key=keys or ("image_id",),
        label=label,
        score=score,
        split=split,
        target=target,
        threshold=threshold,
        n_boot=n_boot,
        seed=seed,
        weight=weight,
    )
    _options.tell(lambda: summary(found), found.write(out), quiet)


def model_names(files: tuple[str, ...], names: tuple[str, ...]) -> list[str]:
    """Names as given; or file names, or their folders' where the files are named alike.

    >>> model_names(("runs/erm/predictions.parquet", "runs/adv/predictions.parquet"), ())
    ['erm', 'adv']
    """
    if len(files) < 2:
        raise InputError("One file is given: expected a reference and at least one other.")
    if names and len(names) != len(files):
        raise InputError(f"{len(names)} names for {len(files)} files: expected one --name each.")
    found = list(names) or [Path(file).stem for file in files]
    if not names and len(set(found)) < len(found):
        found = [Path(file).resolve().parent.name for file in files]
    if len(set(found)) < len(found):
        raise InputError(
            f"Two models are both named {max(found, key=found.count)!r}: give each a --name."
        )
    return found


def summary(found: Comparison) -> str:
    """The tested changes and what was levelled down, as plain text."""
    rows = found.changes[found.changes["metric"].isin(found.settings["tested"])]
    lines = [f"{found.n_images} images of {found.n_patients} patients; reference {found.reference}"]
    for model, part in rows.groupby("model", sort=False):
        body = [
            [
                str(row["group"]),
                str(row["metric"]),
                _layout.number(row["reference"]),
                _layout.number(row["other"]),
                _layout.number(row["change"]),
                _layout.interval(row["ci_low"], row["ci_high"]),
                *(_layout.p_value(row[p]) for p in ("p_value", "p_holm", "p_bh")),
            ]
            for row in part.to_dict("records")
        ]
        head = [found.group, "metric", found.reference, str(model), "change", "95 % interval"]
        lines += ["", *_layout.table([*head, "p", "Holm", "BH"], body, left=2)]
    lines += ["", "Levelling (bounds hold for all groups and metrics together):"]
    for level in found.levelling.to_dict("records"):
        lines.append(f"  {level['model']}, {level['metric']}: {_levelled(level)}")
    return "\n".join([*lines, *(f"Warning: {warning}" for warning in found.warnings)])


def _levelled(level: dict[Hashable, Any]) -> str:
    state = level["levelled_down"]
    if not isinstance(state, str):
        return "not known in two groups"
    mark = "LEVELLED DOWN" if state == "shown" else f"levelling down {state}"
    return (
        f"{mark}: gap {level['gap_change']:+.3f}; "
        f"best group {level['best']} {level['best_change']:+.3f}{_bounds(level, 'best')}, "
        f"worst group {level['worst']} {level['worst_change']:+.3f}{_bounds(level, 'worst')}"
    )


def _bounds(level: dict[Hashable, Any], which: str) -> str:
    low, high = (level[f"{which}_ci_{end}"] for end in ("low", "high"))
    return "" if low is None or low != low else f" ({low:+.3f} to {high:+.3f})"
