"""Encoders of other libraries, by name: each a function that builds a network and says its card."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from types import ModuleType
from typing import Any

from torch import nn

from fairthesis.errors import InputError, unknown
from fairthesis.inputs import load_plugin, plugins
from fairthesis.models._preprocessing import Preprocessing

#: In the place of a weights file: the weights that a library has for this very name. They are
#: fetched where the library does not have them yet.
PRETRAINED = "pretrained"


@dataclass(frozen=True)
class Built:
    """What a library gives for a name: a network without its classifier, and its card.

    Attributes:
        net: the network.
        preprocessing: as the library's card of the weights says.
        version: of the library.
        tokens: for networks that give tokens, as for ``Pooled``.
        architecture: what the network can be built from again without its files, or None.
        load: gives the network with a state dict in the library's own layout, where torch's own
            loading does not know it.
        dropped: beginnings of names in a weights file that are no part of the features.

    >>> built = LIBRARIES["torchvision"]("resnet18", False, None, None)
    >>> built.preprocessing.size, built.version.split()[0]
    (224, 'torchvision')
    """

    net: nn.Module
    preprocessing: Preprocessing
    version: str
    tokens: str | None = None
    architecture: Mapping[str, Any] | None = field(default=None, repr=False)
    load: Callable[[Mapping[str, Any]], nn.Module] | None = field(default=None, repr=False)
    dropped: tuple[str, ...] = ()


def imported(package: str, extra: str, name: str) -> ModuleType:
    """A library of the extras, or an ``InputError`` that says which extra brings it."""
    importlib.import_module("fairthesis.models._torchvision")  # which these import by themselves
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other people's code
            return importlib.import_module(package)
    except ImportError as error:
        lacking = f" ({error})" if getattr(error, "name", None) not in (None, package) else ""
        raise InputError(
            f"The encoder {name!r} needs the package {package}{lacking}: "
            f"pip install 'fairthesis[{extra}]'"
        ) from error


def released(package: str) -> str:
    """A package and its version, such as ``timm 1.0.31``."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} of an unknown version"


def fetched(name: str, make: Callable[[], nn.Module]) -> nn.Module:
    """A network with its library's own weights, or in words why they are not to be had."""
    try:
        return make()
    except Exception as error:  # of the network, of the library or of the hub, each its own kind
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"The pretrained weights of {name} could not be had from the library ({said}). Fetch "
            "them where there is a network, and give the file's path as weights."
        ) from error


def _torchvision(
    name: str, pretrained: bool, weights: str | None, architecture: Mapping[str, Any] | None
) -> Built:
    from fairthesis.models._torchvision import torchvision

    models = torchvision.models
    known = models.list_models(module=models)
    if name not in known:
        raise unknown("encoder of torchvision", name, known)
    offered = models.get_model_weights(name)
    chosen = offered.DEFAULT
    if weights is not None:
        chosen = offered[weights]
    # The other heads of these are for training from scratch alone.
    more = (
        {"aux_logits": False, "init_weights": False}
        if name in ("googlenet", "inception_v3")
        else {}
    )
    net: nn.Module = models.get_model(name, weights=None, **more)
    if pretrained or weights is not None:

        def load() -> nn.Module:
            state = chosen.get_state_dict(progress=True)
            own = {k: v for k, v in state.items() if not k.lower().startswith("aux")}
            net.load_state_dict(own)
            return net

        fetched(f"torchvision:{name}", load)
    if name.startswith("squeezenet"):
        net.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    else:
        without_classifier(net)
    card = chosen.transforms()
    preprocessing = Preprocessing(
        card.crop_size[0], tuple(card.mean), tuple(card.std),
        max(card.resize_size[0], card.crop_size[0]), card.interpolation.value,
        f"torchvision's card of {name} {chosen.name}",
    )  # fmt: skip
    return Built(net, preprocessing, released("torchvision"), dropped=("aux", "AuxLogits"))


def without_classifier(net: nn.Module) -> None:
    """Put an identity in the place of a network's last linear layer."""
    path = [name for name, module in net.named_modules() if isinstance(module, nn.Linear)][-1]
    parent, _, own = path.rpartition(".")
    setattr(net.get_submodule(parent), own, nn.Identity())


def _python(
    name: str, pretrained: bool, weights: str | None, architecture: Mapping[str, Any] | None
) -> Built:
    """``package.module:function``, called without arguments: a network, or it and its card."""
    place, _, attribute = name.partition(":")
    full = f"python:{name}"
    if not place or not attribute:
        raise InputError(f"Expected an encoder python:package.module:function, but got {full!r}.")
    if pretrained:
        raise InputError(
            f"{full} has no pretrained weights by name: the function gives the network with its "
            "own. Leave weights out, or give a file."
        )
    here = os.getcwd()  # noqa: PTH109 (as Python itself writes it)
    sys.path.insert(0, here)  # a function beside the data, as with `python -m`
    try:
        function = getattr(importlib.import_module(place), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{full} cannot be imported ({error}): expected a function in a module of an installed "
            "package or of this folder."
        ) from error
    finally:
        sys.path.remove(here)
    return _called(full, function, (), released(place.partition(".")[0]))


def _called(
    full: str, function: Callable[..., Any], arguments: tuple[str, ...], version: str
) -> Built:
    """What somebody's own function gives: a network, or it and its card."""
    try:
        found = function(*arguments)
    except Exception as error:  # of a user's own code
        given = f"with {arguments[0]!r}" if arguments else "without arguments"
        raise InputError(
            f"{full} cannot be called {given} ({type(error).__name__}: {error}): "
            "expected a function that gives a torch.nn.Module, or one and its preprocessing."
        ) from error
    net, card = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(net, nn.Module):
        raise InputError(
            f"{full} gives {type(net).__name__}: expected a torch.nn.Module, or a module and its "
            "preprocessing (size, mean, std)."
        )
    preprocessing = Preprocessing() if card is None else Preprocessing.of(card)
    return Built(net, preprocessing, version)


def _from_file(module: str) -> Callable[..., Built]:
    def build(*arguments: Any) -> Built:
        built: Built = importlib.import_module(f"fairthesis.models.{module}").build(*arguments)
        return built

    return build


#: Library -> function of a name in it that builds the network without its classifier
#: (``name, pretrained, weights, architecture``; see ``load_encoder``). Another package adds a
#: library by an entry point of the group ``fairthesis.backbones``: a function of a name that gives
#: a network without its classifier, or it and its preprocessing.
LIBRARIES: dict[str, Callable[..., Built]] = {
    "timm": _from_file("_timm"),
    "torchvision": _torchvision,
    "xrv": _from_file("_xrv"),
    "hf": _from_file("_hf"),
    "lite": _from_file("_lite"),
    "python": _python,
}


_BY_NAME = set(LIBRARIES) - {"python"}


def _of_plugin(point: EntryPoint) -> Callable[..., Built]:
    def build(
        name: str, pretrained: bool, weights: str | None, architecture: Mapping[str, Any] | None
    ) -> Built:
        full = f"{point.name}:{name}"
        function = load_plugin(point, "backbones")
        if not callable(function):
            raise InputError(
                f"The encoder {full} cannot be built: {point.value} of another package is no "
                "function of a name."
            )
        if pretrained:
            raise InputError(
                f"{full} has no pretrained weights by name: its function gives the network with "
                "its own. Leave weights out, or give a file."
            )
        return _called(full, function, (name,), released(point.value.partition(":")[0]))

    return build


LIBRARIES |= {n: _of_plugin(point) for n, point in plugins("backbones", LIBRARIES).items()}


def has_pretrained(name: str) -> bool:
    """Whether the library of an encoder knows weights by the encoder's name; nothing is looked up.

    A function of one's own, and another package's, gives the network with its own weights.

    >>> has_pretrained("timm:densenet121"), has_pretrained("python:mine.encoders:ours")
    (True, False)
    """
    return name.partition(":")[0] in _BY_NAME


def is_encoder_name(name: str) -> bool:
    """Whether a name is of the form ``LIBRARY:NAME``; nothing is looked up.

    >>> is_encoder_name("timm:densenet121"), is_encoder_name("resnet50")
    (True, False)
    """
    library, colon, rest = name.partition(":")
    return bool(colon and rest and library in LIBRARIES)
