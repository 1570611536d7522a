"""A method and a metric of one's own."""

from __future__ import annotations

import numpy as np

from fairthesis.methods import Batch, Method


class Brier(Method):
    """Plain training by the squared error of the probabilities."""

    summary = "squared error in the place of cross-entropy"

    def update(self, batch: Batch) -> dict[str, float]:
        features = self.model.features(batch.images)
        logits = self.model.disease_logits(self.model.embed_disease(features))
        loss = (logits.sigmoid() - batch.targets).square().mean()
        branch, _ = self.sensitive_loss(features.detach(), batch)
        self.descend(loss + branch, "model", "sensitive")
        return {"brier": loss.item()}


def overlap(intersection: np.ndarray, union: np.ndarray) -> float:
    """Intersection over union of all cases together."""
    return float(np.sum(intersection) / np.sum(union))
