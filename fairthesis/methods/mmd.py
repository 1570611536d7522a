"""MMD: the groups' embeddings are drawn together by their kernel means."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fairthesis.methods._batch import Batch
from fairthesis.methods._discrepancy import conditional_mmd
from fairthesis.methods._penalised import Penalised


class MMD(Penalised):
    """BCE + λ · MMD² between the groups within each class of the target.

    Mean over attributes, targets, classes and pairs of groups (``conditional_mmd``), Gaussian
    kernels of five bandwidths around the median. Given the target, so that a difference in
    prevalence is not held against the embedding.

    Reference: Gretton et al., JMLR 2012; as a penalty Louizos et al., ICLR 2016.

    >>> from fairthesis.methods import MMD, Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = MMD(FairEncoder("small", channels=1), MMD.Options(), setting)
    >>> method.at(8, 1.0)  # epochs done, and the learning rate's factor: the ramp is over
    >>> values = method.update(Batch(torch.rand(16, 1, 16, 16), y, a))
    >>> sorted(values)
    ['disease_loss', 'penalty', 'sensitive_loss', 'weight']
    """

    summary = "kernel distance between groups given the target (MMD) as a penalty"

    def penalty(
        self, z: Float[Tensor, "n d"], s: Float[Tensor, "n s"], batch: Batch
    ) -> Float[Tensor, ""]:
        values = [
            conditional_mmd(z, codes, target)
            for codes in batch.attributes.T
            for target in batch.targets.T
        ]
        return torch.stack(values).mean()
