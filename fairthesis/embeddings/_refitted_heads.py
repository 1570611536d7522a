"""A head refitted on embeddings as they are, erased, and with random directions taken out.

Everything is cross-fitted by patient: eraser, head and threshold have not seen the patients whose
scores they give.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from fairthesis import metrics, stats
from fairthesis.embeddings._eraser import WholeSpaceWarning
from fairthesis.embeddings._probes import Array, Codes, fit_probe, macro_auroc
from fairthesis.embeddings._projections import least_change, whitening
from fairthesis.embeddings._unseen_patients import parts

Map = Callable[[Array], Array]


@dataclass(frozen=True)
class Cases:
    """Embedding (n, d), label 0 or 1, group and patient codes of shape (n,)."""

    x: Array
    y: Codes
    group: Codes
    patient: Codes

    def rows(self, keep: NDArray[Any]) -> Cases:
        """Some of the cases."""
        return Cases(self.x[keep], self.y[keep], self.group[keep], self.patient[keep])


@dataclass(frozen=True)
class Scored:
    """Out-of-fold scores and decisions of one way to refit, and the fold of each case, (n,)."""

    score: Array
    positive: NDArray[np.bool_]
    fold: Codes

    @classmethod
    def of(cls, n: int) -> Scored:
        """Empty ones, to be filled fold by fold."""
        return cls(np.zeros(n), np.zeros(n, bool), np.zeros(n, np.intp))

    def fill(
        self, fold: int, cases: Cases, fit: Codes, held: Codes, change: Map, seed: int
    ) -> None:
        """Fit a head on the changed rows ``fit``, choose its threshold there, score ``held``."""
        self.fold[held] = fold
        z = change(cases.x[fit])
        head = fit_probe("logistic", z, cases.y[fit], seed)
        threshold = metrics.choose_threshold(cases.y[fit], head.predict_proba(z)[:, 1], "youden")
        self.score[held] = head.predict_proba(change(cases.x[held]))[:, 1]
        self.positive[held] = self.score[held] >= threshold

    def statistic(self, cases: Cases, weight: NDArray[Any], groups: Codes) -> Array:
        """AUROC of all cases and of each of ``groups``, then their TPR, then their FPR.

        AUROCs are within folds: heads of two folds have scales of their own. Shape
        (..., 1 + 3 groups) for weights of shape (..., n).
        """
        both = np.stack([1 - self.score, self.score], axis=1)
        found = [macro_auroc(cases.y, both, self.fold, weight)]
        inside = [np.flatnonzero(cases.group == g) for g in groups]
        found += [
            macro_auroc(cases.y[rows], both[rows], self.fold[rows], weight[..., rows])
            for rows in inside
        ]
        for label in (1, 0):
            for rows in inside:
                own = rows[cases.y[rows] == label]
                called = weight[..., own[self.positive[own]]].sum(-1)
                found.append(metrics.ratio(called, weight[..., own].sum(-1)))
        return np.stack(found, axis=-1)


def refitted(
    cases: Cases,
    erasers: dict[str, Any],
    folds: int,
    n_random: int,
    seed: int,
) -> tuple[Scored, dict[str, Scored], dict[str, list[Scored]]]:
    """Scores as they are; by the name of an eraser those after it; and those of its controls.

    A control takes as many directions as the eraser did, drawn at random after whitening, by the
    same kind of projection.
    """
    n = len(cases.y)
    kept, erased = Scored.of(n), {name: Scored.of(n) for name in erasers}
    controls = {name: [Scored.of(n) for _ in range(n_random)] for name in erasers}
    cells = 2 * cases.group + cases.y
    for fold, (fit, held) in enumerate(parts(cells, cases.patient, folds, seed)):
        own = cases.rows(fit)
        kept.fill(fold, cases, fit, held, lambda z: z, seed)
        drawn: dict[int, list[Map]] = {}
        for name, eraser in erasers.items():
            given = {"target": own.y} if eraser.uses_target else {}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", WholeSpaceWarning)
                fitted = clone(eraser).fit(own.x, own.group, **given)
            erased[name].fill(fold, cases, fit, held, fitted.transform, seed)
            rank = fitted.rank_
            maps = drawn.setdefault(rank, list(_random_maps(own.x, rank, n_random, fold, seed)))
            for control, change in zip(controls[name], maps, strict=True):
                control.fill(fold, cases, fit, held, change, seed)
    return kept, erased, controls


def _random_maps(x: Array, rank: int, n: int, fold: int, seed: int) -> Iterator[Map]:
    mean = x.mean(0)
    white, _ = whitening((x - mean).T @ (x - mean) / len(x), len(x))
    for k in range(n):
        rng = stats.generator(seed, f"random directions of fold {fold}", k)
        columns = white.unwhiten @ rng.normal(size=(x.shape[1], rank))
        projection, _ = least_change(white, columns)
        yield lambda z, p=projection: z - (z - mean) @ p.T  # type: ignore[misc]
