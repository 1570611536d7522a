"""Balanced sampling: every target and group equally often in an epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis.methods._base import MethodOptions, check_range
from fairthesis.methods._subgroups import balanced_draws, subgroup_codes
from fairthesis.methods.erm import ERM


@dataclass(frozen=True)
class BalancedOptions(MethodOptions):
    """How evenly the subgroups of target and group are drawn.

    Args:
        power: from 0 to 1. 1 draws every subgroup equally often, 0 is ERM, between them a
            compromise.

    Raises:
        InputError: for a power out of range.

    >>> BalancedOptions()
    BalancedOptions(power=1.0)
    >>> BalancedOptions(power=2.0)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected power to be from 0 to 1, but got 2.0
    """

    power: float = 1.0

    def __post_init__(self) -> None:
        check_range(self, "power", most=1.0)


class Balanced(ERM):
    """ERM on images drawn with replacement, each with probability ∝ n_subgroup^(-power).

    A subgroup is the first target's class with the groups of all attributes (``subgroup_codes``).
    With power 1 all subgroups that have an image are drawn equally often. An epoch has as many
    draws as the training part has images; an image without a subgroup (label or group unknown)
    comes once, as in plain training. The order depends on seed and epoch only.

    Loss: that of ``ERM``, on such batches.

    Reference: Idrissi et al., CLeaR 2022 (subsampling and reweighting of groups as baselines).

    >>> import torch
    >>> from fairthesis.methods import Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = (torch.arange(400)[:, None] < 40).float(), torch.arange(400)[:, None] % 2
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = Balanced(FairEncoder("small", channels=1), BalancedOptions(), setting)
    >>> order = method.order(epoch=0)
    >>> len(order), round(float(y.mean()), 1), round(float(y[order].mean()), 1)
    (400, 0.1, 0.5)
    >>> rows = order[:16]
    >>> sorted(method.update(Batch(torch.rand(16, 1, 16, 16), y[rows], a[rows])))
    ['disease_loss', 'sensitive_loss']
    """

    Options = BalancedOptions
    options: BalancedOptions
    strength = "power"
    summary = "every target and group drawn equally often"

    def order(self, epoch: int) -> NDArray[np.intp]:
        if self.options.power == 0:
            return super().order(epoch)
        groups = [subgroup.shape[-1] for subgroup in self.setting.subgroups]
        subgroups = subgroup_codes(*self.setting.training_part(), groups).numpy()
        generator = self.generator(epoch)
        drawn = balanced_draws(
            subgroups, int((subgroups >= 0).sum()), generator, self.options.power
        )
        return generator.permutation(np.concatenate([drawn, np.flatnonzero(subgroups < 0)]))
