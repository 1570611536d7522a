"""Measures of dependence between an embedding and an attribute, for use as a loss."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def _centred(kernel: Float[Tensor, "n n"], weights: Float[Tensor, " n"]) -> Float[Tensor, "n n"]:
    """H K H' for the weighted mean, scaled by the square roots of the weights on both sides."""
    mean = weights @ kernel  # n
    centred = kernel - mean[None, :] - mean[:, None] + mean @ weights
    root = weights.sqrt()
    return centred * root[:, None] * root[None, :]


def normalised_hsic(
    z: Float[Tensor, "n d"],
    codes: Int[Tensor, " n"],
    groups: int,
    weights: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    """Normalised Hilbert-Schmidt independence criterion of an embedding and a group, 0 to 1.

    HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with a Gaussian kernel K on ``z`` (bandwidth: the
    median distance) and the identity kernel L on the group; under ``weights`` every mean is a
    weighted one. 0 where either is constant.

    Args:
        z: the embedding.
        codes: group numbers from 0 to ``groups - 1``; none unknown.
        groups: how many groups there are.
        weights: of the rows, 0 or more; None weighs all alike.

    Reference: Gretton et al., ALT 2005; the normalisation: Kornblith et al., ICML 2019.

    >>> a = torch.tensor([0, 0, 1, 1])
    >>> round(float(normalised_hsic(a.float()[:, None] * 9, a, 2)), 3)
    1.0
    """
    n = len(z)
    w = torch.full((n,), 1 / n, dtype=z.dtype, device=z.device)
    if weights is not None:
        w = (weights / weights.sum().clamp_min(1e-12)).to(z.dtype)
    squared = torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist").square()
    off = squared.detach()[~torch.eye(n, dtype=torch.bool, device=z.device)]
    bandwidth = off[off > 0].median() if (off > 0).any() else squared.new_tensor(1.0)
    kernel = _centred(torch.exp(-squared / bandwidth), w)
    one_hot = F.one_hot(codes, groups).to(z.dtype)
    label = _centred(one_hot @ one_hot.T, w)
    norm = kernel.square().sum() * label.square().sum()
    return (kernel * label).sum() / norm.clamp_min(1e-12).sqrt()


Rows = tuple[Float[Tensor, "n d"], Int[Tensor, " n"]]


def unbiased_hsic(
    z: Float[Tensor, "n d"],
    codes: Int[Tensor, " n"],
    groups: int,
    least: int = 8,
    past: Rows | None = None,
) -> Float[Tensor, ""]:
    """Normalised HSIC of an embedding and a group whose expectation is 0 under independence.

    With balanced groups and the identity kernel on them HSIC is
    ``sum_{g<h} ||mu_g - mu_h||^2 / G^3`` for the groups' kernel means mu; each squared distance is
    estimated by its U-statistic, which leaves out the pairs (i, i), and the sum is divided by
    the same norm as in ``normalised_hsic``, through which no gradient flows. The plug-in value has
    a positive mean under independence, which is smaller the fewer directions the kernel has: as a
    loss it would press the embedding of a class into a line.

    A group of fewer than ``least`` rows is left out, except that the two largest stay if they have
    two rows: the spread of a squared distance grows as 1/m with the m rows of a group, so that a
    few rows of a rare group would rule the gradient of all. 0 where fewer than two groups remain.

    ``past`` are earlier embeddings and their groups. They count as further rows, through which no
    gradient flows; that of the others is scaled by all rows over theirs, so that it is on average
    what it would be if all rows had one. Under independence the estimate is noise about 0, and so
    is its gradient, which costs accuracy: with m times as many rows it has about 1/m the variance.

    Reference: Gretton et al., JMLR 2012, lemma 6 (the U-statistic of MMD squared); Song et al.,
    JMLR 2012 (unbiased HSIC); Wang et al., CVPR 2020 (a memory of earlier batches).

    >>> a = torch.arange(200) % 2
    >>> far = float(unbiased_hsic(a.float()[:, None] * 9, a, 2))
    >>> near = float(unbiased_hsic((torch.arange(200) // 2 % 10).float()[:, None], a, 2))
    >>> round(far, 2), abs(near) < 0.05
    (1.0, True)
    """
    fresh = len(z)
    if past is not None:
        z, codes = torch.cat([z, past[0].detach()]), torch.cat([codes, past[1]])
    one_hot = F.one_hot(codes, groups).to(z.dtype)
    size = one_hot.sum(0)
    second = size.sort(descending=True).values[1]
    one_hot = one_hot[:, size >= second.clamp(2, max(2, least))]
    kept = one_hot.any(1)
    fresh = int(kept[:fresh].sum())
    z, one_hot = z[kept], one_hot[kept]
    size = one_hot.sum(0)
    if len(size) < 2 or not fresh:
        return z.sum() * 0.0
    squared, off = _squared_distances(z, fresh)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    bandwidth = off[off > 0].median() if (off > 0).any() else squared.new_tensor(1.0)
    kernel = torch.exp(-squared / bandwidth)
    sums = one_hot.T @ kernel.masked_fill(itself, 0.0) @ one_hot  # g g
    within = sums.diagonal() / (size * (size - 1))
    between = sums / (size[:, None] * size[None, :])
    apart = within[:, None] + within[None, :] - 2 * between
    hsic = apart.triu(1).sum() / len(size) ** 3
    weights = (one_hot / size).sum(1) / len(size)
    label = _centred(one_hot @ one_hot.T, weights)
    norm = _centred(kernel.detach(), weights).square().sum() * label.square().sum()
    value = hsic / norm.clamp_min(1e-12).sqrt()
    if fresh == len(z):
        return value
    return value.detach() + (value - value.detach()) * (len(z) / fresh)


def _squared_distances(z: Float[Tensor, "n d"], fresh: int) -> tuple[Tensor, Tensor]:
    """All squared distances, with a gradient through the first rows; and those of other rows."""
    mode = "donot_use_mm_for_euclid_dist"
    ahead = torch.cdist(z[:fresh], z, compute_mode=mode).square()
    other = torch.ones_like(ahead, dtype=torch.bool).fill_diagonal_(False)
    off = ahead.detach()[other]
    if fresh == len(z):
        return ahead, off
    old = z[fresh:].detach()
    behind = torch.cdist(old, old, compute_mode=mode).square()
    return torch.cat([ahead, torch.cat([ahead[:, fresh:].T, behind], dim=1)]), off


def conditional_hsic(
    z: Float[Tensor, "n d"],
    codes: Int[Tensor, " n"],
    groups: int,
    target: Float[Tensor, " n"],
    least: int = 8,
    past: tuple[Tensor, Tensor, Tensor] | None = None,
) -> Float[Tensor, ""]:
    """The mean over the classes of a target of ``unbiased_hsic`` within the class.

    Rows without a label or a group are left out, and so is a class in which fewer than ``least``
    rows or fewer than two groups are present; 0 where no class is left. What the target explains of
    the attribute therefore does not count.

    Args:
        z: the embedding.
        codes: group numbers, -1 unknown.
        groups: how many groups there are.
        target: 0, 1 or NaN (not stated).
        least: rows that a class needs.
        past: earlier embeddings, their groups and targets, as of ``unbiased_hsic``.

    Reference: as ``unbiased_hsic``; within the classes of a target as in equalized odds.

    >>> y = torch.arange(200) // 100
    >>> a = torch.where(torch.arange(200) % 10 < 8, y, 1 - y)  # goes with y, 8 times of 10
    >>> z = (y + torch.arange(200) // 10 % 10 / 10)[:, None]  # nothing of a but what y explains
    >>> marginal, given = unbiased_hsic(z, a, 2), conditional_hsic(z, a, 2, y.float())
    >>> round(float(marginal), 1), abs(float(given)) < 0.05
    (0.3, True)
    """
    values = []
    for c in (0, 1):
        rows = (target == c) & (codes >= 0)
        there, earlier = codes[rows], None
        if past is not None:
            old = (past[2] == c) & (past[1] >= 0)
            earlier = past[0][old], past[1][old]
            there = torch.cat([there, earlier[1]])
        if len(there) >= least and len(there.unique()) > 1:
            values.append(unbiased_hsic(z[rows], codes[rows], groups, past=earlier))
    return torch.stack(values).mean() if values else z.sum() * 0.0


def target_hsic(
    s: Float[Tensor, "n d"],
    target: Float[Tensor, " n"],
    codes: Int[Tensor, " n"],
    least: int = 8,
) -> Float[Tensor, ""]:
    """The mean over the groups of ``unbiased_hsic`` of an embedding and a target in the group.

    ``conditional_hsic`` the other way round: what the attribute explains of the target does not
    count. Rows without a label or a group are left out, and so is a group in which fewer than
    ``least`` rows or one class alone are present; 0 where no group is left.

    Args:
        s: the embedding.
        target: 0, 1 or NaN (not stated).
        codes: group numbers, -1 unknown.
        least: rows that a group needs.

    >>> a, y = torch.arange(200) // 100, (torch.arange(200) % 2).float()
    >>> held = float(target_hsic(y[:, None] + a[:, None] * 5, y, a))
    >>> free = float(target_hsic(a[:, None] + torch.arange(200)[:, None] // 2 % 5 / 9, y, a))
    >>> held > 0.9, abs(free) < 0.05
    (True, True)
    """
    values = []
    for g in codes[codes >= 0].unique():
        rows = (codes == g) & ~torch.isnan(target)
        classes = target[rows].long()
        if int(rows.sum()) >= least and len(classes.unique()) > 1:
            values.append(unbiased_hsic(s[rows], classes, 2))
    return torch.stack(values).mean() if values else s.sum() * 0.0


def cross_covariance(a: Float[Tensor, "n d"], b: Float[Tensor, "n s"]) -> Float[Tensor, ""]:
    """Mean squared correlation between the columns of two embeddings, 0 to 1.

    sum_ij corr(a_i, b_j)^2 / (d s), over the n rows that both have. A constant column has
    correlation 0.

    Reference: the decorrelation penalty of Cogswell et al., ICLR 2016, between two embeddings.

    >>> x = torch.tensor([[-1.0], [1.0]])
    >>> float(cross_covariance(x, -x))
    1.0
    """
    a = (a - a.mean(0)) / a.std(0, unbiased=False).clamp_min(1e-6)
    b = (b - b.mean(0)) / b.std(0, unbiased=False).clamp_min(1e-6)
    return (a.T @ b / len(a)).square().mean()
