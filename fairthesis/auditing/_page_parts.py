"""Parts of the audit's page: what was audited, decisions, predictive values, curves, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairthesis.auditing._small_cells import count_text
from fairthesis.auditing._wording import interval_text, number_text, p_value_text
from fairthesis.metrics import ratio

Array = NDArray[np.float64]
PREVALENCES = (0.01, 0.05, 0.1, 0.2, 0.5)
SCORE_BINS = 20
FEW_CASES = 10  # of a label in a group, below which its scores are not drawn


def about(found: Mapping[str, Any], settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was audited: term and text."""
    further = found.get("further", {})
    means = {"healthy": "healthy, such as no finding", "disease": "the disease"}
    prevalence = found["overall"]["prevalence"]
    rows = [("1 of the label means", means.get(further.get("positive_means", ""), "not stated"))]
    flow = further.get("flow", {})
    steps = [f"{count_text(count)} {text}" for text, count in flow.items() if count != 0]
    if steps:
        rows.append(("Rows", "; ".join(steps) + f"; audited {found['n_rows']:,}"))
    if prevalence["value"] is not None:
        ends = f" ({interval_text(prevalence['ci'])})" if prevalence["ci"] else ""
        rows.append(("Prevalence", number_text(prevalence["value"]) + ends))
    for attribute, missing in further.get("missing", {}).items():
        if missing is not None:
            rows.append((f"Without {attribute}", _of_missing(missing)))
    tested = {
        attribute: sum(gap["p_value"] is not None for gap in gaps.values())
        for attribute, gaps in found["disparities"].items()
    }
    if any(tested.values()):
        each = "; ".join(
            f"{attribute}: {n} gaps among {len(found['groups'][attribute])} groups"
            for attribute, n in tested.items()
        )
        planned = settings.get("primary")
        rows.append(("Comparisons", each + (f"; planned: {', '.join(planned)}" if planned else "")))
    return rows


def _of_missing(missing: Mapping[str, Any]) -> str:
    texts = []
    for name, label in (("missing", "these"), ("known", "the others")):
        one = missing[name]
        auroc = "" if one["auroc"] is None else f", AUROC {number_text(one['auroc'])}"
        n, positive, called = (
            count_text(one[key]) for key in ("n", "n_positive", "called_positive")
        )
        share = f" ({_percent(one['n_positive'], one['n'])})"
        texts.append(
            f"{label}: {n} rows, {positive} positive{share}, {called} of {positive} positives "
            f"found{auroc}"
        )
    p = missing["p_value"]
    if p is None:
        return "; ".join(texts)
    goes = "goes with the label" if p <= 0.05 else "cannot be told to go with the label"
    return f"{'; '.join(texts)}. Whether the group is stated {goes} (p {p_value_text(p)})."


def _percent(part: int | None, whole: int | None) -> str:
    return f"{part / whole:.0%}" if whole and part is not None else "\N{EN DASH}"


def confusion(group: Mapping[str, Any], hide: bool = False) -> list[str]:
    """TP, FP, FN, TN of a group, and its false discovery and omission rates with intervals.

    ``hide``: counts of 1 to 4 are said as small.
    """
    metrics = group["metrics"]
    positive, negative = group["n_positive"], group["n_negative"]
    tp = round((metrics["tpr"]["value"] or 0) * positive)
    fp = round((metrics["fpr"]["value"] or 0) * negative)
    cells = [count_text(n, hide) for n in (tp, fp, positive - tp, negative - fp)]
    for name in ("ppv", "npv"):
        value, ci = metrics[name]["value"], metrics[name]["ci"]
        turned = None if value is None else 1 - value
        ends = "" if ci is None else f" ({interval_text([1 - ci[1], 1 - ci[0]])})"
        cells.append(number_text(turned) + ends)
    return cells


def predictive_values(group: Mapping[str, Any]) -> list[str]:
    """PPV / NPV at each of ``PREVALENCES``, from the group's own rates (Bayes)."""
    tpr, fpr = (group["metrics"][name]["value"] for name in ("tpr", "fpr"))
    if tpr is None or fpr is None:
        return ["\N{EN DASH}"] * len(PREVALENCES)
    found = []
    for p in PREVALENCES:
        ppv = ratio(tpr * p, tpr * p + fpr * (1 - p))
        npv = ratio((1 - fpr) * (1 - p), (1 - fpr) * (1 - p) + (1 - tpr) * p)
        both = [None if np.isnan(v) else float(v) for v in (ppv, npv)]
        found.append(" / ".join(number_text(v) for v in both))
    return found


def decision_curves(
    counts: Sequence[Mapping[str, Sequence[int]]],
    groups: Sequence[Mapping[str, Any]],
    cuts: Array,
) -> dict[str, Any] | None:
    """Net benefit by threshold, of each group's model and of calling all positive.

    Vickers and Elkin 2006 (Med Decis Making 26): TP/n - FP/n t / (1 - t). Places in a box of 100 by
    60; None where no group is large enough to be drawn.
    """
    kept = (cuts > 0) & (cuts < 0.995)
    t = cuts[kept]
    odds = t / (1 - t)
    curves = []
    for one, group in zip(counts, groups, strict=True):
        if group["few"] or not len(one["tp"]):
            continue
        n = group["n_positive"] + group["n_negative"]
        tp, fp = (np.asarray(one[name], np.float64)[kept] / n for name in ("tp", "fp"))
        prevalence = group["n_positive"] / n
        curves.append((group, tp - fp * odds, prevalence - (1 - prevalence) * odds))
    if not curves:
        return None
    high = max(float(group["n_positive"]) / (group["n"] or 1) for group, _, _ in curves) * 1.05
    low = -0.25 * high

    def line(values: Array) -> str:
        inside = values >= low
        return " ".join(
            f"{100 * a:.2f},{60 * (1 - (v - low) / (high - low)):.2f}"
            for a, v in zip(t[inside], values[inside], strict=True)
        )

    return {
        "zero": round(60 * (1 - (0 - low) / (high - low)), 2),
        "curves": [
            {
                "name": g["name"],
                "colour": g["colour"],
                "dash": g["dash"],
                "model": line(m),
                "all": line(a),
            }
            for g, m, a in curves
        ],
        "ticks": [
            (round(60 * (1 - (v - low) / (high - low)), 2), number_text(v))
            for v in (0.0, high / 2.1, high / 1.05)
        ],
    }


def score_densities(
    y: Array,
    s: Array,
    codes: NDArray[np.integer[Any]],
    groups: Sequence[Mapping[str, Any]],
    weight: Array | None = None,
) -> list[dict[str, Any]]:
    """How scores are spread in each group, by label: lines in a box of 100 by 40.

    Groups of few patients, and labels of fewer than ten cases, are left out.
    """
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    found = []
    for k, group in enumerate(groups):
        lines = {}
        for name, label in (("positive", True), ("negative", False)):
            rows = (codes == k) & ((y > 0) == label)
            own, w = s[rows], None if weight is None else weight[rows]
            if group["few"] or len(own) < FEW_CASES:
                lines[name] = ""
                continue
            share = np.histogram(own, edges, weights=w)[0]
            share = share / share.sum()
            lines[name] = " ".join(
                f"{100 * (edges[i] + edges[i + 1]) / 2:.1f},{40 * (1 - min(v / 0.6, 1)):.2f}"
                for i, v in enumerate(share)
            )
        found.append({"name": group["name"], "colour": group["colour"], **lines})
    return found
