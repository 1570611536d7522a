"""Cells of target, group and covariate: how many images each has, and which of them stay."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fairthesis.data import Cohort
from fairthesis.datasets.wrappers._mechanisms import Sides
from fairthesis.datasets.wrappers._planting import ORDER
from fairthesis.datasets.wrappers._strokes import id_uniforms
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import require_columns, text_column


def covariate_of(
    cohort: Cohort, covariate: str, value: str | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], str]:
    """Which images have the value, of which it is known, and the value itself."""
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
    shown = (text == value).fillna(False).to_numpy(bool)
    return shown, text.notna().to_numpy(bool), value


Cell = tuple[str, int, bool]  # group, target, covariate


class Cells:
    """The images of a cohort by target, group and covariate, and the order in which they stay.

    ``words`` are what an image with the chosen value of the covariate is called, and one without;
    None where there is no covariate. With ``keep`` as ``images`` every target and group gives all
    that it can.
    """

    def __init__(
        self,
        cohort: Cohort,
        where: Sides,
        shown: NDArray[np.bool_],
        known: NDArray[np.bool_],
        words: tuple[str, str] | None,
        keep: str,
        seed: int,
    ) -> None:
        self.name, self.words, self.keep = cohort.name, words, keep
        ids = cohort.frame["image_id"].astype(str).tolist()
        patients = cohort.frame["patient_id"].astype(str).tolist()
        first = id_uniforms(seed, ORDER, patients)
        self.order = np.lexsort((id_uniforms(seed, ORDER, ids), first))
        self.y, self.group, self.shown = where.target, where.group.to_numpy(object), shown

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
        rows: dict[Cell, NDArray[np.intp]] = {}
        share: dict[Cell, float] = {}
        ordered = self.order[here[self.order]]
        for name in sorted(set(self.group[here])):
            own = ordered[self.group[ordered] == name]
            sick = prevalence[name] if prevalence else float(self.y[own].mean())
            for y in (0, 1):
                cell = own[self.y[own] == y]
                among = len(own) / len(ordered) * (sick if y else 1 - sick)
                if self.words is None:
                    rows[name, y, False], share[name, y, False] = cell, among
                    continue
                q = float(p[cell].mean()) if len(cell) else 0.5
                for shown in (False, True):
                    rows[name, y, shown] = cell[self.shown[cell] == shown]
                    share[name, y, shown] = among * (q if shown else 1 - q)
        kept = np.zeros(len(here), bool)
        for key, w in share.items():
            with_it = [k for k in share if share[k] > 0 and self._together(k, key)]
            least = min(with_it, key=lambda k: len(rows[k]) / share[k], default=key)
            count = int(len(rows[least]) / share[least] * w + 1e-9) if w > 0 else 0
            if w > 0 and count < floor:
                self._refuse(part, key, count, least, len(rows[least]), floor)
            kept[rows[key][:count]] = True
        return kept

    def _together(self, one: Cell, other: Cell) -> bool:
        """Whether the sizes of two cells are tied to one another."""
        return self.keep == "shares" or one[:2] == other[:2]

    def _refuse(
        self, part: str, key: Cell, count: int, least: Cell, there: int, floor: int
    ) -> None:
        keep = " or keep=images," if self.keep == "shares" and self.words else ""
        raise InputError(
            f"The selection would leave {count} images of {self._said(key)} in the {part} part of "
            f"{self.name}, and the floor is {floor}. The cell that limits it is "
            f"{self._said(least)}, of {there} images. Ask for a weaker association{keep} or lower "
            "the floor."
        )

    def _said(self, key: Cell) -> str:
        group, y, shown = key
        which = "" if self.words is None else f", {self.words[0 if shown else 1]}"
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

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"view": list("AAAP" * 2 + "PPPA" * 2), "y": [1.0] * 8 + [0.0] * 8})
    >>> frame["image_id"] = frame["patient_id"] = [str(i) for i in range(16)]
    >>> cohort = Cohort("mine", frame.assign(split="train", path="x.png"), ("y",), ())
    >>> round(association(cohort, "view", "A"), 2)  # without the halves 9
    6.76
    """
    y = cohort.labels(target or cohort.targets[0])
    shown, sure, _ = covariate_of(cohort, covariate, value)
    here = sure & ~np.isnan(y) & (cohort.frame["split"] == part).to_numpy()
    counts = [float((here & (y == i) & (shown == j)).sum()) + 0.5 for i in (0, 1) for j in (0, 1)]
    return counts[3] * counts[0] / (counts[1] * counts[2])
