"""ERM: plain training on the disease, the baseline of every comparison."""

from __future__ import annotations

from fairthesis.batches import Batch
from fairthesis.methods.base import Method, masked_bce


class ERM(Method):
    """Empirical risk minimisation: binary cross-entropy of the targets, nothing else.

    The sensitive head is trained on detached features, so that it can be read but never shapes
    the encoder.

    Reference: Vapnik, *The Nature of Statistical Learning Theory* (1995).
    """

    summary = "plain training on the disease"

    def update(self, batch: Batch) -> dict[str, float]:
        self.train()
        features = self.model.features(batch.images)
        logits = self.model.disease_logits(self.model.embed_disease(features))
        disease = masked_bce(logits, batch.targets)
        sensitive, _ = self.sensitive_loss(features.detach(), batch)
        self.descend(disease)
        self.descend(sensitive, "sensitive")
        return {"disease_loss": disease.item(), "sensitive_loss": sensitive.item()}
