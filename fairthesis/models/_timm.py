"""``timm:NAME``: any image encoder of timm, by its name, with or without a pretrained tag."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from torch import nn

from fairthesis.errors import unknown
from fairthesis.models._libraries import Built, fetched, imported, released
from fairthesis.models._preprocessing import Preprocessing


def build(
    name: str, pretrained: bool, weights: str | None, architecture: Mapping[str, Any] | None
) -> Built:
    """The network of timm without its classifier."""
    timm: Any = imported("timm", "timm", f"timm:{name}")
    known = timm.list_models()
    bare, _, tag = name.partition(".")
    if bare not in known:
        near = difflib.get_close_matches(bare, known, n=9, cutoff=0.4)  # of a thousand and more
        raise unknown("encoder of timm", bare, near or known)
    tags = [full.partition(".")[2] for full in timm.list_models(f"{bare}.*", pretrained=True)]
    if tag and tag not in tags:
        raise unknown(f"weights of timm:{bare}", tag, tags)

    def make(with_weights: bool) -> nn.Module:
        net: nn.Module = timm.create_model(name, pretrained=with_weights, num_classes=0)
        return net

    net = fetched(f"timm:{name}", lambda: make(True)) if pretrained else make(False)
    card = timm.data.resolve_data_config({}, model=net)
    size = int(card["input_size"][-1])
    preprocessing = Preprocessing(
        size, tuple(card["mean"]), tuple(card["std"]), round(size / card["crop_pct"]),
        card["interpolation"], f"timm's card of {name}",
    )  # fmt: skip
    return Built(net, preprocessing, released("timm"))
