"""An eraser against curved probes: the directions along which a kernel recovers the attribute."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist

from fairthesis.embeddings._eraser import Eraser, two_groups, valid_fit
from fairthesis.embeddings._erasers import check_options
from fairthesis.embeddings._moments import moments
from fairthesis.embeddings._probes import macro_auroc
from fairthesis.embeddings._projections import Array, least_change, whitening
from fairthesis.errors import InputError
from fairthesis.stats import generator

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)  # of which the held-out half takes one
ROUNDS = 3  # in which the kernel learns the directions that matter to it


class KernelEraser(Eraser):
    """LEACE, and then off the directions along which a Gaussian kernel still tells the groups.

    After LEACE a kernel ridge regression of the one-hot group on the whitened rest (random Fourier
    features) is fitted on one half of the rows. Its mean squared gradient, M = E[f'(u) f'(u)'], has
    the directions of large eigenvalue that the group depends on in any smooth way; these are
    projected off, and all is repeated until the regression, judged on the other half, no longer
    tells the groups. Within a round the kernel is stretched by M, so that it finds few directions
    among many.

    What is kept is a linear function of the embedding. Where the group depends on few directions,
    and the others do not depend on these, no probe of any form recovers it from what is left.
    Where its traces lie in all directions, or the dependence between directions is itself curved,
    some of it stays, or all is taken: look at ``kept_variance_`` and at ``measure_erasure``. More
    is removed than LEACE removes. Encoders that bend the space (Obliviator; kernelised erasure,
    whose guarantee holds for its own kernel alone) may keep more; they are not affine maps.

    Args:
        max_rank: at most so many directions are taken, those of LEACE included (they are taken
            anyway); None is half of the width, or two more than LEACE's if that is more.
        tolerance: AUROC above 0.5 on the held-out half that counts as nothing; at least two
            standard errors of it do. 0 to 0.5.
        n_features: random Fourier features.
        max_rows: rows, drawn at random, that the kernel is fitted on and judged on.
        shrinkage: of the covariance, as of ``Leace``.
        seed: of the features and the halves.

    ``fit(X, y, target=None)``: X (n, d) finite, y the group of each row (n,); the target is not
    used. ``heard_`` is the AUROC of the kernel on the held-out half after LEACE and after each
    step. Rows of one patient in both halves make it take more, not less.

    Raises:
        InputError: for shapes that do not fit, numbers that are not finite, one group, or an
            option out of range.

    Reference: gradient-based kernel dimension reduction (Fukumizu and Leng, JASA 2014); random
    Fourier features (Rahimi and Recht, NeurIPS 2007); kernels stretched by their own mean gradient
    (Radhakrishnan et al., Science 2024); for kernelised erasure Ravfogel et al., EMNLP 2022.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(1200, 6))
    >>> a = (x[:, 0] * x[:, 1] > 0).astype(int)  # means and variances of the groups are the same
    >>> eraser = KernelEraser(n_features=200).fit(x, a)
    >>> bool(eraser.heard_[0] > 0.7), bool(eraser.heard_[-1] < 0.6)
    (True, True)
    >>> eraser.rank_, bool(eraser.kept_variance_ > 0.4)  # LEACE's direction and the two
    (3, True)
    """

    heard_: list[float]

    def __init__(
        self,
        *,
        max_rank: int | None = None,
        tolerance: float = 0.02,
        n_features: int = 500,
        max_rows: int = 10_000,
        shrinkage: float | str | None = None,
        seed: int = 0,
    ):
        self.max_rank = max_rank
        self.tolerance = tolerance
        self.n_features = n_features
        self.max_rows = max_rows
        self.shrinkage = shrinkage
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike, target: ArrayLike | None = None) -> KernelEraser:
        """Fit on these rows; see the class."""
        x, a, _ = valid_fit(self, X, y, target)
        check_options(self.shrinkage, None, x.shape[1])
        for name, low in (("max_rank", 1), ("n_features", 1), ("max_rows", 10), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < low:
                raise InputError(f"{name} is {value}: expected {low} or more.")
        if not 0 <= self.tolerance <= 0.5:
            raise InputError(f"tolerance is {self.tolerance:g}: expected a number from 0 to 0.5.")
        seen = moments(x, a, None)
        self.groups_ = seen.groups
        two_groups(self.groups_, len(x))
        white, self.shrinkage_ = whitening(seen.covariance, seen.n, self.shrinkage)
        first, rank = least_change(white, seen.with_groups())
        # In coordinates of the axes: an orthonormal basis of what is taken.
        inside = (white.axes.T @ first @ white.axes) / white.root[:, None] * white.root
        taken = np.linalg.svd(inside)[0][:, :rank]
        most = max(rank, self.max_rank or max(len(white.root) // 2, rank + 2))
        rng = generator(self.seed, "kernel eraser", 0)
        rows = rng.permutation(len(x))[: self.max_rows]
        u = (x[rows] - seen.mean) @ white.axes / white.root
        codes = np.searchsorted(np.asarray(seen.groups), a[rows])
        taken, self.heard_ = deflate(u, codes, taken, most, self, rng)
        whiten, unwhiten = white.axes / white.root, white.axes * white.root
        projection = unwhiten @ taken @ taken.T @ whiten.T
        self._set(seen.mean, projection, taken.shape[1], seen.covariance)
        return self


def deflate(
    u: Array,
    codes: NDArray[np.intp],
    taken: Array,
    most: int,
    options: KernelEraser,
    rng: np.random.Generator,
) -> tuple[Array, list[float]]:
    """Directions of the whitened rows u (n, r) without which a kernel tells the groups no more.

    Begins with ``taken`` (r, k) and returns more columns of it, at most ``most``; and the AUROC on
    the held-out half before each step.
    """
    half = rng.permutation(len(u)) < len(u) // 2
    sizes = np.bincount(codes[~half], minlength=codes.max() + 1)
    if min(len(np.unique(codes[half])), np.count_nonzero(sizes)) <= codes.max():
        return taken, []  # a group too small for halves
    few = sizes.min()
    chance = np.sqrt((len(codes[~half]) + 1) / (12 * few * max(1, sizes.sum() - few)))
    heard: list[float] = []
    while True:
        rest = np.linalg.qr(np.c_[taken, np.eye(len(taken))])[0][:, taken.shape[1] : len(taken)]
        if rest.shape[1] == 0:
            return taken, heard
        auroc, gradient = kernel_gradient(u @ rest, codes, half, options.n_features, rng)
        heard.append(auroc)
        if auroc <= 0.5 + max(options.tolerance, 2 * chance) or taken.shape[1] >= most:
            return taken, heard
        size, axes = np.linalg.eigh(gradient)
        large = np.flatnonzero(size >= size[-1] / 2)[-(most - taken.shape[1]) :]
        taken = np.c_[taken, rest @ axes[:, large]]


def kernel_gradient(
    u: Array,
    codes: NDArray[np.intp],
    half: NDArray[np.bool_],
    n_features: int,
    rng: np.random.Generator,
) -> tuple[float, Array]:
    """The AUROC of kernel ridge regression on the held-out rows, and its mean squared gradient.

    u (n, r), codes 0 .. K - 1 (n,), ``half`` the rows that are fitted on; the gradient is (r, r).
    """
    y = np.eye(codes.max() + 1)[codes]
    centre = y[half].mean(0)
    metric = np.eye(u.shape[1])
    best, found = -np.inf, metric
    drawn = rng.normal(size=(n_features, u.shape[1]))
    shift = rng.uniform(0, 2 * np.pi, n_features)
    for _ in range(ROUNDS):
        size, axes = np.linalg.eigh(metric)
        root = axes * np.sqrt(np.maximum(size, 0)) @ axes.T
        v = u @ root
        few = v[rng.permutation(len(v))[:500]]
        ways = drawn @ root / max(float(np.median(pdist(few))), 1e-12)
        angle = u @ ways.T + shift
        features = np.cos(angle)
        inner = features[half].T @ features[half]
        toward = features[half].T @ (y[half] - centre)
        judged = []
        for ridge in RIDGES:
            bent = inner + ridge * half.sum() * np.eye(n_features)
            weights = np.linalg.solve(bent, toward)
            auroc = float(macro_auroc(codes[~half], features[~half] @ weights))
            judged.append((auroc, weights))
        auroc, weights = max(judged, key=lambda pair: pair[0])
        slope = np.sin(angle[half])
        products = (slope.T @ slope / half.sum()) * (weights @ weights.T)
        gradient = ways.T @ products @ ways
        if auroc > best:
            best, found = auroc, gradient
        metric = gradient / max(np.trace(gradient), 1e-300) * len(gradient)
    return best, found
