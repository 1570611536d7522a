"""Critics: small networks that try to recover the attributes from a disease embedding."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.methods._losses import masked_cross_entropy

# Width and depth of each critic: what one cannot recover another may.
SHAPES: tuple[tuple[int, ...], ...] = ((64,), (128, 128), (256, 256, 256))


def critic_input(
    z: Float[Tensor, "n d"], targets: Float[Tensor, "n t"]
) -> Float[Tensor, n(t + 1) * d + t]:
    """(z, z·(2y−1), y) for every target; a label that is not stated counts as y = 1/2.

    The product lets even a linear critic hold a different rule for each class, so that it recovers
    the attribute *given* the target.

    Args:
        z: the disease embedding, shape (n, d).
        targets: 0, 1 or NaN (not stated), shape (n, targets).

    Returns:
        What a critic is given, shape (n, (targets + 1) · d + targets).

    Reference: Zhang, Lemoine and Mitchell, AIES 2018 (the target as the adversary's input).

    >>> critic_input(torch.tensor([[2.0], [2.0]]), torch.tensor([[0.0], [1.0]])).tolist()
    [[2.0, -2.0, 0.0], [2.0, 2.0, 1.0]]
    """
    sign = 2 * torch.nan_to_num(targets, nan=0.5) - 1
    products = [z * sign[:, t : t + 1] for t in range(targets.shape[1])]
    return torch.cat([z, *products, (sign + 1) / 2], dim=1)


class Critic(nn.Module):
    """An MLP from ``critic_input`` to the logits of every attribute's groups.

    Args:
        inputs: numbers that it is given: (targets + 1) · d + targets for an embedding of d.
        hidden: widths of its hidden layers.
        groups: number of groups of each attribute.

    Called with inputs of shape (n, inputs) it gives for each attribute logits (n, groups).

    >>> critic = Critic(9, (64,), (2, 5))  # an embedding of 4, one target, two attributes
    >>> [tuple(logits.shape) for logits in critic(torch.rand(3, 9))]
    [(3, 2), (3, 5)]
    """

    def __init__(self, inputs: int, hidden: Sequence[int], groups: Sequence[int]) -> None:
        super().__init__()
        sizes = [inputs, *hidden]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.1)]
        self.body = nn.Sequential(*layers, nn.Linear(sizes[-1], sum(groups)))
        self.groups = list(groups)

    def forward(self, inputs: Float[Tensor, "n i"]) -> list[Float[Tensor, "n g"]]:
        return list(self.body(inputs).split(self.groups, dim=1))

    def reset(self) -> None:
        """Start again from random weights."""
        for layer in self.body:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()


def critic_loss(
    logits: Sequence[Float[Tensor, "n g"]],
    attributes: Tensor,
    weights: Float[Tensor, "n a"],
) -> Float[Tensor, ""]:
    """The weighted cross-entropy of the attributes, averaged over them: what a critic lowers.

    Args:
        logits: the critic's, one tensor (n, groups) for each attribute.
        attributes: group numbers, -1 unknown, shape (n, attributes); unknown rows do not count.
        weights: of each row and attribute, 0 or more, shape (n, attributes).

    >>> logits = [torch.tensor([[0.0, 0.0], [0.0, 9.0]])]
    >>> round(float(critic_loss(logits, torch.tensor([[1], [-1]]), torch.ones(2, 1))), 3)
    0.693
    """
    losses = [
        masked_cross_entropy(logit, codes, weight)
        for logit, codes, weight in zip(logits, attributes.T, weights.T, strict=True)
    ]
    return torch.stack(losses).mean()


def confusion_loss(
    logits: Sequence[Float[Tensor, "n g"]],
    priors: Sequence[Float[Tensor, "n g"]],
    attributes: Tensor,
    weights: Float[Tensor, "n a"],
) -> Float[Tensor, ""]:
    """KL(prior || critic's output), weighted mean over rows and attributes: what an encoder lowers.

    sum_g p_g log(p_g / q_g), where p is the (weighted) share of the groups given the row's target
    and q the critic's softmax. It is 0, its minimum, where the critic answers with the prior, and
    pulls with bounded gradients (q - p) from both sides. The literal alternative, raising the
    critic's cross-entropy, has no minimum: it is best served by a critic that is confidently
    *wrong*, and then any fresh probe recovers the attribute as easily.

    Args:
        logits: the critic's, one tensor for each attribute.
        priors: the shares of the groups to be answered with, likewise.
        attributes: group numbers, -1 unknown, shape (n, attributes); unknown rows do not count.
        weights: of each row and attribute, 0 or more.

    Reference: Tzeng et al., ICCV 2015 (domain confusion: cross-entropy to the uniform prior).

    >>> prior, a, one = torch.tensor([[0.5, 0.5]]), torch.tensor([[0]]), torch.ones(1, 1)
    >>> answers = torch.tensor([[0.0, 0.0], [3.0, 0.0], [-3.0, 0.0]])  # open, right, wrong
    >>> [round(float(confusion_loss([row[None]], [prior], a, one)), 2) for row in answers]
    [0.0, 0.86, 0.86]
    """
    losses = []
    for logit, prior, codes, weight in zip(logits, priors, attributes.T, weights.T, strict=True):
        known = weight * (codes >= 0)
        kl = (torch.xlogy(prior, prior) - prior * logit.log_softmax(1)).sum(1)  # n
        losses.append((kl * known).sum() / known.sum().clamp_min(1e-12))
    return torch.stack(losses).mean()
