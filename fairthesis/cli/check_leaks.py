"""``fairthesis datasets check-leaks``: the overlap between the parts of a split."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairthesis.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

# What columns of keys are called, in lower case and without blanks and signs.
KEYS = {
    "patient": ("patientid", "patient", "subjectid", "subject", "patientkey", "pid", "mrn"),
    "lesion": ("lesionid", "lesion"),
    "image": ("imageid", "imageindex", "dicomid", "image", "isicid"),
}


@click.command(name="check-leaks")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--split", default="split", show_default=True, help="Column of the parts.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="Column that parts may not share; repeatable.  [default: patient_id or the like, "
    "lesion_id, image_id]",
)
@click.option("--image", help="Column of image files: looks for near-duplicates as well.")
@click.option("--image-root", type=click.Path(path_type=Path), help="[default: the table's folder]")
@click.option(
    "--distance",
    type=click.IntRange(0, 256),
    default=14,
    show_default=True,
    help="Largest distance, of 256 bits.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Table of the whole overlap to write.")
def check_leaks(
    file: Path,
    split: str,
    keys: tuple[str, ...],
    image: str | None,
    image_root: Path | None,
    distance: int,
    out: Path | None,
) -> None:
    """Overlap between the parts of a split: patients, lesions and near-duplicate images.

    FILE is a table with one row per image (CSV, Parquet, .xlsx), of this package or any other.
    Patients are looked for by the usual names of their column; --key names another. Ends with
    exit code 1 where the parts overlap, and with 2 where nothing could be checked.

    \b
    fairthesis datasets check-leaks predictions.parquet
    fairthesis datasets check-leaks split.csv --key pid --image path --image-root images/
    """
    import pandas as pd

    from fairthesis import data
    from fairthesis.inputs import read_table, require_columns
    from fairthesis.storage import without_formulas, write_table

    frame = read_table(file)
    require_columns(frame, [split, *keys, *([image] if image else [])], str(file))
    chosen = list(keys) or known_keys(list(frame.columns), only_images=image is not None)
    parts = data.split_parts(frame, split)
    found = pd.DataFrame(columns=list(data.OVERLAP_COLUMNS))
    if chosen:
        found = data.shared_values(frame, chosen, split)
    checked = [_counted(frame, key) for key in chosen]
    if image is not None:
        rows = pd.DataFrame({"image": frame[image], "part": parts}).dropna().drop_duplicates()
        paths = [(image_root or file.parent) / str(name) for name in rows["image"]]
        pairs, skipped = data.near_duplicates(paths, list(rows["part"]), distance)
        found = pd.concat([found, pairs], ignore_index=True) if len(found) else pairs
        checked.append(f"{len(paths) - skipped} images ({skipped} missing, unreadable or flat)")
    if out is not None:
        write_table(without_formulas(found), out)
    without = int(parts.isna().sum())
    names = ", ".join(f"{name} ({n})" for name, n in parts.value_counts().sort_index().items())
    click.echo(f"checked {len(frame) - without} rows, {names}: {', '.join(checked)}")
    if without:
        click.echo(f"{without} rows have no {split} and were not checked")
    for kind, number in found["kind"].str.replace(r" \(.*", "", regex=True).value_counts().items():
        click.echo(f"overlap: {number} {kind}")
    for row in found.head(20).itertuples():
        click.echo(f"  {row.kind}: {row.value} in {row.splits}")
    if len(found) > 20:
        click.echo(f"  and {len(found) - 20} more" + ("" if out else "; --out writes all of them"))
    if len(found):
        raise click.exceptions.Exit(1)
    click.echo("no overlap between the parts")


def known_keys(columns: list[str], only_images: bool = False) -> list[str]:
    """The columns of patients, lesions and images by their usual names.

    Refused is a table without a column of patients: that no images overlap says nothing of them.

    >>> known_keys(["Image Index", "Patient ID", "split"])
    ['Patient ID', 'Image Index']
    """
    plain = {name: re.sub("[^a-z0-9]", "", str(name).lower()) for name in columns}
    found = [name for kind in KEYS.values() for name in columns if plain[name] in kind]
    if not only_images and not any(plain[name] in KEYS["patient"] for name in found):
        raise InputError(
            "No column of patients was found, so nothing would be checked: expected patient_id or "
            f"the like among {', '.join(map(str, columns[:30]))}. Name it with --key."
        )
    return found


def _counted(frame: pd.DataFrame, key: str) -> str:
    from fairthesis.inputs import is_empty

    empty = int(is_empty(frame[key]).sum())
    return f"{key} ({empty} empty)" if empty else key
