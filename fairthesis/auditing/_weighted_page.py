"""The parts of the page that count rows, where rows are weighted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairthesis.auditing._group_curves import curves_of
from fairthesis.auditing._page_parts import confusion, decision_curves, score_densities
from fairthesis.auditing._rows import AuditedRows

Array = NDArray[np.float64]


def weighted_page(
    data: AuditedRows | None,
    attribute: str,
    groups: Sequence[Mapping[str, Any]],
    found: Mapping[str, Mapping[str, Any]],
    cuts: Array,
    many: bool,
    hide: bool,
) -> dict[str, Any]:
    """Curves, counts by threshold and decisions of every group, as the page draws them.

    Counts are sums of weights, whose mean over all rows is 1; without the rows (``data``) they are
    not known, and where small counts are to ``hide`` they are not shown: sums tell them. The limits
    of funnel plots rest on numbers of equal cases: there are none.
    """
    page: dict[str, Any] = {"funnels": []}
    unknown = ["\N{EN DASH}"] * 4
    if data is None or data.weight is None or attribute not in data.groups:
        return page | {"confusion": {g["name"]: unknown + _rates(found, g) for g in groups}}
    codes, weight = data.groups[attribute].codes, data.weight
    kinds = [(codes == k, data.y > 0) for k in range(len(groups))]
    sums = [
        (float(weight[own & positive].sum()), float(weight[own & ~positive].sum()))
        for own, positive in kinds
    ]
    page["confusion"] = {
        g["name"]: _decisions(found[g["name"]]["metrics"], *both) + _rates(found, g)
        for g, both in zip(groups, sums, strict=True)
    }
    if hide:
        page["confusion"] = {g["name"]: unknown + _rates(found, g) for g in groups}
    if many:
        return page
    curves = [curves_of(data, codes == k, bool(g["few"]), cuts) for k, g in enumerate(groups)]
    page |= {name: [one[name] for one in curves] for name in ("roc", "reliability", "counts")}
    counted = [
        {**g, "n": sum(both), "n_positive": both[0], "n_negative": both[1]}
        for g, both in zip(groups, sums, strict=True)
    ]
    page["decision"] = decision_curves(page["counts"], counted, cuts)
    page["densities"] = score_densities(data.y, data.s, codes, groups, weight)
    return page


def _rates(found: Mapping[str, Mapping[str, Any]], group: Mapping[str, Any]) -> list[str]:
    """False discovery and omission rate."""
    return confusion(found[group["name"]])[4:]


def _decisions(metrics: Mapping[str, Any], positive: float, negative: float) -> list[str]:
    """TP, FP, FN and TN as sums of weights."""
    tp = (metrics["tpr"]["value"] or 0) * positive
    fp = (metrics["fpr"]["value"] or 0) * negative
    return [f"{n:,.1f}" for n in (tp, fp, positive - tp, negative - fp)]
