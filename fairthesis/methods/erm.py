"""ERM: plain training on the disease, the baseline of every comparison."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from fairthesis.methods._base import Method
from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._losses import masked_bce


class ERM(Method):
    """Empirical risk minimisation: binary cross-entropy of the targets, nothing else.

    ``L = mean_it BCE(w_t·z_i + b_t, y_it)`` over the labels that are known. The sensitive head is
    trained on detached features, so that it can be probed but never shapes the encoder.

    Reference: Vapnik, *The Nature of Statistical Learning Theory* (1995).

    >>> import torch
    >>> from fairthesis.methods import ERM, Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> _ = torch.manual_seed(0)
    >>> method = ERM(FairEncoder("small", channels=1), ERM.Options(), setting)
    >>> batch = Batch(torch.rand(16, 1, 16, 16), y, a)
    >>> sorted(method.update(batch))
    ['disease_loss', 'sensitive_loss']
    >>> method.predict(batch.images).shape  # probabilities, one column for each target
    torch.Size([16, 1])
    """

    summary = "plain training on the disease"

    def disease_loss(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        """The loss of the targets on the disease embedding; sampling and weighting change this."""
        return masked_bce(self.model.disease_logits(z), batch.targets)

    def update(self, batch: Batch) -> Values:
        self.train()
        features = self.model.features(batch.images)
        disease = self.disease_loss(self.model.embed_disease(features), batch)
        sensitive, _ = self.sensitive_loss(features.detach(), batch)
        self.descend(disease)
        self.descend(sensitive, "sensitive")
        return {"disease_loss": disease.detach(), "sensitive_loss": sensitive.detach()}
