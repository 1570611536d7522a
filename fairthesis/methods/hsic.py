"""HSIC alone: class-conditional normalised dependence as the only penalty."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fairthesis.methods._batch import Batch
from fairthesis.methods._dependence import conditional_hsic
from fairthesis.methods._penalised import Penalised


class HSIC(Penalised):
    """BCE + λ · HSIC(z, a | y), mean over attributes and targets.

    The normalised Hilbert-Schmidt independence criterion within each class of the target
    (``conditional_hsic``), at most 1; an unbiased estimate, so that it is as often below 0 as above
    where there is no dependence. No adversary, no game: one loss, one step.

    Reference: Gretton et al., ALT 2005; as a fairness penalty Quadrianto, Sharmanska and Thomas,
    CVPR 2019.

    >>> from fairthesis.methods import HSIC, Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = HSIC(FairEncoder("small", channels=1), HSIC.Options(), setting)
    >>> method.at(8, 1.0)  # epochs done, and the learning rate's factor: the ramp is over
    >>> values = method.update(Batch(torch.rand(16, 1, 16, 16), y, a))
    >>> sorted(values)
    ['disease_loss', 'penalty', 'sensitive_loss', 'weight']
    """

    summary = "class-conditional kernel dependence (HSIC) as a penalty"

    def penalty(
        self, z: Float[Tensor, "n d"], s: Float[Tensor, "n s"], batch: Batch
    ) -> Float[Tensor, ""]:
        values = [
            conditional_hsic(z, codes, subgroup.shape[-1], target)
            for subgroup, codes in zip(self.setting.subgroups, batch.attributes.T, strict=True)
            for target in batch.targets.T
        ]
        return torch.stack(values).mean()
