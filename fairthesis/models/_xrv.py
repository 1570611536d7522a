"""``xrv:NAME``: the chest X-ray encoders of TorchXRayVision."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import nn

from fairthesis.errors import unknown
from fairthesis.models._libraries import Built, fetched, imported, released, without_classifier
from fairthesis.models._preprocessing import Preprocessing

_DENSENET, _RESNET = "densenet121", "resnet50"


def build(
    name: str, pretrained: bool, weights: str | None, architecture: Mapping[str, Any] | None
) -> Built:
    """DenseNet-121 or ResNet-50 for one grey channel, without the pathologies' layer.

    TorchXRayVision scales grey levels to [-1024, 1024] (its ``datasets.normalize``).
    """
    xrv: Any = imported("torchxrayvision", "xrv", f"xrv:{name}")
    known = [n for n in xrv.models.model_urls if n.startswith((_DENSENET, _RESNET))]
    if name not in (*known, _DENSENET, _RESNET):
        raise unknown("encoder of torchxrayvision", name, [_DENSENET, _RESNET, *known])
    whole = f"{name}-res{512 if name == _RESNET else 224}-all" if name not in known else name
    dense = name.startswith(_DENSENET)
    if dense:

        def make(chosen: str | None) -> nn.Module:
            net: nn.Module = xrv.models.DenseNet(weights=chosen)
            return net

        net = fetched(f"xrv:{name}", lambda: make(whole)) if pretrained else make(None)
        net = nn.Sequential(
            OrderedDict(
                features=net.get_submodule("features"), relu=nn.ReLU(inplace=True),
                pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
            )
        )  # fmt: skip
    else:
        net = _resnet(xrv, f"xrv:{name}", whole if pretrained else None)
    size = 224 if dense else 512
    preprocessing = Preprocessing(
        size, (0.5,), (1 / 2048,), interpolation="area",
        source="torchxrayvision: grey levels to [-1024, 1024]",
    )  # fmt: skip
    return Built(net, preprocessing, released("torchxrayvision"), dropped=("op_threshs",))


def _resnet(xrv: Any, what: str, whole: str | None) -> nn.Module:
    """Its ResNet is torchvision's with one channel; without weights the library makes none."""
    from fairthesis.models._torchvision import torchvision

    if whole is not None:
        net: nn.Module = fetched(what, lambda: xrv.models.ResNet(weights=whole).model)
    else:
        net = torchvision.models.resnet50(weights=None)
        net.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    without_classifier(net)
    return net
