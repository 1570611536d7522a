"""Losses in which labels and groups that are not known do not count."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def masked_bce(
    logits: Float[Tensor, "n t"],
    targets: Float[Tensor, "n t"],
    weights: Float[Tensor, "n t"] | None = None,
) -> Float[Tensor, ""]:
    """Weighted mean binary cross-entropy over the known labels (NaN is "not stated").

    sum_it w_it BCE(logit_it, y_it) / sum_it w_it over pairs with a label; 0 where there is none.

    Args:
        logits: of the targets, shape (n, targets).
        targets: 0, 1 or NaN, of the same shape.
        weights: 0 or more, of the same shape; by default all 1.

    >>> y = torch.tensor([[1.0], [float("nan")]])
    >>> round(float(masked_bce(torch.zeros(2, 1), y)), 3)
    0.693
    """
    known = ~torch.isnan(targets)
    weight = known.to(logits.dtype) if weights is None else weights * known
    losses = F.binary_cross_entropy_with_logits(
        logits, torch.where(known, targets, 0.0), reduction="none"
    )
    return (losses * weight).sum() / weight.sum().clamp_min(1e-12)


def masked_cross_entropy(
    logits: Float[Tensor, "n g"],
    codes: Int[Tensor, " n"],
    weights: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    """Weighted mean cross-entropy over rows with a known group (code -1 is "unknown")."""
    known = codes >= 0
    weight = known.to(logits.dtype) if weights is None else weights * known
    losses = F.cross_entropy(logits, codes.clamp_min(0), reduction="none")
    return (losses * weight).sum() / weight.sum().clamp_min(1e-12)
