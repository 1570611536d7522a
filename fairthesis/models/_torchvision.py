"""``import torchvision`` that also works beside a torch build without torchvision's operators.

A torchvision built for CUDA cannot register its operators beside a CPU build of torch, and then
refuses to import at all. Models and transforms do not need these operators: declaring the two
schemas that the import looks for is enough. Where torchvision imports by itself, nothing is done.
"""

from __future__ import annotations

import sys

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

try:
    import torchvision
except RuntimeError as error:
    if "torchvision::nms" not in str(error):
        raise
    for _name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[_name]
    # The library object must live as long as the process, or the schemas go with it.
    _LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
    for _operator in ("nms", "qnms"):
        _LIBRARY.define(f"{_operator}{_SCHEMA}")
    import torchvision

__all__ = ["torchvision"]
