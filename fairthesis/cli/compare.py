"""``fairthesis compare``: models on the same images, group by group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairthesis.cli import _layout
from fairthesis.errors import InputError

if TYPE_CHECKING:
    from fairthesis.paired import Comparison


@click.command(name="compare", context_settings={"max_content_width": 100})
@click.argument("files", metavar="REFERENCE OTHER...", nargs=-1, required=True)
@click.option(
    "--group", required=True, help="Column of the attribute, or an intersection: sex*age_group."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Directory to write.")
@click.option("--patient", default="patient_id", show_default=True, help="Column of patient keys.")
@click.option(
    "--key", "keys", multiple=True, help="Column that names an image; repeatable. [image_id]"
)
@click.option("--name", "names", multiple=True, help="A model's name, once per file, in order.")
@click.option("--label", default="y_true", show_default=True, help="Column of 0/1 labels.")
@click.option("--score", default="y_score", show_default=True, help="Column of probabilities.")
@click.option(
    "--threshold",
    default="0.5",
    show_default=True,
    help="A number, or a rule for each model's rows with split = val: youden, fpr=0.2, tnr=0.8.",
)
@click.option("--split", help="The part to compare where there is a split column.  [default: test]")
@click.option("--target", help="The target to compare, where the tables have several.")
@click.option("--n-boot", default=2000, show_default=True, help="Resamples for the intervals.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same numbers.")
@click.option("--quiet", is_flag=True, help="Print the paths written only.")
def command(
    files: tuple[str, ...],
    group: str,
    out: Path,
    patient: str,
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
    """Compare the predictions of further models with those of the first, on the same images.

    Differences are paired: both models see the same resampled patients. Writes comparison.json,
    changes.csv and levelling.csv into --out. Levelling down: a gap that shrank because the better
    group lost more than the worse one gained.

    \b
    Examples:
      fairthesis compare erm/predictions.parquet adversarial/predictions.parquet \\
          --group sex --patient patient_id --out comparison/
      fairthesis compare a.csv b.csv c.csv --name plain --name first --name second \\
          --group age_group --threshold fpr=0.2 --out comparison/
    """
    from fairthesis.paired import compare_all
    from fairthesis.schema import read_table

    titles = model_names(files, names)
    found = compare_all(
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
    )
    written = found.write(out)
    if not quiet:
        click.echo(summary(found) + "\n\nWritten:")
    for path in written:
        click.echo(str(path) if quiet else f"  {path}")


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
        cells = [
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
        lines += ["", *_layout.table([*head, "p", "Holm", "BH"], cells, left=2)]
    lines += ["", "Levelling:"]
    for level in found.levelling.to_dict("records"):
        said = "LEVELLED DOWN: " if level["levelled_down"] else ""
        lines.append(
            f"  {level['model']}, {level['metric']}: {said}gap {level['gap_change']:+.3f}; "
            f"best group {level['best']} {level['best_change']:+.3f}, "
            f"worst group {level['worst']} {level['worst_change']:+.3f}"
        )
    return "\n".join([*lines, *(f"Warning: {warning}" for warning in found.warnings)])
