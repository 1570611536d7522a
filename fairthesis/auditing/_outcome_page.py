"""An audit of numbers per case as one self-contained page, which is ``outcomes.html``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairthesis.auditing._html import COLOURS
from fairthesis.auditing._outcome_metrics import BETTER
from fairthesis.auditing._outcome_sides import gap_of, worst_of
from fairthesis.auditing._outcome_wording import (
    DASH,
    MINUS,
    Numbers,
    gap_label,
    numbers_of,
    outcome_limits,
    outcome_sentences,
)
from fairthesis.auditing._page import render_page, round_ticks
from fairthesis.auditing._row_warnings import FEW
from fairthesis.auditing._wording import ALPHA, p_value_text

Chance = Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]]


def render_outcomes(
    found: Mapping[str, Any],
    settings: Mapping[str, Any],
    chance: Chance,
    sketches: Mapping[str, Mapping[str, Any]],
) -> str:
    """The page for the dictionary of ``audit.json`` (``OutcomesReport.to_dict``)."""
    write = {metric: numbers_of(found, metric) for metric in found["metrics"]}
    return render_page(
        "outcomes.html",
        found=found,
        settings=settings,
        few=FEW,
        kinds={of["kind"] for of in found["metrics"].values()},
        summary=outcome_sentences(found),
        limits=outcome_limits(found),
        overall=[
            {
                "words": of["words"],
                "events": of["kind"] == "concordance",
                **_cell(found["overall"][metric], write[metric]),
            }
            for metric, of in found["metrics"].items()
        ],
        attributes=[
            _attribute(found, settings, name, chance.get(name, {}), sketches.get(name, {}), write)
            for name in found["groups"]
        ],
    )


def _attribute(
    found: Mapping[str, Any],
    settings: Mapping[str, Any],
    attribute: str,
    chance: Mapping[str, Mapping[str, tuple[float, float]]],
    sketches: Mapping[str, Any],
    write: Mapping[str, Numbers],
) -> dict[str, Any]:
    effective = found["further"]["effective_patients"][attribute]
    groups = []
    for k, (name, group) in enumerate(found["groups"][attribute].items()):
        number = effective[name]
        groups.append(
            {
                "name": name,
                "colour": COLOURS[k % len(COLOURS)],
                "n": group["n"],
                "n_patients": group["n_patients"],
                "effective": DASH if number is None else f"{number:,.0f}",
                "cells": [_cell(group["metrics"][m], write[m]) for m in found["metrics"]],
            }
        )
    gaps = found["disparities"][attribute]
    return {
        "name": attribute,
        "groups": groups,
        "forests": [
            _forest(found, settings, attribute, metric, groups, chance, write[metric])
            for metric in found["metrics"]
        ],
        "gaps": [row for m in found["metrics"] for row in _gaps(found, gaps, m, write[m])],
        "tested": sum(gap["p_value"] is not None for gap in gaps.values()),
        "pairs": [
            p for m in found["metrics"] if (p := _pairs(found, attribute, m, write[m]))["rows"]
        ],
        # Several metrics of the same error are drawn once.
        "sketches": list(
            {
                (drawn := _sketch(found, metric, sketches[metric], groups, write[metric]))[
                    "label"
                ]: drawn
                for metric in found["metrics"]
                if metric in sketches
            }.values()
        ),
    }


def _cell(estimate: Mapping[str, Any], write: Numbers) -> dict[str, Any]:
    missing = estimate["n_missing"]
    n = estimate["n"] + missing
    return {
        "value": write(estimate["value"]),
        "interval": write.interval(estimate["ci"]),
        "n": estimate["n"],
        "n_cases": estimate["n_cases"],
        "missing": f"{missing} ({missing / n:.1%})" if missing else "none",
    }


class _Width:
    """Values to percent of a width, with round ticks."""

    def __init__(self, values: list[float], pad: float = 0.06, zero: bool = False) -> None:
        most = 3 if zero else 5
        low, high = min(values, default=0.0), max(values, default=1.0)
        low = min(low, 0.0) if zero else low
        room = (high - low or abs(high) or 1.0) * pad
        self.low, self.high = (low if zero or not pad else low - room), high + room
        self.ticks = [(self(value), text) for value, text in round_ticks(self.low, self.high, most)]

    def __call__(self, value: float) -> float:
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    def span(self, ends: Any) -> tuple[float, float] | None:
        """(left, width) in percent."""
        if ends is None:
            return None
        left, right = (min(max(self(end), 0.0), 100.0) for end in ends)
        return left, round(right - left, 2)


def _forest(
    found: Mapping[str, Any],
    settings: Mapping[str, Any],
    attribute: str,
    metric: str,
    groups: list[dict[str, Any]],
    chance: Mapping[str, Mapping[str, tuple[float, float]]],
    write: Numbers,
) -> dict[str, Any]:
    estimates = [found["groups"][attribute][g["name"]]["metrics"][metric] for g in groups]
    bands = [chance.get(g["name"], {}).get(metric) for g in groups]
    overall = found["overall"][metric]["value"]
    shown = [v for e in estimates for v in [e["value"], *(e["ci"] or [])] if v is not None]
    width = _Width([*shown, overall, *(v for band in bands if band for v in band)])
    floor = max(settings.get("floor", 0), 1)
    return {
        "label": found["metrics"][metric]["words"],
        "better": BETTER[found["metrics"][metric]["better"]],
        "ticks": width.ticks,
        "overall": width(overall),
        "rows": [
            {
                "name": group["name"],
                "colour": group["colour"],
                "small": e["n_cases"] < floor or e["value"] is None,
                "x": None if e["value"] is None else width(e["value"]),
                "ci": width.span(e["ci"]),
                "chance": width.span(band),
                "value": write(e["value"]),
                "interval": write.interval(e["ci"]),
            }
            for group, e, band in zip(groups, estimates, bands, strict=True)
        ],
    }


def _gaps(
    found: Mapping[str, Any], gaps: Mapping[str, Any], metric: str, write: Numbers
) -> list[dict[str, Any]]:
    """The rows of a metric in the table of gaps; the gap is drawn, on a scale of its own."""
    rows = []
    for name in (gap_of(metric), worst_of(metric)):
        if name not in gaps:
            continue
        gap = gaps[name]
        drawn = name == gap_of(metric) and gap["value"] is not None
        level, p = gap["null_q95"], gap["p_value_corrected"]
        width = _Width([v for v in [gap["value"], level, *(gap["ci"] or [])] if v], zero=True)
        rows.append(
            {
                "label": gap_label(found, name),
                "group": gap.get("group"),
                "value": write(gap["value"]),
                "interval": write.interval(gap["ci"]),
                "null_mean": write(gap["null_mean"]),
                "null_q95": write(level),
                "p_raw": p_value_text(gap["p_value"]),
                "p": p_value_text(p),
                "beyond": p is not None and p <= ALPHA,
                "x": width(gap["value"]) if drawn else None,
                "ci": width.span(gap["ci"]) if drawn else None,
                "chance": width.span((0.0, level)) if drawn and level is not None else None,
                "ticks": width.ticks if drawn else [],
            }
        )
    return rows


def _pairs(found: Mapping[str, Any], attribute: str, metric: str, write: Numbers) -> dict[str, Any]:
    rows = []
    for pair in found["further"]["pairs"][attribute]:
        if pair["metric"] != metric:
            continue
        p, three = pair["p_value_corrected"], Numbers([1.0])
        rows.append(
            {
                "who": f"{pair['first']} {MINUS} {pair['second']}",
                "difference": write(pair["difference"]),
                "ci": write.interval(pair["ci"]),
                "ci_simultaneous": write.interval(pair["ci_simultaneous"]),
                "ratio": three(pair["ratio"]),
                "ratio_ci": three.interval(pair["ratio_ci"]),
                "p": p_value_text(pair["p_value"]),
                "p_corrected": p_value_text(p),
                "beyond": p is not None and p <= ALPHA,
            }
        )
    return {
        "label": found["metrics"][metric]["words"],
        "rows": rows,
        "ratios": any(row["ratio"] != DASH for row in rows),
    }


SHOWN = {
    "mean": "{0}",
    "median": "{0}",
    "mae": "absolute error of {1}",
    "concordance": "{2}",
    "rmse": "{1} less {0}",
    "bias": "{1} less {0}",
    "r2": "{1} less {0}",
    "kappa": "{1} less {0}, in grades",
}


def _sketch(
    found: Mapping[str, Any],
    metric: str,
    sketch: Mapping[str, Any],
    groups: list[dict[str, Any]],
    write: Numbers,
) -> dict[str, Any]:
    """Steps of a histogram in percent of a width, 40 high where they are highest of all groups."""
    of, edges = found["metrics"][metric], sketch["edges"]
    width = _Width(edges, pad=0.0)
    known = [one for one in sketch["groups"].values() if one]
    highest = max((share for one in known for share in one["shares"]), default=1.0)
    rows = []
    for group in groups:
        one = sketch["groups"][group["name"]]
        steps = []
        for k, share in enumerate(one["shares"] if one else []):
            left, high = width(edges[k]), round(40 * share / highest, 2)
            if share:
                steps.append(
                    (left, round(width(edges[k + 1]) - left, 2), round(42 - high, 2), high)
                )
        middle = None if one is None else min(max(width(one["median"]), 0.0), 100.0)
        rows.append(
            {
                "name": group["name"],
                "colour": group["colour"],
                "steps": steps,
                "x": middle,
                "median": DASH if one is None else write(one["median"]),
            }
        )
    label = SHOWN.get(of["kind"], of["words"]).format(*of["columns"])
    return {"label": label, "rows": rows, "ticks": width.ticks}
