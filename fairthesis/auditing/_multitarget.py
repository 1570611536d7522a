"""Metrics of many targets or classes at once: per target, per group, per intersection, tidy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.auditing._findings import class_columns, class_names, class_rows, sums_off_one
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import (
    as_frame,
    is_empty,
    label_column,
    number_column,
    probability_column,
    require_columns,
    row_groups,
    rows_of_split,
)

Array = NDArray[np.float64]
WHAT = "the predictions table"
COLUMNS = (
    "target",
    "attribute",
    "group",
    "n",
    "n_positive",
    "n_negative",
    "metric",
    "value",
)


def multilabel_table(
    frame: pd.DataFrame,
    *,
    groups: Sequence[str] = (),
    label: str = "y_true",
    score: str = "y_score",
    target: str = "target",
    split: str | None = None,
    threshold: float | Mapping[Any, float] = 0.5,
    weight: str | None = None,
) -> pd.DataFrame:
    """Every metric of every target, over all rows and in each group: a row per number.

    Columns ``target, attribute, group, n, n_positive, n_negative, metric, value``; ``attribute``
    and ``group`` are empty over all rows. ``groups`` are attributes; ``"sex*age_group"`` is an
    intersection. ``threshold`` is one number, or one per target. ``weight`` names a column of
    sample weights, which count cases: counts stay unweighted, values are weighted. Rows without
    a label or score are left out; ``macro`` averages over targets.

    >>> table = pd.DataFrame({"target": ["a", "a", "b", "b"], "y_true": [0, 1, 1, 0]})
    >>> found = multilabel_table(table.assign(y_score=[0.2, 0.7, 0.4, 0.6]))
    >>> found[found["metric"] == "auroc"].set_index("target")["value"].to_dict()
    {'a': 1.0, 'b': 0.0}
    """
    frame = as_frame(frame, WHAT)
    require_columns(frame, [target, label, score, *([weight] if weight else [])], WHAT)
    rows, _ = rows_of_split(frame.reset_index(drop=True), split)
    named = class_names(rows[target])
    kept = ~is_empty(rows[label]) & ~is_empty(rows[score]) & named.notna().to_numpy(bool)
    rows, names = rows[kept], named[kept].to_numpy(object)
    if rows.empty:
        raise InputError(f"No row in {WHAT} has {target}, {label} and {score}.")
    try:
        y = label_column(rows, label, WHAT)
    except InputError as error:
        raise InputError(f"{error} For classes use multiclass_table.") from error
    s = probability_column(rows, score, WHAT)
    w = _weights(rows, weight)
    kinds = sorted(set(names))
    cut = _thresholds(threshold, kinds)
    parts = _parts(rows, groups)
    found = []
    for name in kinds:
        own = names == name
        for attribute, group, members in parts:
            m = own & members
            found += _rows(name, attribute, group, y[m], s[m], None if w is None else w[m], cut)
    return pd.DataFrame(found, columns=list(COLUMNS))


def multiclass_table(
    frame: pd.DataFrame,
    *,
    classes: Mapping[Any, str] | Sequence[str],
    label: str = "y_true",
    groups: Sequence[str] = (),
    split: str | None = None,
    threshold: float | Mapping[Any, float] = 0.5,
    weight: str | None = None,
) -> pd.DataFrame:
    """``multilabel_table`` of each class against the rest (Provost and Domingos 2000).

    ``classes`` names the columns of class probabilities: a mapping from class to column, or the
    columns where they are called as the classes in ``label``. A class may be a number. A row's
    probabilities add up to 1. The decision for a class is its own probability against
    ``threshold``.

    >>> table = pd.DataFrame({"y_true": ["nv", "mel"], "nv": [0.7, 0.6], "mel": [0.3, 0.4]})
    >>> found = multiclass_table(table, classes=["nv", "mel"])
    >>> found[found["metric"] == "tpr"].set_index("target")["value"].to_dict()
    {'mel': 0.0, 'nv': 1.0}
    """
    frame = as_frame(frame, WHAT)
    columns = class_columns(classes)
    rows = class_rows(frame, label, columns).reset_index(drop=True)
    truth = class_names(rows[label])
    total, off = sums_off_one(rows, columns)
    if off.any():
        raise InputError(
            f"The class probabilities of row {int(off.argmax())} add up to "
            f"{total[off][0]:.4g}: expected 1. Apply softmax to logits; for labels "
            "that can occur together use multilabel_table."
        )
    keep = [c for c in rows.columns if c not in ("target", "y_true", "y_score")]
    parts = [
        rows[keep].assign(target=name, y_true=(truth == name).astype(float), y_score=rows[column])
        for name, column in columns.items()
    ]
    stacked = pd.concat(parts, ignore_index=True)
    return multilabel_table(stacked, groups=groups, split=split, threshold=threshold, weight=weight)


def macro(table: pd.DataFrame) -> pd.DataFrame:
    """The unweighted mean over targets of every metric in each group, and of how many targets.

    Columns ``attribute, group, metric, value, targets``. A target whose value is not known in a
    group is left out of that group's mean: look at ``targets`` before comparing groups.

    >>> table = pd.DataFrame({"target": ["a", "b"], "y_true": [1, 1], "y_score": [0.2, 0.7]})
    >>> found = macro(multilabel_table(table)).set_index("metric")
    >>> float(found.loc["tpr", "value"]), int(found.loc["auroc", "targets"])
    (0.5, 0)
    """
    require_columns(table, COLUMNS, "the table of targets")
    by = table.groupby(["attribute", "group", "metric"], sort=False)["value"]
    return by.agg(value="mean", targets="count").reset_index()


def _parts(
    rows: pd.DataFrame, groups: Sequence[str]
) -> list[tuple[str, str, np.ndarray[tuple[int], np.dtype[np.bool_]]]]:
    """(attribute, group, members) of all rows and of every group."""
    parts = [("", "", np.ones(len(rows), bool))]
    for attribute in dict.fromkeys([groups] if isinstance(groups, str) else groups):
        column = row_groups(rows, attribute)
        parts += [
            (attribute, str(name), column.codes == k) for k, name in enumerate(column.categories)
        ]
    return parts


def _rows(
    target: str,
    attribute: str,
    group: str,
    y: Array,
    s: Array,
    w: Array | None,
    cut: Mapping[str, float],
) -> list[tuple[str, str, str, int, int, int, str, float]]:
    positive = int((y > 0).sum())
    head = (target, attribute, group, len(y), positive, len(y) - positive)
    if not len(y):
        return [(*head, name, float("nan")) for name in metrics.METRICS]
    found = metrics.evaluate(y, s, threshold=cut[target], weight=w)
    return [(*head, name, value) for name, value in found.items()]


def _thresholds(threshold: float | Mapping[Any, float], targets: Sequence[str]) -> dict[str, float]:
    if not isinstance(threshold, Mapping):
        return dict.fromkeys(targets, float(threshold))
    given = dict(zip(class_names(pd.Series(list(threshold))), threshold.values(), strict=True))
    for name in targets:
        if name not in given:
            raise unknown("target without a threshold", name, threshold)
    return {name: float(given[name]) for name in targets}


def _weights(rows: pd.DataFrame, weight: str | None) -> Array | None:
    if weight is None:
        return None
    w: Array = number_column(rows, weight, WHAT, "a weight of 0 or more")
    if (w < 0).any() or not np.isfinite(w).all():
        bad = w[(w < 0) | ~np.isfinite(w)][0]
        raise InputError(f"{weight} is {bad:g} in {WHAT}: expected weights of 0 or more.")
    return w
