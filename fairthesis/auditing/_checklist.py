"""What to ask for before a model is bought, before it goes live, every month, and at a change.

The list is ``checklist.csv`` beside this file, and nowhere else: the book's pages, the command and
the printed list are made of it.
"""

from __future__ import annotations

import io
import textwrap
from importlib import resources

import jinja2
import pandas as pd

from fairthesis import __version__
from fairthesis.errors import unknown

#: What the checklist can be written as: the endings of its files, without the point.
CHECKLIST_FORMS = ("txt", "csv", "md", "html")
_TITLE = "Checklist for a model that reads medical images"
_WHAT = (
    "Each line says who asks for what, and what an acceptable answer looks like. It is no legal "
    "advice, and a list that is ticked off is no proof that a model is safe."
)
_PARTS = {
    "who": "Who",
    "ask_for": "Ask for",
    "command": "Run",
    "acceptable": "Acceptable",
    "sources": "Sources",
}


def checklist() -> pd.DataFrame:
    """The checklist for a model in the clinic, one question a row, in the order of its stages.

    Returns:
        Text in the columns ``id, stage, item, who, ask_for, command, acceptable, sources``.
        ``command`` is a command of this package that gives the evidence, empty where no table of
        predictions can show it. ``sources`` are names of ``checklist_sources``, parted by
        semicolons; what follows a colon says which part of the source.

    >>> table = checklist()
    >>> list(table["stage"].unique())
    ['before buying or building', 'before go-live', 'every month', 'when something changes']
    >>> table.set_index("id").loc["B2", "item"]
    'Known inequalities, and what counts as harm'
    """
    return _read("checklist.csv")


def checklist_sources() -> pd.DataFrame:
    """What the checklist rests on: guidelines, law and studies.

    Returns:
        Text in the columns ``name`` (as in the list), ``key`` (of the book's bibliography),
        ``citation`` and ``link`` (a DOI or the official text, empty where there is none).

    >>> checklist_sources().set_index("name").loc["TRIPOD+AI", "link"]
    'https://doi.org/10.1136/bmj-2023-078378'
    """
    return _read("checklist_sources.csv")


def checklist_text(form: str = "txt") -> str:
    """The checklist with its sources, to be read, printed or filled in.

    Args:
        form: ``txt`` for a terminal, ``csv`` for a spreadsheet, ``md`` with a table for each stage,
            ``html`` for one page with boxes to tick, which makes no request and prints on A4.

    Raises:
        InputError: for another form.

    >>> print(checklist_text()[:123])
    Before buying or building
    =========================
    <BLANKLINE>
    [ ] B1  Intended use and population
            Who:        clinical lead,
    >>> "| ☐ | **B1" in checklist_text("md"), "<title>" in checklist_text("html")
    (True, True)
    """
    if form not in CHECKLIST_FORMS:
        raise unknown("form of the checklist", form, CHECKLIST_FORMS)
    return {"txt": _plain, "csv": _csv, "md": _markdown, "html": _html}[form]()


def _read(name: str) -> pd.DataFrame:
    text = resources.files("fairthesis.auditing").joinpath(name).read_text(encoding="utf-8")
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


def _stages() -> list[tuple[str, list[dict[str, str]]]]:
    """Each stage as a heading, with its rows."""
    by_stage: dict[str, list[dict[str, str]]] = {}
    for row in checklist().to_dict("records"):
        by_stage.setdefault(row["stage"], []).append({str(k): v for k, v in row.items()})
    return [(f"{stage[0].upper()}{stage[1:]}", rows) for stage, rows in by_stage.items()]


def _csv() -> str:
    return checklist().to_csv(index=False, lineterminator="\n")


def _plain() -> str:
    lines = []
    for stage, rows in _stages():
        lines += [stage, "=" * len(stage), ""]
        for row in rows:
            lines.append(f"[ ] {row['id']:<3} {row['item']}")
            for name, said in _PARTS.items():
                if row[name]:
                    lines += _wrapped(f"{said + ':':<11} ", row[name], whole=name == "command")
            lines.append("")
    return "\n".join([*lines, *textwrap.wrap(_WHAT, 96)])


def _wrapped(head: str, text: str, whole: bool) -> list[str]:
    """A part of an item below its name; a command stays ``whole``, to be copied."""
    if whole:
        return [f"        {head}{text}"]
    indent = " " * (8 + len(head))
    return textwrap.wrap(text, 96, initial_indent=f"        {head}", subsequent_indent=indent)


def _markdown() -> str:
    lines = [f"# {_TITLE}", "", _WHAT, ""]
    for stage, rows in _stages():
        lines += [f"## {stage}", "", "| Done | Ask for | Acceptable |", "|:-:|---|---|"]
        lines += [
            f"| ☐ | **{row['id']} {row['item']}** ({row['who']}). {row['ask_for']} | "
            f"{row['acceptable']} |"
            for row in rows
        ]
        lines.append("")
    lines += ["## Sources", ""]
    for name, citation, link in checklist_sources()[["name", "citation", "link"]].to_numpy():
        lines.append(f"- **{f'[{name}](<{link}>)' if link else name}**: {citation}")
    return "\n".join([*lines, ""])


def _html() -> str:
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    text = resources.files("fairthesis.auditing").joinpath("checklist.html")
    page = environment.from_string(text.read_text(encoding="utf-8"))
    return page.render(
        title=_TITLE,
        what=_WHAT,
        stages=_stages(),
        sources=checklist_sources().to_dict("records"),
        version=__version__,
    )
