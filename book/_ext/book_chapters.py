"""What every chapter gets from the build: numbered tables, its measured time, where it comes from.

A cell whose ``mystnb`` metadata has a ``figure`` with a caption and whose output is no picture is a
table: it is numbered and referred to as one. What the chapter took, and on what, is read from the
records that the build keeps.
"""

from __future__ import annotations

import csv
import datetime
import html
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_id

ROOT = Path(__file__).resolve().parent.parent.parent
RECORDS = ROOT / "build" / "benchmarks"
NOTEBOOKS = ROOT / "notebooks"
SHOWN = "executed/"
UNIT = re.compile(r"(\d) (%|px\b|[kMG]i?B\b)")
CODE = (nodes.FixedTextElement, nodes.literal, nodes.math)  # shown as it is typed


class CaptionedTable(nodes.General, nodes.Element):
    """A table that a cell printed, with its caption."""


def _is_picture(node: nodes.Element) -> bool:
    mimes = [str(box.get("mime_type", "")) for box in node.findall(nodes.container)]
    return any(mime.startswith("image/") for mime in mimes) or any(node.findall(nodes.image))


def _number_tables(app: Sphinx, document: nodes.document) -> None:
    for figure in list(document.findall(nodes.figure)):
        caption = next(iter(figure.findall(nodes.caption)), None)
        if caption is None or _is_picture(figure):
            continue
        table = CaptionedTable("", ids=list(figure["ids"]), names=list(figure["names"]))
        if not table["ids"]:
            table["ids"] = [make_id(app.env, document, "table")]
        figure.remove(caption)
        table += [caption, *figure.children]  # what a table is about is read before it
        figure.replace_self(table)
        document.ids |= dict.fromkeys(table["ids"], table)


def _record(chapter: str) -> tuple[float, float, datetime.date] | None:
    """Seconds, megabytes and day of the run that the page shows, or None where none is recorded."""
    file = RECORDS / f"{chapter}.tsv"
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            row = next(csv.DictReader(lines, delimiter="\t"))
        day = datetime.datetime.fromtimestamp(file.stat().st_mtime, datetime.UTC).date()
        return float(row["s"]), float(row["max_rss"]), day
    except (OSError, StopIteration, KeyError, ValueError):
        return None


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _commit() -> str:
    try:
        said = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
        )
    except OSError:
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


def _describe_run(app: Sphinx, document: nodes.document) -> None:
    """Time and memory below the title, and the provenance line at the end of a chapter."""
    name = app.env.docname
    if not name.startswith(SHOWN):
        return
    chapter = name.removeprefix(SHOWN)
    record = _record(chapter)
    title = next(iter(document.findall(nodes.title)), None)
    if record is None or title is None:
        return
    seconds, megabytes, day = record
    cost = (
        f"Runs in {_duration(seconds)} with {megabytes / 1000:.1f} GB on "
        f"{os.cpu_count()} cores, once its experiments are there."
    )
    line = nodes.paragraph("", cost, classes=["chapter-cost"])
    title.parent.insert(title.parent.index(title) + 1, line)
    made = f"Executed on {day.isoformat()} by papermill from "
    end = nodes.paragraph("", made, classes=["chapter-provenance"])
    end += nodes.literal("", f"notebooks/{chapter}.ipynb")
    where = f"Python {platform.python_version()}, {platform.system()}, {platform.machine()}"
    commit = f", commit {_commit()}" if _commit() else ""
    end += nodes.Text(f" with the parameters of its first cell: {where}{commit}.")
    title.parent += end


class ChapterTimes(SphinxDirective):
    """A table of what each chapter took in this build."""

    def run(self) -> list[nodes.Node]:
        rows = []
        for file in sorted(NOTEBOOKS.glob("*.ipynb")):
            record = _record(file.stem)
            cost = (_duration(record[0]), f"{record[1]:,.0f} MB") if record else ("not run", "")
            rows.append("| " + " | ".join((f"`notebooks/{file.name}`", *cost)) + " |")
        head = ["| chapter | time | peak memory |", "|---|---:|---:|"]
        return self.parse_text_to_nodes("\n".join([*head, *rows]))


def _visit_table(self: Any, node: CaptionedTable) -> None:
    self.body.append(self.starttag(node, "figure", CLASS="captioned-table"))


def _depart_table(self: Any, node: CaptionedTable) -> None:
    self.body.append("</figure>\n")


def _nothing(self: Any, node: nodes.Node) -> None:
    """Other writers show what is in it."""


def _sign(app: Sphinx, config: Any) -> None:
    """The foot of every page: which version this is, under which licences, and what it is not."""
    commit = f", commit {_commit()}" if _commit() else ""
    config.html_theme_options["extra_footer"] = (
        f"<p>fairthesis {html.escape(version('fairthesis'))}{commit}. Text: CC BY 4.0; code: MIT "
        "licence. Not a medical device: nothing here is made or tested for decisions on patients."
        '<span class="versions"></span></p>'  # filled by workflow/versions.py
    )


def _one_page(app: Sphinx, config: Any) -> None:
    """The theme gives the one-page builder no handlers of what extensions add: those of HTML."""
    handlers = app.registry.translation_handlers
    handlers["singlehtml"] = {**handlers.get("html", {}), **handlers.get("singlehtml", {})}


def _define_terms(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """A link to the glossary carries the definition, which is shown where it is pointed at."""
    page = "glossary"
    if docname == page or page not in app.env.all_docs:
        return
    said = {
        term_id: item.next_node(nodes.definition).astext().split("\n\n")[0]
        for item in app.env.get_doctree(page).findall(nodes.definition_list_item)
        for term in item.findall(nodes.term)
        for term_id in term["ids"]
    }
    for link in doctree.findall(nodes.reference):
        target = str(link.get("refuri", "")).partition("#")[2]
        if target.startswith("term-") and target in said:
            link["reftitle"] = said[target]
            link["classes"].append("glossary-term")


def _keep_units(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """No line ends between a number and its unit."""
    for text in list(doctree.findall(nodes.Text)):
        whole = UNIT.sub("\\1\N{NO-BREAK SPACE}\\2", text)
        if whole != text and not isinstance(text.parent, CODE):
            text.parent.replace(text, nodes.Text(whole))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_enumerable_node(
        CaptionedTable,
        "table",
        lambda node: node.next_node(nodes.caption).astext(),
        html=(_visit_table, _depart_table),
        latex=(_nothing, _nothing),
        text=(_nothing, _nothing),
    )
    app.add_directive("chapter-times", ChapterTimes)
    app.connect("config-inited", _sign)
    app.connect("config-inited", _one_page)
    app.connect("doctree-read", _number_tables, priority=1)
    app.connect("doctree-read", _describe_run, priority=2)
    app.connect("doctree-resolved", _define_terms, priority=900)
    app.connect("doctree-resolved", _keep_units, priority=901)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
