"""How far an archived number may move when its experiment is run again elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

#: Table -> number -> absolute distance within which a quick experiment comes out again on another
#: processor or number of threads: 1.5 times the largest that was seen, from
#: ``benchmarks/study/tolerances.md``, and at least 0.005.
TOLERANCE: dict[str, dict[str, float]] = {
    "metrics": {},
    "disparities": {},
    "twins": {},
}


def tolerance_of(names: pd.Series, stated: float | Mapping[str, float]) -> pd.Series:
    """The tolerance of each number by its name; of one that is not stated, the largest.

    >>> tolerance_of(pd.Series(["auroc", "ece"]), {"auroc": 0.01, "tpr": 0.04}).tolist()
    [0.01, 0.04]
    >>> tolerance_of(pd.Series(["auroc"]), 0.05).tolist()  # older archives have one for a table
    [0.05]
    """
    if not isinstance(stated, Mapping):
        return pd.Series(float(stated), names.index)
    return names.map(stated).fillna(max(stated.values())).astype(float)
