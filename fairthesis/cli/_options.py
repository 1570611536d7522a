"""Options that mean the same in several commands, and the lines that end such a command.

Each function gives a decorator; its argument is what a command says differently in the help.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from fairthesis.errors import InputError

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

WIDE = {"max_content_width": 100}


def together(*options: Option) -> Option:
    """Several options as one, in this order in the help."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return add


# Columns and rows of a table.


def table(metavar: str | None = None, *, required: bool = True) -> Option:
    """The argument ``file``, a table."""
    kind = click.Path(path_type=Path)
    return click.argument("file", metavar=metavar, required=required, type=kind)


def labels(text: str, *, required: bool = False) -> Option:
    """``--labels``, a second table, of what an embedding is compared with."""
    kind = click.Path(path_type=Path)
    return click.option("--labels", required=required, type=kind, help=text)


def label(where: str = "") -> Option:
    """``--label``, a column of the table."""
    text = f"Column of 0/1 labels{where}."
    return click.option("--label", default="y_true", show_default=True, help=text)


def score() -> Option:
    """``--score``, a column of the table."""
    text = "Column of probabilities."
    return click.option("--score", default="y_score", show_default=True, help=text)


def group(
    text: str = "Column of the attribute; sex*age_group works.", *, required: bool = True
) -> Option:
    """``--group``, the attribute's column."""
    return click.option("--group", required=required, help=text)


def groups() -> Option:
    """``--group`` for several attributes."""
    text = "Column of an attribute; repeat for several. sex*age_group is an intersection."
    return click.option("--group", "groups", multiple=True, required=True, help=text)


def patient(more: str = "", default: str | None = None) -> Option:
    """``--patient``, the column of keys."""
    text = f"Column of patient keys{more}."
    return click.option("--patient", default=default, show_default=True, help=text)


def weight() -> Option:
    """``--weight``, the column of weights."""
    text = (
        "Column of weights: how many cases a row stands for, in every value; as of an enriched or "
        "case-control test set, or a survey."
    )
    return click.option("--weight", metavar="COLUMN", help=text)


def target(which: str = "The target, where the table has several.") -> Option:
    """``--target``, for tables of several."""
    return click.option("--target", multiple=True, callback=_one, metavar="TEXT", help=which)


def targets() -> Option:
    """``--target`` any number of times, for a command that takes several."""
    text = "A target of a table with several; repeat for more. All of them by default, or by 'all'."
    return click.option("--target", "targets", multiple=True, metavar="TEXT", help=text)


def _one(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> str | None:
    """One value of an option; several would silently be the last."""
    if len(value) > 1:
        raise InputError(
            f"{parameter.opts[0]} is given {len(value)} times ({', '.join(value)}): expected one. "
            "Run the command once for each."
        )
    return value[0] if value else None


def split(what: str) -> Option:
    """``--split``, the part of the table."""
    return click.option("--split", help=f"The part {what}.  [default: test]")


def prefix(what: str) -> Option:
    """``--prefix`` of an embedding's columns."""
    return click.option("--prefix", default="disease_", show_default=True, help=what)


def threshold(rows: str) -> Option:
    """``--threshold``, a number or a rule for the validation ``rows``."""
    text = f"A number, or a rule {rows} with split = val: youden, fpr=0.2, tnr=0.8."
    return click.option("--threshold", default="0.5", show_default=True, help=text)


def threshold_from() -> Option:
    """``--threshold-from``, a run or a table for the rule."""
    text = (
        "A run, or a table, to whose validation rows the rule is applied (youden unless "
        "--threshold says another): its own operating point."
    )
    kind = click.Path(path_type=Path)
    return click.option("--threshold-from", type=kind, metavar="RUN", help=text)


# How it is done.


def n_boot() -> Option:
    """``--n-boot``, resamples of patients."""
    text = "Resamples for the intervals."
    return click.option("--n-boot", default=2000, show_default=True, help=text)


def seed(text: str = "Same seed, same numbers.", default: int | None = 0) -> Option:
    """``--seed``; without a default it is None where it is not given."""
    return click.option("--seed", type=int, default=default, show_default=True, help=text)


def data_root(text: str = "Folder of the data set's official release.") -> Option:
    """``--data-root``, where images are read from."""
    return click.option("--data-root", help=text)


def pairs(*names: str, text: str = "Repeatable.") -> Option:
    """``NAME=VALUE``, any number of times, for ``inputs.option_pairs``."""
    return click.option(*names, multiple=True, metavar="NAME=VALUE", help=text)


def overwrite(text: str) -> Option:
    """``--overwrite`` of what was done before."""
    return click.option("--overwrite", is_flag=True, help=text)


# What is written.


def folder(
    text: str = "Directory to write.", *, required: bool = True, given: type[Path | str] = Path
) -> Option:
    """``--out``, a folder, as a path or as it is ``given`` (which may end in a slash)."""
    kind = click.Path(path_type=given)
    return click.option("--out", required=required, type=kind, callback=writable_folder, help=text)


def file(name: str, text: str, *, required: bool = False) -> Option:
    """An option for a file of output."""
    kind = click.Path(path_type=Path)
    return click.option(name, required=required, type=kind, callback=writable_file, help=text)


Value = TypeVar("Value", Path, str, None)


def writable_folder(ctx: click.Context, parameter: click.Parameter, value: Value) -> Value:
    """A folder of output, refused before the work where it cannot be written."""
    from fairthesis.storage import check_writable

    if value is not None:
        check_writable(value)
    return value


def writable_file(ctx: click.Context, parameter: click.Parameter, value: Value) -> Value:
    """A file of output, refused before the work where it cannot be written."""
    from fairthesis.storage import check_writable

    if value is not None:
        check_writable(value, a_file=True)
    return value


def shard(text: str) -> Option:
    """``--shard i/n``, as a pair."""
    return click.option("--shard", default="1/1", callback=_shard, metavar="i/n", help=text)


def _shard(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", value)
    if match is None:
        raise InputError(f"Expected --shard to be i/n, such as 2/8, but got {value!r}.")
    return int(match[1]), int(match[2])


def quiet(text: str = "Print the paths written only.") -> Option:
    """``--quiet``; as it is for commands that end with ``tell``.

    Without it, whatever takes long in the command shows a bar with the time that is left, on a
    terminal.
    """
    return click.option("--quiet", is_flag=True, help=text, callback=_with_bars)


def _with_bars(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    from fairthesis.stats import progress_shown

    context.with_resource(progress_shown(not value))
    return value


def tell(summary: Callable[[], str], written: Iterable[Path], quiet: bool) -> None:
    """Print what was found and the paths written; only these where ``quiet``."""
    if not quiet:
        click.echo(summary() + "\n\nWritten:")
    for path in written:
        click.echo(str(path) if quiet else f"  {path}")
