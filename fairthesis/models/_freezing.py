"""Which parts of a backbone learn: all, the last stage, or none."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.models._normalising import Standardise

#: Which of a backbone's parameters learn: ``none``, those of its last stage (``last``), or ``all``.
TRAIN_BACKBONE = ("none", "last", "all")
_MOST = 0.9  # of the parameters: what holds more is not a stage but the whole, and is opened up


class Frozen(nn.Module):
    """A backbone of which nothing learns, and the standards that its features get.

    Given images it computes their features; given features (n, width), computed before, it takes
    them as they are. Both are standardised, by the training part once ``standardise`` is fitted.

    >>> import torch
    >>> net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> frozen, images = Frozen(net, 3), torch.rand(2, 3, 8, 8)
    >>> torch.equal(frozen(images), frozen(frozen.net(images)))
    True
    """

    def __init__(self, net: nn.Module, width: int) -> None:
        super().__init__()
        self.net = net.requires_grad_(False)
        self.standardise = Standardise(width)

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        return self.standardise(x if x.ndim == 2 else self.net(x))


def last_stage(net: nn.Module) -> dict[str, nn.Module]:
    """The last stage of a network, by name: its last child modules with parameters.

    From the end, children are taken up to and including the first that holds a weight matrix or a
    convolution: a normalisation at the end is no stage by itself. Where that child holds more than
    nine tenths of the network's parameters, as a container of all stages does, it is not taken
    whole but its own last children are. So it is ``layer4`` of a ResNet, the last dense block and
    the norm behind it of a DenseNet, the last block and the norm of a vision transformer, the last
    stage of a ConvNeXt or Swin, and the last convolution of an EfficientNet.

    >>> from fairthesis.models import BACKBONES
    >>> list(last_stage(BACKBONES["resnet18"](3)[0]))
    ['layer4']
    """
    return dict(reversed(_last(net, "", _count(net))))


def _last(net: nn.Module, prefix: str, whole: int) -> list[tuple[str, nn.Module]]:
    found: list[tuple[str, nn.Module]] = []
    for name, child in reversed(list(net.named_children())):
        if not _count(child):
            continue
        full = f"{prefix}{name}"
        if _count(child) > _MOST * whole and _count(child, own=False):
            return [*found, *_last(child, f"{full}.", whole)]
        found.append((full, child))
        if any(parameter.ndim > 1 for parameter in child.parameters()):
            break
    return found or [(prefix.rstrip("."), net)]


def _count(net: nn.Module, own: bool = True) -> int:
    """Parameters of a module; with ``own`` false, those of its children alone."""
    parts = [net] if own else list(net.children())
    return sum(p.numel() for part in parts for p in part.parameters())


def freeze(net: nn.Module, train_backbone: str) -> dict[str, nn.Module]:
    """Freeze all but what ``train_backbone`` leaves open; the open parts, by name."""
    if train_backbone == "all":
        return {"": net}
    open_parts = {} if train_backbone == "none" else last_stage(net)
    net.requires_grad_(False)
    for part in open_parts.values():
        part.requires_grad_(True)
    return open_parts
