"""GroupDRO: minimise the loss of the worst group."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from fairthesis.methods._base import MethodOptions, check_range
from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._setting import Setting
from fairthesis.methods._subgroups import number_of_subgroups, subgroup_codes, subgroup_counts
from fairthesis.methods.erm import ERM
from fairthesis.models import FairEncoder


@dataclass(frozen=True)
class GroupDROOptions(MethodOptions):
    """How fast the weights of the subgroups move, and how small subgroups are adjusted for.

    Args:
        step_size: η of the subgroups' weights, 0 or more; at 0 all subgroups keep the same weight.
        adjustment: C of the term C / sqrt(n_subgroup), 0 or more; 0 is no adjustment.

    Raises:
        InputError: for a value out of range.

    >>> GroupDROOptions()
    GroupDROOptions(step_size=0.01, adjustment=0.0)
    >>> GroupDROOptions(step_size=-1.0)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected step_size to be 0 or larger, but got -1.0
    """

    step_size: float = 0.01
    adjustment: float = 0.0

    def __post_init__(self) -> None:
        check_range(self, "step_size", "adjustment")


def row_losses(logits: Float[Tensor, "n t"], targets: Float[Tensor, "n t"]) -> Float[Tensor, " n"]:
    """Binary cross-entropy of each row, mean over its known targets; 0 where none is known."""
    known = ~torch.isnan(targets)
    losses = F.binary_cross_entropy_with_logits(
        logits, torch.where(known, targets, 0.0), reduction="none"
    )
    return (losses * known).sum(1) / known.sum(1).clamp_min(1)


class GroupDRO(ERM):
    """Distributionally robust optimisation over subgroups of target and group.

    With L_c the mean loss of subgroup c in the batch, for the subgroups that are in it:

        q_c ← q_c exp(η (L_c + C / sqrt(n_c))), q ← q / sum q;  loss = sum_c q_c L_c

    A subgroup is the first target's class with the groups of all attributes (``subgroup_codes``);
    n_c is its size in the training part. Subgroups without a training image have q = 0; images
    without a subgroup (label or group unknown) are left out, since no group is theirs.

    Reference: Sagawa et al., ICLR 2020, algorithm 1 and section 3.3 (adjustment).

    >>> from fairthesis.methods import subgroup_probabilities
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> options = GroupDROOptions(step_size=0.5)
    >>> method = GroupDRO(FairEncoder("small", channels=1), options, setting)
    >>> method.subgroup_weights.tolist()
    [0.25, 0.25, 0.25, 0.25]
    >>> values = method.update(Batch(torch.rand(16, 1, 16, 16), y, a))
    >>> bool(values["largest_cell_weight"] > 0.25), round(float(method.subgroup_weights.sum()), 3)
    (True, 1.0)
    """

    Options = GroupDROOptions
    options: GroupDROOptions
    summary = "exponentiated weights on the worst subgroups of target and group"
    subgroup_weights: Tensor
    subgroup_sizes: Tensor

    def __init__(self, model: FairEncoder, options: MethodOptions, setting: Setting) -> None:
        super().__init__(model, options, setting)
        self.groups = [subgroup.shape[-1] for subgroup in setting.subgroups]
        codes = subgroup_codes(*setting.training_part(), self.groups)
        sizes = subgroup_counts(codes, number_of_subgroups(self.groups)).cpu()
        self.register_buffer("subgroup_sizes", sizes)
        there = (sizes > 0).float()
        self.register_buffer("subgroup_weights", there / there.sum().clamp_min(1))

    def subgroup_losses(
        self, logits: Float[Tensor, "n t"], batch: Batch
    ) -> tuple[Float[Tensor, " c"], Int[Tensor, " c"]]:
        """Mean loss of each subgroup in the batch, 0 where it is not there, and its rows."""
        codes = subgroup_codes(batch.targets, batch.attributes, self.groups)
        number = len(self.subgroup_weights)
        counts = subgroup_counts(codes, number)
        losses = row_losses(logits, batch.targets)[codes >= 0]
        sums = logits.new_zeros(number).index_add(0, codes[codes >= 0], losses)
        return sums / counts.clamp_min(1), counts

    @torch.no_grad()
    def reweigh(self, losses: Float[Tensor, " c"], there: Tensor) -> None:
        """The step of q, for the subgroups that are there."""
        adjusted = losses + self.options.adjustment / self.subgroup_sizes.clamp_min(1).sqrt()
        factor = torch.where(there, (self.options.step_size * adjusted).exp(), 1.0)
        self.subgroup_weights *= factor
        self.subgroup_weights /= self.subgroup_weights.sum().clamp_min(1e-12)

    def disease_loss(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        losses, counts = self.subgroup_losses(self.model.disease_logits(z), batch)
        self.reweigh(losses.detach(), counts > 0)
        return (self.subgroup_weights.clone() * losses).sum()

    def update(self, batch: Batch) -> Values:
        values = super().update(batch)
        largest = self.subgroup_weights.max()
        return values | {"largest_cell_weight": largest}
