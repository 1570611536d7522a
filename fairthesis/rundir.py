"""The run directory: whether it is finished, whose it is, and the state of a run that goes on.

``config.json``, ``log.jsonl`` (a line per epoch), ``model.safetensors``, ``predictions.parquet``,
``embeddings.parquet``, ``provenance.json`` and, written last, ``DONE``. While a run goes on
``state.pt`` holds all that it needs to continue after a kill. Every file is written whole or not at
all, so a killed run leaves either a resumable state or nothing that looks finished.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fairthesis.errors import InputError
from fairthesis.methods import Method
from fairthesis.schema import write_atomically

_FINGERPRINTS = ("data_fingerprint", "code_fingerprint")


@dataclass
class Progress:
    """What changes from epoch to epoch, and is saved after each."""

    epoch: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    chosen: int = -1  # the epoch that the selection rule would keep now
    states: dict[int, dict[str, torch.Tensor]] = field(default_factory=dict)  # that may yet win
    averager: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def same_run(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two configurations compute the same: where they run does not count."""
    place = {"device", "threads"}
    return {k: v for k, v in a.items() if k not in place} == {
        k: v for k, v in b.items() if k not in place
    }


def is_finished(config: Mapping[str, Any], out: Path, origin: Mapping[str, Any]) -> bool:
    """Whether ``out`` is a finished run of this configuration, data and code."""
    if not (out / "DONE").exists():
        return False
    old = json.loads((out / "provenance.json").read_text())
    same = all(old[k] == origin[k] for k in _FINGERPRINTS)
    return same and same_run(json.loads((out / "config.json").read_text()), config)


def claim(config: Mapping[str, Any], out: Path, origin: Mapping[str, Any], overwrite: bool) -> bool:
    """Make ``out`` ready for a run; True where that very run is finished there already.

    Another run in ``out`` is replaced if ``overwrite`` is true, else refused (``InputError``). A
    folder that holds no run is never touched.
    """
    if is_finished(config, out, origin):
        return True
    if out.exists() and not out.is_dir():
        raise InputError(f"{str(out)!r} is a file: expected a folder, or none yet, for the run.")
    if not out.exists() or not any(out.iterdir()):
        return False
    described = out / "config.json"
    if not described.exists():
        raise InputError(
            f"The folder {str(out)!r} is not empty and holds no run: choose another for the run."
        )
    if same_run(json.loads(described.read_text()), config) and not (out / "DONE").exists():
        return False  # to be resumed
    if not overwrite:
        raise InputError(
            f"The folder {str(out)!r} holds a run with another configuration, data or code: choose "
            "another folder, or pass --overwrite to replace it."
        )
    shutil.rmtree(out)
    return False


def save_state(
    config: Mapping[str, Any], out: Path, method: Method, state: Progress, origin: Mapping[str, Any]
) -> None:
    """The state after a whole epoch, then the log up to it."""
    saved = {
        "config": config,
        "code_fingerprint": origin["code_fingerprint"],
        "data_fingerprint": origin["data_fingerprint"],
        "method": method.training_state(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        # Not ``asdict``, which would copy every tensor.
        "progress": {f.name: getattr(state, f.name) for f in dataclasses.fields(state)},
    }
    write_atomically(out / "state.pt", lambda to: torch.save(saved, to))
    text = "".join(json.dumps(line) + "\n" for line in state.log)
    write_atomically(out / "log.jsonl", lambda to: to.write_text(text))


def load_state(
    config: Mapping[str, Any], out: Path, method: Method, origin: Mapping[str, Any]
) -> Progress:
    """The state that a killed run of the same configuration, data and code left, or a new one."""
    file = out / "state.pt"
    if not file.exists():
        return Progress()
    device = next(method.parameters()).device  # which need not be the one it was saved on
    saved = torch.load(file, map_location=device, weights_only=True)
    same = all(saved[k] == origin[k] for k in _FINGERPRINTS)
    if not same or not same_run(saved["config"], config):
        return Progress()
    method.load_training_state(saved["method"])
    torch.set_rng_state(saved["rng"].cpu())
    if device.type == "cuda" and saved["cuda_rng"] is not None:
        torch.cuda.set_rng_state(saved["cuda_rng"].cpu())
    return Progress(**saved["progress"])
