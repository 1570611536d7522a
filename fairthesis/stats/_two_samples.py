"""Whether two samples are of one distribution: kernels' mean discrepancy, and a classifier.

Both tests permute which sample a row belongs to. That is exact where rows are independent: one row
per patient (``one_row_per_patient``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

from fairthesis.errors import InputError
from fairthesis.stats._p_values import permutation_p_value
from fairthesis.stats._resampling import generator

Array = NDArray[np.float64]
#: ``f(train, labels, test) -> scores``: rows to fit (n, d), one labelling per column (n, p), rows
#: to score (m, d); a score for each row and labelling (m, p).
ScoreMany = Callable[[Array, Array, Array], Array]
#: Rows of a sample that are tested at most; of more, so many are drawn.
MAX_ROWS = 1000
BANDWIDTHS = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class TwoSample:
    """A two-sample test: its statistic, its p value, and the rows of each sample that it used.

    >>> TwoSample(0.01, 0.4, 200, 100).p_value
    0.4
    """

    statistic: float
    p_value: float
    n_first: int
    n_second: int


def one_row_per_patient(patients: ArrayLike, seed: int = 0) -> NDArray[np.intp]:
    """One row of each patient, drawn at random: rows that can be permuted singly.

    Args:
        patients: Key of each row's patient, shape (n,).
        seed: Seed of the draw.

    Returns:
        Places of the rows, in order, shape (patients,).

    >>> one_row_per_patient(["a", "a", "b", "c", "c"]).tolist()
    [1, 2, 4]
    """
    keys = np.asarray(patients)
    shuffled = generator(seed, "one row per patient", 0).permutation(len(keys))
    _, place = np.unique(keys[shuffled], return_index=True)
    return np.sort(shuffled[place])


def mmd(
    first: ArrayLike,
    second: ArrayLike,
    *,
    n_permutations: int = 999,
    seed: int = 0,
    bandwidths: Sequence[float] = BANDWIDTHS,
) -> TwoSample:
    """Maximum mean discrepancy of two samples, with a permutation test.

    The unbiased estimate of MMD² = E k(x, x') + E k(y, y') - 2 E k(x, y) (Gretton et al. 2012, "A
    kernel two-sample test", JMLR 13, lemma 6), with k the mean of Gaussian kernels
    exp(-d² / (2 b² m²)), m the median distance of the pooled rows and b each of ``bandwidths``.
    Columns are divided by their pooled standard deviation first. All permutations are products of
    one kernel matrix.

    Args:
        first: One sample, independent rows, shape (n, d) or (n,).
        second: The other, shape (m, d) or (m,).
        n_permutations: Permutations of the rows over the samples.
        seed: Seed of the permutations, and of the draw of 1,000 rows of a larger sample.
        bandwidths: Multiples of the median distance, above 0.

    Returns:
        The statistic (about 0 or below where the samples are alike), the share of permutations
        with one as large, and the rows used.

    Raises:
        InputError: A sample has fewer than two rows, widths differ, or a number is not finite.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(100, 3)), rng.normal(size=(80, 3))
    >>> mmd(x, y).p_value > 0.05, mmd(x, y + 1).p_value
    (True, 0.001)
    """
    if not bandwidths or min(bandwidths) <= 0:
        raise InputError(f"The bandwidths are {list(bandwidths)}: expected numbers above 0.")
    rows, n = _pooled(first, second, seed)
    total = len(rows)
    distance = pdist(rows, "sqeuclidean")
    middle = float(np.median(distance))
    middle = middle if middle > 0 else float(distance.mean())
    if middle == 0:  # all rows are alike
        return TwoSample(0.0, 1.0, n, total - n)
    kernel = np.zeros_like(distance)
    for width in bandwidths:
        kernel += np.exp(-distance / (2 * width**2 * middle))
    k = squareform(kernel / len(bandwidths)).astype(np.float32)  # 0 on the diagonal: unbiased
    labels = _labellings(total, n, n_permutations, seed).astype(np.float32)
    inside = np.einsum("ij,ij->i", labels @ k, labels, dtype=np.float64)
    across = labels.astype(np.float64) @ k.sum(1, dtype=np.float64) - inside
    outside = k.sum(dtype=np.float64) - inside - 2 * across
    m = total - n
    found = inside / (n * (n - 1)) + outside / (m * (m - 1)) - 2 * across / (n * m)
    return TwoSample(float(found[0]), permutation_p_value(float(found[0]), found[1:]), n, m)


def ridge_scores(train: Array, labels: Array, test: Array) -> Array:
    """Scores of linear discriminants by ridge regression, many labellings at once.

    Least squares on labels gives the direction of Fisher's discriminant; the penalty is 0.01 of the
    number of rows, for columns of variance 1. One factor serves every labelling.

    Args:
        train: Rows to fit, shape (n, d).
        labels: 0 or 1, one labelling per column, shape (n, p).
        test: Rows to score, shape (m, d).

    Returns:
        Scores, shape (m, p): larger where a row looks more like those with label 1.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> int(ridge_scores(x, np.array([[0.0], [0], [1], [1]]), x)[:, 0].argmax())
    3
    """
    middle = train.mean(0)
    spread = train.std(0)
    scale = np.where(spread > 0, spread, 1.0)
    x, z = (train - middle) / scale, (test - middle) / scale
    gram = x.T @ x + 0.01 * len(x) * np.eye(x.shape[1])
    return np.asarray(z @ np.linalg.solve(gram, x.T @ (labels - labels.mean(0))))


def classifier_two_sample(
    first: ArrayLike,
    second: ArrayLike,
    *,
    score: ScoreMany = ridge_scores,
    folds: int = 5,
    n_permutations: int = 499,
    seed: int = 0,
) -> TwoSample:
    """Whether a classifier that has not seen a row can tell which sample it is from.

    The classifier two-sample test (Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample
    tests", ICLR), with the AUROC as statistic, cross-fitted: every row is scored by a classifier
    that was fitted on the other folds, AUROCs are taken within folds and averaged. The folds'
    AUROCs depend on one another also where the samples are alike, so that a standard error that
    takes them as independent errs too often; here the whole fit is repeated with labels permuted
    within the folds, which is exact.

    Args:
        first: One sample, independent rows, shape (n, d) or (n,).
        second: The other, shape (m, d) or (m,).
        score: The classifier; the default is linear. Another is called once per fold, with all
            permutations as columns of ``labels``.
        folds: Number of folds, 2 or more; each sample is spread over all of them.
        n_permutations: Permutations of the rows over the samples.
        seed: Seed of folds and permutations, and of the draw of 1,000 rows of a larger sample.

    Returns:
        The mean AUROC (0.5 where nothing can be told), the share of permutations with one as large,
        and the rows used.

    Raises:
        InputError: A sample has fewer rows than folds, widths differ, or a number is not finite.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(100, 3)), rng.normal(size=(80, 3))
    >>> classifier_two_sample(x, y).p_value > 0.05, classifier_two_sample(x, y + 1).p_value
    (True, 0.002)
    """
    if folds < 2:
        raise InputError(f"folds is {folds}: expected 2 or more.")
    rows, n = _pooled(first, second, seed)
    if min(n, len(rows) - n) < folds:
        raise InputError(
            f"The samples have {n} and {len(rows) - n} rows: expected at least {folds} in each, "
            "one for every fold."
        )
    own = np.arange(len(rows)) >= n
    random = generator(seed, "folds", 0)
    fold = np.empty(len(rows), np.intp)
    for sample in (~own, own):
        fold[sample] = random.permutation(np.arange(sample.sum()) % folds)
    labels = np.empty((len(rows), 1 + n_permutations))
    labels[:, 0] = own
    for k in range(n_permutations):
        draws = generator(seed, "classifier", k)
        for f in range(folds):
            inside = np.flatnonzero(fold == f)
            labels[inside, 1 + k] = draws.permutation(own[inside])
    found = np.zeros(1 + n_permutations)
    for f in range(folds):
        test = fold == f
        ranks = rankdata(score(rows[~test], labels[~test], rows[test]).round(12), axis=0)
        own_ranks = (ranks * labels[test]).sum(0)
        positive = int(own[test].sum())
        negative = int(test.sum()) - positive
        found += (own_ranks - positive * (positive + 1) / 2) / (positive * negative) / folds
    p = permutation_p_value(float(found[0]), found[1:])
    return TwoSample(float(found[0]), p, n, len(rows) - n)


def _pooled(first: ArrayLike, second: ArrayLike, seed: int) -> tuple[Array, int]:
    """Both samples on top of each other, columns of variance 1, and the rows of the first."""
    samples = []
    for k, given in enumerate((first, second)):
        rows = np.asarray(given, np.float64)
        rows = rows[:, None] if rows.ndim == 1 else rows
        if rows.ndim != 2 or len(rows) < 2:
            raise InputError(
                f"A sample has the shape {rows.shape}: expected (n, d), n of 2 or more."
            )
        if not np.isfinite(rows).all():
            raise InputError("A sample holds NaN or infinite numbers: expected finite ones.")
        if len(rows) > MAX_ROWS:
            random = generator(seed, "rows of a sample", k)
            rows = rows[np.sort(random.permutation(len(rows))[:MAX_ROWS])]
        samples.append(rows)
    if samples[0].shape[1] != samples[1].shape[1]:
        raise InputError(
            f"The samples have {samples[0].shape[1]} and {samples[1].shape[1]} columns: expected "
            "equally many."
        )
    pooled = np.concatenate(samples)
    spread = pooled.std(0)
    return (pooled - pooled.mean(0)) / np.where(spread > 0, spread, 1.0), len(samples[0])


def _labellings(total: int, n: int, n_permutations: int, seed: int) -> NDArray[np.bool_]:
    """Which rows are of the first sample: as observed, then in every permutation."""
    labels = np.zeros((1 + n_permutations, total), bool)
    labels[0, :n] = True
    for k in range(n_permutations):
        labels[1 + k, generator(seed, "two samples", k).permutation(total)[:n]] = True
    return labels
