"""Monitoring as one self-contained page: its numbers; the page is ``monitor.html``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairthesis.auditing._page import render_page, round_ticks
from fairthesis.auditing._wording import ALPHA, interval_text, label_of, number_text, p_value_text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 320, 128, 34, 8, 12, 20
MARGIN = 0.08  # beyond values and limits; longer intervals are cut there
WORDS = {"oe": "observed over expected positives"}


def render_monitor(found: Mapping[str, Any]) -> str:
    """The page for the dictionary of ``monitor.json``."""
    by_group: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in found["periods"]:
        by_group.setdefault((row["attribute"], row["group"]), []).append(row)
    names = [row["period"] for row in next(iter(by_group.values()))]
    tests = {(t["attribute"], t["group"], t["metric"]): t for t in found["tests"]}
    charts = [
        {
            "label": _label(metric),
            "metric": metric,
            "limit": _limit_text(metric, limit),
            "groups": _charts(metric, limit, by_group, tests, names),
        }
        for metric, limit in found["limits"].items()
    ]
    return render_page(
        "monitor.html",
        found=found,
        settings=found["settings"],
        names=names,
        charts=charts,
        sentences=_sentences(found, names),
        tests=[_test(test, by_group) for test in found["tests"]],
        shifts=_shifts(found["periods"]),
        groups=[
            {"name": _name(*key), "rows": [_period(row) for row in rows]}
            for key, rows in by_group.items()
        ],
        number=number_text,
        label_of=_label,
    )


def _label(metric: str) -> str:
    return WORDS.get(metric, label_of(metric))


def _name(attribute: str, group: str) -> str:
    return f"{attribute}: {group}" if attribute else group


def _limits_of(metric: str, limit: float) -> list[float]:
    return [1 / limit, limit] if metric == "oe" else [limit]


def _limit_text(metric: str, limit: float) -> str:
    if metric == "oe":
        return f"between {number_text(1 / limit)} and {number_text(limit)}"
    return f"at {'most' if metric == 'fpr' else 'least'} {number_text(limit)}"


def _sentences(found: Mapping[str, Any], names: list[str]) -> list[str]:
    alarms, settings = found["alarms"], found["settings"]
    told = [
        f"{_name(a['attribute'], a['group'])}: the {_label(a['metric'])} has come to lie "
        f"{a['side']} its limit of {_bound(a)}; the alarm was raised with {a['period']}."
        for a in ({**alarm, "period": alarm["alarm"]} for alarm in alarms)
    ]
    kept = settings["n_tests"] - len(alarms)
    if kept:
        told.append(
            f"{kept} of {settings['n_tests']} tests of a group against a limit raised no alarm "
            f"from {names[0]} to {names[-1]}. That is no proof that the limits are kept."
        )
    told.append(
        f"Where every group keeps its limits, the chance of any alarm at all is at most "
        f"{settings['alpha']:g}, however often this is looked at."
    )
    return told


def _bound(alarm: Mapping[str, Any]) -> str:
    below = alarm["metric"] == "oe" and alarm["side"] == "below"
    return number_text(1 / alarm["limit"] if below else alarm["limit"])


def _charts(
    metric: str,
    limit: float,
    by_group: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]],
    tests: Mapping[tuple[str, str, str], Mapping[str, Any]],
    names: list[str],
) -> list[dict[str, Any]]:
    """A small chart for each group, all on one scale."""
    bounds = _limits_of(metric, limit)
    values = [r[metric] for rows in by_group.values() for r in rows if r[metric] is not None]
    low, high = min([*values, *bounds]), max([*values, *bounds])
    pad = MARGIN * max(high - low, 0.1)
    low, high = max(low - pad, 0.0), high + pad
    high = high if metric == "oe" else min(high, 1.0)

    def up(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - share), 1)

    def across(number: int) -> float:
        wide = WIDTH - LEFT - RIGHT - 8
        return round(LEFT + 4 + wide * (number / max(len(names) - 1, 1)), 1)

    ticks = [(up(value), text) for value, text in round_ticks(low, high)]
    every = max(1, -(-len(names) // 4))
    charts = []
    for (attribute, group), rows in by_group.items():
        test = tests[attribute, group, metric]
        known = [(k, r) for k, r in enumerate(rows) if r[metric] is not None]
        alarm = None if test["alarm"] is None else names.index(test["alarm"])
        charts.append(
            {
                "name": _name(attribute, group),
                "width": WIDTH,
                "height": HEIGHT,
                "left": LEFT,
                "right": WIDTH - RIGHT,
                "top": TOP,
                "base": HEIGHT - BOTTOM,
                "y": ticks,
                "x": [
                    (across(k), name, "start" if k == 0 else "middle")
                    for k, name in enumerate(names)
                    if k % every == 0 and (k == 0 or across(k) < WIDTH - 30)
                ],
                "bounds": [up(bound) for bound in bounds],
                "line": " ".join(f"{across(k)},{up(r[metric])}" for k, r in known),
                "bars": [
                    (across(k), up(r[f"{metric}_low"]), up(r[f"{metric}_high"]))
                    for k, r in known
                    if r[f"{metric}_low"] is not None
                ],
                "dots": [
                    {
                        "x": across(k),
                        "y": up(r[metric]),
                        "text": f"{r['period']}: {number_text(r[metric])}, {r['n']} rows",
                    }
                    for k, r in known
                ],
                "alarm": None if alarm is None else across(alarm),
                "anchor": "end" if alarm is not None and alarm > len(names) / 2 else "start",
                "when": test["alarm"],
                "said": f"{_label(metric)} of {_name(attribute, group)} by period, "
                + ("no alarm" if alarm is None else f"alarm in {test['alarm']}"),
            }
        )
    return charts


def _test(
    test: Mapping[str, Any], by_group: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    rows = by_group[test["attribute"], test["group"]]
    metric = test["metric"]
    last = next((r for r in reversed(rows) if r[metric] is not None), None)
    ends = None if last is None else [last[f"{metric}_low"], last[f"{metric}_high"]]
    return {
        "name": _name(test["attribute"], test["group"]),
        "label": _label(metric),
        "limit": _limit_text(metric, test["limit"]),
        "value": "–" if last is None else number_text(last[metric]),
        "interval": interval_text(None if ends is None or None in ends else ends),
        "period": "" if last is None else last["period"],
        "n_bets": test["n_bets"],
        "evidence": f"{max(rows[-1][f'{metric}_evidence'], 0.0):.2f}",
        "p": p_value_text(test["p_value"]),
        "alarm": test["alarm"],
    }


def _shifts(periods: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The shifts from the reference that chance does not explain."""
    return [
        {
            "name": _name(row["attribute"], row["group"]),
            "period": row["period"],
            "what": what,
            "value": number_text(row[f"{what}_shift"]),
            "p": p_value_text(row[f"{what}_shift_p_value"]),
        }
        for row in periods
        for what in ("prevalence", "scores")
        if row[f"{what}_shift_p_value"] is not None and row[f"{what}_shift_p_value"] <= ALPHA
    ]


def _period(row: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("prevalence", "mean_score", "tpr", "fpr", "auroc", "oe")
    return {**row, "shown": {key: number_text(row[key]) for key in keys}}
