"""Plain-text tables for the terminal.

Numbers are not worded as in reports (``auditing``): a terminal may have no code for an en dash or a
minus sign, columns are narrow, and what is unknown is NaN, as in the tables, where a report's JSON
has null.
"""

from __future__ import annotations


def table(head: list[str], rows: list[list[str]], left: int = 1) -> list[str]:
    """Lines of a table: the first ``left`` columns to the left, the others to the right."""
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]

    def line(row: list[str]) -> str:
        padded = (
            text.ljust(width) if k < left else text.rjust(width)
            for k, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return [line(head), "-" * len(line(head)), *map(line, rows)]


def number(value: float) -> str:
    """Three decimals; a dash where it is not known."""
    return "-" if value != value else f"{value:.3f}"


def change(value: float) -> str:
    """Three decimals with a sign; a dash where it is not known."""
    return "-" if value != value else f"{value:+.3f}"


def interval(low: float, high: float) -> str:
    """``low to high``; a dash where it is not known."""
    return "-" if low != low else f"{low:.3f} to {high:.3f}"


def p_value(p: float) -> str:
    """A p value; below 0.001 as such."""
    return "-" if p != p else "<0.001" if p < 0.001 else f"{p:.3f}"
