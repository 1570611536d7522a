"""``fairthesis datasets check-leaks``: what the parts of a split share."""

from __future__ import annotations

from pathlib import Path

import click

from fairthesis.errors import InputError


@click.command(name="check-leaks")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--split", default="split", show_default=True, help="Column of the parts.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="Column that parts may not share; repeatable.  [default: patient_id, lesion_id, image_id]",
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
@click.option("--out", type=click.Path(path_type=Path), help="Table of all leaks to write.")
def check_leaks(
    file: Path,
    split: str,
    keys: tuple[str, ...],
    image: str | None,
    image_root: Path | None,
    distance: int,
    out: Path | None,
) -> None:
    """Patients, lesions and near-duplicate images that the parts of a split share.

    FILE is a CSV or Parquet table with one row per image, of this package or any other. Ends with
    exit code 1 where something is shared.

    \b
    fairthesis datasets check-leaks predictions.parquet
    fairthesis datasets check-leaks split.csv --key pid --image path --image-root images/
    """
    import pandas as pd

    from fairthesis import leaks
    from fairthesis.schema import require_columns, write_table

    if not file.is_file():
        raise InputError(f"No such file: {str(file)!r}. Expected a CSV or Parquet table.")
    try:
        frame = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, dtype=str)
    except (ValueError, OSError) as error:
        raise InputError(f"{file} is not a readable CSV or Parquet table: {error}") from error
    default = [key for key in ("patient_id", "lesion_id", "image_id") if key in frame.columns]
    found = leaks.shared_values(frame, keys or default, split)
    checked = ", ".join(keys or default)
    if image is not None:
        require_columns(frame, [image], str(file))
        rows = frame.dropna(subset=[image, split]).drop_duplicates([image, split])
        paths = [(image_root or file.parent) / str(name) for name in rows[image]]
        pairs, skipped = leaks.near_duplicates(paths, list(rows[split]), distance)
        found = pd.concat([found, pairs], ignore_index=True) if len(found) else pairs
        checked += f", {len(paths) - skipped} images ({skipped} missing, unreadable or flat)"
    if out is not None:
        write_table(found, out)
    click.echo(f"checked {len(frame)} rows: {checked}")
    for kind, number in found["kind"].str.replace(r" \(.*", "", regex=True).value_counts().items():
        click.echo(f"{number} shared: {kind}")
    for row in found.head(20).itertuples():
        click.echo(f"  {row.kind}: {row.value} in {row.splits}")
    if len(found) > 20:
        click.echo(f"  and {len(found) - 20} more" + ("" if out else "; --out writes all of them"))
    if len(found):
        raise click.exceptions.Exit(1)
    click.echo("nothing is shared between the parts")
