"""An encoder by name: its network with weights, its width, and what it expects of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.errors import InputError, unknown
from fairthesis.models._libraries import LIBRARIES, PRETRAINED, Built
from fairthesis.models._pooling import Pooled, feature_width
from fairthesis.models._preprocessing import Preprocessing
from fairthesis.models._weights import (
    RANDOM,
    described_weights,
    is_weights_file,
    load_file,
    read_state,
)

_FORMS = "LIBRARY:NAME, such as torchvision:resnet50, timm:densenet121 or python:mine.encoders:ours"


@dataclass(frozen=True, eq=False)
class Encoder:
    """A network that makes a vector of an image, and what it is.

    Attributes:
        name: ``LIBRARY:NAME``; a folder's path shows its last part alone.
        net: the network without its classifier: prepared images to features, shape (n, width).
        width: numbers of a vector.
        preprocessing: what is done to images first.
        weights: a file's name and content, ``pretrained``, a name of the library's, ``random``, or
            None where a function of ``python:`` gave them.
        version: of the library.
        architecture: what the network is built from again without its files, or None.

    Called with images from 0 to 1, shape (n, 1 or 3, height, width), it gives their vectors.

    >>> encoder = load_encoder("torchvision:resnet18", weights="random")
    >>> encoder.width, encoder.preprocessing.edge, encoder.preprocessing.size
    (512, 256, 224)
    >>> encoder.net.eval()(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 512])
    """

    name: str
    net: nn.Module
    width: int
    preprocessing: Preprocessing
    weights: str | None
    version: str
    architecture: Mapping[str, Any] | None = field(default=None, repr=False)

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        return self.net(self.preprocessing(images))

    def described(self) -> dict[str, Any]:
        """What it is, as plain JSON values, for provenance: names no folder."""
        return {
            "name": self.name,
            "library": self.version,
            "weights": self.weights,
            "width": self.width,
            "preprocessing": self.preprocessing.described(),
            "architecture": self.architecture,
        }


def load_encoder(
    name: str,
    *,
    weights: str | None = None,
    size: int | None = None,
    seed: int | None = None,
    built_from: Mapping[str, Any] | None = None,
) -> Encoder:
    """Build an image encoder of any library, without its classifier.

    Args:
        name: ``timm:NAME``, ``torchvision:NAME``, ``xrv:NAME`` (TorchXRayVision), ``hf:NAME``
            (transformers: a local folder, or a name on the hub), or
            ``python:package.module:function``, a function without arguments that gives a
            ``torch.nn.Module``, or one and its preprocessing (a ``Preprocessing`` or a mapping of
            its fields).
        weights: a local file (.pth or .safetensors, a state dict of the same network);
            ``pretrained``, the library's own for this name, which are fetched where they are not
            there yet (torchvision's by their names too, such as ``IMAGENET1K_V1``); ``random``, or
            None, which is the same but for ``python:``, whose function gives its own.
        size: another edge of images than the card's; then nothing is cropped.
        seed: of random weights; by default torch's own state decides them.
        built_from: what ``Encoder.described`` gave, to build the same network without its files
            or a network; weights are random then.

    Raises:
        InputError: for an unknown library or name, a library that is not installed, weights that
            cannot be had or are of another network, and a size that the network does not take.

    >>> load_encoder("torchvision:resnet19")
    Traceback (most recent call last):
    fairthesis.errors.InputError: Unknown encoder of torchvision 'resnet19': ... 'resnet18'?
    """
    library, colon, own = name.partition(":")
    if not colon or not own:
        raise InputError(f"Unknown encoder {name!r}: expected {_FORMS}.")
    if library not in LIBRARIES:
        raise unknown("library of encoders", library, LIBRARIES)
    file = weights if weights is not None and is_file(name, weights) else None
    named = None if file or weights in (None, RANDOM, PRETRAINED) else weights
    if named is not None and library != "torchvision":
        raise _unknown_weights(name, named)
    kept = None if built_from is None else built_from.get("architecture")
    if named is not None:
        check_named(own, named)
    with torch.random.fork_rng(enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        built = LIBRARIES[library](own, weights == PRETRAINED, named, kept)
    if file is not None:
        built = with_file(built, name, file)
    preprocessing = built.preprocessing
    if built_from is not None:
        preprocessing = Preprocessing.of(built_from["preprocessing"])
    preprocessing = preprocessing.at(size)
    net = Pooled(built.net, built.tokens)
    width = feature_width(net, preprocessing.channels, preprocessing.size, name)
    kind = weights if file is None else described_weights(file)
    kind = RANDOM if kind is None and library != "python" else kind
    if built_from is not None:
        kind = built_from["weights"]
    return Encoder(
        public_name(name), net, width, preprocessing, kind, built.version, built.architecture
    )


def with_file(built: Built, name: str, file: str) -> Built:
    """An encoder with the weights of a local file."""
    if built.load is None:
        load_file(built.net, name, file, built.dropped)
        return built
    try:
        return replace(built, net=built.load(read_state(file)))
    except (RuntimeError, ValueError, KeyError) as error:
        if isinstance(error, InputError) and not str(error).startswith("its weights"):
            raise
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"The weights {file!r} do not fit the backbone {name}: {said}. Expected a state dict "
            "of the same model."
        ) from error


def is_file(name: str, weights: str) -> bool:
    """Whether an encoder's ``weights`` are meant as a file."""
    return weights not in (PRETRAINED, RANDOM) and is_weights_file(weights)


def check_named(model: str, weights: str) -> None:
    """Refuse weights that torchvision does not have by that name."""
    from fairthesis.models._torchvision import torchvision

    if model in torchvision.models.list_models(module=torchvision.models):
        known = torchvision.models.get_model_weights(model).__members__
        if weights not in known:
            raise unknown(f"weights of torchvision:{model}", weights, (*known, PRETRAINED, RANDOM))


def _unknown_weights(name: str, weights: str) -> InputError:
    return InputError(
        f"Unknown weights {weights!r} of {name}: expected a file (.pth or .safetensors), "
        f"{PRETRAINED} (the library's own) or {RANDOM}."
    )


def public_name(name: str) -> str:
    """A name without the folder that it may lie in: folders name people and hospitals.

    >>> public_name("hf:/home/jane/dinov2"), public_name("hf:facebook/dinov2-base")
    ('hf:dinov2', 'hf:facebook/dinov2-base')
    """
    library, _, own = name.partition(":")
    if library == "hf" and (Path(own).is_dir() or Path(own).is_absolute() or own.count("/") > 1):
        return f"hf:{Path(own).name}"
    return name


def check_encoder_weights(name: str, weights: str) -> None:
    """Check that weights of another library's encoder can be meant; nothing is loaded."""
    library, _, own = name.partition(":")
    if is_file(name, weights):
        described_weights(weights)
    elif weights not in (PRETRAINED, RANDOM):
        if library != "torchvision":
            raise _unknown_weights(name, weights)
        check_named(own, weights)
