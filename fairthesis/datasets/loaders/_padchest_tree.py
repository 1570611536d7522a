"""PadChest's labels: the published tree of terms, and a study's list of labels read by it.

A child counts for its parents: ``hydropneumothorax`` is a pneumothorax and a pleural effusion. The
tree is ``values/padchest-tree.csv``, one row per term and parent.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.datasets.loaders._values import count_values, name_most, rows, spelling

FINDING_TREES = ("finding", "diagnosis")
# The film or the report is marked as no full reading: what is not named may be there anyway.
NO_READING = frozenset({"exclude", "suboptimal study", "unchanged"})
NO_FILM = frozenset({"exclude", "suboptimal study"})  # nothing normal is read from these
NORMAL = "normal"
_ITEM = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|nan|None"""
# commas, or blanks alone, as numpy prints an array
_LIST = re.compile(rf"\[\s*(?:(?:{_ITEM})\s*,?\s*)*\]", re.DOTALL)


@cache
def with_parents(term: str) -> frozenset[str]:
    """A finding or diagnosis and all terms above it; empty where the tree does not hold it.

    >>> sorted(with_parents("air bronchogram"))
    ['air bronchogram', 'alveolar pattern', 'consolidation', 'infiltrates']
    """
    parents = _parents()
    if term not in parents:
        return frozenset()
    above = (with_parents(parent) for parent in parents[term])
    return frozenset({term}).union(*above)


@cache
def _parents() -> dict[str, tuple[str, ...]]:
    """Each finding and diagnosis, as it is compared, with the terms right above it."""
    found: dict[str, tuple[str, ...]] = {}
    for row in rows("padchest-tree"):
        if row["tree"] in FINDING_TREES:
            term, parent = spelling(row["term"]), spelling(row["parent"])
            found[term] = (*found.get(term, ()), *((parent,) if parent else ()))
    return found


@cache
def _places() -> frozenset[str]:
    return frozenset(
        spelling(row["term"]) for row in rows("padchest-tree") if row["tree"] == "localization"
    )


def read_list(text: str) -> list[str] | None:
    """The labels of a list as Python or numpy write it; None where the text is no such list.

    >>> read_list('''['', "Kerley's lines", 'COPD signs ']''')
    ["kerley's lines", 'copd signs']
    """
    if not _LIST.fullmatch(text.strip()):
        return None
    items = re.findall(_ITEM, text)
    try:
        words = [ast.literal_eval(item) for item in items if item[0] in "'\""]
    except (SyntaxError, ValueError):
        return None
    return [label for label in map(spelling, words) if label]


def read_labels(
    given: pd.Series, targets: dict[str, str], here: pd.Series, left_out: Counter[str]
) -> dict[str, NDArray[np.float64]]:
    """Each target (name -> term) of each study: 1 present, 0 absent, NaN not stated.

    - a term of the tree is present, with all that stand above it;
    - the others are absent where the list names a finding or is ``normal``; not where it says
      ``exclude`` or ``suboptimal study`` (no full reading), or ``unchanged`` beside a finding
      (others may be unchanged as well);
    - ``normal`` beside a finding contradicts it: not stated, and counted;
    - an empty list, one of places (``loc left``) or of unknown words alone states nothing.

    Labels that are not in the tree are counted by name, in images at hand, and passed over.
    """
    lists = {text: read_list(str(text)) for text in given.dropna().unique()}
    unread = given.map(lambda text: lists.get(text) is None).astype(bool) & given.notna()
    unread &= given.fillna("").str.strip().ne("")
    count_values(given[unread & here], "Labels", "(not a list: not stated, image kept)", left_out)
    strange: Counter[str] = Counter()
    contradicted = 0
    columns = {name: np.full(len(given), np.nan) for name in targets}
    for row, (text, at_hand) in enumerate(zip(given, here, strict=True)):
        labels = (lists.get(text) if isinstance(text, str) else None) or []
        present, marks, unlisted = _sorted_out(labels)
        for name, value in _stated(present, marks, targets).items():
            columns[name][row] = value
        if at_hand:
            strange.update(unlisted)
            contradicted += bool(present) and NORMAL in marks
    name_most(strange, "{} is not in the published list (ignored)", left_out)
    if contradicted:
        left_out[f"'{NORMAL}' stands beside a finding ({NORMAL} not stated)"] += contradicted
    return columns


def _sorted_out(labels: list[str]) -> tuple[set[str], set[str], list[str]]:
    """The terms that a list of labels implies, its words on the study, and unpublished ones."""
    present: set[str] = set()
    marks: set[str] = set()
    unlisted: list[str] = []
    for label in dict.fromkeys(labels):
        if label in NO_READING or label == NORMAL:
            marks.add(label)
        elif label.startswith("loc "):
            places = [spelling(part).removeprefix("loc ") for part in label.split(",")]
            unlisted += [f"localisation '{place}'" for place in places if place not in _places()]
        elif above := with_parents(label):
            present |= above
        else:
            unlisted.append(f"finding '{label}'")
    return present, marks, unlisted


def _stated(present: set[str], marks: set[str], targets: dict[str, str]) -> dict[str, float]:
    """The targets that a study states, by the rules of ``read_labels``."""
    normal = NORMAL in marks and not marks & NO_FILM
    full = normal or (bool(present) and not marks & NO_READING)
    values = {
        name: float(term in present)
        for name, term in targets.items()
        if term in present or (full and term != NORMAL)
    }
    if normal and not present:
        values |= {name: 1.0 for name, term in targets.items() if term == NORMAL}
    elif present and NORMAL not in marks:
        values |= {name: 0.0 for name, term in targets.items() if term == NORMAL}
    return values
