"""Cells of target, group and covariate: how many images each has, and which of them stay."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.data import Cohort
from fairthesis.datasets.wrappers._mechanisms import Sides
from fairthesis.datasets.wrappers._planting import ORDER
from fairthesis.datasets.wrappers._strokes import id_uniforms
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import require_columns, text_column


def covariate_of(
    cohort: Cohort, covariate: str | None, value: str | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which images have the value, and of which it is known."""
    if covariate is None:
        return np.zeros(len(cohort), bool), np.ones(len(cohort), bool)
    require_columns(cohort.frame, [covariate], f"the cohort {cohort.name}")
    text = text_column(cohort.frame[covariate])
    counts = text.value_counts().sort_index()
    if value is None:
        if len(counts) != 2:
            raise InputError(
                f"Expected the option value: the covariate {covariate} has {len(counts)} values "
                f"({', '.join(map(str, counts.index[:6]))}), one of which is set against the "
                "others."
            )
        value = str(counts.idxmax())
    if value not in counts.index:
        raise unknown(f"value of {covariate}", value, counts.index)
    return (text == value).fillna(False).to_numpy(bool), text.notna().to_numpy(bool)


class Cells:
    """The images of a cohort by target, group and covariate, and the order in which they stay."""

    def __init__(
        self,
        cohort: Cohort,
        where: Sides,
        shown: NDArray[np.bool_],
        known: NDArray[np.bool_],
        by_covariate: bool,
        seed: int,
    ) -> None:
        self.name, self.by_covariate = cohort.name, by_covariate
        ids = cohort.frame["image_id"].astype(str).tolist()
        patients = cohort.frame["patient_id"].astype(str).tolist()
        first = id_uniforms(seed, ORDER, patients)
        self.order = np.lexsort((id_uniforms(seed, ORDER, ids), first))
        self.table = pd.DataFrame(
            {"y": where.target, "group": where.group.to_numpy(object), "shown": shown}
        ).where(pd.Series(known), None)
        self.y = where.target

    def prevalence(self, here: NDArray[np.bool_]) -> float:
        return float(self.y[here].mean())

    def chosen(
        self,
        part: str,
        here: NDArray[np.bool_],
        p: NDArray[np.float64],
        prevalence: Mapping[str, float] | None,
        floor: int,
    ) -> NDArray[np.bool_]:
        """Which images of a part stay: the largest selection with the wanted shares of cells."""
        own = self.table[here]
        sizes = own.groupby("group").size() / len(own)
        rows: dict[tuple[str, int, bool], NDArray[np.intp]] = {}
        share: dict[tuple[str, int, bool], float] = {}
        ordered = self.order[here[self.order]]
        at = self.table.iloc[ordered]
        for group, of_group in sizes.items():
            name = str(group)
            sick = prevalence[name] if prevalence else float(own[own["group"] == group]["y"].mean())
            for y in (0, 1):
                cell = ((at["group"] == group) & (at["y"] == y)).to_numpy(bool)
                among = float(of_group) * (sick if y else 1 - sick)
                if not self.by_covariate:
                    rows[name, y, False], share[name, y, False] = ordered[cell], among
                    continue
                if among > 0 and not cell.any():
                    self._refuse(part, (name, y, True), 0, 0, floor)
                q = float(p[ordered[cell]].mean()) if cell.any() else 0.5
                for shown in (False, True):
                    key = name, y, shown
                    rows[key] = ordered[cell & (at["shown"] == shown).to_numpy(bool)]
                    share[key] = among * (q if shown else 1 - q)
        total = min(len(rows[key]) / w for key, w in share.items() if w > 0)
        kept = np.zeros(len(here), bool)
        for key, w in share.items():
            count = int(total * w + 1e-9)
            if w > 0 and count < floor:
                least = min(share, key=lambda k: len(rows[k]) / share[k] if share[k] else np.inf)
                self._refuse(part, key, count, len(rows[least]), floor, least)
            kept[rows[key][:count]] = True
        return kept

    def _refuse(
        self,
        part: str,
        key: tuple[str, int, bool],
        count: int,
        there: int,
        floor: int,
        least: tuple[str, int, bool] | None = None,
    ) -> None:
        why = (
            f" The cell that limits it is {self._said(least)}, of {there} images." if least else ""
        )
        raise InputError(
            f"The selection would leave {count} images of {self._said(key)} in the {part} part of "
            f"{self.name}, and the floor is {floor}.{why} Ask for a weaker association, or lower "
            "the floor."
        )

    def _said(self, key: tuple[str, int, bool]) -> str:
        group, y, shown = key
        which = (", covariate as chosen" if shown else ", covariate another") * self.by_covariate
        return f"group {group}, target {y}{which}"


def association(
    cohort: Cohort, covariate: str, value: str, *, target: str | None = None, part: str = "train"
) -> float:
    """The odds ratio of a target and a covariate's value in a part of a cohort.

    (a d) / (b c) of the four counts, 0.5 added to each (Haldane 1956, Ann. Hum. Genet. 20; Anscombe
    1956, Biometrika 43), so that it is finite; 1 is no association.

    Args:
        cohort: the cohort.
        covariate: a column of its frame.
        value: the value that is set against all others.
        target: by default the cohort's first.
        part: ``train``, ``val`` or ``test``.

    Raises:
        InputError: for an unknown target, column or value.

    >>> frame = pd.DataFrame({"view": list("AAAP" * 2 + "PPPA" * 2), "y": [1.0] * 8 + [0.0] * 8})
    >>> frame["image_id"] = frame["patient_id"] = [str(i) for i in range(16)]
    >>> cohort = Cohort("mine", frame.assign(split="train", path="x.png"), ("y",), ())
    >>> round(association(cohort, "view", "A"), 2)  # without the halves 9
    6.76
    """
    y = cohort.labels(target or cohort.targets[0])
    shown, sure = covariate_of(cohort, covariate, value)
    here = sure & ~np.isnan(y) & (cohort.frame["split"] == part).to_numpy()
    counts = [float((here & (y == i) & (shown == j)).sum()) + 0.5 for i in (0, 1) for j in (0, 1)]
    return counts[3] * counts[0] / (counts[1] * counts[2])
