"""The order of groups' names: by the numbers in them where they are ranges, else by their text."""

from __future__ import annotations

import re
from collections.abc import Iterable

# A number or range: <20, 20-39, [20, 40), 60+, >= 80, 2.5 to 5; a unit may follow.
_RANGE = re.compile(
    r"^\s*[\[(]?\s*(?P<sign><=|>=|<|>|\u2264|\u2265|under |over |below |above )?\s*"
    r"(?P<number>-?\d+(?:\.\d+)?)\s*(?P<more>\+)?",
    re.IGNORECASE,
)
_BELOW = ("<", "<=", "\u2264", "under ", "below ")


def in_order(names: Iterable[str]) -> list[str]:
    """Names of groups in the order of a table: ``<20`` before ``20-39`` before ``60+``.

    Where every name (or every name of that part of an intersection, ``F * <20``) begins with a
    number or a range of numbers, these count; else the text does.

    >>> in_order(["60+", "20-39", "<20", "40-59"])
    ['<20', '20-39', '40-59', '60+']
    >>> in_order(["M * 100", "F * 20", "F * 100"])
    ['F * 20', 'F * 100', 'M * 100']
    """
    found = sorted(set(names))
    parts = {name: name.split(" * ") for name in found}
    widths = {len(part) for part in parts.values()}
    if len(widths) != 1:
        return found
    numbers = [all(_RANGE.match(parts[name][k]) for name in found) for k in range(widths.pop())]

    def key(name: str) -> list[tuple[float, int, str]]:
        return [
            _rank(part) if of_numbers else (0.0, 0, part)
            for part, of_numbers in zip(parts[name], numbers, strict=True)
        ]

    return sorted(found, key=key)


def _rank(text: str) -> tuple[float, int, str]:
    match = _RANGE.match(text)
    assert match is not None
    sign = (match["sign"] or "").lower()
    # At one number: what lies below it, then what begins with it, then what lies above it.
    side = -1 if sign in _BELOW else 1 if sign or match["more"] else 0
    return float(match["number"]), side, text
