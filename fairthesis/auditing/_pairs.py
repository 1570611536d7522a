"""Two methods on the same cases: paired changes in each group; was a gap levelled down?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import metrics, stats
from fairthesis.auditing._metrics import RESAMPLED_METRICS
from fairthesis.errors import InputError
from fairthesis.inputs import (
    as_frame,
    filled,
    group_values,
    key_column,
    label_column,
    probability_column,
    require_columns,
)
from fairthesis.metrics import NEEDED, disparities

BETWEEN = "between groups"
EVERYONE = "all rows"


def paired_changes(
    reference: pd.DataFrame,
    other: pd.DataFrame,
    *,
    group: str,
    key: Sequence[str] = ("image_id",),
    label: str = "y_true",
    score: str = "y_score",
    patient: str = "patient_id",
    thresholds: tuple[float, float] = (0.5, 0.5),
    n_boot: int = 2000,
    seed: int = 0,
    floor: int = 0,
) -> pd.DataFrame:
    """Changes from ``reference`` to ``other``, with paired intervals over resampled patients.

    The tables are joined by ``key``, never by position, and must hold the same cases with the
    same labels; ``group`` is a column of the reference or an intersection (``sex*age_group``).
    Rows of the result: each metric for all rows and each group, each disparity between groups;
    columns ``group, metric, reference, other, change, ci_low, ci_high, p_value``, where change is
    other minus reference. The p value is two-sided, from the same replicates as the interval
    (``stats.bootstrap_p_value``). Groups with fewer than ``floor`` positives or negatives are
    given, but kept out of the disparities.
    """
    first, second = as_frame(reference, "the reference table"), as_frame(other, "the other table")
    rows = paired_rows(first, second, group, key, label, score, patient)
    return changes_of(rows, thresholds, n_boot, seed, floor)


def changes_of(
    paired: pd.DataFrame, thresholds: tuple[float, float], n_boot: int, seed: int, floor: int
) -> pd.DataFrame:
    """``compare``'s table, from ``paired_rows``."""
    y = paired["label"].to_numpy(np.float64)
    who = stats.patient_index(paired["patient"])
    column = pd.Categorical(paired["group"])
    masks = [np.ones(len(y), bool), *(column.codes == k for k in range(len(column.categories)))]
    scores = [paired[name].to_numpy(np.float64) for name in ("score", "other")]
    pairs = list(zip(scores, thresholds, strict=True))
    parts = [stats.prepare(y[m], s[m], who[m], t) for s, t in pairs for m in masks]
    wanted = list(RESAMPLED_METRICS.values())
    drawn = stats.bootstrap_groups(parts, wanted, int(who.max()) + 1, n_boot, seed)
    # Rates at a fixed other rate do not depend on the threshold: models are compared by AUROC.
    drawn = drawn[..., : len(metrics.METRICS)]
    exact = np.array(
        [list(metrics.evaluate(y[m], s[m], threshold=t).values()) for s, t in pairs for m in masks]
    )
    size = len(masks)
    first, second = (np.concatenate([exact[None], drawn])[:, k : k + size] for k in (0, size))
    names = [EVERYONE, *map(str, column.categories)]
    rows = [
        _row(name, metric, first[:, g, k], second[:, g, k])
        for g, name in enumerate(names)
        for k, metric in enumerate(metrics.METRICS)
    ]
    place = {metric: k for k, metric in enumerate(metrics.METRICS)}
    large = large_groups(paired, floor)
    kept = [1 + k for k, name in enumerate(names[1:]) if name in large]
    before, after = (
        disparities({m: block[:, kept, place[m]] for m in NEEDED}) for block in (first, second)
    )
    rows += [_row(BETWEEN, name, before[name], after[name]) for name in before]
    return pd.DataFrame(rows)


def large_groups(paired: pd.DataFrame, floor: int) -> list[str]:
    """The groups of ``paired_rows`` with at least ``floor`` positives and negatives."""
    y, groups = paired["label"].astype(float), paired["group"]
    fewest = pd.concat([y.groupby(groups).sum(), (1 - y).groupby(groups).sum()], axis=1).min(axis=1)
    return [str(name) for name in fewest.index[fewest >= floor]]


def paired_rows(
    reference: pd.DataFrame,
    other: pd.DataFrame,
    group: str,
    key: Sequence[str],
    label: str,
    score: str,
    patient: str,
) -> pd.DataFrame:
    """The cases that ``compare`` compares: a label and both scores are known.

    Columns ``label, score, other, patient, group``, whatever the tables call them: a column may
    serve twice, as key and patient where each patient has one row. ``other`` is the other score;
    the index is the place in the reference.
    """
    require_columns(reference, [*key, label, score, patient], "the reference table")
    require_columns(other, [*key, label, score], "the other table")
    first, second = _match(reference, other, list(dict.fromkeys(key)))
    y = [
        label_column(frame, label, what)[at]
        for frame, what, at in (
            (reference, "the reference table", first),
            (other, "the other table", second),
        )
    ]
    if not np.array_equal(y[0], y[1], equal_nan=True):
        raise InputError(f"The tables disagree on {label}: expected the same labels in both.")
    columns = {
        "label": y[0],
        "score": probability_column(reference, score, "the reference table")[first],
        "other": probability_column(other, score, "the other table")[second],
        "patient": filled(key_column(reference, patient, "the reference table")).iloc[first].array,
        "group": group_values(reference, group, "the reference table").iloc[first].array,
    }
    rows = pd.DataFrame(columns, index=first)
    rows = rows.dropna(subset=["label", "score", "other"])
    if rows.empty:
        raise InputError(
            f"No case has {label} and, in both tables, {score}: expected cases that both models "
            "have scored. Do the tables belong together?"
        )
    return rows


def _match(
    reference: pd.DataFrame, other: pd.DataFrame, key: list[str]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each case is in both tables, in the order of the key."""
    found = []
    for what, frame in (("reference", reference), ("other", other)):
        keys = pd.DataFrame({name: key_column(frame, name, f"the {what} table") for name in key})
        if keys.isna().any(axis=None):
            raise InputError(f"A key ({', '.join(key)}) is empty in the {what} table.")
        if keys.duplicated(key).any():
            raise InputError(f"A key ({', '.join(key)}) appears twice in the {what} table.")
        found.append(keys.assign(**{f"{what} row": np.arange(len(frame))}))
    joined = found[0].merge(found[1], on=key, how="outer", indicator=True)
    alone = int((joined["_merge"] != "both").sum())
    if alone:
        which, odd = "reference", joined[joined["_merge"] == "left_only"]
        if odd.empty:
            which, odd = "other", joined[joined["_merge"] == "right_only"]
        raise InputError(
            f"{alone} cases are in one table only, {', '.join(odd[key].iloc[0])} in the {which} "
            "one for instance: expected the same cases in both, so that the comparison is paired."
        )
    first, second = (joined[f"{what} row"].to_numpy(np.intp) for what in ("reference", "other"))
    return first, second


def _row(group: str, metric: str, before: np.ndarray, after: np.ndarray) -> dict[str, object]:
    change = after - before
    interval = stats.percentile_interval(change[1:]) if np.isfinite(change[0]) else None
    low, high = interval or (np.nan, np.nan)
    values = {"reference": before[0], "other": after[0], "change": change[0]}
    p = stats.bootstrap_p_value(change[1:]) if interval else np.nan
    row = {"group": group, "metric": metric, **values, "ci_low": low, "ci_high": high}
    return {**row, "p_value": p}


@dataclass(frozen=True)
class Levelling:
    """How a gap changed: through the group that was best, or the one that was worst.

    ``levelled_down`` is set where the gap shrank and the better group lost more than the worse
    one gained. ``best`` and ``worst`` are the groups with the reference's highest and lowest
    value; the changes are the other model less the reference.

    >>> down = Levelling("m", "f", -0.05, best_change=-0.06, worst_change=-0.01, levelled_down=True)
    >>> down.best
    'm'
    """

    best: str
    worst: str
    gap_change: float
    best_change: float
    worst_change: float
    levelled_down: bool


def levelling(
    changes: pd.DataFrame, metric: str = "auroc", groups: Collection[str] | None = None
) -> Levelling:
    """Whether a gap in ``metric`` (larger is better) was levelled down, from ``compare``'s table.

    ``groups`` are those that the gap is between, ``large_groups`` for instance; all by default.

    >>> table = pd.DataFrame({"group": ["a", "b"], "metric": "auroc", "reference": [0.9, 0.8],
    ...                       "other": [0.82, 0.81], "change": [-0.08, 0.01]})
    >>> levelling(table).levelled_down
    True
    """
    rows = changes[(changes["metric"] == metric) & ~changes["group"].isin([EVERYONE, BETWEEN])]
    if groups is not None:
        rows = rows[rows["group"].isin(list(groups))]
    rows = rows.dropna(subset=["reference", "other"]).set_index("group")
    if len(rows) < 2:
        raise InputError(f"{metric} is known in fewer than two groups: there is no gap to judge.")
    best, worst = str(rows["reference"].idxmax()), str(rows["reference"].idxmin())
    before, after = (float(np.ptp(rows[name])) for name in ("reference", "other"))
    lost, gained = -float(rows["change"][best]), float(rows["change"][worst])
    down = after < before and lost > max(gained, 0.0)
    return Levelling(best, worst, after - before, -lost, gained, down)
