"""``fairthesis checklist``."""

from __future__ import annotations

from pathlib import Path

import click

from fairthesis.cli import _options


@click.command(context_settings=_options.WIDE)
@_options.file("--out", "Write the list to this .txt, .csv, .md or .html file.")
@_options.overwrite("Replace a file that is there.")
def command(out: Path | None, overwrite: bool) -> None:
    """What to ask for before a model is bought, before it goes live, monthly, and at a change.

    Each question says who asks, what for, which command of this package gives the evidence, what an
    acceptable answer looks like, and on what that rests. Without --out the list is printed. A
    .html file has boxes to tick and prints on A4; a .csv file is for a spreadsheet.

    \b
    Examples:
      fairthesis checklist
      fairthesis checklist --out checklist.html
      fairthesis checklist --out checklist.csv --overwrite
    """
    from fairthesis.auditing import CHECKLIST_FORMS, checklist_text
    from fairthesis.errors import InputError
    from fairthesis.storage import write_text

    if out is None:
        click.echo(checklist_text())
        return
    form = out.suffix.lower().removeprefix(".")
    if form not in CHECKLIST_FORMS:
        endings = ", ".join(f".{name}" for name in CHECKLIST_FORMS)
        raise InputError(f"Cannot write {out.name!r}: expected a name ending in one of {endings}.")
    if out.exists() and not overwrite:
        raise InputError(
            f"{str(out)!r} is there already: choose another name, or pass --overwrite to replace "
            "it."
        )
    write_text(checklist_text(form), out)
    click.echo(str(out))
