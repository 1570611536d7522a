"""ERM: plain training on the disease, the baseline of every comparison."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from fairthesis.methods._base import Method, masked_bce
from fairthesis.methods._batch import Batch


class ERM(Method):
    """Empirical risk minimisation: binary cross-entropy of the targets, nothing else.

    The sensitive head is trained on detached features, so that it can be read but never shapes
    the encoder.

    Reference: Vapnik, *The Nature of Statistical Learning Theory* (1995).
    """

    summary = "plain training on the disease"

    def disease_loss(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        """The loss of the targets on the disease embedding; sampling and weighting change this."""
        return masked_bce(self.model.disease_logits(z), batch.targets)

    def update(self, batch: Batch) -> dict[str, float]:
        self.train()
        features = self.model.features(batch.images)
        disease = self.disease_loss(self.model.embed_disease(features), batch)
        sensitive, _ = self.sensitive_loss(features.detach(), batch)
        self.descend(disease)
        self.descend(sensitive, "sensitive")
        return {"disease_loss": disease.item(), "sensitive_loss": sensitive.item()}
