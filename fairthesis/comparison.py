"""Two methods on the same cases: paired changes in each group; was a gap levelled down?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairthesis import disparity, metrics, replicates, resampling
from fairthesis.errors import InputError
from fairthesis.schema import group_values, require_columns

BETWEEN = "between groups"
EVERYONE = "all rows"


def compare(
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
    (``resampling.bootstrap_p_value``). Groups with fewer than ``floor`` positives or negatives are
    given, but kept out of the disparities.
    """
    both = [*key, label, score]
    require_columns(reference, [*both, patient], "the reference table")
    require_columns(other, both, "the other table")
    groups = group_values(reference, group, "the reference table")
    joined = _join(reference[[*both, patient]].assign(**{group: groups}), other[both], key, label)
    joined = joined.dropna(subset=[label, score, f"{score} other"])
    y = joined[label].to_numpy(np.float64)
    who = resampling.patient_index(joined[patient])
    column = pd.Categorical(joined[group])
    masks = [np.ones(len(y), bool), *(column.codes == k for k in range(len(column.categories)))]
    scores = [joined[name].to_numpy(np.float64) for name in (score, f"{score} other")]
    pairs = list(zip(scores, thresholds, strict=True))
    parts = [replicates.prepare(y[m], s[m], who[m], t) for s, t in pairs for m in masks]
    drawn = replicates.bootstrap_metrics(parts, int(who.max()) + 1, n_boot, seed)
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
    fewest = [min(y[m].sum(), (1 - y[m]).sum()) for m in masks[1:]]
    kept = [1 + k for k, number in enumerate(fewest) if number >= floor]
    before, after = (
        disparity.disparities({m: block[:, kept, place[m]] for m in disparity.NEEDED})
        for block in (first, second)
    )
    rows += [_row(BETWEEN, name, before[name], after[name]) for name in before]
    return pd.DataFrame(rows)


def _join(
    reference: pd.DataFrame, other: pd.DataFrame, keys: Sequence[str], label: str
) -> pd.DataFrame:
    key = list(keys)
    for frame, what in ((reference, "reference"), (other, "other")):
        if frame.duplicated(key).any():
            raise InputError(f"A key ({', '.join(key)}) appears twice in the {what} table.")
    joined = reference.merge(other, on=key, how="outer", suffixes=("", " other"), indicator=True)
    alone = int((joined["_merge"] != "both").sum())
    if alone:
        raise InputError(
            f"{alone} cases are in one table only: expected the same cases in both, so that the "
            "comparison is paired."
        )
    known = joined[label].notna() | joined[f"{label} other"].notna()
    if (joined[label] != joined[f"{label} other"])[known].any():
        raise InputError(f"The tables disagree on {label}: expected the same labels in both.")
    return joined


def _row(group: str, metric: str, before: np.ndarray, after: np.ndarray) -> dict[str, object]:
    change = after - before
    interval = resampling.percentile_interval(change[1:]) if np.isfinite(change[0]) else None
    low, high = interval or (np.nan, np.nan)
    values = {"reference": before[0], "other": after[0], "change": change[0]}
    p = resampling.bootstrap_p_value(change[1:]) if interval else np.nan
    row = {"group": group, "metric": metric, **values, "ci_low": low, "ci_high": high}
    return {**row, "p_value": p}


@dataclass(frozen=True)
class Levelling:
    """How a gap changed: through the group that was best, or the one that was worst.

    ``levelled_down`` is set where the gap shrank and the better group lost more than the worse
    one gained.
    """

    best: str
    worst: str
    gap_change: float
    best_change: float
    worst_change: float
    levelled_down: bool


def levelling(changes: pd.DataFrame, metric: str = "auroc") -> Levelling:
    """Whether a gap in ``metric`` (larger is better) was levelled down, from ``compare``'s table.

    >>> table = pd.DataFrame({"group": ["a", "b"], "metric": "auroc", "reference": [0.9, 0.8],
    ...                       "other": [0.82, 0.81], "change": [-0.08, 0.01]})
    >>> levelling(table).levelled_down
    True
    """
    rows = changes[(changes["metric"] == metric) & ~changes["group"].isin([EVERYONE, BETWEEN])]
    rows = rows.dropna(subset=["reference", "other"]).set_index("group")
    if len(rows) < 2:
        raise InputError(f"{metric} is known in fewer than two groups: there is no gap to judge.")
    best, worst = str(rows["reference"].idxmax()), str(rows["reference"].idxmin())
    before, after = (float(np.ptp(rows[name])) for name in ("reference", "other"))
    lost, gained = -float(rows["change"][best]), float(rows["change"][worst])
    down = after < before and lost > max(gained, 0.0)
    return Levelling(best, worst, after - before, -lost, gained, down)
