"""FairDisCo: a confusion branch, and a contrastive loss across groups."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from fairthesis.methods._base import check_range
from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._critics import confusion_loss
from fairthesis.methods._opposed import Opposed, OpposedOptions


@dataclass(frozen=True)
class FairDisCoOptions(OpposedOptions):
    """``OpposedOptions``, and those of the contrastive loss.

    Args:
        contrast_weight: of the contrastive loss, relative to the confusion loss; 0 or more.
        temperature: by which the cosines are divided, 0.001 or more.

    >>> FairDisCoOptions().contrast_weight, FairDisCoOptions().temperature
    (1.0, 0.1)
    >>> FairDisCoOptions(temperature=0.0)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected temperature to be 0.001 or larger, but got 0.0
    """

    contrast_weight: float = 1.0
    temperature: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "contrast_weight")
        check_range(self, "temperature", least=1e-3)


def contrastive_loss(
    z: Float[Tensor, "n d"],
    target: Float[Tensor, " n"],
    codes: Int[Tensor, " n"],
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Pull images of one class and *different* groups together, away from the other class.

    With s_ij the cosine of z_i and z_j over the temperature, the mean over all pairs (i, p) of the
    same class and different groups of

        -log( exp(s_ip) / (exp(s_ip) + sum over n of the other class of exp(s_in)) )

    Pairs of the same class and group are neither pulled nor pushed. Rows without a label (NaN) or a
    group (-1) are left out. 0 where there is no pair.

    Reference: after Khosla et al., NeurIPS 2020 (supervised contrastive loss) and Du et al., ECCV
    workshops 2022, with positives of another group alone.

    >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    >>> y, a = torch.tensor([1.0, 1.0, 0.0]), torch.tensor([0, 1, 0])
    >>> round(float(contrastive_loss(z, y, a, temperature=1.0)), 4)
    0.1269
    """
    known = ~torch.isnan(target) & (codes >= 0)
    unit, y, a = F.normalize(z[known], dim=1), target[known], codes[known]
    similarity = unit @ unit.T / temperature  # n n
    same = y[:, None] == y[None, :]
    pairs = same & (a[:, None] != a[None, :])
    if not pairs.any():
        return z.sum() * 0.0
    others = similarity.masked_fill(same, -torch.inf).logsumexp(1, keepdim=True)
    losses = torch.logaddexp(similarity, others) - similarity
    return losses[pairs].mean()


class FairDisCo(Opposed):
    """BCE + λ (confusion + contrast_weight · contrastive), with a branch for the attribute.

    The branch goes down the cross-entropy of the attributes on the detached disease embedding; the
    encoder goes down KL(uniform || branch), the paper's confusion loss up to a constant, and down
    ``contrastive_loss``, mean over targets and attributes. The paper's contrastive loss takes any
    image of the same disease as a positive; here a positive is of another group. There is no
    projection head: the loss acts on the disease embedding itself.

    Reference: Du et al., ECCV workshops 2022 ("FairDisCo").

    >>> from fairthesis.methods import FairDisCo, Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = FairDisCo(FairEncoder("small", channels=1), FairDisCo.Options(), setting)
    >>> method.at(8, 1.0)  # epochs done, and the learning rate's factor: the ramp is over
    >>> values = method.update(Batch(torch.rand(16, 1, 16, 16), y, a))
    >>> bool(values["penalty"] > 0), "adversary_loss" in values  # the branch is the adversary
    (True, True)
    """

    Options = FairDisCoOptions
    options: FairDisCoOptions
    summary = "confusion branch and contrastive loss across groups (FairDisCo)"

    def confusion(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        """KL from the uniform distribution to the branch's answer, over rows with a group."""
        logits = self.adversary(self.inputs(z, batch))
        uniform = [torch.full_like(logit, 1 / logit.shape[1]) for logit in logits]
        ones = torch.ones_like(batch.attributes, dtype=z.dtype)
        return confusion_loss(logits, uniform, batch.attributes, ones)

    def contrast(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        """``contrastive_loss``, mean over targets and attributes."""
        values = [
            contrastive_loss(z, target, codes, self.options.temperature)
            for target in batch.targets.T
            for codes in batch.attributes.T
        ]
        return torch.stack(values).mean()

    def penalty(
        self, z: Float[Tensor, "n d"], s: Float[Tensor, "n s"], batch: Batch
    ) -> Float[Tensor, ""]:
        return self.confusion(z, batch) + self.options.contrast_weight * self.contrast(z, batch)

    def oppose(
        self,
        disease: Float[Tensor, ""],
        weight: float,
        z: Float[Tensor, "n d"],
        s: Float[Tensor, "n s"],
        batch: Batch,
    ) -> Values:
        loss = self.adversary_step(z, batch)
        values = self.read(z, batch)
        return super().oppose(disease, weight, z, s, batch) | values | {"adversary_loss": loss}
