"""CDANN: gradient reversal with an adversary for each class of the target."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._critics import Critic
from fairthesis.methods._opposed import HIDDEN, adversary_auroc, attribute_loss
from fairthesis.methods.dann import DANN


class ClassAdversaries(nn.Module):
    """A critic for each target and class; a row is for those of its own classes."""

    def __init__(self, size: int, targets: int, groups: list[int]) -> None:
        super().__init__()
        self.critics = nn.ModuleList(Critic(size, HIDDEN, groups) for _ in range(2 * targets))

    def forward(self, z: Float[Tensor, "n d"]) -> list[list[Float[Tensor, "n g"]]]:
        """Logits by critic (target 0 class 0, target 0 class 1, ...), then by attribute."""
        return [critic(z) for critic in self.critics]


class CDANN(DANN):
    """Conditional domain-adversarial training: DANN within each class of each target.

    For each target t and class c an adversary D_tc recovers the attributes from rows with y_t = c;
    the encoder goes down BCE - λ mean_tc CE(a, D_tc(z) | y_t = c), by gradient reversal. What the
    target explains of the attribute may stay. A row counts for the targets whose label is known.
    Of Li et al.'s two terms this is the class-conditional one; their class-prior-normalised
    marginal term is left out.

    Reference: Li et al., ECCV 2018, "Deep Domain Generalization via Conditional Invariant
    Adversarial Networks".

    >>> from fairthesis.methods import CDANN, Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = CDANN(FairEncoder("small", channels=1), CDANN.Options(), setting)
    >>> method.at(8, 1.0)  # epochs done, and the learning rate's factor: the ramp is over
    >>> values = method.update(Batch(torch.rand(16, 1, 16, 16), y, a))
    >>> values["weight"], len(method.adversary.critics)  # one for each class of the target
    (1.0, 2)
    """

    summary = "gradient reversal within each class of the target (CDANN)"

    def build(self, size: int, targets: int) -> nn.Module:
        return ClassAdversaries(size, targets, self.groups)

    def adversary_loss(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        losses = []
        for k, logits in enumerate(self.adversary(z)):
            inside = batch.targets[:, k // 2] == k % 2
            own = torch.where(inside[:, None], batch.attributes, -1)
            losses.append(attribute_loss(logits, own))
        return torch.stack(losses).mean()

    def read(self, z: Float[Tensor, "n d"], batch: Batch) -> Values:
        found: dict[str, list[float]] = {}
        with torch.no_grad():
            for k, logits in enumerate(self.adversary(z.detach())):
                rows = batch.targets[:, k // 2] == k % 2
                values = adversary_auroc([logit[rows] for logit in logits], batch.attributes[rows])
                for name, value in values.items():
                    found.setdefault(name, []).append(value)
        return {name: sum(values) / len(values) for name, values in found.items()}
