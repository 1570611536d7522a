"""``fairthesis verify``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from fairthesis.cli import _options


@click.command()
@click.argument("names", nargs=-1)
@click.option("--results", type=click.Path(), help="The archive.  [default: results/ of the clone]")
@click.option("--data-root", help="Folder of the data set, for an experiment on real images.")
@click.option(
    "--out",
    type=click.Path(),
    callback=_options.writable_folder,
    help="Keep the new runs in this folder.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
def command(
    names: tuple[str, ...], results: str | None, data_root: str | None, out: str | None, quiet: bool
) -> None:
    """Re-run archived quick experiments and say whether the numbers agree.

    Without NAMES, every archived quick experiment on synthetic images is run again. Numbers agree
    when they lie within the tolerance that the archive states; exit code 1 where one does not.

    \b
    Examples:
      fairthesis verify
      fairthesis verify synthetic-cxr-quick --out build/verify
    """
    from fairthesis.errors import InputError, unknown
    from fairthesis.storage import write_table
    from fairthesis.study import (
        archive_results,
        compare_results,
        load_results,
        plan,
        run_experiment,
    )

    root = Path(results) if results else archive_results()
    found = sorted(folder.parent.name for folder in root.glob("*-quick/provenance.json"))
    for name in names:
        if name not in found:
            raise unknown("archived quick experiment", name, found, f"Looked in {root}/.")
    chosen_names = names or tuple(name for name in found if name.startswith("synthetic"))
    if not chosen_names:
        raise InputError(
            f"No archived quick experiment on synthetic images in {root}/: nothing was verified. "
            "Expected folders synthetic-NAME-quick with a provenance.json; name the archive with "
            f"--results, or an experiment on real images ({', '.join(found) or 'there is none'})."
        )
    failed = 0
    for name in chosen_names:
        old = load_results(root / name)
        described = old.provenance["experiment"]
        dataset, seed = described["dataset"], described["seeds"][0]
        chosen = plan(dataset, described["profile"], data_root, seed)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(out or scratch) / name
            new = run_experiment(
                chosen, folder, progress=not quiet, say=None if quiet else click.echo
            )
            table = compare_results(old, new)
            if out:
                write_table(table, folder / "comparison.csv")
        wrong = table[~table["agrees"]]
        failed += len(wrong)
        click.echo(
            f"{name}: {len(table) - len(wrong)} of {len(table)} numbers agree within the stated "
            f"tolerance; the largest difference is {table['difference'].abs().max():.4g}."
        )
        for row in wrong.head(20).itertuples():
            click.echo(
                f"  {row.table}: {row.key}: archived {row.archived:.4f}, now {row.now:.4f} "
                f"(tolerance {row.tolerance:g})"
            )
    sys.exit(1 if failed else 0)
