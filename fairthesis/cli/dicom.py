"""``fairthesis datasets dicom``: the table of a folder of DICOM files."""

from __future__ import annotations

from pathlib import Path

import click

from fairthesis.cli import _options
from fairthesis.errors import InputError


@click.command(name="dicom")
@click.argument("folder", type=click.Path(path_type=Path))
@_options.file("--out", "Table to write: in the folder, or in one above it.", required=True)
@click.option(
    "--salt-file",
    type=click.Path(path_type=Path),
    help="File with a secret of 16 letters or more: the same secret makes the same pseudonyms.  "
    "[default: a secret that is drawn and forgotten]",
)
@click.option("--keep-ids", is_flag=True, help="Write patient, study and image keys as they are.")
@click.option("--keep-ages", is_flag=True, help="Write ages above 89, which are 90 otherwise.")
@click.option("--labels", type=click.Path(path_type=Path), help="Table of labels to join.")
@click.option(
    "--match",
    default="path=path",
    show_default=True,
    metavar="KEY=COLUMN",
    help="What joins them: path, patient_id, study_id, image_id or accession of the files, as the "
    "header has it, and the labels' column of it.",
)
@click.option("--label", "columns", multiple=True, help="Column of the labels; repeatable.")
@_options.quiet("No progress bar.")
def dicom(
    folder: Path,
    out: Path,
    salt_file: Path | None,
    keep_ids: bool,
    keep_ages: bool,
    labels: Path | None,
    match: str,
    columns: tuple[str, ...],
    quiet: bool,
) -> None:
    """The table of a folder of DICOM files, for the data set csv.

    A row per image: path, pseudonyms of patient, study and image, sex, age, view, body part,
    laterality, modality, device and size. Names, birth dates, accession numbers, institutions,
    physicians, free text and private elements are not written; names of files and folders are.
    Needs the extra `dicom`.

    \b
    fairthesis datasets dicom films --out films/images.csv
    fairthesis datasets dicom films --out films/images.csv --salt-file ~/salt.txt \\
        --labels reports.csv --match accession=ACC_NO --label cancer
    fairthesis train --dataset csv --data-root films --dataset-option table=images.csv \\
        --dataset-option patient=patient_id --dataset-option targets=cancer \\
        --dataset-option attributes=sex,age_group --dataset-option channels=1 --out runs/first
    """
    import pandas as pd

    from fairthesis import datasets
    from fairthesis.inputs import read_table
    from fairthesis.storage import table_writer, without_formulas, write_table

    table_writer(pd.DataFrame(), out.name)  # another ending is refused before the files are read
    ours, sign, theirs = match.partition("=")
    if not sign or not theirs:
        raise InputError(f"Cannot read --match {match!r}: expected KEY=COLUMN.")
    if columns and labels is None:
        raise InputError(f"--label {columns[0]} is a column of --labels: expected that table too.")
    table, left_out = datasets.dicom_table(
        folder,
        root=out.parent,
        salt=None if salt_file is None else _salt(salt_file),
        keep_ids=keep_ids,
        keep_ages=keep_ages,
        labels=None if labels is None else read_table(labels),
        match=(ours, theirs),
        columns=columns,
        progress=not quiet,
    )
    free = ["view", "body_part", "modality", "manufacturer", "model"]
    table[free] = without_formulas(table[free])
    write_table(table, out)
    patients, studies = table["patient_id"].nunique(), table["study_id"].nunique()
    click.echo(f"{out}: {len(table)} images of {patients} patients in {studies} studies")
    for reason, count in left_out.items():
        click.echo(f"left out or changed: {count}  {reason}")
    without = int(table["patient_id"].isna().sum())
    if without:
        click.echo(f"{without} images state no patient: the data set csv leaves them out")


def _salt(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip()
