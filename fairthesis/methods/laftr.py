"""LAFTR: an adversary with a group-normalised objective, bounded from both sides."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._critics import Critic, critic_input
from fairthesis.methods._opposed import HIDDEN, Opposed, SteppedOptions


def laftr_objective(
    logits: Sequence[Float[Tensor, "n g"]],
    targets: Float[Tensor, "n t"],
    attributes: Tensor,
) -> Float[Tensor, ""]:
    """LAFTR's objective for equalized odds: what the adversary raises and the encoder lowers.

    For one target and one attribute, over the subgroups of class c and group g that are in the
    batch:

        L = sum_cg (mean over subgroup (c, g) of p_g - 1/G)

    where p is the adversary's softmax. With two groups ``|h - a| = 1 - p_a``, and this is the
    paper's ``2 - sum_cg mean |h - a|``. An adversary that answers the same for every row has L = 0;
    one that is always right has 2 (G - 1). Each subgroup counts the same, whatever its size. Mean
    over targets and attributes.

    Args:
        logits: the adversary's, one tensor for each attribute.
        targets: 0, 1 or NaN (not stated, and then in no subgroup).
        attributes: group numbers, -1 unknown (in no subgroup), shape (n, attributes).

    Reference: Madras et al., ICML 2018, section 4.2.

    >>> logits = [torch.tensor([[9.0, -9.0], [-9.0, 9.0], [9.0, -9.0], [-9.0, 9.0]])]
    >>> y, a = torch.tensor([[0.0], [0.0], [1.0], [1.0]]), torch.tensor([[0], [1], [0], [1]])
    >>> round(float(laftr_objective(logits, y, a)), 3)
    2.0
    """
    values = []
    for logit, codes in zip(logits, attributes.T, strict=True):
        p = logit.softmax(1)
        for target in targets.T:
            total = p.sum() * 0.0
            for c in (0, 1):
                for group in range(p.shape[1]):
                    subgroup = (target == c) & (codes == group)
                    if subgroup.any():
                        total = total + p[subgroup, group].mean() - 1 / p.shape[1]
            values.append(total)
    return torch.stack(values).mean()


class LAFTR(Opposed):
    """Learning adversarially fair and transferable representations, for equalized odds.

    The adversary h sees (z, z·(2y−1), y) and goes *up* ``laftr_objective``; the encoder goes
    down BCE + λ · that objective. Being a sum of group means of bounded probabilities, it does not
    reward the encoder without limit as a raised cross-entropy does, and small groups count as much
    as large ones. The paper's reconstruction term is not used.

    Reference: Madras et al., ICML 2018 (section 4.2, L_Adv^EO).

    >>> from fairthesis.methods import LAFTR, Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = LAFTR(FairEncoder("small", channels=1), LAFTR.Options(), setting)
    >>> method.at(8, 1.0)  # epochs done, and the learning rate's factor: the ramp is over
    >>> values = method.update(Batch(torch.rand(16, 1, 16, 16), y, a))
    >>> -2 <= values["penalty"].item() <= 2, values["weight"]  # the objective, which is bounded
    (True, 1.0)
    """

    Options = SteppedOptions
    options: SteppedOptions
    summary = "group-normalised adversary objective for equalized odds (LAFTR)"

    def build(self, size: int, targets: int) -> nn.Module:
        return Critic(size * (targets + 1) + targets, HIDDEN, self.groups)

    def inputs(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, "n i"]:
        return critic_input(z, batch.targets)

    def objective(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        """``laftr_objective`` of the adversary's answer."""
        logits = self.adversary(self.inputs(z, batch))
        return laftr_objective(logits, batch.targets, batch.attributes)

    def adversary_loss(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        return -self.objective(z, batch)

    def penalty(
        self, z: Float[Tensor, "n d"], s: Float[Tensor, "n s"], batch: Batch
    ) -> Float[Tensor, ""]:
        return self.objective(z, batch)

    def oppose(
        self,
        disease: Float[Tensor, ""],
        weight: float,
        z: Float[Tensor, "n d"],
        s: Float[Tensor, "n s"],
        batch: Batch,
    ) -> Values:
        for _ in range(self.options.adversary_steps):
            self.adversary_step(z, batch)
        values = self.read(z, batch)
        return super().oppose(disease, weight, z, s, batch) | values
