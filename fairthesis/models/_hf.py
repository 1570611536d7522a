"""``hf:NAME``: image encoders of transformers, from a local folder or by their name on the hub."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairthesis.errors import InputError
from fairthesis.models._libraries import Built, fetched, imported, released
from fairthesis.models._preprocessing import IMAGENET, Preprocessing

# Their pooler is a layer of its own, which weights often lack: it would be a random one.
_CLASS_TOKEN = ("vit", "deit", "vit_msn", "vit_mae")
_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


def build(
    name: str, pretrained: bool, weights: str | None, architecture: Mapping[str, Any] | None
) -> Built:
    """An ``AutoModel``; of a model of images and text the part that sees images."""
    transformers: Any = imported("transformers", "hf", f"hf:{name}")
    if architecture is not None:
        config = transformers.AutoConfig.for_model(**architecture["config"])
        card = architecture.get("card")
    else:
        config, card = _config(transformers, name, pretrained), _card(name, pretrained)
    config = getattr(config, "vision_config", config)
    if not any(hasattr(config, n) for n in ("num_channels", "image_size", "patch_size")):
        raise InputError(
            f"hf:{name} is a {type(config).__name__}, which takes no images: expected an encoder "
            "of images."
        )
    more = {"add_pooling_layer": False} if config.model_type in ("vit", "deit") else {}
    net: nn.Module = transformers.AutoModel.from_config(config, **more)
    if pretrained:
        net = fetched(f"hf:{name}", lambda: _loaded(transformers, net, config, name, **more))
    tokens = "first" if config.model_type in _CLASS_TOKEN else "mean"
    own = {k: v for k, v in config.to_dict().items() if k != "_name_or_path"}  # a folder, at times
    kept = {"config": own, "card": card}
    return Built(
        net, _preprocessing(card, config), released("transformers"), tokens,
        architecture=json.loads(json.dumps(kept, default=str)),
        load=lambda state: _loaded(transformers, net, config, None, state_dict=state, **more),
    )  # fmt: skip


def _config(transformers: Any, name: str, online: bool) -> Any:
    try:
        return transformers.AutoConfig.from_pretrained(name, local_files_only=not online)
    except (OSError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())[:160]
        raise InputError(
            f"No encoder hf:{name} here ({said}). Expected a folder with config.json, or a name on "
            "the hub that was fetched before, or weights pretrained, which fetches it."
        ) from error


def _card(name: str, online: bool) -> dict[str, Any] | None:
    """What ``preprocessor_config.json`` says; None where there is none."""
    file = Path(name) / "preprocessor_config.json"
    if not Path(name).is_dir():
        hub: Any = imported("transformers.utils.hub", "hf", f"hf:{name}")
        quietly = ("missing_entries", "connection_errors", "gated_repo")
        found = hub.cached_file(
            name, file.name, local_files_only=not online,
            **{f"_raise_exceptions_for_{what}": False for what in quietly},
        )  # fmt: skip
        if found is None:
            return None
        file = Path(found)
    if not file.is_file():
        return None
    card: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return card


def _loaded(
    transformers: Any, net: nn.Module, config: Any, name: str | None, **more: Any
) -> nn.Module:
    """The same network with the weights of a folder, of the hub or of a state, every one of them.

    The library itself knows the older names of its layers.
    """
    logging = transformers.utils.logging
    before, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        kind: Any = type(net)
        found, told = kind.from_pretrained(name, config=config, output_loading_info=True, **more)
    finally:
        logging.set_verbosity(before)
        if bar:
            logging.enable_progress_bar()
    lacking = sorted(told["missing_keys"])
    if lacking:
        raise InputError(f"its weights lack {', '.join(lacking[:3])}")
    loaded: nn.Module = found
    if not all(bool(torch.isfinite(p).all()) for p in loaded.parameters()):
        raise InputError("its weights hold values that are not finite")
    return loaded


def _preprocessing(card: Mapping[str, Any] | None, config: Any) -> Preprocessing:
    """Edge, mean and deviation of the card; ImageNet's and the configuration's edge without one."""
    own = getattr(config, "image_size", None) or 224
    own = int(own[0] if isinstance(own, list | tuple) else own)
    channels = int(getattr(config, "num_channels", 3))
    mean: Sequence[float] = IMAGENET[0] if channels == 3 else (0.5,)
    std: Sequence[float] = IMAGENET[1] if channels == 3 else (0.25,)
    if card is None:
        return Preprocessing(own, tuple(mean), tuple(std), source="no card: ImageNet's statistics")
    edge = _edge(card.get("size"), own)
    size = _edge(card.get("crop_size"), edge) if card.get("do_center_crop") else edge
    if card.get("do_normalize", True):
        mean, std = card.get("image_mean", mean), card.get("image_std", std)
    else:
        mean, std = (0.0,) * channels, (1.0,) * channels
    if not card.get("do_rescale", True):  # then they are of levels from 0 to 255
        mean, std = [value / 255 for value in mean], [value / 255 for value in std]
    return Preprocessing(
        size, tuple(mean), tuple(std), max(edge, size), _RESAMPLE.get(card.get("resample", 3), "?"),
        "preprocessor_config.json of the encoder",
    )  # fmt: skip


def _edge(found: Any, otherwise: int) -> int:
    """An edge, of the several ways in which a card says it."""
    if isinstance(found, Mapping):
        found = found.get("shortest_edge") or found.get("height")
    return int(found) if isinstance(found, int | float) and found else otherwise
