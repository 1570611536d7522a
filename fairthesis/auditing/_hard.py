"""Hard decisions: a column of 0 and 1 that somebody decided has rates, and no ranking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fairthesis import metrics
from fairthesis.auditing._report import Estimate, Group
from fairthesis.auditing._rows import AuditedRows
from fairthesis.errors import InputError

#: What a decision has of its own: everything else needs a score.
DECIDED = (*metrics.RATES, "underdiagnosis_rate", "overdiagnosis_rate")
UNKNOWN = Estimate(float("nan"))


def check_decisions(data: AuditedRows, column: str) -> None:
    """Refuse what is no column of 0 and 1 (``InputError``)."""
    other = data.s[(data.s != 0) & (data.s != 1)]
    if len(other):
        raise InputError(
            f"{column} holds {other[0]:g}: expected decisions of 0 and 1. A column of "
            "probabilities is --score."
        )


def rates_only(found: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """The same metrics; those that need a score are not known.

    >>> rates_only({"tpr": Estimate(0.9), "auroc": Estimate(0.8)})["auroc"].value
    nan
    """
    return {name: e if name in DECIDED else UNKNOWN for name, e in found.items()}


def group_of_decisions(group: Group) -> Group:
    """A group with rates only."""
    return replace(group, metrics=rates_only(group.metrics))


def additional_of_decisions(found: Mapping[str, Any]) -> dict[str, Any]:
    """``FairnessReport.additional`` with rates only: no ranking, no calibration, no net benefit."""
    return {
        "overall": rates_only(found["overall"]),
        "groups": {
            attribute: {name: rates_only(group) for name, group in groups.items()}
            for attribute, groups in found["groups"].items()
        },
        "cross_auroc": {attribute: {} for attribute in found["groups"]},
        "cross_auroc_ci": {attribute: {} for attribute in found["groups"]},
        "decision": True,
    }


def threshold_of_decisions(threshold: float | str) -> float:
    """The threshold between 0 and 1; another one that is asked for is refused."""
    if threshold not in (0.5, "0.5"):
        raise InputError(
            f"threshold is {threshold!r}, and decisions have none: leave it out, or give scores."
        )
    return float(np.float64(0.5))
