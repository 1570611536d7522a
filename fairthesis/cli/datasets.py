"""``fairthesis datasets``: what can be loaded, what is in it, and decoding it once."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairthesis.cli import _options
from fairthesis.cli.check_leaks import check_leaks
from fairthesis.cli.dicom import dicom
from fairthesis.errors import InputError, unknown

if TYPE_CHECKING:
    import pandas as pd

    from fairthesis.data import Cohort

FIGURES = (".png", ".svg", ".pdf")


@click.group(name="datasets", context_settings=_options.WIDE)
def command() -> None:
    """List, describe, check and prepare data sets.

    \b
    Examples:
      fairthesis datasets list
      fairthesis datasets describe ham10000 --data-root data/ham10000
    """


# What chooses a cohort.
_chosen = _options.together(
    click.argument("name"),
    _options.data_root(),
    _options.pairs(
        *("--option", "--dataset-option", "options"),
        text="An option of the data set; repeatable. A wrong name lists those accepted.",
    ),
    _options.seed("Decides the split."),
)


def _load(name: str, data_root: str | None, options: tuple[str, ...], seed: int) -> Cohort:
    from fairthesis import datasets
    from fairthesis.inputs import option_pairs

    typed = datasets.typed_options(name, option_pairs(options, "--option"), text=True)
    return datasets.load(name, data_root, seed=seed, **typed)


@command.command(name="list")
def list_() -> None:
    """The data sets that can be loaded by name, one line each."""
    from fairthesis import datasets

    width = max(map(len, datasets.DATASETS))
    for name in datasets.DATASETS:
        click.echo(f"{name:<{width}}  {datasets.about(name).splitlines()[0]}")


@command.command()
@_chosen
@_options.file("--plot", "Figure of the counts to write.")
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    help="Attribute, or intersection a*b, to count by; repeatable.  [default: all attributes]",
)
def describe(
    name: str,
    data_root: str | None,
    options: tuple[str, ...],
    seed: int,
    plot: Path | None,
    attributes: tuple[str, ...],
) -> None:
    """What a data set holds: rows kept and left out, labels by group, patients by split.

    \b
    fairthesis datasets describe synthetic-cxr --option setting=clean
    fairthesis datasets describe nih-cxr14 --data-root ~/nih --option target=effusion
    fairthesis datasets describe ham10000 --data-root ~/ham --plot counts.png
    fairthesis datasets describe ham10000 --data-root ~/ham --attribute 'sex*age_group'
    fairthesis datasets describe planted --data-root ~/ham --option of=ham10000

    Without --data-root, where one is needed: its images, labels, pitfalls, licence and access.
    """
    from fairthesis import datasets
    from fairthesis.inputs import option_pairs

    given = datasets.typed_options(name, option_pairs(options, "--option"), text=True)
    wraps = "of" in datasets.option_names(name) and not given
    if data_root is None and (wraps or datasets.needs_root(name, given)):
        click.echo(datasets.about(name).rstrip())
        click.echo(f"\nOptions: {', '.join(datasets.option_names(name))}")
        if plot is not None:
            raise InputError(f"Expected --data-root with --plot: {name} is counted from its files.")
        return
    if plot is not None and plot.suffix.lower() not in FIGURES:
        raise unknown("ending of a figure", plot.suffix, FIGURES)
    cohort = _load(name, data_root, options, seed)
    counted = attributes or cohort.attributes
    for attribute in counted:
        cohort.groups(attribute)
    frame = cohort.frame
    patients = frame["patient_id"].nunique()
    click.echo(f"{cohort.name}: {len(frame)} images of {patients} patients")
    click.echo(f"fingerprint: {cohort.fingerprint()}")
    for reason, count in cohort.left_out.items():
        click.echo(f"left out or changed: {count}  {reason}")
    target = cohort.targets[0]
    seen = frame.groupby("patient_id")[target].agg(["min", "max"])
    both = int((seen["min"] < seen["max"]).sum())
    click.echo(f"patients with {target}=0 and {target}=1: {both}")
    if "lesion_id" in frame.columns:
        several = int((frame["lesion_id"].value_counts() > 1).sum())
        click.echo(f"lesions with several images: {several}")
    by_split = frame.groupby("split").agg(
        images=("image_id", "size"), patients=("patient_id", "nunique")
    )
    by_split = by_split.reindex(["train", "val", "test"]).dropna().astype(int)
    click.echo(f"\n{_markdown(by_split)}")
    for attribute in counted:
        click.echo(f"\n{_counts(cohort, target, attribute)}")
    if len(cohort.targets) > 1:
        click.echo(f"\nOther targets: {', '.join(cohort.targets[1:])}")
    if plot is not None:
        _draw(cohort, plot, counted)
        click.echo(f"\n{plot}: images by label and group")


def _draw(cohort: Cohort, plot: Path, attributes: tuple[str, ...]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from fairthesis.plots import group_counts
    from fairthesis.storage import write_atomically

    figure = group_counts(cohort, attributes=attributes)
    write_atomically(plot, lambda to: figure.savefig(to, dpi=160))


def _counts(cohort: Cohort, target: str, attribute: str) -> str:
    """Images by group and label, with what is not stated in a row and a column of its own."""
    from fairthesis.plots import count_table

    table = count_table(cohort, target, attribute)
    names = {
        "present": f"{target}=1",
        "absent": f"{target}=0",
        "not stated": f"{target} not stated",
    }
    table = table.rename(columns=names)
    table["all"] = table.sum(axis=1)
    table.loc["all"] = table.sum()
    return _markdown(table)


def _markdown(table: pd.DataFrame) -> str:
    """A table of counts with aligned columns, that is Markdown as well."""
    head = [str(table.index.name or ""), *map(str, table.columns)]
    body = [
        [str(k), *(f"{v:,}" for v in row)]
        for k, row in zip(table.index, table.values.tolist(), strict=True)
    ]
    width = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    lines = ["-" * width[0], *("-" * (w - 1) + ":" for w in width[1:])]
    return "\n".join(
        "| "
        + " | ".join(
            [row[0].ljust(width[0]), *(c.rjust(w) for c, w in zip(row[1:], width[1:], strict=True))]
        )
        + " |"
        for row in (head, lines, *body)
    )


@command.command()
@_chosen
@click.option("--size", default=224, show_default=True, help="Edge of the images in pixels.")
@click.option("--cache-dir", help="[default: $FAIRTHESIS_CACHE or ~/.cache/fairthesis]")
@click.option("--workers", type=int, help="Images decoded at a time.  [default: the CPU's cores]")
@click.option("--strict", is_flag=True, help="End with an error where an image cannot be read.")
@_options.quiet("No progress bar.")
def prepare(
    name: str,
    data_root: str | None,
    options: tuple[str, ...],
    seed: int,
    size: int,
    cache_dir: str | None,
    workers: int | None,
    strict: bool,
    quiet: bool,
) -> None:
    """Decode (or draw) a data set's images once into the cache. A killed call is resumed.

    \b
    fairthesis datasets prepare ham10000 --data-root ~/ham --size 224
    """
    from fairthesis import data

    cohort = _load(name, data_root, options, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", data.UnreadableImageWarning)  # reported below, in full
        _, ok = data.prepared_images(
            cohort, size, cache_dir, workers=workers, progress=not quiet, strict=strict
        )
    for row in data.unreadable_images(cohort, size, cache_dir).itertuples():
        click.echo(f"cannot read {row.path}: {row.reason}", err=True)
    if not ok.any():
        raise InputError(f"None of the {len(ok)} images of {cohort.name} can be read.")
    home: Path = data.cache_folder(cohort, size, cache_dir)
    click.echo(f"{int(ok.sum())} of {len(ok)} images of {cohort.name} at {size} px in {home}")


@command.command()
@click.argument("name")
@_options.folder("Folder to fill.")
@_options.quiet("No progress bar.")
def fetch(name: str, out: Path, quiet: bool) -> None:
    """Download a data set that needs neither account nor application.

    For any other it prints the steps to get it, and ends with exit code 1.

    \b
    fairthesis datasets fetch fitzpatrick17k --out ~/fitzpatrick17k
    """
    from fairthesis import datasets
    from fairthesis.datasets import SOURCES, THEN, download_steps
    from fairthesis.datasets import fetch as download

    if name in datasets.DATASETS and name not in SOURCES:
        if not datasets.needs_root(name) or name == "csv":
            raise InputError(
                f"Nothing is to be fetched for {name}: see `fairthesis datasets list`."
            )
        click.echo(download_steps(name))
        raise click.exceptions.Exit(1)
    for path in download(name, out, progress=not quiet):
        click.echo(str(path))
    if name in THEN:
        click.echo(THEN[name])


command.add_command(check_leaks)
command.add_command(dicom)
