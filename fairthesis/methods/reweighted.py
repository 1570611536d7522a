"""Reweighting: every target and group counts equally in the loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fairthesis.methods._base import MethodOptions, check_range
from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._losses import masked_bce
from fairthesis.methods._setting import Setting
from fairthesis.methods._subgroups import (
    MAX_WEIGHT,
    number_of_subgroups,
    subgroup_codes,
    subgroup_counts,
)
from fairthesis.methods.erm import ERM
from fairthesis.models import FairEncoder


@dataclass(frozen=True)
class ReweightedOptions(MethodOptions):
    """How evenly the subgroups of target and group count in the loss.

    Args:
        power: from 0 to 1. 1 makes every subgroup count the same, 0 is ERM, between them a
            compromise.

    Raises:
        InputError: for a power out of range.

    >>> ReweightedOptions()
    ReweightedOptions(power=1.0)
    >>> ReweightedOptions(power=-0.5)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected power to be from 0 to 1, but got -0.5
    """

    power: float = 1.0

    def __post_init__(self) -> None:
        check_range(self, "power", most=1.0)


def subgroup_weights(counts: Int[Tensor, " c"], power: float = 1.0) -> Float[Tensor, " c"]:
    """(n / (K n_subgroup))^power for the K subgroups with an image, at most 10; else 0.

    >>> subgroup_weights(torch.tensor([30, 10, 0]))
    tensor([0.6667, 2.0000, 0.0000])
    """
    there = counts > 0
    even = counts.sum() / there.sum().clamp_min(1)
    weight = (even / counts.clamp_min(1)).pow(power).clamp_max(MAX_WEIGHT)
    return torch.where(there, weight, 0.0)


class Reweighted(ERM):
    """ERM with the loss of each image weighted by 1 / P(subgroup).

    ``L = sum_i w_i BCE_i / sum_i w_i`` with ``w_i = (n / (K n_subgroup))^power``, at most 10, K
    being the number of subgroups that have an image. A subgroup is the first target's class with
    the groups of all attributes (``subgroup_codes``). The bound of 10 keeps one image of an empty
    corner from ruling a batch (``least_cell`` of the log is the least share that a subgroup then
    has in the loss, over 1 / K); an image without a subgroup (label or group unknown) has weight 1.
    With several targets an image's weight holds for all of them.

    Reference: Kamiran and Calders, Knowledge and Information Systems 2012 (reweighing). Their
    weight n_y n_a / (n n_ya) makes target and groups independent and keeps how common each is; this
    one makes all subgroups count alike.

    >>> from fairthesis.methods import subgroup_probabilities
    >>> y, a = (torch.arange(40)[:, None] < 10).float(), torch.zeros(40, 1, dtype=torch.long)
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = Reweighted(FairEncoder("small", channels=1), ReweightedOptions(), setting)
    >>> batch = Batch(torch.rand(16, 1, 16, 16), y[:16], a[:16])
    >>> sorted(method.update(batch))
    ['disease_loss', 'least_cell', 'sensitive_loss']
    >>> method.row_weights(batch)[[0, 15]]  # a case, of which there are fewer, and another
    tensor([2.0000, 0.6667])
    """

    Options = ReweightedOptions
    options: ReweightedOptions
    strength = "power"
    summary = "loss weighted by one over the share of target and group"

    def __init__(self, model: FairEncoder, options: MethodOptions, setting: Setting) -> None:
        super().__init__(model, options, setting)
        self.groups = [subgroup.shape[-1] for subgroup in setting.subgroups]
        codes = subgroup_codes(*setting.training_part(), self.groups)
        counts = subgroup_counts(codes, number_of_subgroups(self.groups))
        self.weights = subgroup_weights(counts, self.options.power)
        share = (counts * self.weights)[counts > 0]
        self.least_cell = float(share.min() / share.mean()) if len(share) else 1.0

    def row_weights(self, batch: Batch) -> Float[Tensor, " n"]:
        """The weight of each image."""
        codes = subgroup_codes(batch.targets, batch.attributes, self.groups)
        weights = self.weights.to(codes.device)
        return torch.where(codes >= 0, weights[codes.clamp_min(0)], 1.0)

    def update(self, batch: Batch) -> Values:
        values = super().update(batch)
        return values | {"least_cell": self.least_cell} if self.options.power else values

    def disease_loss(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        weights = self.row_weights(batch)[:, None].expand_as(batch.targets)
        return masked_bce(self.model.disease_logits(z), batch.targets, weights)
