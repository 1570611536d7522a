"""A model in another cohort as one page: its numbers; the page is ``transfer.html``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairthesis.auditing._page import render_page, round_ticks
from fairthesis.auditing._pairs import BETWEEN, EVERYONE
from fairthesis.auditing._transfer_wording import label_in_transfer
from fairthesis.auditing._wording import ALPHA, interval_text, number_text, p_value_text

WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 320, 100, 12, 8, 26, 22
DRAWN = ("auroc", "tpr", "fpr")
DRAWN_UNLABELLED = ("mean_score", "selection_rate")
MARGIN = 0.06


def render_transfer(found: Mapping[str, Any]) -> str:
    """The page for the dictionary of ``transfer.json``."""
    models = [_model(name, found) for name in found["models"]]
    return render_page(
        "transfer.html",
        found=found,
        settings=found["settings"],
        models=models,
        comparisons=[_comparison(one) for one in found["comparisons"]],
        number=number_text,
        alone=[
            {"attribute": attribute, "cohort": cohort, "groups": groups}
            for attribute, by in found["groups_in_one_cohort"].items()
            for cohort, groups in by.items()
            if groups
        ],
    )


def _model(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    rows = [row for row in found["changes"] if row["model"] == name]
    drawn = DRAWN if found["labelled"] else DRAWN_UNLABELLED
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["attribute"], row["group"]), []).append(_change(row))
    return {
        "name": name,
        **found["models"][name],
        "sentences": found["sentences"][name],
        "charts": [_chart(metric, rows) for metric in drawn],
        "tables": [{"name": _name(*key), "rows": rows} for key, rows in groups.items()],
        "shifts": [_shift(row) for row in found["shifts"] if row["model"] == name],
    }


def _name(attribute: str, group: str) -> str:
    if group == BETWEEN:
        return f"{attribute}: between groups"
    return f"{attribute}: {group}" if attribute else group


def _change(row: Mapping[str, Any]) -> dict[str, Any]:
    cells = {
        key: {
            "value": number_text(row[key]),
            "interval": interval_text(_ends(row, key)),
        }
        for key in ("internal", "external", "change")
    }
    corrected = row["p_holm"]
    return {
        "label": label_in_transfer(row["metric"]),
        **cells,
        "p": p_value_text(row["p_value"]),
        "holm": p_value_text(corrected) if corrected is not None else "",
        "beyond": corrected is not None and corrected <= ALPHA,
    }


def _shift(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": _name(row["attribute"], row["group"]),
        "verdict": row["verdict"],
        "patients": f"{row['n_internal']}, {row['n_external']}",
        "prevalence": number_text(row["prevalence"]),
        "estimated": number_text(row["estimated_prevalence"]),
        "interval": interval_text(_ends(row, "estimated_prevalence")),
        "rest": row["n_rest"],
        **{key: p_value_text(row[key]) for key in ("p_any", "p_same_size", "p_rest")},
        "tests": [
            {
                "name": test,
                "any": number_text(row[f"{test}_any"]),
                "rest": number_text(row[f"{test}_rest"]),
            }
            for test in ("scores", "embeddings", "classifier")
        ],
    }


def _chart(metric: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All rows and every group, the in-distribution cohort above the external one."""
    own = [r for r in rows if r["metric"] == metric and r["group"] != BETWEEN]
    values = [
        v
        for r in own
        for side in ("internal", "external")
        for v in (r[side], *(_ends(r, side) or []))
        if v is not None
    ]
    low, high = min(values, default=0.0), max(values, default=1.0)
    pad = MARGIN * max(high - low, 0.05)
    low, high = max(low - pad, 0.0), min(high + pad, 1.0)

    def across(value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / max(high - low, 1e-9), 1)

    height = TOP + ROW * len(own) + BOTTOM
    marks = []
    for k, row in enumerate(own):
        for side, dy in (("internal", 8), ("external", 18)):
            ends = _ends(row, side)
            if row[side] is None:
                continue
            marks.append(
                {
                    "side": side,
                    "x": across(row[side]),
                    "y": TOP + ROW * k + dy,
                    "ends": None if ends is None else [across(end) for end in ends],
                    "text": f"{_name(row['attribute'], row['group'])}: {number_text(row[side])}",
                }
            )
    return {
        "label": label_in_transfer(metric),
        "width": WIDTH,
        "height": height,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "base": height - BOTTOM,
        "top": TOP,
        "ticks": [(across(value), text) for value, text in round_ticks(low, high)],
        "names": [
            (TOP + ROW * k + 16, _short(r["group"]), r["group"] == EVERYONE)
            for k, r in enumerate(own)
        ],
        "marks": marks,
        "said": f"{label_in_transfer(metric)} in-distribution and external, "
        + "; ".join(
            f"{_name(r['attribute'], r['group'])} {number_text(r['internal'])} and "
            f"{number_text(r['external'])}"
            for r in own
        ),
    }


def _short(name: str, most: int = 17) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _comparison(one: Mapping[str, Any]) -> dict[str, Any]:
    """The tested changes from the first model to the others in one cohort."""
    tested = one["settings"]["tested"]
    return {
        "cohort": one["cohort"],
        "attribute": one["group"],
        "reference": one["reference"],
        "n_patients": one["n_patients"],
        "rows": [
            {
                "model": row["model"],
                "group": row["group"],
                "label": label_in_transfer(row["metric"]),
                "reference": number_text(row["reference"]),
                "other": number_text(row["other"]),
                "change": number_text(row["change"]),
                "interval": interval_text(
                    None if row["ci_low"] is None else [row["ci_low"], row["ci_high"]]
                ),
                "holm": p_value_text(row["p_holm"]),
            }
            for row in one["changes"]
            if row["metric"] in tested
        ],
    }


def _ends(row: Mapping[str, Any], name: str) -> list[float] | None:
    ends = [row[f"{name}_low"], row[f"{name}_high"]]
    return None if None in ends else ends
