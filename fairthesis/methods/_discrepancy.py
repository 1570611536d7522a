"""Maximum mean discrepancy: how far two samples are apart, for use as a loss."""

from __future__ import annotations

from itertools import combinations

import torch
from jaxtyping import Float, Int
from torch import Tensor

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the median squared distance


def squared_distances(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Squared Euclidean distances, to the last digit (no expanded products)."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()


def median_bandwidth(z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """The median squared distance between different rows, a constant; 1 where all are equal."""
    squared = torch.pdist(z.detach()).square()
    positive = squared[squared > 0]
    return positive.median() if len(positive) else z.new_tensor(1.0)


def squared_mmd(
    a: Float[Tensor, "n d"], b: Float[Tensor, "m d"], bandwidth: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Squared maximum mean discrepancy of two samples, 0 for equal ones.

    mean k(a, a') + mean k(b, b') - 2 mean k(a, b), the first two over the pairs of different rows:
    the unbiased estimate, whose expectation is 0 for samples of one distribution and which may lie
    below 0. Over all pairs it is larger the fewer rows a sample has, and pressing it down would
    draw a small group together. k is the mean of Gaussian kernels ``exp(-|x - y|² / (c ·
    bandwidth))`` for c of 0.25, 0.5, 1, 2 and 4; ``bandwidth`` is a squared distance above 0. Both
    samples need two rows.

    Reference: Gretton et al., JMLR 2012, lemma 6; several bandwidths: Li, Swersky and Zemel, ICML
    2015.

    >>> x, one = torch.arange(50.0)[:, None] % 10, torch.tensor(1.0)
    >>> abs(float(squared_mmd(x, x, one))) < 0.1, float(squared_mmd(x, x + 99, one)) > 0.2
    (True, True)
    """

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        scaled = squared_distances(x, y) / bandwidth
        return torch.stack([torch.exp(-scaled / c) for c in BANDWIDTHS]).mean(0)

    def within(x: Tensor) -> Tensor:
        n = len(x)
        return (kernel(x, x).sum() - n) / (n * (n - 1))  # k(x, x) is 1

    return within(a) + within(b) - 2 * kernel(a, b).mean()


def conditional_mmd(
    z: Float[Tensor, "n d"],
    codes: Int[Tensor, " n"],
    target: Float[Tensor, " n"],
    least: int = 2,
) -> Float[Tensor, ""]:
    """Mean ``squared_mmd`` over all pairs of groups within each class of a target.

    Rows without a label or a group are left out, and so is a group with fewer than ``least`` rows
    (2 or more) of the class; 0 where no pair is left. One bandwidth per class: the median squared
    distance over all its rows.

    Args:
        z: the embedding.
        codes: group numbers, -1 unknown.
        target: 0, 1 or NaN (not stated).
        least: rows of a class that a group needs.

    Reference: as ``squared_mmd``; within the classes of a target as in equalized odds.

    >>> a, y = torch.arange(40) % 2, torch.ones(40)
    >>> z = torch.arange(40)[:, None] // 2 * 1.0  # the same in both groups
    >>> apart = conditional_mmd(z + 100 * a[:, None], a, y)
    >>> round(float(conditional_mmd(z, a, y)), 2), round(float(apart), 1)
    (-0.06, 1.4)
    """
    values = []
    for c in (0, 1):
        rows = (target == c) & (codes >= 0)
        samples = [z[rows & (codes == group)] for group in codes[rows].unique()]
        samples = [sample for sample in samples if len(sample) >= least]
        if len(samples) > 1:
            bandwidth = median_bandwidth(torch.cat(samples))
            values += [squared_mmd(a, b, bandwidth) for a, b in combinations(samples, 2)]
    return torch.stack(values).mean() if values else z.sum() * 0.0
