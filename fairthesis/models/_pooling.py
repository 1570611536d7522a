"""A network's output as one vector for each image, and how wide it is."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.errors import InputError

#: Which of a transformer's tokens stand for the image: its first (the class token) or their mean.
TOKENS = ("first", "mean")


class Pooled(nn.Module):
    """A network whose output is a vector for each image, shape (n, features).

    A map (n, features, h, w) is averaged over its places; of an output with ``pooler_output`` that
    is taken; of tokens (n, tokens, features) the first one or the mean, as ``tokens`` says.

    >>> Pooled(nn.Conv2d(3, 8, 3))(torch.rand(2, 3, 16, 16)).shape
    torch.Size([2, 8])
    """

    def __init__(self, net: nn.Module, tokens: str | None = None) -> None:
        super().__init__()
        self.net = net
        self.tokens = tokens

    def forward(self, images: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        return self.pooled(self.net(images))

    def pooled(self, found: Any) -> Float[Tensor, "n f"]:
        """The vectors in what the network gave."""
        if not isinstance(found, Tensor):
            own = getattr(found, "pooler_output", None) if self.tokens != "first" else None
            found = own if own is not None else getattr(found, "last_hidden_state", None)
        if isinstance(found, Tensor):
            if found.ndim == 4:
                return found.mean((2, 3))
            if found.ndim == 3 and self.tokens is not None:
                return found[:, 0] if self.tokens == "first" else found.mean(1)
            if found.ndim == 2:
                return found
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(
            f"The encoder gives {shape} for a batch of images: expected (n, features) or "
            "(n, features, height, width). Wrap it in a module that gives one vector an image."
        )


def feature_width(net: nn.Module, channels: int, size: int, what: str) -> int:
    """The width of a network's features, by a forward pass of a blank image.

    Nothing of the network changes, its mode and running statistics included.

    Raises:
        InputError: where it cannot take an image of so many channels and pixels.

    >>> net = Pooled(nn.Conv2d(1, 8, 3))
    >>> feature_width(net, 1, 16, "the network"), net.training
    (8, True)
    """
    modes = {module: module.training for module in net.modules()}
    tensor = next(iter(net.parameters()), torch.zeros(()))
    kind = tensor.dtype if tensor.is_floating_point() else torch.float32
    try:
        with torch.no_grad():
            found = net.eval()(torch.zeros(1, channels, size, size, dtype=kind).to(tensor.device))
    except InputError:
        raise
    except Exception as error:  # a network of anyone's ends in errors of any kind
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{what} cannot take an image of {channels} channels and {size} x {size} pixels "
            f"({said}). Choose the size that it was made for."
        ) from error
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not isinstance(found, Tensor) or found.ndim != 2 or found.shape[0] != 1:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(f"{what} gives {shape} for one image: expected (1, features).")
    return int(found.shape[1])
