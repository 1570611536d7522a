"""The erasers by name."""

from __future__ import annotations

from typing import Any

from fairthesis.embeddings._erasers import Leace, MeanDifferences, Splince
from fairthesis.embeddings._kernel_eraser import KernelEraser

#: Name -> class of an eraser: ``fit(X, y, target=None)`` with the attribute as y, ``transform(X)``.
ERASERS: dict[str, Any] = {
    "leace": Leace,
    "mean_differences": MeanDifferences,
    "splince": Splince,
    "kernel": KernelEraser,
}
