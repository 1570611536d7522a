"""Options that mean the same in several commands, and the lines that end such a command.

Each function gives a decorator; its argument is what a command says differently in the help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

WIDE = {"max_content_width": 100}


def label(where: str = "") -> Option:
    """``--label``, a column of the table."""
    text = f"Column of 0/1 labels{where}."
    return click.option("--label", default="y_true", show_default=True, help=text)


def score() -> Option:
    """``--score``, a column of the table."""
    text = "Column of probabilities."
    return click.option("--score", default="y_score", show_default=True, help=text)


def threshold(rows: str) -> Option:
    """``--threshold``, a number or a rule for the validation ``rows``."""
    text = f"A number, or a rule {rows} with split = val: youden, fpr=0.2, tnr=0.8."
    return click.option("--threshold", default="0.5", show_default=True, help=text)


def split(what: str) -> Option:
    """``--split``, the part of the table."""
    return click.option("--split", help=f"The part {what}.  [default: test]")


def target(which: str = "The target, where the table has several.") -> Option:
    """``--target``, for tables of several."""
    return click.option("--target", help=which)


def prefix(what: str) -> Option:
    """``--prefix`` of an embedding's columns."""
    return click.option("--prefix", default="disease_", show_default=True, help=what)


def n_boot() -> Option:
    """``--n-boot``, resamples of patients."""
    text = "Resamples for the intervals."
    return click.option("--n-boot", default=2000, show_default=True, help=text)


def seed(text: str = "Same seed, same numbers.") -> Option:
    """``--seed``, 0 where it is not given."""
    return click.option("--seed", default=0, show_default=True, help=text)


def folder() -> Option:
    """``--out``, a directory."""
    kind = click.Path(path_type=Path)
    return click.option(
        "--out", required=True, type=kind, callback=writable_folder, help="Directory to write."
    )


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


def quiet() -> Option:
    """``--quiet``, for commands that end with ``tell``."""
    return click.option("--quiet", is_flag=True, help="Print the paths written only.")


def tell(summary: Callable[[], str], written: Iterable[Path], quiet: bool) -> None:
    """Print what was found and the paths written; only these where ``quiet``."""
    if not quiet:
        click.echo(summary() + "\n\nWritten:")
    for path in written:
        click.echo(str(path) if quiet else f"  {path}")
