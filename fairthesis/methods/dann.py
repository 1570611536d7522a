"""DANN: gradient reversal between the embedding and an adversary."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._opposed import Opposed


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        return -ctx.weight * gradients[0], None


def reverse_gradient(x: Tensor, weight: float = 1.0) -> Tensor:
    """x itself; its gradient is turned round: d reverse(x) / dx = -weight.

    Between an embedding and an adversary it makes one backward pass serve both: the adversary goes
    down its loss, and what lies before x goes up.

    Reference: Ganin et al., JMLR 2016, section 4.2.

    >>> x = torch.ones(2, requires_grad=True)
    >>> reverse_gradient(x, 0.5).sum().backward()
    >>> x.grad
    tensor([-0.5000, -0.5000])
    """
    return _Reverse.apply(x, weight)  # type: ignore[no-untyped-call]


class DANN(Opposed):
    """Domain-adversarial training: one step for all, with the gradient reversed at the embedding.

    The adversary D goes down CE(a, D(z)) and the encoder down BCE - λ CE(a, D(z)), in the same
    backward pass: ``reverse_gradient`` hands the adversary's gradient on with the factor -λ.
    Marginal: the attribute is to be gone from z whatever the target, also the part that the
    target explains.

    Reference: Ganin et al., JMLR 2016.

    >>> from fairthesis.methods import DANN, Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = DANN(FairEncoder("small", channels=1), DANN.Options(), setting)
    >>> batch = Batch(torch.rand(16, 1, 16, 16), y, a)
    >>> sorted(method.update(batch))  # in the warm-up: ERM
    ['disease_loss', 'sensitive_loss']
    >>> method.at(8, 1.0)  # epochs done, and the learning rate's factor: the ramp is over
    >>> values = method.update(batch)
    >>> values["weight"], "adversary_loss" in values
    (1.0, True)
    """

    summary = "gradient reversal, marginal (DANN)"

    def oppose(
        self,
        disease: Float[Tensor, ""],
        weight: float,
        z: Float[Tensor, "n d"],
        s: Float[Tensor, "n s"],
        batch: Batch,
    ) -> Values:
        values = self.read(z, batch)
        adversary = self.adversary_loss(reverse_gradient(z, weight), batch)
        self.descend(disease + adversary, "model", "adversary")
        return {"adversary_loss": adversary.detach(), **values}
