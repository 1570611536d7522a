"""The group that nobody named: which of all groups fares worse than its rest?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.auditing._candidates import Candidates, candidates, cut_numbers
from fairthesis.auditing._found import ALPHA, confirm_found, explain
from fairthesis.auditing._rest import SEARCHED, AgainstRest
from fairthesis.auditing._rows import audited_rows
from fairthesis.auditing._search_report import SearchReport
from fairthesis.auditing._units import Rows, label_pattern
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import (
    PREDICTIONS_TABLE,
    as_frame,
    require_columns,
    rows_of_split,
    rows_of_target,
)
from fairthesis.stats import generator, step_down_max_t


def search(
    frame: pd.DataFrame,
    *,
    groups: Sequence[str],
    label: str = "y_true",
    score: str = "y_score",
    patient: str | None = None,
    split: str | None = None,
    target: str | None = None,
    threshold: float | str = 0.5,
    metrics: Sequence[str] = ("tpr", "fpr", "auroc"),
    depth: int = 3,
    minimum: int = 20,
    bins: int = 4,
    n_permutations: int = 2000,
    confirm: float = 0.5,
    seed: int = 0,
) -> SearchReport:
    """Look through all groups that up to ``depth`` columns make for those that fare worse.

    Each group is compared with its rest, the rows known not to be in it. The statistic is the
    difference over its standard error, a cluster-robust one over patients: for a rate r on one side
    m / (m - 1) sum over patients (a - r b)^2 / (sum b)^2, a of a patient's b rows, m the effective
    number of patients (sum b)^2 / sum b^2; for an AUROC Obuchowski's (1997). p is corrected for all
    groups and metrics by the step-down maximum of the statistics (Westfall and Young 1993,
    ``stats.step_down_max_t``) when patients exchange all their attributes at once, so that the
    dependence of overlapping groups is kept. They are exchanged within patients with positive rows
    only, with negative rows only, and with both: prevalence that differs is no finding. A patient
    whose rows differ in an attribute (views, visits) hands on the cells of their positive rows to
    positive rows and of their negative rows to negative ones, in turn where the numbers differ.

    Patients are split at random in a half that is searched and one that is held back. In the latter
    only the groups found are tested, with Holm's correction for these few.

    Args:
        frame: a predictions table, one row per image, as for ``audit``.
        groups: attribute columns. One of more than ten numbers is cut into ``bins`` quantiles.
        label: the column of 0/1 labels; rows without are left out and counted.
        score: the column of probabilities.
        patient: the column of patient keys; None takes each row as a patient.
        split: the part; ``test`` where the table has a ``split`` column.
        target: the target, where the table has several.
        threshold: a number or a rule for the validation part, as for ``audit``.
        metrics: which of ``tpr``, ``fpr`` and ``auroc``.
        depth: columns that make a group at most, 1 to 3.
        minimum: effective patients with positive rows (tpr), negative ones (fpr) or each (auroc)
            that the group and its rest need in the searched half, 10 or more.
        bins: groups of a column of numbers, 2 to 10.
        n_permutations: exchanges for p values, 19 or more.
        confirm: share of patients held back, from 0 (nothing is confirmed) to 0.9.
        seed: decides halves and exchanges; the order of rows does not.

    Raises:
        InputError: where a column is missing or cannot be read, an option is out of its range, no
            group is above the floor, or there are more than 20,000 groups.

    >>> rng = np.random.default_rng(1)
    >>> table = pd.DataFrame({"y_true": rng.integers(0, 2, 900), "y_score": rng.random(900)})
    >>> table["sex"], table["age"] = rng.choice(["F", "M"], 900), rng.integers(20, 90, 900)
    >>> report = search(table, groups=["sex", "age"], metrics=["tpr"], n_permutations=99)
    >>> len(report.searched["edges"]["age"]), len(report.found())
    (3, 0)
    """
    names = [groups] if isinstance(groups, str) else list(dict.fromkeys(groups))
    metrics = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(metrics))
    _check(names, metrics, depth, minimum, bins, n_permutations, confirm)
    frame = as_frame(frame, PREDICTIONS_TABLE).reset_index(drop=True)
    used = (label, score, patient)
    require_columns(frame, [name for name in used if name], PREDICTIONS_TABLE)
    meant = rows_of_split(rows_of_target(frame, target, used)[0], split, used)[0]
    frame, edges = cut_numbers(frame, names, meant.index, patient, bins)
    checked = audited_rows(
        frame,
        groups=names,
        label=label,
        score=score,
        patient=patient,
        split=split,
        target=target,
        threshold=threshold,
    )
    known = {name: checked.groups[name] for name in names}
    given = candidates(known, depth)
    called = checked.s >= checked.threshold
    rows = Rows(checked.y, checked.s, called, checked.patient, given.cell)
    held_back = _held_back(rows, confirm, seed)
    discovery, confirmation = rows.part(~held_back), rows.part(held_back) if confirm else None
    table, over = _discover(discovery, given, metrics, minimum, n_permutations, seed)
    confirm_found(table, confirmation, given, n_permutations, seed)
    explain(table, rows, given)
    shown = table.sort_values(["statistic", "group"], ascending=[False, True], kind="stable")
    several = np.bincount(checked.patient).max() > 1
    return SearchReport(
        groups=shown.drop(columns="place").reset_index(drop=True),
        searched={
            "n_rows": len(rows.y),
            "n_patients": int(rows.patient.max()) + 1 if checked.has_patients else None,
            "discovery": _half(discovery, checked.has_patients),
            "confirmation": None
            if confirmation is None
            else _half(confirmation, checked.has_patients),
            "n_groups": len(given.parts),
            "n_compared": {m: int((table["metric"] == m).sum()) for m in metrics},
            "n_alike": given.alike,
            "critical": over,
            "columns": {name: [str(v) for v in known[name].categories] for name in names},
            "edges": edges,
            "varying": _varying(rows, known) if several else [],
        },
        threshold=checked.threshold,
        rule=checked.rule,
        warnings=tuple(checked.warnings),
        settings={
            "label": label,
            "score": score,
            "patient": patient,
            "split": checked.split,
            "target": checked.target,
            "metrics": metrics,
            "depth": depth,
            "minimum": minimum,
            "n_permutations": n_permutations,
            "confirm": confirm,
            "alpha": ALPHA,
            "seed": seed,
        },
    )


def _check(
    names: list[str],
    metrics: list[str],
    depth: int,
    minimum: int,
    bins: int,
    n_permutations: int,
    confirm: float,
) -> None:
    if not names:
        raise InputError("No group is given: expected at least one attribute column.")
    if not metrics:
        raise InputError(f"No metric is given: expected some of {', '.join(SEARCHED)}.")
    for metric in metrics:
        if metric not in SEARCHED:
            raise unknown("metric", metric, SEARCHED)
    ranges = {
        "depth": (depth, 1, 3),
        "minimum": (minimum, 10, math.inf),
        "bins": (bins, 2, 10),
        "n_permutations": (n_permutations, 19, math.inf),
        "confirm": (confirm, 0, 0.9),
    }
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            most = f"from {low} to {high:g}" if high < math.inf else f"of {low} or more"
            raise InputError(f"{name} is {value}: expected a number {most}.")


def _held_back(rows: Rows, share: float, seed: int) -> NDArray[np.bool_]:
    """Rows of the patients held back: the same share of each label pattern."""
    pattern = label_pattern(rows.y, rows.patient)
    order = generator(seed, "search halves", 0).permutation(len(pattern))
    chosen = np.zeros(len(pattern), bool)
    for kind in (1, 2, 3):
        members = order[pattern[order] == kind]
        chosen[members[: round(share * len(members))]] = True
    return chosen[rows.patient]


def _half(rows: Rows, has_patients: bool) -> dict[str, int | None]:
    patients = int(rows.patient.max()) + 1 if len(rows.y) else 0
    return {
        "n_rows": len(rows.y),
        "n_patients": patients if has_patients else None,
        "n_positive": int((rows.y > 0).sum()),
        "n_negative": int((rows.y <= 0).sum()),
    }


def _varying(rows: Rows, known: Mapping[str, pd.Categorical]) -> list[str]:
    """Columns in which rows of one patient differ."""
    found = []
    for name, column in known.items():
        pairs = np.unique(np.stack([rows.patient, column.codes.astype(np.intp)]), axis=1)
        if (np.bincount(pairs[0]) > 1).any():
            found.append(name)
    return found


def _discover(
    rows: Rows,
    given: Candidates,
    metrics: Sequence[str],
    minimum: int,
    n_permutations: int,
    seed: int,
) -> tuple[pd.DataFrame, float]:
    """Groups above the floor with their statistics and corrected p values; the critical value."""
    tested = AgainstRest(rows, given.inside, given.outside)
    enough = {
        name: np.minimum(*tested.effective(name)) >= minimum for name in ("positive", "negative")
    }
    above = {m: np.all([enough[c] for c in SEARCHED[m][0]], axis=0) for m in metrics}
    kept = np.flatnonzero(np.any(list(above.values()), axis=0))
    if not len(kept):
        raise InputError(
            f"None of {len(given.parts)} groups and its rest has {minimum} effective patients of "
            "the classes that the metrics need in the half that is searched: expected at least "
            "one. Lower minimum, hold back less (confirm), or choose larger groups."
        )
    tested = AgainstRest(rows, given.inside[kept], given.outside[kept])
    drawn = tested.permuted(metrics, n_permutations, seed, "search discovery")
    parts, null = [], []
    for metric in metrics:
        chosen = np.flatnonzero(above[metric][kept])
        parts.append(_described(tested, given, kept, metric, chosen))
        null.append(drawn[metric][:, chosen])
    table, permuted = pd.concat(parts, ignore_index=True), np.concatenate(null, axis=1)
    p = step_down_max_t(table["statistic"].to_numpy(), permuted)
    largest = np.nan_to_num(permuted, nan=-np.inf).max(axis=1)
    critical = float(np.quantile(largest, 1 - ALPHA, method="higher"))
    return table.assign(p_value=p, found=p <= ALPHA), critical


def _described(
    tested: AgainstRest,
    given: Candidates,
    kept: NDArray[np.intp],
    metric: str,
    chosen: NDArray[np.intp],
) -> pd.DataFrame:
    rows, found = tested.rows, tested.observed(metric)
    members = tested.inside[:, rows.cell]
    positive = (rows.y > 0).astype(np.float64)
    n, n_positive = members.sum(axis=1), (members @ positive).astype(np.intp)
    patients = [len(np.unique(rows.patient[members[k]])) for k in chosen]
    return pd.DataFrame(
        {
            "place": kept[chosen],
            "group": np.array(given.names, object)[kept[chosen]],
            "columns": [len(given.parts[k]) for k in kept[chosen]],
            "metric": metric,
            "n": n[chosen],
            "n_patients": patients,
            "n_positive": n_positive[chosen],
            "n_negative": (n - n_positive)[chosen],
            "value": found.inside[0, chosen],
            "rest": found.outside[0, chosen],
            "difference": (found.inside - found.outside)[0, chosen],
            "standard_error": np.sqrt(np.maximum(found.variance[0, chosen], 0.0)),
            "statistic": found.statistic(metric)[0, chosen],
        }
    )
