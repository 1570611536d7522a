"""The published values of each data set: a value is known where it stands in the list, whole.

The lists are the tables in ``values/``: one row per column and value, what it means here (empty:
a value that says that it is unknown) and where the list is from. A value that is not listed is
unknown: it is counted by its name and never guessed from a part of a word.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pandas as pd

from fairthesis.inputs import as_text

TABLES = Path(__file__).parent / "values"
KEPT = "(set to unknown, image kept)"
NAMED, SHOWN = 20, 80  # values reported by name, and letters of each


def rows(name: str) -> list[dict[str, str]]:
    """The rows of ``values/<name>.csv``."""
    with (TABLES / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@cache
def published(dataset: str, column: str) -> dict[str, str]:
    """Each published value of a column, as it is written there, and what it means.

    >>> published("chexpert", "PRIMARY_RACE")["White or Caucasian"]
    'White'
    """
    return {row["value"]: row["means"] for row in rows(dataset) if row["column"] == column}


def spelling(value: str) -> str:
    """A value as it is compared: case, outer and doubled blanks and ``.0`` make no difference.

    >>> spelling(" White,  non-Hispanic "), spelling("2.0"), spelling("2.5")
    ('white, non-hispanic', '2', '2.5')
    """
    text = " ".join(value.split()).casefold()
    return re.sub(r"^([+-]?\d+)\.0*$", r"\1", text)


@cache
def _by_spelling(dataset: str, column: str) -> dict[str, str]:
    return {spelling(value): means for value, means in published(dataset, column).items()}


def spelled(given: pd.Series) -> pd.Series:
    """Each value as it is compared, null where the cell is empty."""
    compared = {value: spelling(str(value)) for value in given.dropna().unique()}
    text = given.map(compared).astype("object")
    return text.where(text.notna() & text.ne(""), None)


def meaning(given: pd.Series, dataset: str, column: str) -> pd.Series:
    """What each value means; null where the list says that it is unknown or does not hold it."""
    known = {value: means for value, means in _by_spelling(dataset, column).items() if means}
    return as_text(spelled(given).map(known))


def listed(given: pd.Series, dataset: str, column: str) -> pd.Series:
    """Whether each value is in the published list, one that means unknown among them."""
    return spelled(given).isin(set(_by_spelling(dataset, column)))


def count_values(given: pd.Series, what: str, then: str, left_out: Counter[str]) -> None:
    """Count ``given`` by value: ``what is 'value' then``, or ``what is empty then``."""
    reason = ("'" + spelled(given).astype("string") + "'").fillna("empty")
    found = {str(value): int(count) for value, count in reason.value_counts().items()}
    name_most(found, f"{what} is {{}} {then}", left_out)


def name_most(found: Mapping[str, int], form: str, left_out: Counter[str]) -> None:
    """Count under ``form`` the ``NAMED`` most frequent values by name, and the others together."""
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    for value, count in ranked[:NAMED]:
        shown = value if len(value) <= SHOWN else f"{value[: SHOWN - 3]}..."
        left_out[form.replace("{}", shown)] += count
    if len(ranked) > NAMED:
        others = f"one of {len(ranked) - NAMED} other values"
        left_out[form.replace("{}", others)] += sum(count for _, count in ranked[NAMED:])


def most_frequent(stays: pd.DataFrame, key: str, column: str) -> pd.Series:
    """The most frequent known value of each patient; the first in the alphabet at a tie."""
    counts = stays.dropna(subset=[column]).groupby([key, column]).size().reset_index(name="n")
    counts = counts.sort_values(["n", column], ascending=[False, True], kind="stable")
    return counts.drop_duplicates(key).set_index(key)[column]
