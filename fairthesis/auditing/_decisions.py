"""Which of several classes a model decides for: how often it is right, overall and by group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.auditing._report import Estimate


@dataclass(frozen=True)
class Decided:
    """The decisions in one part: its counts, ``confusion`` and metrics.

    ``confusion`` has the number of cases by true class and decided class, shape (k, k).
    ``metrics`` are ``accuracy`` and ``balanced_accuracy``, ``recalls`` the share of each class
    that is found; NaN where a class has no case.

    >>> right = Decided(3, 3, np.array([[2, 0], [1, 0]]), {"accuracy": Estimate(2 / 3)}, {})
    >>> int(right.confusion.trace()), right.n
    (2, 3)
    """

    n: int
    n_patients: int
    confusion: NDArray[np.intp]
    metrics: Mapping[str, Estimate]
    recalls: Mapping[str, Estimate]


@dataclass(frozen=True)
class Decisions:
    """The class of the highest probability as the decision, overall and by group.

    ``overall`` and ``groups`` (attribute, group) have ``n``, ``n_patients``, ``confusion`` (cases
    by true and decided class, in the order of ``classes``), ``recalls`` by class, and ``metrics``:
    ``accuracy``, the share decided rightly, and ``balanced_accuracy``, the mean of the classes'
    recalls (macro recall; Brodersen et al. 2010), each from 0 to 1 with a 95 % interval over
    resampled patients. ``disparities`` (attribute) are ``accuracy_gap`` and
    ``balanced_accuracy_gap``, largest less smallest among the groups of at least ``floor`` cases,
    with intervals from the groups' own (``stats.gap_interval``).

    >>> from fairthesis.auditing import audit_targets
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"dx": ["nv", "mel"] * 100, "sex": ["f", "f", "m", "m"] * 50})
    >>> table["p_mel"] = np.clip((table["dx"] == "mel") / 3 + rng.random(200) * 2 / 3, 0, 1)
    >>> table["p_nv"] = 1 - table["p_mel"]
    >>> classes = {"mel": "p_mel", "nv": "p_nv"}
    >>> found = audit_targets(
    ...     table, groups=["sex"], label="dx", classes=classes, n_boot=50, n_permutations=0
    ... )
    >>> found.decisions.classes, int(found.decisions.overall.confusion.sum())
    (('mel', 'nv'), 200)
    """

    classes: tuple[str, ...]
    overall: Decided
    groups: Mapping[str, Mapping[str, Decided]]
    disparities: Mapping[str, Mapping[str, Estimate]]
    floor: int
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The decisions as ``audit.json`` holds them; numbers that are not known are None."""
        return {
            "classes": list(self.classes),
            "floor": self.floor,
            "overall": _plain(self.overall),
            "groups": {a: {g: _plain(d) for g, d in gs.items()} for a, gs in self.groups.items()},
            "disparities": {
                a: {name: _estimate(e) for name, e in gaps.items()}
                for a, gaps in self.disparities.items()
            },
        }

    def tables(self) -> dict[str, pd.DataFrame]:
        """``decisions``: a row per number. ``confusion``: a row per true and decided class."""
        values, counts = [], []
        parts = {("", ""): self.overall}
        parts |= {(a, g): d for a, groups in self.groups.items() for g, d in groups.items()}
        for (attribute, group), one in parts.items():
            head = {"attribute": attribute, "group": group, "n": one.n}
            named = dict(one.metrics) | {f"recall of {c}": e for c, e in one.recalls.items()}
            values += [{**head, "metric": name, **_row(e)} for name, e in named.items()]
            counts += [
                {**head, "true": true, "decided": decided, "n": int(one.confusion[i, j])}
                for i, true in enumerate(self.classes)
                for j, decided in enumerate(self.classes)
            ]
        for attribute, gaps in self.disparities.items():
            head = {"attribute": attribute, "group": "", "n": None}
            values += [{**head, "metric": name, **_row(e)} for name, e in gaps.items()]
        return {"decisions": pd.DataFrame(values), "confusion": pd.DataFrame(counts)}


def _plain(one: Decided) -> dict[str, Any]:
    return {
        "n": one.n,
        "n_patients": one.n_patients,
        "metrics": {name: _estimate(e) for name, e in one.metrics.items()},
        "recalls": {name: _estimate(e) for name, e in one.recalls.items()},
        "confusion": one.confusion.tolist(),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    value = float(estimate.value) if math.isfinite(estimate.value) else None
    return {"value": value, "ci": None if estimate.ci is None else list(estimate.ci)}


def _row(estimate: Estimate) -> dict[str, float | None]:
    low, high = estimate.ci or (None, None)
    return {"value": estimate.value, "ci_low": low, "ci_high": high}
