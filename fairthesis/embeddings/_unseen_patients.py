"""Fresh probes before and after erasure, on patients that neither eraser nor probe has seen."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from fairthesis import stats
from fairthesis.embeddings._floors import floor_of
from fairthesis.embeddings._probes import Array, Codes, fit_probe, macro_auroc, probabilities

INNER = 4  # parts of the held-out patients: probes are fitted on three, judged on the fourth
ROWS = 10_000  # of the held-out patients: probes need no more


@dataclass(frozen=True)
class ErasureReading:
    """AUROC of one fresh probe on new patients, before and after erasure, with 95 % intervals.

    ``of`` is ``attribute`` or ``target``; ``change`` is after less before, paired by patient;
    ``shuffled_mean`` and ``shuffled_q95`` are of refits after erasure with the attribute shuffled
    over patients. An interval is None without resamples.

    >>> ErasureReading("attribute", "logistic", 0.9, None, 0.6, None, -0.3, None).after
    0.6
    """

    of: str
    probe: str
    before: float
    before_ci: tuple[float, float] | None
    after: float
    after_ci: tuple[float, float] | None
    change: float
    change_ci: tuple[float, float] | None
    shuffled_mean: float | None = None
    shuffled_q95: float | None = None


def parts(
    codes: Codes, who: Codes, n: int, seed: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows of all parts but one, and of that one: by patient, groups spread evenly."""
    cut = StratifiedGroupKFold(n, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a group smaller than the number of parts
        yield from cut.split(codes, codes, who)


def some(held: NDArray[np.intp], who: Codes, seed: int) -> NDArray[np.intp]:
    """At most ``ROWS`` of the rows, of whole patients drawn at random, in their order."""
    if len(held) <= ROWS:
        return held
    order = stats.generator(seed, "rows to probe", 0).permutation(who.max() + 1)
    first = held[np.argsort(order[who[held]], kind="stable")][:ROWS]
    return np.sort(first)


def _fresh(
    name: str,
    z: Array,
    labels: Codes,
    n_labels: int,
    tell: NDArray[np.intp],
    judge: NDArray[np.intp],
    seed: int,
) -> Array:
    """P(label) of rows ``judge`` by a probe fitted on those rows ``tell`` whose label is known."""
    own = tell[labels[tell] >= 0]
    if len(np.unique(labels[own])) < 2:
        return np.full((len(judge), n_labels), 1 / n_labels)
    return probabilities(fit_probe(name, z[own], labels[own], seed), z[judge], n_labels)


class Judged:
    """Scores of rows by probes that have not seen their patients, and the part each was in."""

    def __init__(self, n: int, n_groups: int, names: list[tuple[str, str]], n_shuffles: int):
        self.names, self.n_groups, self.n_shuffles = names, n_groups, n_shuffles
        self.stratum = np.full(n, -1)
        self.scores = {
            (of, probe): np.zeros((2, n, n_groups if of == "attribute" else 2))
            for of, probe in names
        }
        self.floors = {probe: np.zeros((n_shuffles, n, n_groups)) for _, probe in names}
        self.shuffled = np.zeros((n_shuffles, n), np.intp)

    def add(
        self,
        fold: int,
        held: NDArray[np.intp],
        pair: tuple[Array, Array],
        codes: Codes,
        y: Array | None,
        who: Codes,
        seed: int,
    ) -> None:
        """Probe the rows ``held`` before and after erasure, each quarter by the others."""
        labels = {"attribute": codes[held]}
        if y is not None:
            labels["target"] = np.nan_to_num(y[held], nan=-1).astype(np.intp)
        for k in range(self.n_shuffles):
            rng = stats.generator(seed, "shuffled attribute", k)
            self.shuffled[k][held] = stats.label_permuter(codes[held], who[held])(rng)
        for inner, (tell, judge) in enumerate(parts(codes[held], who[held], INNER, seed)):
            rows = held[judge]
            self.stratum[rows] = fold * INNER + inner
            for of, name in self.names:
                scores = self.scores[of, name]
                for z, to in zip(pair, scores, strict=True):
                    to[rows] = _fresh(name, z, labels[of], to.shape[1], tell, judge, seed)
                for moved, to in zip(self.shuffled, self.floors[name], strict=True):
                    if of == "attribute":
                        shuffled = moved[held]
                        to[rows] = _fresh(name, pair[1], shuffled, self.n_groups, tell, judge, seed)

    def readings(
        self, codes: Codes, y: Array | None, who: Codes, n_boot: int, seed: int
    ) -> Iterator[ErasureReading]:
        """A reading of each probe, with intervals over patients."""
        for of, probe in self.names:
            labels = codes if of == "attribute" or y is None else np.nan_to_num(y, nan=-1)
            rows = np.flatnonzero((self.stratum >= 0) & (labels >= 0))
            group, part = labels[rows].astype(np.intp), self.stratum[rows]
            pair = [scores[rows] for scores in self.scores[of, probe]]
            values = [float(macro_auroc(group, s, part)) for s in pair]
            ends: list[tuple[float, float] | None] = [None] * 3
            if n_boot:
                mine = stats.patient_index(who[rows])
                drawn = [
                    stats.bootstrap(_area(group, s, part, mine), mine.max() + 1, n_boot, seed)
                    for s in pair
                ]
                ends = [stats.percentile_interval(d) for d in (*drawn, drawn[1] - drawn[0])]
            floor = [
                float(macro_auroc(moved[rows], scores[rows], part))
                for moved, scores in zip(self.shuffled, self.floors[probe], strict=True)
                if of == "attribute"
            ]
            mean, high = (None if math.isnan(v) else v for v in floor_of(floor))
            yield ErasureReading(
                *(of, probe, values[0], ends[0], values[1], ends[1]),
                *(values[1] - values[0], ends[2]),
                mean,
                high,
            )


def _area(group: Codes, scores: Array, part: Codes, who: Codes) -> Any:
    return lambda counts: macro_auroc(group, scores, part, counts[:, who])
