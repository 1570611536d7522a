"""No count under 5 in a report: small groups are pooled, small numbers said as such.

What a report says of few persons may name them to those who know the clinic. Groups with 1 to 4
positive or negative rows are pooled with the next smaller ones until no such count is left, so that
none can be found by subtraction either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.inputs import OTHERS

SMALL = 5
FEWER = f"fewer than {SMALL}"


def is_small(count: int) -> bool:
    """Whether a count is one that is not shown: 1 to 4.

    >>> [is_small(n) for n in (0, 1, 4, 5)]
    [False, True, True, False]
    """
    return 0 < count < SMALL


def count_text(count: int | None, hide: bool = False) -> str:
    """A count, or that it is small.

    >>> count_text(12), count_text(3), count_text(3, hide=True), count_text(None)
    ('12', '3', 'fewer than 5', 'fewer than 5')
    """
    return FEWER if count is None or (hide and is_small(count)) else f"{count:,}"


def pooled(
    column: pd.Categorical, positive: NDArray[np.bool_]
) -> tuple[pd.Categorical | None, list[str]]:
    """The groups without small counts, and the names of those that were pooled.

    Args:
        column: The group of each row, shape (n,).
        positive: Whether its label is 1, shape (n,).

    Returns:
        None where fewer than two groups are left.

    >>> groups = pd.Categorical(["a"] * 16 + ["b"] * 14 + ["c"] * 12 + ["d"] * 3)
    >>> found, names = pooled(groups, np.arange(45) % 2 == 0)
    >>> found.categories.tolist(), names
    (['a', 'b', 'others'], ['c', 'd'])
    """
    codes, k = column.codes, len(column.categories)
    known = codes >= 0
    both = np.stack(
        [np.bincount(codes[known & kind], minlength=k) for kind in (positive, ~positive)]
    )
    small = ((both > 0) & (both < SMALL)).any(0)
    if not small.any():
        return column, []
    together = np.flatnonzero(small)
    order = np.argsort(both.sum(0), kind="stable").tolist()
    rest = [g for g in order if g not in together]
    # One group alone, and a sum that is still small, can be found by subtraction.
    while len(together) < 2 or any(is_small(int(n)) for n in both[:, together].sum(1)):
        if not rest:
            return None, list(map(str, column.categories))
        together = np.append(together, rest.pop(0))
    names = [str(column.categories[int(g)]) for g in sorted(together)]
    if not rest:
        return None, names
    text = pd.Series(column.astype(object)).where(~np.isin(codes, together), OTHERS)
    text[~known] = None
    kept = [name for g, name in enumerate(column.categories) if g not in set(together)]
    return pd.Categorical(text, categories=[*kept, OTHERS]), names


def without_small(counts: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping of counts with the small ones as None; what is no count stays.

    >>> without_small({"n": 3, "auroc": 0.5, "rows": 10})
    {'n': None, 'auroc': 0.5, 'rows': 10}
    """
    return {
        key: None if isinstance(value, int) and is_small(value) else value
        for key, value in counts.items()
    }


def said_of_small(text: str) -> str:
    """A sentence in which counts of 1 to 4 (of rows, patients, cases) are said as small.

    >>> said_of_small("3 of 90 rows have no sex. Positive are 1 of 3 (33%) of them")
    'fewer than 5 of 90 rows have no sex. Positive are fewer than 5 of them'
    """
    text = re.sub(r"\b([1-4] of \d+|\d+ of [1-4])\b \(\d+%\)", FEWER, text)
    text = re.sub(r"\b[1-4](?= of \d)", FEWER, text)
    text = re.sub(r"(?<=\d of )[1-4]\b", FEWER, text)
    return re.sub(r"\b[1-4](?= (rows?|patients?|positive|negative|cases?|groups?)\b)", FEWER, text)
