"""What a method is given at each step: images with their targets and attributes."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from jaxtyping import Float, Int
from torch import Tensor

#: Name -> a number for the log. A tensor of one number stays where it was computed: to read it in
#: every step would have an accelerator wait for the processor, and the other way round.
Values: TypeAlias = dict[str, float | Tensor]


class Batch(NamedTuple):
    """Images with their targets and attributes.

    Args:
        images: floats from 0 to 1, shape (n, channels, height, width).
        targets: 0 absent, 1 present, NaN not stated, shape (n, targets).
        attributes: group numbers, -1 unknown, shape (n, attributes).

    A row whose target or group is unknown stays in the batch and is left out of the losses that
    would need it.

    >>> import torch
    >>> y, a = torch.tensor([[1.0], [float("nan")]]), torch.tensor([[0], [-1]])
    >>> images, targets, attributes = Batch(torch.rand(2, 1, 16, 16), y, a)
    >>> images.shape, targets.isnan().sum().item()
    (torch.Size([2, 1, 16, 16]), 1)
    """

    images: Float[Tensor, "n ..."]
    targets: Float[Tensor, "n t"]
    attributes: Int[Tensor, "n a"]
