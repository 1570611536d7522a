"""Backbones: networks without their classifier, by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def _small(channels: int, width: int = 16) -> tuple[nn.Module, int]:
    """Six 3x3 convolutions in three stages; about 70,000 parameters, for images of 32 to 96 px."""
    layers: list[nn.Module] = []
    before = channels
    for stage, after in enumerate((width, 2 * width, 4 * width)):
        if stage:
            layers.append(nn.MaxPool2d(2))
        for stride in (2 if stage == 0 else 1, 1):
            layers += [
                nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
            before = after
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers), before


def _resnet(name: str) -> Callable[[int], tuple[nn.Module, int]]:
    def build(channels: int) -> tuple[nn.Module, int]:
        from fairthesis.models._torchvision import torchvision

        net = getattr(torchvision.models, name)(weights=None)
        width = net.fc.in_features
        net.fc = nn.Identity()
        if channels != 3:
            net.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        return net, width

    return build


#: The name of no backbone: the model is given vectors.
NONE = "none"
#: Name -> function that takes the number of channels and gives the network without its classifier,
#: and the number of its features: 2048 for ``resnet50``, 512 for ``resnet18`` (He et al., CVPR
#: 2016, as in torchvision), 64 for ``small`` (six convolutions, about 70,000 parameters).
BACKBONES: dict[str, Callable[[int], tuple[nn.Module, int]]] = {
    "resnet50": _resnet("resnet50"),
    "resnet18": _resnet("resnet18"),
    "small": _small,
}
