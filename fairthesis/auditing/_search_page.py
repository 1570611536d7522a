"""A search as one self-contained page: numbers are laid out here, the page is ``search.html``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from scipy.special import log_ndtr

from fairthesis.auditing._page import render_page, round_ticks
from fairthesis.auditing._rest import SEARCHED
from fairthesis.auditing._wording import interval_text, label_of, number_text, p_value_text

# Okabe and Ito's colours, as in the audit; shapes say the same without colour.
LOOKS = {
    "tpr": ("#0072b2", "circle"),
    "fpr": ("#d55e00", "square"),
    "auroc": ("#009e73", "diamond"),
}
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 360, 280, 34, 38, 12
HIGHEST = 25.0  # of -log10 p; what lies above is drawn there
OTHERS = 15


def render_search(found: Mapping[str, Any]) -> str:
    """The page for the dictionary of ``search.json``."""
    rows = [_row(row) for row in found["groups"]]
    hits = [row for row in rows if row["found"]]
    own = [row for row in hits if row["explained_by"] is None]
    for number, row in enumerate(own, start=1):
        row["number"] = number
    return render_page(
        "search.html",
        found=found,
        searched=found["searched"],
        settings=found["settings"],
        own=own,
        explained=[row for row in hits if row["explained_by"] is not None],
        others=[row for row in rows if not row["found"]][:OTHERS],
        sentences=_sentences(found, hits, own),
        volcano=_volcano(rows, found["searched"]["critical"]),
        looks=LOOKS,
        label_of=label_of,
        number=number_text,
    )


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    ends = [row["confirm_ci_low"], row["confirm_ci_high"]]
    return {
        **row,
        "number": None,
        "label": label_of(row["metric"]),
        "shown": {key: number_text(row[key]) for key in ("value", "rest", "difference")},
        "p": p_value_text(row["p_value"]),
        "held": {
            "value": number_text(row["confirm_value"]),
            "rest": number_text(row["confirm_rest"]),
            "difference": number_text(row["confirm_difference"]),
            "interval": interval_text(None if None in ends else ends),
            "p": p_value_text(row["confirm_p_value"]),
            "n": "–" if row["confirm_n"] is None else f"{row['confirm_n']:.0f}",
            "n_positive": ""
            if row["confirm_n_positive"] is None
            else f"{row['confirm_n_positive']:.0f} positive",
            "verdict": {True: "confirmed", False: "not confirmed", None: "not tested"}[
                row["confirmed"]
            ],
        },
    }


def _sentences(
    found: Mapping[str, Any], hits: list[dict[str, Any]], own: list[dict[str, Any]]
) -> list[str]:
    searched = found["searched"]
    compared = sum(searched["n_compared"].values())
    looked = (
        f"{searched['n_groups']} groups were made of the columns; {compared} comparisons of a "
        "group and a metric with the rest were above the floor."
    )
    if not hits:
        return [
            looked,
            "No group fares worse than its rest beyond what chance gives in a search of this size.",
        ]
    confirmed = sum(row["confirmed"] is True for row in own)
    held = (
        "No patients were held back: nothing of this is confirmed."
        if searched["confirmation"] is None
        else f"On the patients held back {confirmed} of {_these(len(own))} confirmed."
    )
    explained = len(hits) - len(own)
    rest = f" {explained} of them are explained by another one found." if explained else ""
    return [
        looked,
        f"{len(hits)} fare worse than the rest beyond chance (p at most 0.05, corrected for the "
        f"whole search).{rest} {held}",
        *(_sentence(row) for row in own[:5]),
    ]


def _these(n: int) -> str:
    return "the 1 that stands by itself is" if n == 1 else f"the {n} that stand by themselves are"


def _sentence(row: Mapping[str, Any]) -> str:
    told = (
        f"{row['group']}: the {row['label']} is {row['shown']['value']}, in the rest "
        f"{row['shown']['rest']} (p {row['p']})."
    )
    held = row["held"]
    if row["confirmed"] is None:
        return told
    within = f" (95 % interval of the difference {held['interval']})" if held["interval"] else ""
    return (
        f"{told} On the patients held back it is {held['value']} against {held['rest']}{within}: "
        f"{held['verdict']}."
    )


def _volcano(rows: list[dict[str, Any]], critical: float) -> dict[str, Any]:
    """Points of how much worse a group fares against -log10 of its uncorrected p value."""
    points = []
    for row in rows:
        if row["difference"] is None or row["statistic"] is None:
            continue
        worse = SEARCHED[row["metric"]][1] * row["difference"]
        points.append((worse, min(_evidence(row["statistic"]), HIGHEST), row))
    level = _evidence(critical)
    low = min([-0.05, *(x for x, _, _ in points)])
    high = max([0.05, *(x for x, _, _ in points)])
    top = max([level, 2.0, *(y for _, y, _ in points)]) * 1.08
    pad = 0.04 * (high - low)
    low, high = low - pad, high + pad

    def across(x: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 8) * (x - low) / (high - low), 1)

    def up(y: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - y / top), 1)

    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "base": HEIGHT - BOTTOM,
        "zero": across(0.0),
        "right": WIDTH - 8,
        "level": up(level),
        "x": [(across(value), text) for value, text in round_ticks(low, high)],
        "y": [(up(value), text) for value, text in round_ticks(0.0, top)],
        # What was found is drawn last, above the others.
        "points": [
            {"x": across(x), "y": up(y), "row": row, "shape": LOOKS[row["metric"]][1],
             "colour": LOOKS[row["metric"]][0]}
            for x, y, row in sorted(points, key=lambda point: bool(point[2]["found"]))
        ],
    }  # fmt: skip


def _evidence(statistic: float) -> float:
    """-log10 of the two-sided normal p value."""
    return float(-(log_ndtr(-abs(statistic)) + math.log(2)) / math.log(10))
