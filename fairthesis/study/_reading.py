"""What a chapter gives its reader: tables that fit a page, and answers that can be checked."""

from __future__ import annotations

import base64
import html
import math
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

ROWS = 10


class ShownTable:
    """The first rows of a table, rounded, with the whole of it to download.

    What ``shown`` returns. A notebook and the book show it; the table itself is in ``frame``.

    >>> ShownTable(pd.DataFrame({"gap": [0.12345]}, index=["sex"]), 10, 2, "gaps")
          gap
    sex  0.12
    """

    def __init__(self, frame: pd.DataFrame, rows: int, digits: int, name: str) -> None:
        self.frame, self.rows, self.digits, self.name = frame, rows, digits, name

    def __repr__(self) -> str:
        """The rows as text."""
        return self.frame.head(self.rows).round(self.digits).to_string()

    def _repr_html_(self) -> str:
        rows, shown = len(self.frame), min(self.rows, len(self.frame))
        table = self._table(self.frame.head(min(shown, ROWS)))
        if (
            shown > ROWS
        ):  # as many as a reader takes in at once, and the others where they are asked
            more = self._table(self.frame.iloc[ROWS:shown])
            said = f"<summary>{shown - ROWS} more rows</summary>"
            table += f'\n<details class="more-rows">{said}\n{more}\n</details>'
        data = base64.b64encode(self.frame.to_csv().encode()).decode()
        text = f"all {rows} rows" if rows > shown else "this table"
        first = f"{shown} of {rows} rows shown. " if rows > shown else ""
        file = html.escape(f"{self.name}.csv", quote=True)
        link = f'<a download="{file}" href="data:text/csv;base64,{data}">Download {text} as CSV</a>'
        return f'<div>\n{table}\n<p class="whole-table">{first}{link}</p>\n</div>'

    def _table(self, part: pd.DataFrame) -> str:
        if part.index.nlevels == part.columns.nlevels == 1 and part.index.name:
            # The name of a single index in the one row of heads, and not in a row of its own.
            part = part.copy()
            part.columns.name, part.index.name = part.index.name, None
        table = part.to_html(border=0, na_rep="–", float_format=f"{{:.{self.digits}f}}".format)
        if part.index.nlevels > 1 and part.columns.nlevels == 1 and any(part.index.names):
            table = _one_row_of_heads(table, part.index.names)
        return table


def _one_row_of_heads(table: str, names: Sequence[Any]) -> str:
    """The names of several indices beside those of the columns, and not in a row of their own."""
    heads, rest = table.split("</thead>", 1)
    first = heads.split("</tr>", 1)[0]
    cells = re.split(r"(?=<th>)", first)
    named = [f"<th>{html.escape('' if name is None else str(name))}</th>\n      " for name in names]
    return "".join([cells[0], *named, *cells[1 + len(named) :]]) + "</tr>\n  </thead>" + rest


def shown(
    table: pd.DataFrame, name: str = "table", *, rows: int = ROWS, digits: int = 3
) -> ShownTable:
    """A table for a page: its first rows, rounded, and a link to all of it.

    Args:
        table: any table; what is said first should stand first.
        name: of the file that is downloaded, without its ending.
        rows: how many are shown; those after the tenth are folded.
        digits: after the point. The download has all.

    >>> table = pd.DataFrame({"gap": [0.12345, 0.5, 0.25]}, index=["sex", "age", "site"])
    >>> shown(table, "gaps", rows=2)
           gap
    sex  0.123
    age  0.500
    >>> "Download all 3 rows" in shown(table, "gaps", rows=2)._repr_html_()
    True
    """
    return ShownTable(table, rows, digits, re.sub(r"[^\w-]+", "-", name).strip("-") or "table")


class Feedback(str):
    """A sentence that a cell shows without quotation marks."""

    def __repr__(self) -> str:
        """The sentence itself."""
        return str(self)


def check_answer(answer: Any, right: Any, *, tolerance: float = 0.005) -> Feedback:
    """What to tell somebody who answered an exercise.

    Args:
        answer: a number, a word or a truth value; None while there is no answer.
        right: what it should be. Words are compared without case and surrounding blanks.
        tolerance: how far a number may be from ``right``.

    >>> check_answer(None, 0.25)
    No answer yet: put it into `answer` and run the cell again.
    >>> check_answer(0.4, 0.25), check_answer(0.2501, 0.25)
    (Not yet: 0.4 is too high., Right: 0.2501.)
    >>> check_answer(" Specificity", "sensitivity")
    Not yet: Specificity is not it.
    """
    return Feedback(_told(answer, right, tolerance))


def _told(answer: Any, right: Any, tolerance: float) -> str:
    if answer is None:
        return "No answer yet: put it into `answer` and run the cell again."
    if isinstance(right, bool | str):
        given, wanted = (str(v).strip() for v in (answer, right))
        if given.lower() == wanted.lower():
            return f"Right: {given}."
        return f"Not yet: {given} is not it."
    try:
        number = float(answer)
    except (TypeError, ValueError):
        return f"Not yet: expected a number, but got {answer!r}."
    if math.isnan(number):
        return "Not yet: expected a number, but got nan."
    if abs(number - float(right)) <= tolerance:
        return f"Right: {number:g}."
    return f"Not yet: {number:g} is too {'high' if number > float(right) else 'low'}."
