"""A method and an encoder of one's own."""

from __future__ import annotations

from torch import nn

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


def encoder(name: str) -> tuple[nn.Module, dict[str, object]]:
    """``mine:WIDTH``: one convolution of so many channels, for images of 16 pixels."""
    net = nn.Sequential(
        nn.Conv2d(3, int(name), 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    return net, {"size": 16, "mean": [0.5] * 3, "std": [0.5] * 3}
