"""Values and their intervals on a line, as the audit's page draws groups and gaps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fairthesis.auditing._wording import ALPHA, interval_text, label_of, number_text, p_value_text


class Scale:
    """Values to percent of a width, with round ticks."""

    def __init__(self, values: list[float], zero: bool = False) -> None:
        low, high = min(values, default=0.0), max(values, default=1.0)
        low = min(low, 0.0) if zero else low
        pad = 0.06 * max(high - low, 0.02)
        self.low, self.high = (low if zero else low - pad), high + pad
        span = self.high - self.low
        step = 10 ** math.floor(math.log10(span / 3))
        step *= next(k for k in (1, 2, 5, 10) if span / (k * step) <= 5)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        self.ticks = [(self(k * step), f"{k * step:.{digits}f}") for k in range(first, last + 1)]

    def __call__(self, value: float) -> float:
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    def span(self, ends: tuple[float, float] | list[float] | None) -> tuple[float, float] | None:
        """(left, width) in percent."""
        if ends is None:
            return None
        left, right = (min(max(self(e), 0.0), 100.0) for e in ends)
        return left, round(right - left, 2)


def forest(
    found: Mapping[str, Any],
    attribute: str,
    metric: str,
    groups: list[dict[str, Any]],
    chance: Mapping[str, Mapping[str, tuple[float, float]]],
) -> dict[str, Any]:
    """One metric of every group on a line, with intervals and what chance explains."""
    estimates = [found["groups"][attribute][g["name"]]["metrics"][metric] for g in groups]
    bands = [chance.get(g["name"], {}).get(metric) for g in groups]
    overall = found["overall"][metric]["value"]
    shown = [v for e in estimates for v in [e["value"], *(e["ci"] or [])] if v is not None]
    shown += [v for band in bands if band for v in band]
    scale = Scale([*shown, *([overall] if overall is not None else [])])
    return {
        "label": label_of(metric),
        "ticks": scale.ticks,
        "overall": None if overall is None else scale(overall),
        "rows": [
            {
                **group,
                "x": None if e["value"] is None else scale(e["value"]),
                "ci": scale.span(e["ci"]),
                "chance": scale.span(band),
                "value": number_text(e["value"]),
                "interval": interval_text(e["ci"]),
            }
            for group, e, band in zip(groups, estimates, bands, strict=True)
        ],
    }


def gap_rows(gaps: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of the gap table; all but the worst group's AUROC share one scale from 0."""
    shown = [
        v
        for name, gap in gaps.items()
        for v in [gap["value"], gap["null_q95"], *(gap["ci"] or [])]
        if v is not None and name != "worst_group_auroc"
    ]
    scale = Scale(shown, zero=True)
    rows = []
    for name, gap in gaps.items():
        drawn = gap["value"] is not None and name != "worst_group_auroc"
        level = gap["null_q95"]
        p = gap.get("p_value_corrected", gap.get("p_value_holm", gap["p_value"]))
        rows.append(
            {
                "label": label_of(name),
                "value": number_text(gap["value"]),
                "interval": interval_text(gap["ci"]),
                "null_mean": number_text(gap["null_mean"]),
                "null_q95": number_text(level),
                "p_raw": p_value_text(gap["p_value"]),
                "p": p_value_text(p),
                "beyond": p is not None and p <= ALPHA,
                "x": scale(gap["value"]) if drawn else None,
                "ci": scale.span(gap["ci"]) if drawn else None,
                "chance": scale.span((0.0, level)) if drawn and level is not None else None,
            }
        )
    return {"rows": rows, "ticks": scale.ticks}
