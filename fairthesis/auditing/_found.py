"""The groups that a search found: tested on the patients held back, and which explains which."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from fairthesis.auditing._candidates import Candidates
from fairthesis.auditing._rest import SEARCHED, AgainstRest
from fairthesis.auditing._units import Rows
from fairthesis.stats import holm, permutation_p_value

ALPHA = 0.05
MOST_PERMUTATIONS = 20_000
CONFIRMED = ("value", "rest", "difference", "ci_low", "ci_high", "p_value", "n", "n_positive")


def confirm_found(
    table: pd.DataFrame, rows: Rows | None, given: Candidates, n_permutations: int, seed: int
) -> None:
    """Fill in what the held-back half says of the groups found."""
    for name in CONFIRMED:
        table[f"confirm_{name}"] = math.nan
    table["confirmed"] = pd.Series([None] * len(table), dtype=object)
    found = table.index[table["found"]]
    if rows is None or not len(found):
        return
    places = np.unique(table.loc[found, "place"])
    tested = AgainstRest(rows, given.inside[places], given.outside[places])
    names = list(dict.fromkeys(table.loc[found, "metric"]))
    # Holm's correction multiplies the smallest p by their number: it must stay below 0.05.
    n = max(n_permutations, min(100 * len(found), MOST_PERMUTATIONS))
    drawn = tested.permuted(names, n, seed, "search confirmation")
    members = tested.inside[:, rows.cell]
    for metric in names:
        observed, statistic = tested.observed(metric), tested.observed(metric).statistic(metric)[0]
        freedom = _degrees(tested, metric)
        for row in found[table.loc[found, "metric"] == metric]:
            k = int(np.searchsorted(places, table.loc[row, "place"]))
            difference = float(observed.inside[0, k] - observed.outside[0, k])
            error = math.sqrt(max(float(observed.variance[0, k]), 0.0))
            half = float(stdtrit(freedom[k], 0.975)) * error if error > 0 else math.nan
            told = math.isfinite(statistic[k]) or math.isinf(statistic[k])
            values = {
                "value": float(observed.inside[0, k]),
                "rest": float(observed.outside[0, k]),
                "difference": difference,
                "ci_low": difference - half,
                "ci_high": difference + half,
                "p_value": permutation_p_value(float(statistic[k]), drawn[metric][:, k])
                if told
                else math.nan,
                "n": int(members[k].sum()),
                "n_positive": int((rows.y[members[k]] > 0).sum()),
            }
            for name, value in values.items():
                table.loc[row, f"confirm_{name}"] = value
    p = holm(table.loc[found, "confirm_p_value"].to_list())
    table.loc[found, "confirm_p_value"] = p
    verdicts = [None if math.isnan(value) else value <= ALPHA for value in p]
    table.loc[found, "confirmed"] = pd.Series(verdicts, index=found, dtype=object)


def _degrees(tested: AgainstRest, metric: str) -> NDArray[np.float64]:
    """Degrees of freedom of the interval: effective patients on the smaller side, less one."""
    sides = [side for name in SEARCHED[metric][0] for side in tested.effective(name)]
    return np.maximum(np.min(sides, axis=0) - 1, 1.0)


def explain(table: pd.DataFrame, rows: Rows, given: Candidates) -> None:
    """Of overlapping groups found, which others each is explained by.

    The groups of a metric are taken from the largest statistic down. One is explained by those
    taken before where, without their rows, what is left of it fares no worse than the rest; a
    smaller one taken before is explained by a larger where it fares no worse than what the larger
    has beside it. "No worse": one-sided p above 0.05, uncorrected, over all rows.
    """
    table["explained_by"] = pd.Series([None] * len(table), dtype=object)
    order = table[table["found"]].sort_values("statistic", ascending=False, kind="stable")
    weight = np.bincount(rows.cell, minlength=given.inside.shape[1])
    name, place = table["group"].to_list(), table["place"].to_list()
    for metric in dict.fromkeys(order["metric"]):
        taken: list[int] = []
        for row in order.index[order["metric"] == metric]:
            inside, outside = given.inside[place[row]], given.outside[place[row]]
            before = [place[k] for k in taken]
            covered = given.inside[before].any(axis=0) if before else np.zeros(len(inside), bool)
            if before and not _worse(rows, inside & ~covered, outside & ~covered, metric):
                shared = [weight[inside & given.inside[k]].sum() for k in before]
                table.loc[row, "explained_by"] = name[taken[int(np.argmax(shared))]]
                continue
            for k, other in zip(list(taken), before, strict=True):
                part = given.inside[other]
                within = not (part & ~inside).any()
                if within and not _worse(rows, part, inside & ~part, metric):
                    table.loc[k, "explained_by"] = name[row]
                    taken.remove(k)
            taken.append(row)


def _worse(rows: Rows, inside: NDArray[np.bool_], outside: NDArray[np.bool_], metric: str) -> bool:
    """Whether some cells fare worse than others, one-sided at 5 % and uncorrected."""
    if not inside.any() or not outside.any():
        return False
    there = (inside | outside)[rows.cell]
    tested = AgainstRest(rows.part(there), inside[None, :], outside[None, :])
    statistic = float(tested.observed(metric).statistic(metric)[0, 0])
    return statistic > float(ndtri(1 - ALPHA))
