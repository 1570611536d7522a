"""A model in use: each group's numbers by period, against limits that were fixed beforehand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.auditing._monitor_report import MonitorReport
from fairthesis.auditing._monitor_rows import MonitoredRows, monitored_rows
from fairthesis.auditing._monitor_values import (
    METRICS,
    Part,
    limit_evidence,
    metric_value,
    shift,
)
from fairthesis.errors import InputError, unknown
from fairthesis.stats import holm

EVERYONE = ("", "all rows")


def monitor(
    frame: pd.DataFrame,
    *,
    time: str,
    groups: Sequence[str],
    limits: Mapping[str, float],
    label: str = "y_true",
    score: str = "y_score",
    patient: str | None = None,
    split: str | None = None,
    target: str | None = None,
    threshold: float | str = 0.5,
    by: str = "month",
    reference: str | None = None,
    alpha: float = 0.05,
    seed: int = 0,
) -> MonitorReport:
    """Follow predictions over time, group by group, and raise an alarm where a limit is broken.

    Each group, and all rows together, is tested against each limit by betting
    (``stats.drift_evidence``; Waudby-Smith and Ramdas 2024): while a group keeps a limit in every
    period, the chance that its evidence ever passes k / ``alpha``, k the number of tests, is
    alpha / k at most, so that the chance of any false alarm over all groups, limits and periods is
    ``alpha`` at most, however often one looks (Ville 1939). Each patient bets once for a group and
    limit, with the mean of their rows of the first period in which they have a case. An AUROC is
    tested by disjoint sets of one patient of the rarer class and equally many of the other; the
    ratio of observed to expected positives, ``oe``, on both sides by y - c s and s / c - y.

    Prevalence and scores of each later period are compared with the reference over patients' means
    (Mann and Whitney; Kolmogorov and Smirnov), corrected by Holm's method. They raise no alarm.

    Args:
        frame: a predictions table, one row per image; a label that is not known yet is empty.
        time: the column of dates, year first: 2024-03-31, 20240331, 2024-03.
        groups: attribute columns; ``"sex*age_group"`` is an intersection.
        limits: of ``tpr`` and ``auroc`` the least, of ``fpr`` the largest value that is allowed,
            between 0 and 1; of ``oe`` the factor c above 1 by which observed and expected numbers
            may differ, either way.
        label: the column of 0/1 labels.
        score: the column of probabilities.
        patient: the column of patient keys; None takes each row as a patient.
        split: the part; ``test`` where the table has a ``split`` column.
        target: the target, where the table has several.
        threshold: a number or a rule for the validation part, as for ``audit``.
        by: ``week`` (ISO), ``month`` or ``quarter``.
        reference: what shifts are measured from, a period or ``first..last``, such as
            ``2024-01..2024-06``; None takes the first period.
        alpha: chance of any false alarm, above 0 and below 0.5.
        seed: decides which patients are set against which for an AUROC.

    Raises:
        InputError: where a column is missing or cannot be read, a date has no year first, a limit
            or another option is out of its range, or no row has a date and a score.

    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"day": [f"2024-{1 + k // 200:02}-05" for k in range(1200)]})
    >>> table["y_true"], table["sex"] = 1, rng.choice(["F", "M"], 1200)
    >>> late = (table["day"] > "2024-03") & (table["sex"] == "F")
    >>> table["y_score"] = np.where(rng.random(1200) < np.where(late, 0.5, 0.9), 0.9, 0.1)
    >>> report = monitor(table, time="day", groups=["sex"], limits={"tpr": 0.8})
    >>> [(a["group"], a["metric"], a["alarm"]) for a in report.alarms]
    [('F', 'tpr', '2024-03'), ('all rows', 'tpr', '2024-04')]
    """
    names = [groups] if isinstance(groups, str) else list(dict.fromkeys(groups))
    if not names:
        raise InputError("No group is given: expected at least one attribute column.")
    limits = _limits(limits)
    if not 0 < alpha < 0.5:
        raise InputError(f"alpha is {alpha:g}: expected a chance above 0 and below 0.5.")
    rows = monitored_rows(
        frame,
        time=time,
        groups=names,
        by=by,
        label=label,
        score=score,
        patient=patient,
        split=split,
        target=target,
        threshold=threshold,
    )
    base = _reference(reference, rows.periods)
    members = {EVERYONE: np.ones(len(rows.y), bool)}
    for name in names:
        for k, group in enumerate(rows.groups[name].categories):
            members[name, str(group)] = rows.groups[name].codes == k
    n_tests = len(members) * len(limits)
    needed = math.log(n_tests / alpha)
    whole = Part(rows.y, rows.s, rows.s >= rows.threshold, rows.patient, rows.period)
    table, tests = [], []
    for (attribute, group), mask in members.items():
        part = whole.rows(mask)
        records = [_record(part, number, rows) for number in range(len(rows.periods))]
        labelled = part.rows(~np.isnan(part.y))
        for metric, limit in limits.items():
            draw = seed, f"monitor {attribute}={group}"
            test, evidence = _test(labelled, (metric, limit), rows.periods, (alpha, needed), draw)
            tests.append({"attribute": attribute, "group": group, **test})
            for record, value in zip(records, evidence, strict=True):
                record[f"{metric}_evidence"] = value
        _shifts(part, base, records)
        table += [{"attribute": attribute, "group": group, **record} for record in records]
    found = pd.DataFrame(table)
    _correct(found)
    named = {k: pd.Series([t[k] for t in tests], dtype=object) for k in ("alarm", "side")}
    return MonitorReport(
        periods=found,
        tests=pd.DataFrame(tests).assign(**named),
        limits=limits,
        reference=tuple(rows.periods[k] for k in base),
        threshold=rows.threshold,
        rule=rows.rule,
        n_rows=len(rows.y),
        n_patients=int(rows.patient.max()) + 1 if rows.has_patients else None,
        n_unlabelled=int(np.isnan(rows.y).sum()),
        warnings=tuple(rows.warnings),
        settings={
            "time": time,
            "by": by,
            "label": label,
            "score": score,
            "patient": patient,
            "split": rows.split,
            "target": rows.target,
            "groups": names,
            "alpha": alpha,
            "n_tests": n_tests,
            "seed": seed,
        },
    )


def _limits(given: Mapping[str, float]) -> dict[str, float]:
    if not given:
        raise InputError(
            "No limit is given: expected at least one, such as tpr=0.8, fpr=0.2, auroc=0.8 or "
            "oe=1.25, fixed before the data are looked at."
        )
    found = {}
    for name, value in given.items():
        if name not in METRICS:
            raise unknown("limit", name, METRICS)
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise InputError(f"The limit {name} is {value!r}: expected a number.") from error
        if name == "oe" and not 1 < number < math.inf:
            raise InputError(
                f"The limit oe is {number:g}: expected a factor above 1, such as 1.25, by which "
                "observed and expected numbers may differ either way."
            )
        if name != "oe" and not 0 < number < 1:
            raise InputError(f"The limit {name} is {number:g}: expected a number between 0 and 1.")
        found[name] = number
    return found


def _reference(given: str | None, periods: list[str]) -> list[int]:
    if given is None:
        return [0]
    first, dots, last = (part.strip() for part in given.partition(".."))
    ends = [first, last if dots else first]
    for name in ends:
        if name not in periods:
            raise InputError(
                f"The reference {given!r} names {name!r}: expected periods from {periods[0]} to "
                f"{periods[-1]}, one or first..last, as {periods[0]}..{periods[-1]}."
            )
    start, end = (periods.index(name) for name in ends)
    if start > end:
        raise InputError(f"The reference {given!r} ends before it begins: expected first..last.")
    return list(range(start, end + 1))


def _record(part: Part, number: int, rows: MonitoredRows) -> dict[str, Any]:
    here = part.rows(part.period == number)
    known = here.rows(~np.isnan(here.y))
    record: dict[str, Any] = {
        "period": rows.periods[number],
        "n": len(here.y),
        "n_patients": len(np.unique(here.patient)) if rows.has_patients else None,
        "n_positive": int((known.y > 0).sum()),
        "n_negative": int((known.y <= 0).sum()),
        "n_unlabelled": len(here.y) - len(known.y),
        "prevalence": float(known.y.mean()) if len(known.y) else math.nan,
        "mean_score": float(here.s.mean()) if len(here.s) else math.nan,
    }
    for metric in METRICS:
        value, low, high = metric_value(known, metric)
        record |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
    return record


def _test(
    part: Part,
    bound: tuple[str, float],
    periods: list[str],
    level: tuple[float, float],
    draw: tuple[int, str],
) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """One group against one limit: the first period with an alarm, and the evidence by period.

    Evidence is a share of what an alarm needs, on the logarithm: 1 is an alarm.
    """
    (metric, limit), (alpha, needed) = bound, level
    sides, patients = limit_evidence(part, metric, limit, len(periods), *draw)
    # Two sides share what one may err.
    capital = np.max(sides, axis=0) - math.log(len(sides))
    beyond = capital >= needed - 1e-9
    first = int(np.argmax(beyond)) if beyond.any() else None
    test = {
        "metric": metric,
        "limit": limit,
        "n_bets": patients,
        "p_value": float(min(1.0, alpha * math.exp(needed - capital.max()))),
        "alarm": None if first is None else periods[first],
        "side": None
        if first is None
        else _side(metric, int(np.argmax([side[first] for side in sides]))),
    }
    return test, capital / needed


def _side(metric: str, which: int) -> str:
    return {"tpr": "below", "auroc": "below", "fpr": "above"}.get(metric, ("above", "below")[which])


def _shifts(part: Part, base: list[int], records: list[dict[str, Any]]) -> None:
    for number, record in enumerate(records):
        for what in ("prevalence", "scores"):
            value, p = (math.nan, math.nan) if number in base else shift(part, base, number, what)
            record |= {f"{what}_shift": value, f"{what}_shift_p_value": p}


def _correct(table: pd.DataFrame) -> None:
    """Holm's correction over all groups, periods and both kinds of shift."""
    columns = ["prevalence_shift_p_value", "scores_shift_p_value"]
    p = holm(table[columns].to_numpy(np.float64).ravel().tolist())
    table[columns] = np.array(p).reshape(len(table), 2)
