"""A run directory -> the model that it holds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fairthesis.errors import InputError
from fairthesis.models import NONE, Encoder, FairEncoder, load_encoder
from fairthesis.storage import check_finished
from fairthesis.training._config import TrainConfig
from fairthesis.training._run import SHARED, Run
from fairthesis.training._run_folder import WEIGHTS
from fairthesis.training._setup import device_of


def load_run(folder: str | Path, *, device: str = "auto") -> Run:
    """The model of a finished run.

    Args:
        folder: a run directory, as ``train`` writes it, or a ``hub-folder`` of ``export``.
        device: ``auto``, ``cpu``, ``cuda``, ...

    Raises:
        InputError: where the folder holds no finished run, or one that is damaged, that was made
            by a post-hoc method (which has no weights) or by a version that knows other settings.

    >>> load_run("no/such/run")
    Traceback (most recent call last):
    fairthesis.errors.InputError: No finished run in 'no/such/run': expected a run directory with...
    """
    folder = Path(folder)
    shared = _shared(folder)
    if shared is not None:
        config, groups = dict(shared["model"]), dict(shared["groups"])
        points: Any = shared["operating_points"]
        state, place = _weights(folder), device_of(device)
    else:
        config, groups, state, place, points = *_finished(folder, device), None
    return Run(
        folder, config, groups, _model(config, groups, state, folder).to(place), place, points
    )


def _finished(
    folder: Path, device: str
) -> tuple[dict[str, Any], dict[str, list[str]], dict[str, Tensor], torch.device]:
    """Configuration, groups, weights and device of a run directory."""
    check_finished(folder)
    found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if "posthoc" in found:
        raise InputError(
            f"The run in {str(folder)!r} was made by the post-hoc method {found['posthoc']} from "
            f"{found['parent']['run']!r}, and has no weights: load that run."
        )
    origin = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    known = {item.name for item in dataclasses.fields(TrainConfig)}
    other = sorted(set(found) - known)
    if other:
        made = origin.get("packages", {}).get("fairthesis", "an unknown version")
        raise InputError(
            f"The run in {str(folder)!r} has settings that this version does not know "
            f"({', '.join(other)}); it was made by fairthesis {made}. Install that version."
        )
    defaults = {item.name: item.default for item in dataclasses.fields(TrainConfig)}
    config = {k: v for k, v in defaults.items() if v is not dataclasses.MISSING} | found
    predictions = pd.read_parquet(folder / "predictions.parquet", columns=["target"])
    groups = {name: list(map(str, values)) for name, values in origin["groups"].items()}
    place = device_of(device)
    state = _weights(folder)
    config["encoder"] = origin.get("encoder")
    channels, width = _shape(state, config, folder)
    config |= {"targets": list(dict.fromkeys(predictions["target"])), "attributes": list(groups)}
    config |= {"channels": channels, "width": width, "window": origin.get("window", "own")}
    return config, groups, state, place


def _shared(folder: Path) -> dict[str, Any] | None:
    """The configuration of a folder that ``export`` wrote to be shared; None where it is none."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or not str(found.get("schema")).startswith("fairthesis.model/"):
        return None
    if found["schema"] != SHARED:
        raise InputError(
            f"The model in {str(folder)!r} is of the kind {found['schema']!r}, made by fairthesis "
            f"{found.get('fairthesis')}: this version reads {SHARED!r}."
        )
    return found


def _weights(folder: Path) -> dict[str, Tensor]:
    file = folder / WEIGHTS
    if not file.is_file():
        raise InputError(
            f"No {WEIGHTS} in {str(folder)!r}: the run has no weights to predict with."
        )
    try:
        return dict(load_file(file))
    except (SafetensorError, OSError) as error:
        raise InputError(f"{WEIGHTS} in {str(folder)!r} cannot be read: {error}") from error


def _shape(
    state: dict[str, Tensor], config: dict[str, Any], folder: Path
) -> tuple[int, int | None]:
    """Channels of the images, or the width of the vectors that the weights are for."""
    backbone = config["backbone"]
    if config["encoder"]:
        return int(config["encoder"]["image_channels"]), None
    own = {name: value for name, value in state.items() if name.startswith("shared_encoder.")}
    if backbone == NONE:
        mean = own.get("shared_encoder.mean")
        if mean is None:
            raise InputError(f"{WEIGHTS} in {str(folder)!r} is not of a model of vectors.")
        return 1, len(mean)
    first = next((value for value in own.values() if value.ndim == 4), None)
    if first is None:
        raise InputError(f"{WEIGHTS} in {str(folder)!r} holds no convolutions of {backbone}.")
    return int(first.shape[1]), None


def _model(
    config: dict[str, Any], groups: dict[str, list[str]], state: dict[str, Tensor], folder: Path
) -> FairEncoder:
    """The network of the configuration with the run's weights."""
    backbone: str | Encoder = config["backbone"]
    if config.get("encoder"):  # of another library: built again, without its files
        backbone = load_encoder(
            config["backbone"], size=config["size"], built_from=config["encoder"]
        )
    model = FairEncoder(
        backbone,
        channels=config["channels"],
        width=config["width"],
        hidden_dim=config["hidden_dim"],
        disease_dim=config["disease_dim"] or 4 * len(config["targets"]),
        sensitive_dim=config["sensitive_dim"],
        targets=len(config["targets"]),
        groups=[len(names) for names in groups.values()],
        disease_norm=config["disease_norm"],
        input_norm=config["input_norm"],
        precision=config["precision"],
        train_backbone=config.get("train_backbone", "all"),
        sensitive_branch=config.get("sensitive_branch", "detached"),
    )
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        said = " ".join(str(error).split())[:300]
        raise InputError(
            f"{WEIGHTS} in {str(folder)!r} does not fit the run's configuration: {said}"
        ) from error
    return model.eval()
