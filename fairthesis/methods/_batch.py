"""What a method is given at each step: images with their targets and attributes."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor


class Batch(NamedTuple):
    """Images with their targets and attributes."""

    images: Float[Tensor, "n c h w"]  # 0 to 1
    targets: Float[Tensor, "n t"]  # 0 absent, 1 present, NaN not stated
    attributes: Int[Tensor, "n a"]  # group number, -1 unknown
