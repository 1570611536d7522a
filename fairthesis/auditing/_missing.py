"""Rows whose group is not known, beside the others, and whether that goes with the label."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics, stats
from fairthesis.auditing._rows import AuditedRows
from fairthesis.auditing._small_cells import without_small

N_PERMUTATIONS = 999


def missing_group(
    data: AuditedRows, attribute: str, small_cells: bool = False
) -> dict[str, Any] | None:
    """What the rows without a group of ``attribute`` hold, and the others; None where all have one.

    ``missing`` and ``known`` each have rows, positives, positives called positive and AUROC (None
    where it is not known). ``p_value`` is that of a difference in prevalence between them, by
    studentised permutation over patients: a small one says that whether the group is stated goes
    with the label, and that the audit sees another population than the model does. With
    ``small_cells`` counts of 1 to 4 are None.
    """
    missing = data.groups[attribute].codes < 0
    if not missing.any():
        return None
    found = {
        name: _of_rows(data, rows) for name, rows in (("missing", missing), ("known", ~missing))
    }
    p = math.nan
    weight = np.ones(len(data.y)) if data.weight is None else data.weight
    if not missing.all():
        tests = stats.permuted_tests(
            {"prevalence": stats.RatioOfSums(data.y * weight, weight)},
            data.patient,
            missing.astype(np.intp),
            n_permutations=N_PERMUTATIONS,
            seed=0,
            stream=f"missing {attribute}",
        )
        p = float(tests["prevalence"].pair_p[0, 1])
    if small_cells:
        found = {name: without_small(one) for name, one in found.items()}
    return {**found, "p_value": p if math.isfinite(p) else None}


def _of_rows(data: AuditedRows, rows: NDArray[np.bool_]) -> dict[str, Any]:
    y, s = data.y[rows], data.s[rows]
    auroc = float(metrics.auroc(y, s, data.weight_of(rows))) if 0 < y.sum() < len(y) else math.nan
    return {
        "n": len(y),
        "n_positive": int(y.sum()),
        "called_positive": int(((s >= data.threshold) & (y > 0)).sum()),
        "auroc": auroc if math.isfinite(auroc) else None,
    }
