"""``fairthesis power``: the smallest gap that a study of this size could see."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairthesis.cli import _layout, _options
from fairthesis.errors import InputError

if TYPE_CHECKING:
    from fairthesis.auditing import GroupSizes
    from fairthesis.stats import Size


@click.command(name="power", context_settings=_options.WIDE)
@_options.table(required=False)
@_options.group("Column of the attribute in FILE; sex*age_group works.", required=False)
@_options.label(" in FILE")
@_options.patient(" in FILE: gives the images per patient")
@_options.weight()
@_options.split("of FILE that counts")
@_options.target("The target, where FILE has several.")
@click.option(
    "--size",
    "given",
    multiple=True,
    metavar="NAME=POSITIVE,NEGATIVE",
    help="A group's cases in place of FILE; once per group.",
)
@click.option("--auroc", default=0.85, show_default=True, help="AUROC of the better group.")
@click.option("--tpr", default=0.8, show_default=True, help="True positive rate of that group.")
@click.option(
    "--images-per-patient",
    type=float,
    help="The same number for every patient.  [default: each patient's own in FILE, else 1]",
)
@click.option(
    "--correlation",
    default=0.5,
    show_default=True,
    help="Of outcomes within a patient; matters with several images per patient.",
)
@click.option("--alpha", default=0.05, show_default=True, help="Two-sided level of the test.")
@click.option("--power", "wanted", default=0.8, show_default=True, help="Chance to see the gap.")
@click.option("--gap", type=float, help="Also give the patients that this gap would need.")
@_options.file("--out", "Write the table to this .csv file.")
def command(
    file: Path | None,
    group: str | None,
    label: str,
    patient: str | None,
    weight: str | None,
    split: str | None,
    target: str | None,
    given: tuple[str, ...],
    auroc: float,
    tpr: float,
    images_per_patient: float | None,
    correlation: float,
    alpha: float,
    wanted: float,
    gap: float | None,
    out: Path | None,
) -> None:
    """The smallest gap in AUROC and in true positive rate that could be seen between groups.

    From a table of predictions (FILE), or from numbers of cases (--size). A gap that is smaller
    will more often than not be missed: "no gap was found" then says little.

    \b
    Examples:
      fairthesis power predictions.parquet --group sex --patient patient_id
      fairthesis power --size f=100,900 --size m=150,1200 --auroc 0.9 --gap 0.05
    """
    from fairthesis import stats
    from fairthesis.auditing import GroupSizes

    if (file is None) == (not given):
        raise InputError("Expected either a FILE with --group, or --size for each group.")
    if file is None and weight is not None:
        raise InputError("--weight is a column of FILE: expected a FILE in place of --size.")
    if file is not None:
        if group is None:
            raise InputError("Expected --group: the column of the attribute in the table.")
        found = _from_table(file, group, label, patient, split, target, weight)
    else:
        found = GroupSizes(_from_numbers(given), 1.0, 1.0)
    if images_per_patient is not None:
        found = found._replace(
            images=images_per_patient,
            cluster=images_per_patient,
            positive_cluster=images_per_patient,
        )
    sizes, images, cluster, of_positive, weighting, positive_weighting = found
    design = found.design(correlation)
    references = {"auroc": auroc, "tpr": tpr}
    table = stats.smallest_gaps(sizes, references, alpha=alpha, wanted=wanted, design=design)
    lines = [
        f"{name}: {size.positive} positive and {size.negative} negative cases"
        for name, size in sizes.items()
    ]
    unequal = f" ({cluster:.2f} weighted by image)" if cluster > images else ""
    lines += [
        f"{images:.2f} images per patient{unequal}, correlation {correlation:g}: "
        f"design effect {design['auroc']:.2f}",
        *(
            [
                f"{of_positive:.2f} positive images per patient, weighted by image: design effect "
                f"of the true positive rate {design['tpr']:.2f}"
            ]
            if of_positive != cluster
            else []
        ),
        *(
            [
                f"Weighted by {weight}: variances times {weighting:.2f} (AUROC) and "
                f"{positive_weighting:.2f} (true positive rate), which is in the design effects"
            ]
            if weight
            else []
        ),
        f"Smallest gap seen with power {wanted:g} at a two-sided level of {alpha:g}:",
        "",
    ]
    head = ["metric", "between", "reference", "planned", "corrected"]
    rows = [
        [
            row["metric"],
            f"{row['first']} and {row['second']}",
            _layout.number(row["reference"]),
            _layout.number(row["gap"]),
            _layout.number(row["gap_corrected"]),
        ]
        for row in table.to_dict("records")
    ]
    lines += _layout.table(head, rows, left=2)
    lines += [
        "",
        "planned: by a test of this gap and pair alone (audit --primary); corrected: by an audit",
        "that looks at all gaps and pairs, and corrects for them.",
    ]
    if gap is not None:
        (a, first), (b, second) = list(sizes.items())[:2]
        totals = [size.positive + size.negative for size in (first, second)]
        for metric, reference in references.items():
            n = stats.patients_needed(
                metric,
                gap,
                reference,
                (first.positive / totals[0], second.positive / totals[1]),
                share=totals[0] / sum(totals),
                images_per_patient=images,
                design=design[metric],
                alpha=alpha,
                wanted=wanted,
            )
            lines.append(f"A gap of {gap:g} in {metric} between {a} and {b} needs {n:,} patients.")
    if out is not None:
        from fairthesis.storage import without_formulas, write_table

        write_table(without_formulas(table), out)
        lines += ["", f"Written: {out}"]
    click.echo("\n".join(lines))


def _from_numbers(given: tuple[str, ...]) -> dict[str, Size]:
    from fairthesis.stats import Size

    sizes = {}
    for text in given:
        name, _, numbers = text.partition("=")
        try:
            positive, negative = (int(number) for number in numbers.split(","))
        except ValueError as error:
            raise InputError(
                f"--size {text!r}: expected NAME=POSITIVE,NEGATIVE, such as f=100,900."
            ) from error
        sizes[name] = Size(positive, negative)
    if len(sizes) < 2:
        raise InputError("Expected --size for at least two groups of different names.")
    return sizes


def _from_table(
    file: Path,
    group: str,
    label: str,
    patient: str | None,
    split: str | None,
    target: str | None,
    weight: str | None,
) -> GroupSizes:
    """The sizes in a table, of which only the columns that are needed are read."""
    import pandas as pd

    from fairthesis.auditing import group_sizes
    from fairthesis.inputs import attribute_parts, read_table, require_columns, table_columns

    header = pd.DataFrame(columns=table_columns(file))
    needed = [label, *attribute_parts(header, group), *(c for c in (patient, weight) if c)]
    require_columns(header, needed, str(file))
    return group_sizes(
        read_table(file, {*needed, "target", "split"}),
        group=group,
        label=label,
        patient=patient,
        split=split,
        target=target,
        weight=weight,
        what=str(file),
    )
