"""What an encoder expects of an image: edge, channels, range; and images made so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fairthesis.errors import InputError

#: Mean and standard deviation of ImageNet's channels, which most encoders of photographs expect.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_GREY = (0.299, 0.587, 0.114)  # of red, green and blue, as Pillow has it (ITU-R 601-2)


@dataclass(frozen=True)
class Preprocessing:
    """How images are made what an encoder was trained on.

    An image, from 0 to 1, is resized so that its short side is ``resize`` pixels, cropped at the
    centre to ``size`` × ``size``, turned into ``len(mean)`` channels, and becomes (x - mean) / std
    in each. The range [-1024, 1024] is a mean of 0.5 and a deviation of 1 / 2048.

    Args:
        size: the edge in pixels.
        mean, std: of each channel, in units of the range 0 to 1; one number each for grey.
        resize: the short side before the crop, ``size`` or more; 0 is ``size``, no crop.
        interpolation: that of the encoder's card. All images here are resized bicubically.
        source: where this is from, such as the library's card of the weights.

    Raises:
        InputError: for a size below 8, another number of channels than 1 or 3, a deviation of 0.

    >>> grey = Preprocessing(2, (0.5,), (1 / 2048,))
    >>> grey(torch.tensor([0.0, 0.5, 1.0, 0.25]).view(1, 1, 2, 2)).flatten().tolist()
    [-1024.0, 0.0, 1024.0, -512.0]
    """

    size: int = 224
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    resize: int = 0
    interpolation: str = "bicubic"
    source: str = "ImageNet's statistics, for want of a card"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        if len(self.mean) not in (1, 3) or len(self.std) != len(self.mean):
            raise InputError(
                f"Expected mean and std of 1 or 3 channels, but got {len(self.mean)} and "
                f"{len(self.std)} numbers."
            )
        if not all(value > 0 for value in self.std):
            raise InputError(f"Expected std above 0 in every channel, but got {self.std}.")
        if self.size < 2 or 0 < self.resize < self.size:
            raise InputError(
                f"Expected size to be 2 or larger and resize no smaller, but got {self.size} and "
                f"{self.resize}."
            )

    @classmethod
    def of(cls, found: Preprocessing | Mapping[str, Any]) -> Preprocessing:
        """A mapping of these fields, as a function of a user's gives it, as a ``Preprocessing``."""
        if isinstance(found, Preprocessing):
            return found
        known = cls.__dataclass_fields__
        strange = [name for name in found if name not in known]
        if strange:
            raise InputError(
                f"Unknown preprocessing {strange[0]!r}: expected some of {', '.join(known)}."
            )
        return cls(**found)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return len(self.mean)

    @property
    def edge(self) -> int:
        """The short side that images are resized to before the crop."""
        return self.resize or self.size

    def at(self, size: int | None) -> Preprocessing:
        """The same for images resized to another edge, of which nothing is cropped."""
        if size is None:
            return self
        return Preprocessing(size, self.mean, self.std, 0, self.interpolation, self.source)

    def described(self) -> dict[str, Any]:
        """As plain JSON values, for provenance."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d s s"]:
        """Images from 0 to 1, already resized, as the encoder takes them."""
        top, left = ((edge - self.size) // 2 for edge in images.shape[2:])
        if top > 0 or left > 0:
            images = images[:, :, top : top + self.size, left : left + self.size]
        images = with_channels(images, self.channels)
        mean, std = (
            torch.tensor(values, dtype=images.dtype, device=images.device).view(1, -1, 1, 1)
            for values in (self.mean, self.std)
        )
        if images.requires_grad:
            return (images - mean) / std
        # At once in the layout that convolutions are fast in, and in one piece of memory.
        shape = (len(images), self.channels, *images.shape[2:])
        layout = torch.channels_last
        out = torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=layout)
        return torch.sub(images, mean, out=out).div_(std)


def with_channels(images: Float[Tensor, "n c h w"], channels: int) -> Tensor:
    """Grey images given on three channels, or colour as grey (ITU-R 601-2), where need be."""
    if images.shape[1] == channels:
        return images
    if channels == 1:
        share = torch.tensor(_GREY, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
        return (images * share).sum(1, keepdim=True)
    return images.expand(-1, channels, -1, -1)
