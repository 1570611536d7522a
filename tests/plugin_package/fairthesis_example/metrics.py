"""A metric of one's own; the audit has no torch, and this module asks for none."""

from __future__ import annotations

import numpy as np


def overlap(intersection: np.ndarray, union: np.ndarray) -> float:
    """Intersection over union of all cases together."""
    return float(np.sum(intersection) / np.sum(union))
