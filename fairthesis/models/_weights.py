"""Pretrained weights of a backbone: torchvision's by name, or a file of any usual layout.

Nothing in a file is run: torch loads it with ``weights_only``, and whatever is not a state dict of
the same network is refused. What tools put around the names (``module.`` of DataParallel,
``_orig_mod.`` of compile, ``shared_encoder.`` of a run of this package, a dict with
``state_dict``) is taken off where that leaves one network, and only one.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from fairthesis.errors import InputError, unknown

ENDINGS = (".pth", ".pt", ".bin", ".ckpt", ".tar", ".safetensors")
#: In the place of weights: none, said on purpose, as for a floor.
RANDOM = "random"
_CLASSIFIER = ("fc.", "_fc.", "classifier.", "head.", "heads.")


def is_weights_file(weights: str) -> bool:
    """Whether ``weights`` is meant as a file, not as a name of torchvision's.

    It is where it has the ending of a weights file, holds a folder, or is a file that is there.

    >>> is_weights_file("IMAGENET1K_V2"), is_weights_file("imagenet.safetensors")
    (False, True)
    """
    path = Path(weights)
    named = path.suffix.lower() in ENDINGS or "(SHA-256 " in weights
    return named or len(path.parts) > 1 or path.is_file()


def _there(weights: str) -> Path:
    path = Path(weights)
    if path.is_file():
        return path
    named = " A run's config.json names no folders: give the file's path."
    hint = named if "(SHA-256 " in weights else ""
    raise InputError(f"No weights file at {weights!r}: expected a .pth or .safetensors.{hint}")


def described_weights(weights: str) -> str:
    """A weights file by its name and content, as a run keeps it: not by where it lies.

    Returns:
        The file's name and the first 16 hexadecimal digits of its SHA-256.

    Raises:
        InputError: where there is no such file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "encoder.pth"
    ...     _ = file.write_bytes(b"weights")
    ...     described_weights(str(file))
    'encoder.pth (SHA-256 ...)'
    """
    path = _there(weights)
    with path.open("rb") as file:
        return f"{path.name} (SHA-256 {hashlib.file_digest(file, 'sha256').hexdigest()[:16]})"


def state_digest(net: nn.Module) -> str:
    """SHA-256 over the names and values of all weights and buffers, 16 hexadecimal digits.

    >>> a, b = nn.Linear(1, 1), nn.Linear(1, 1)
    >>> before = state_digest(a) == state_digest(b)
    >>> _ = a.load_state_dict(b.state_dict())
    >>> before, state_digest(a) == state_digest(b)
    (False, True)
    """
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def check_weights(backbone: str, weights: str) -> None:
    """Check that the weights of a backbone exist; nothing is loaded or downloaded.

    Args:
        backbone: a name in ``BACKBONES``, or one of another library.
        weights: a local file, or a name of torchvision's, such as ``IMAGENET1K_V2``; for another
            library's as for ``load_encoder``.

    Raises:
        InputError: where the file is not there, or torchvision has no such weights.

    >>> check_weights("small", "IMAGENET1K_V1")
    Traceback (most recent call last):
    fairthesis.errors.InputError: Backbone 'small' has no pretrained weights 'IMAGENET1K_V1': ...
    """
    if weights == RANDOM:
        return
    if ":" in backbone:
        from fairthesis.models._load_encoder import check_encoder_weights  # which needs this file

        check_encoder_weights(backbone, weights)
        return
    if is_weights_file(weights):
        _there(weights)
        return
    if backbone == "small":
        raise InputError(
            f"Backbone 'small' has no pretrained weights {weights!r}: leave weights out, or choose "
            "resnet18 or resnet50."
        )
    if weights not in _offered(backbone).__members__:
        raise unknown(f"weights of {backbone}", weights, _offered(backbone).__members__)


def load_weights(net: nn.Module, backbone: str, weights: str, channels: int) -> None:
    """Load ``weights`` into ``net``, the ``backbone`` without its classifier.

    ``weights`` is a name of torchvision's (``IMAGENET1K_V2``) or a local file. Raises
    ``InputError`` where they are neither, or are those of another network.
    """
    check_weights(backbone, weights)
    if is_weights_file(weights):
        state = _matching(_state(Path(weights)), net, weights, backbone)
    else:
        state = _downloaded(backbone, weights)
    first = state.get("conv1.weight")
    colours = 0 if first is None or first.ndim != 4 else first.shape[1]
    if first is not None and colours in (1, 3) and colours != channels:
        # The mean over colours, times the number of channels: a grey image given on all channels
        # excites the first layer as it did the three-channel network.
        state["conv1.weight"] = first.sum(1, keepdim=True).expand(-1, channels, -1, -1) / channels
    _fit(net, state, weights, backbone)


def load_file(net: nn.Module, name: str, weights: str, dropped: tuple[str, ...] = ()) -> None:
    """Load a local file into an encoder of any library; ``dropped`` begin names that are not its.

    Raises ``InputError`` where the file is not there or holds another network.
    """
    state = _matching(_state(_there(weights)), net, weights, name, dropped)
    _fit(net, state, weights, name)


def read_state(weights: str) -> dict[str, Any]:
    """The one state dict that a local file holds (``InputError`` where it holds none)."""
    return _state(_there(weights))


def _offered(backbone: str) -> Any:
    from fairthesis.models._torchvision import torchvision

    return torchvision.models.get_model_weights(backbone)


def _downloaded(backbone: str, weights: str) -> dict[str, Tensor]:
    try:
        state = _offered(backbone)[weights].get_state_dict(progress=True)
    except (URLError, OSError) as error:
        raise InputError(
            f"The weights {weights!r} of {backbone} could not be downloaded ({error}). Download "
            "them where there is a network and give the file's path as weights."
        ) from error
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"The weights {weights!r} of {backbone} were downloaded damaged ({_line(error)}). "
            f"Remove them from {torch.hub.get_dir()}/checkpoints and try again."
        ) from error
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def _state(path: Path) -> dict[str, Any]:
    """What a file holds: names and tensors, unwrapped from a training checkpoint."""
    expected = "Expected a state dict, as `torch.save(model.state_dict(), ...)` writes it."
    try:
        with path.open("rb") as file:
            head = file.read(200)
    except OSError as error:
        raise InputError(f"The weights file {str(path)!r} cannot be read: {error}.") from error
    if not head:
        raise InputError(f"The weights file {str(path)!r} is empty. {expected}")
    if head.lstrip().startswith((b"<", b"version https://git-lfs")):
        kind = "a web page" if head.lstrip().startswith(b"<") else "a pointer of Git LFS"
        raise InputError(f"{str(path)!r} is {kind}, not weights: download the file itself.")
    try:
        # A safetensors file begins with the length of its header, which is JSON.
        if head[8:9] == b"{" or (path.suffix == ".safetensors" and not head.startswith(b"PK")):
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of older formats; what is wrong is reported below
                found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # its own words say how to load it all the same
        raise InputError(
            f"{str(path)!r} holds more than weights, or is damaged: it was not loaded, since "
            f"loading it could run code. {expected}"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # each kind of damage is another exception of another library
        raise InputError(
            f"{str(path)!r} cannot be read as weights ({_line(error)}): it is damaged or another "
            f"kind of file. {expected}"
        ) from error
    for _ in range(3):  # a checkpoint may hold the model, which may hold its state
        found = _unwrapped(found, path)
    if not isinstance(found, Mapping) or not any(isinstance(v, Tensor) for v in found.values()):
        kind = type(found).__name__
        raise InputError(f"{str(path)!r} holds no names and tensors but a {kind}. {expected}")
    return {str(name): value for name, value in found.items()}


def _unwrapped(found: Any, path: Path) -> Any:
    """The one state dict within a checkpoint; what is one already stays."""
    if not isinstance(found, Mapping) or any(isinstance(v, Tensor) for v in found.values()):
        return found
    inner = {
        name: value
        for name, value in found.items()
        if isinstance(value, Mapping)
        and any(isinstance(v, Tensor | Mapping) for v in value.values())
        and "optim" not in str(name)
    }
    if len(inner) > 1 and "state_dict" in inner:
        inner = {"state_dict": inner["state_dict"]}
    if len(inner) > 1:
        raise InputError(
            f"{str(path)!r} holds several state dicts ({', '.join(map(str, inner))}): expected one."
            " Save the one that is meant by itself."
        )
    return next(iter(inner.values())) if inner else found


def _matching(
    state: dict[str, Any],
    net: nn.Module,
    weights: str,
    backbone: str,
    dropped: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The part of a state that is the backbone's, its names as the backbone has them."""
    held = net.state_dict()
    wanted = [name for name in held if not name.endswith("num_batches_tracked")]
    first = wanted[0]
    prefixes = [
        name[: -len(first)] for name in state if name == first or name.endswith(f".{first}")
    ]
    counts = {p: sum(p + name in state for name in wanted) for p in prefixes}
    whole = [p for p, count in counts.items() if count == len(wanted)]
    if len(whole) > 1:
        raise InputError(
            f"{weights!r} holds {backbone} several times, under {', '.join(map(repr, whole))}: "
            "expected it once. Save the one that is meant by itself."
        )
    if not whole:
        best = max(counts, key=lambda p: counts[p], default="")
        missing = [name for name in wanted if best + name not in state]
        raise InputError(
            f"The weights {weights!r} do not fit the backbone {backbone}: they lack "
            f"{_some(missing)}, and hold {_some(list(state))}. Expected a state dict of the same "
            "model."
        )
    own = {
        name.removeprefix(whole[0]): value
        for name, value in state.items()
        if name.startswith(whole[0])
    }
    return {
        name: value
        for name, value in own.items()
        if name in held
        or not (
            name.startswith((*_CLASSIFIER, *dropped))
            or (whole[0] and name.split(".")[0] not in _tops(net))
        )
    }


def _tops(net: nn.Module) -> set[str]:
    return {name.split(".")[0] for name in net.state_dict()}


def _fit(net: nn.Module, state: dict[str, Any], weights: str, backbone: str) -> None:
    own = net.state_dict()
    left = [name for name in state if name not in own]
    missing = [n for n in own if n not in state and not n.endswith("num_batches_tracked")]
    other = [
        f"{name} of shape {_shape(state[name])} for {_shape(value)}"
        for name, value in own.items()
        if name in state and _shape(state[name]) != _shape(value)
    ]
    if left or missing or other:
        found = [("lack", missing), ("hold besides", left), ("have", other)]
        told = ", ".join(f"they {verb} {_some(names)}" for verb, names in found if names)
        raise InputError(
            f"The weights {weights!r} do not fit the backbone {backbone}: {told}. Expected a state "
            "dict of the same model."
        )
    for name, value in state.items():
        if own[name].is_floating_point() and not (
            value.is_floating_point() and bool(torch.isfinite(value).all())
        ):
            raise InputError(
                f"The weights {weights!r} hold values that are no finite floats, in {name}."
            )
    net.load_state_dict({name: value.to(own[name].dtype) for name, value in state.items()}, False)


def _shape(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def _line(error: BaseException) -> str:
    return (
        (str(error).strip().splitlines() or [type(error).__name__])[0]
        .partition(". ")[0]
        .rstrip(".")[:160]
    )
