"""Probes: classifiers fitted afterwards on frozen embeddings, to see what they recover from them.

A probe is fresh: it has nothing in common with an adversary met in training. ``_leakage`` fits
them on tables, with intervals and floors; here are the probes and the measures themselves.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairthesis import metrics
from fairthesis.errors import InputError, unknown

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

# Shares of the data after which the online code fits its probe anew (Voita and Titov 2020).
BLOCKS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)

#: Name -> function that takes a seed and the number of fitting cases and gives a classifier of
#: scikit-learn. Options are fixed: nothing is tuned. ``logistic`` recovers what a line separates;
#: ``mlp`` (two layers of 64), ``knn`` (25 neighbours) and ``boosting`` (100 trees) more than that.
PROBES: dict[str, Callable[[int, int], Any]] = {
    "logistic": lambda seed, n: LogisticRegression(C=0.1, max_iter=2000),
    "mlp": lambda seed, n: MLPClassifier((64, 64), alpha=0.01, max_iter=100, random_state=seed),
    "knn": lambda seed, n: KNeighborsClassifier(min(25, max(1, n // 4))),
    "boosting": lambda seed, n: HistGradientBoostingClassifier(
        max_iter=100, max_leaf_nodes=15, early_stopping=False, random_state=seed
    ),
}


def fit_probe(name: str, embedding: ArrayLike, attribute: ArrayLike, seed: int = 0) -> Any:
    """The probe ``name`` of ``PROBES`` fitted on standardised inputs; has ``predict_proba``.

    Args:
        name: a key of ``PROBES``.
        embedding: numbers, shape (n, d); NaN is for ``boosting`` alone.
        attribute: the group of each row, shape (n,), at least two values.
        seed: of ``mlp`` and ``boosting``; the others draw nothing.

    Raises:
        InputError: for an unknown name, shapes that do not fit, or a constant attribute.

    >>> probe = fit_probe("logistic", [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> probe.predict([[5.0]]).tolist()
    [1]
    """
    if name not in PROBES:
        raise unknown("probe", name, PROBES)
    x, a = np.asarray(embedding, np.float64), np.asarray(attribute)
    if x.ndim != 2 or len(x) != len(a):
        raise InputError(
            f"Expected an embedding of shape (n, d) and n attribute values, but got {x.shape} and "
            f"{a.shape}."
        )
    if len(np.unique(a)) < 2:
        raise InputError("A probe needs cases of two groups or more: the attribute is constant.")
    probe = make_pipeline(StandardScaler(), PROBES[name](seed, len(x)))
    with warnings.catch_warnings():
        # The number of steps is part of the probe, not a failure to converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return probe.fit(x, a)


def probabilities(probe: Any, embedding: ArrayLike, n_groups: int) -> Array:
    """P(group | embedding), shape (n, n_groups): 0 for a group that the probe has never seen.

    Args:
        probe: of ``fit_probe``, fitted on codes from 0 to ``n_groups - 1``.
        embedding: shape (n, d).
        n_groups: how many groups there are.

    >>> probe = fit_probe("knn", [[0.0], [1.0], [8.0], [9.0]], [0, 0, 2, 2])
    >>> probabilities(probe, [[0.5], [8.5]], n_groups=3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    found = np.zeros((len(np.asarray(embedding)), n_groups))
    found[:, probe.classes_] = probe.predict_proba(np.asarray(embedding, np.float64))
    return found


def macro_auroc(
    groups: ArrayLike,
    scores: ArrayLike,
    strata: ArrayLike | None = None,
    weight: ArrayLike | None = None,
) -> Array:
    """AUROC of a group, one against the rest, mean over groups; within strata if given.

    Within strata it is the chance that of two cases of one stratum, one in the group and one
    not, the first is scored higher: AUROCs weighted by the number of pairs,
    sum_c P_c N_c AUROC_c / sum_c P_c N_c. Groups without any pair are passed over.

    Args:
        groups: codes from 0 to n_groups - 1, shape (n,).
        scores: P(group), shape (n, n_groups).
        strata: codes, shape (n,); None is one stratum.
        weight: of the cases, shape (..., n); None weighs all alike.

    Returns:
        Shape (...), 0 to 1; NaN where there is no pair.

    Reference: Hand and Till, Machine Learning 2001 (one of several AUROCs of many classes).

    >>> scores = np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.1, 0.9]])
    >>> float(macro_auroc([0, 1, 0, 1], scores))
    1.0
    """
    a, s = np.asarray(groups), np.asarray(scores, np.float64)
    c = np.zeros(len(a), np.intp) if strata is None else np.asarray(strata)
    w = np.ones(len(a)) if weight is None else np.asarray(weight, np.float64)
    # With two groups the second mirrors the first.
    asked = range(1, 2) if s.shape[1] == 2 else range(s.shape[1])
    found = []
    for k in asked:
        won, pairs = np.zeros(w.shape[:-1]), np.zeros(w.shape[:-1])
        for stratum in np.unique(c):
            rows = np.flatnonzero(c == stratum)
            inside = a[rows] == k
            if inside.all() or not inside.any():
                continue
            part = w[..., rows]
            weights = part[..., inside].sum(-1) * part[..., ~inside].sum(-1)
            area = metrics.auroc(inside, s[rows, k], part)
            won = won + np.where(weights > 0, weights * np.nan_to_num(area), 0.0)
            pairs = pairs + weights
        if ((a == k).any() and (a != k).any()) and np.any(pairs > 0):
            found.append(metrics.ratio(won, pairs))
    if not found:
        return np.full(w.shape[:-1], np.nan)
    return np.asarray(np.mean(found, axis=0))


@dataclass(frozen=True)
class Code:
    """The online code of labels given embeddings, in bits; see ``online_code``.

    ``uniform`` is n log2 K; ``without`` the online code of the labels alone, which already gains
    from unequal groups. ``bits`` well below ``without`` means that the labels are easy to recover.
    """

    bits: float
    without: float
    uniform: float

    @property
    def compression(self) -> float:
        """uniform / bits, as Voita and Titov report it; 1 or less means nothing was gained."""
        return self.uniform / self.bits

    @property
    def gain(self) -> float:
        """1 - bits / without: the share of the labels' own code that the embedding saves."""
        return 1 - self.bits / self.without


def online_code(
    embedding: ArrayLike, attribute: ArrayLike, patient: ArrayLike | None = None, seed: int = 0
) -> Code:
    """Online (prequential) minimum description length of the attribute, logistic probe.

    L = t_1 log2 K - sum_i log2 p_i(a_{t_i + 1}, ..., a_{t_{i+1}} | z), where p_i is fitted on the
    first t_i cases (Voita and Titov 2020, "Information-Theoretic Probing with Minimum Description
    Length"; steps t_i / n in ``BLOCKS``). It counts how much data a probe needs, not only
    whether it succeeds. Cases come in random order of patients. So that no label costs infinitely
    many bits, p is (t p + 1) / (t + K).

    ``embedding`` has shape (n, d); ``attribute`` (n,) codes 0..K-1.

    >>> rng = np.random.default_rng(0)
    >>> a = rng.integers(0, 2, 500)
    >>> code = online_code(rng.normal(size=(500, 2)) + 6 * a[:, None], a)
    >>> code.bits < 0.3 * code.without
    True
    """
    x, a = np.asarray(embedding, np.float64), np.asarray(attribute, np.intp)
    n, k = len(a), int(a.max()) + 1
    who = np.arange(n) if patient is None else np.unique(patient, return_inverse=True)[1]
    turn = np.random.default_rng(seed).permutation(int(who.max()) + 1)
    order = np.argsort(turn[who], kind="stable")
    x, a = x[order], a[order]
    ends = sorted({max(1, round(share * n)) for share in BLOCKS})
    bits = without = ends[0] * math.log2(k)
    for first, last in itertools.pairwise(ends):
        seen, coming = a[:first], np.arange(first, last)
        prior = np.bincount(seen, minlength=k) / first
        p = np.tile(prior, (last - first, 1))
        if len(np.unique(seen)) > 1:
            p = probabilities(fit_probe("logistic", x[:first], seen, seed), x[first:last], k)
        for total, chance in (("bits", p), ("without", np.tile(prior, (last - first, 1)))):
            smooth = (first * chance[np.arange(last - first), a[coming]] + 1) / (first + k)
            cost = float(-np.log2(smooth).sum())
            bits, without = (bits + cost, without) if total == "bits" else (bits, without + cost)
    return Code(bits, without, n * math.log2(k))
