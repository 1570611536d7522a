"""Methods on the tables of a finished run: other embeddings or other scores come out.

Nothing is trained but a linear head. What is fitted is fitted on rows of the ``train`` part (or
``val``, where a method says so), never on ``test``. ``fairthesis.training.apply_posthoc`` applies
them to run directories.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairthesis.embeddings import KernelEraser, Leace, MeanDifferences
from fairthesis.embeddings import mean_differences as mean_differences
from fairthesis.errors import InputError
from fairthesis.postprocessing._randomized import RandomizedThresholds

Array = NDArray[np.float64]
ROUNDING = 1e-6  # of the embedding's spread: embeddings are stored with 24 bits


@dataclass(frozen=True)
class RunTables:
    """The tables of a run, by image: rows of ``keys`` and of the arrays belong together.

    Args:
        keys: ``image_id``, ``patient_id`` and ``split`` of each image.
        z: the disease embedding, shape (n, d).
        y_true: 0 or 1, NaN not stated, shape (n, targets).
        y_score: probabilities, NaN unknown, shape (n, targets).
        group: the joint group of all attributes, shape (n,), None where any of them is unknown.
        targets: their names.
        seed: the run's; decides what a method draws.

    >>> keys = pd.DataFrame({"image_id": ["a", "b"], "split": ["train", "test"]})
    >>> group = np.array(["F / old", None], object)
    >>> run = RunTables(keys, np.zeros((2, 4)), np.ones((2, 1)), np.ones((2, 1)), group, ("t",), 0)
    >>> run.part("test").tolist(), run.known("test").tolist()
    ([False, True], [False, False])
    """

    keys: pd.DataFrame
    z: Array
    y_true: Array
    y_score: Array
    group: NDArray[np.object_]
    targets: tuple[str, ...]
    seed: int

    def part(self, name: str) -> NDArray[np.bool_]:
        """Which rows are of a split."""
        return (self.keys["split"] == name).to_numpy()

    def known(self, name: str) -> NDArray[np.bool_]:
        """Rows of a split whose group is known."""
        return self.part(name) & np.array([group is not None for group in self.group])


def _logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))


def refit(run: RunTables, z: Array) -> RunTables:
    """The run with embedding ``z`` and a fresh logistic head per target, fitted on ``train``.

    A number of the embedding that ``z`` leaves no spread but rounding is made constant: a head that
    scales its input would recover the disease from the rounding.
    """
    before, after = (values[run.part("train")] for values in (run.z, z))
    erased = after.std(0) <= ROUNDING * before.std(0).max()
    z = np.where(erased, after.mean(0), z)
    scores = np.empty_like(run.y_score)
    for t, y in enumerate(run.y_true.T):
        rows = run.part("train") & ~np.isnan(y)
        if len(np.unique(y[rows])) < 2:
            raise InputError(
                f"Target {run.targets[t]!r} has one class in the train part: expected cases of "
                "both."
            )
        scores[:, t] = _logistic().fit(z[rows], y[rows]).predict_proba(z)[:, 1]
    return dataclasses.replace(run, z=z, y_score=scores)


def leace(run: RunTables) -> RunTables:
    """LEACE on the disease embedding: no linear probe recovers the groups (on the fitting rows).

    The eraser (``Leace``) is fitted on train rows with a known group and applied to all rows;
    marginal, so that what the target explains of the group goes, too. A logistic head is fitted
    anew, so that the scores change as well.

    Raises:
        InputError: where the train part has one group, or one class of a target.

    Reference: Belrose et al., NeurIPS 2023.

    >>> rng = np.random.default_rng(0)
    >>> sex, y = rng.choice(["F", "M"], 400), rng.integers(0, 2, (400, 1)) * 1.0
    >>> keys = pd.DataFrame({"image_id": np.arange(400), "split": ["train", "val"] * 200})
    >>> z = rng.normal(size=(400, 3)) + np.c_[2 * y, 2 * (sex == "M"), 0 * y]
    >>> run = RunTables(keys, z, y, rng.random((400, 1)), sex.astype(object), ("effusion",), 0)
    >>> female, train = sex == "F", run.part("train")
    >>> apart = lambda z: abs(z[train & female].mean(0) - z[train & ~female].mean(0)).max()
    >>> round(float(apart(run.z)), 1), round(float(apart(leace(run).z)), 6)
    (1.9, 0.0)
    """
    rows = run.known("train")
    return refit(run, Leace().fit(run.z[rows], run.group[rows]).transform(run.z))


def orthogonalised(run: RunTables) -> RunTables:
    """The disease embedding less the directions in which group means differ, given the target.

    z - Q Q' (z - mean), Q an orthonormal basis of ``mean_differences`` on train rows with known
    group: within each class of each target all groups then have one mean (on the fitting rows),
    and differences that come from the target alone stay. An orthogonal projection removes more than
    LEACE needs to. A logistic head is fitted anew.

    Raises:
        InputError: where the train part has one class of a target.

    Reference: mean-difference projection as in Bolukbasi et al., NeurIPS 2016, within classes.

    >>> rng = np.random.default_rng(0)
    >>> sex, y = rng.choice(["F", "M"], 400), rng.integers(0, 2, (400, 1)) * 1.0
    >>> keys = pd.DataFrame({"image_id": np.arange(400), "split": ["train", "val"] * 200})
    >>> z = rng.normal(size=(400, 3)) + np.c_[2 * y, 2 * (sex == "M"), 0 * y]
    >>> run = RunTables(keys, z, y, rng.random((400, 1)), sex.astype(object), ("effusion",), 0)
    >>> rows = run.part("train")
    >>> left = mean_differences(orthogonalised(run).z[rows], run.group[rows], run.y_true[rows])
    >>> round(float(abs(left).max()), 6)
    0.0
    """
    rows = run.known("train")
    eraser = MeanDifferences(given_target=True)
    eraser.fit(run.z[rows], run.group[rows], target=run.y_true[rows])
    return refit(run, eraser.transform(run.z))


def kernel(run: RunTables) -> RunTables:
    """``KernelEraser`` on the disease embedding: against curved probes as well.

    Fitted on train rows with a known group; a logistic head is fitted anew.

    Raises:
        InputError: as of ``leace``.

    Reference: Fukumizu and Leng, JASA 2014.

    >>> rng = np.random.default_rng(0)
    >>> sex, y = rng.choice(["F", "M"], 2000), rng.integers(0, 2, (2000, 1)) * 1.0
    >>> keys = pd.DataFrame({"image_id": np.arange(2000), "split": ["train", "val"] * 1000})
    >>> z = rng.normal(size=(2000, 4)) * np.c_[1 + 3 * (sex == "M"), y + 1, y + 1, y + 1]
    >>> run = RunTables(keys, z, y, rng.random((2000, 1)), sex.astype(object), ("effusion",), 0)
    >>> spread = lambda z: z[sex == "M", 0].std() / z[sex == "F", 0].std()
    >>> bool(spread(run.z) > 3.5), bool(spread(kernel(run).z) < 1.5)
    (True, True)
    """
    rows = run.known("train")
    eraser = KernelEraser(seed=run.seed).fit(run.z[rows], run.group[rows])
    return refit(run, eraser.transform(run.z))


def exponentiated_gradient(run: RunTables) -> RunTables:
    """fairlearn's ExponentiatedGradient with EqualizedOdds on the disease embedding.

    The reduction of Agarwal et al. (ICML 2018) with logistic regression, fitted on train rows with
    known label and group; per target. It gives a mixture of classifiers and a guarantee on
    decisions drawn from it: the score is that decision, 0 or 1, drawn with the run's seed
    (fairlearn's ``predict``), and an AUROC of it is no AUROC of scores. The embedding stays; no
    group is needed in use. The constraint may be violated by 0.01 on the fitting rows.

    Reference: Agarwal et al., ICML 2018.

    >>> rng = np.random.default_rng(0)
    >>> sex, y = rng.choice(["F", "M"], 400), rng.integers(0, 2, (400, 1)) * 1.0
    >>> keys = pd.DataFrame({"image_id": np.arange(400), "split": ["train", "val"] * 200})
    >>> z = rng.normal(size=(400, 3)) + np.c_[2 * y, 2 * (sex == "M"), 0 * y]
    >>> run = RunTables(keys, z, y, rng.random((400, 1)), sex.astype(object), ("effusion",), 0)
    >>> mended = exponentiated_gradient(run)
    >>> sorted(set(mended.y_score[:, 0].tolist())), mended.z is run.z
    ([0.0, 1.0], True)
    """
    from fairlearn.reductions import EqualizedOdds, ExponentiatedGradient

    scores = np.empty_like(run.y_score)
    for t, y in enumerate(run.y_true.T):
        rows = run.known("train") & ~np.isnan(y)
        scale = StandardScaler().fit(run.z[rows])
        reduction = ExponentiatedGradient(
            LogisticRegression(C=1.0, max_iter=1000), EqualizedOdds(), eps=0.01
        )
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # fairlearn's own use of pandas; its fits that stop early
            reduction.fit(
                scale.transform(run.z[rows]),
                y[rows].astype(int),
                sensitive_features=run.group[rows].astype(str),
            )
            scores[:, t] = reduction.predict(scale.transform(run.z), random_state=run.seed)
    return dataclasses.replace(run, y_score=scores)


def threshold_optimizer(run: RunTables) -> RunTables:
    """fairlearn's ThresholdOptimizer on the scores: thresholds by group for equalized odds.

    Fitted on **val** rows with known label and group (thresholds are chosen there, as everywhere),
    per target; needs the group in use. The score is the decision, 0 or 1, drawn with the run's seed
    where a threshold is randomised: any threshold between gives that decision, and an AUROC of it
    is no AUROC of scores. Rows of unknown group, or of one that has not both classes in val, keep
    no score: rates that are not known cannot be made equal.

    Raises:
        InputError: where fewer than two groups have both classes in val.

    Reference: Hardt, Price and Srebro, NeurIPS 2016.

    >>> rng = np.random.default_rng(0)
    >>> sex, y = rng.choice(["F", "M"], 400), rng.integers(0, 2, (400, 1)) * 1.0
    >>> keys = pd.DataFrame({"image_id": np.arange(400), "split": ["train", "val"] * 200})
    >>> z = rng.normal(size=(400, 3)) + np.c_[2 * y, 2 * (sex == "M"), 0 * y]
    >>> run = RunTables(keys, z, y, rng.random((400, 1)), sex.astype(object), ("effusion",), 0)
    >>> run.group[:3] = None  # whose group is unknown keeps no score
    >>> decided = threshold_optimizer(run).y_score[:, 0]
    >>> decided[:3].tolist(), sorted(set(decided[3:].tolist()))
    ([nan, nan, nan], [0.0, 1.0])
    """
    scores = np.full_like(run.y_score, np.nan)
    known = np.array([group is not None for group in run.group])
    names = run.group.astype(str)  # an unknown one becomes "None", and a group may be called that
    for t, y in enumerate(run.y_true.T):
        rows = run.known("val") & ~np.isnan(y)
        both = [g for g in set(run.group[rows]) if len(np.unique(y[rows & (run.group == g)])) == 2]
        rows &= np.isin(names, both)
        if len(both) < 2:
            raise InputError(
                f"{len(both) or 'No'} group has both classes of {run.targets[t]!r} in the val "
                "part: rates are made equal between two groups or more. Take another attribute or "
                "target, or other splits."
            )
        fitted = RandomizedThresholds().fit_checked(
            run.y_score[rows, t], y[rows] > 0, names[rows].astype(object)
        )
        seen = known & np.isin(names, both)
        scores[seen, t] = fitted.predict(
            run.y_score[seen, t], sensitive_features=names[seen], random_state=run.seed
        )
    return dataclasses.replace(run, y_score=scores)


#: Every post-hoc method by its name: a function that takes the tables of a run and gives them with
#: another embedding, other scores or both.
POSTHOC: dict[str, Callable[[RunTables], RunTables]] = {
    "leace": leace,
    "orthogonalised": orthogonalised,
    "kernel": kernel,
    "exponentiated_gradient": exponentiated_gradient,
    "threshold_optimizer": threshold_optimizer,
}
#: Those whose score is a decision that is drawn: two images' may differ by the draw alone.
DRAWN = frozenset({"exponentiated_gradient", "threshold_optimizer"})
