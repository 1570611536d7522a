"""The state of a run that goes on: all that it needs to continue after a kill.

A run directory holds ``config.json``, ``log.jsonl`` (a line per epoch), ``model.safetensors``,
``predictions.parquet``, ``embeddings.parquet``, ``provenance.json`` and, written last, ``DONE``
(``fairthesis.storage.mark_finished``). While a run goes on ``state.pt`` is there as well. Every
file is written whole or not at all, so a killed run leaves either a resumable state or nothing that
looks finished.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch

from fairthesis.methods import Method
from fairthesis.storage import same_run, uninterrupted
from fairthesis.training._run_folder import FINGERPRINTS, STATE, RunFolder

_SEAL = b"\nfairthesis sha256 "  # and 64 hexadecimal digits, after torch's own bytes
_TAIL = len(_SEAL) + 64


@dataclass
class Progress:
    """What changes from epoch to epoch, and is saved after each."""

    epoch: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    chosen: int = -1  # the epoch that the selection rule would keep now
    states: dict[int, dict[str, torch.Tensor]] = field(default_factory=dict)  # that may yet win
    averager: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def save_state(place: RunFolder, method: Method, state: Progress) -> None:
    """The state after a whole epoch, then the log up to it."""
    saved = {
        "config": dict(place.config),
        "code_fingerprint": place.origin["code_fingerprint"],
        "data_fingerprint": place.origin["data_fingerprint"],
        "threads": place.origin["threads"],
        "method": method.training_state(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        # Not ``asdict``, which would copy every tensor.
        "progress": {f.name: getattr(state, f.name) for f in dataclasses.fields(state)},
    }
    place.file(lambda to: _write_sealed(saved, to), STATE)
    _write_log(place, state.log)


def _write_log(place: RunFolder, log: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in log)
    place.file(lambda to: to.write_text(text, encoding="utf-8"), "log.jsonl")


def load_state(place: RunFolder, method: Method) -> Progress:
    """The state that a killed run of the same configuration, data and code left, or a new one.

    A run goes on with as many threads as it began with: others would give other numbers.
    """
    saved, why = _read_sealed(place.path / STATE, next(method.parameters()).device)
    if not saved and not why:
        return Progress()
    if not why:
        other = [k for k in FINGERPRINTS if saved[k] != place.origin[k]]
        other += [] if same_run(saved["config"], place.config) else ["configuration"]
        why = f"is of other {' and '.join(other)}".replace("_", " ") if other else ""
    if why:
        warnings.warn(
            f"The state of the unfinished run in {str(place.path)!r} {why}: the run begins anew.",
            stacklevel=4,
        )
        return Progress()
    if saved["threads"] != place.origin["threads"]:
        warnings.warn(
            f"The run in {str(place.path)!r} goes on with {saved['threads']} threads, as it began, "
            f"not {place.origin['threads']}: other threads give other numbers.",
            stacklevel=4,
        )
        torch.set_num_threads(saved["threads"])
        place.origin["threads"] = saved["threads"]
    if json.loads((place.path / "config.json").read_text(encoding="utf-8")) != saved["config"]:
        place.json(saved["config"], "config.json")
    method.load_training_state(saved["method"])
    torch.set_rng_state(saved["rng"].cpu())
    device = next(method.parameters()).device  # which need not be the one it was saved on
    if device.type == "cuda" and saved["cuda_rng"] is not None:
        torch.cuda.set_rng_state(saved["cuda_rng"].cpu())
    progress = Progress(**saved["progress"])
    _write_log(place, progress.log)  # it may have been killed between the state and its log
    return progress


class _Hashing(io.RawIOBase):
    """Passes on what is written, and keeps its checksum and the error that torch would hide."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise


def _write_sealed(value: Mapping[str, Any], to: Path) -> None:
    # Raised within torch's writer, an interrupt would be lost or come out as the writer's error.
    with uninterrupted(), to.open("wb") as file:
        sink = _Hashing(file)
        try:
            torch.save(value, sink)  # type: ignore[arg-type]
        except Exception:
            if sink.error is not None:
                raise sink.error from None
            raise
        file.write(_SEAL + sink.sha256.hexdigest().encode())


def _read_sealed(path: Path, device: torch.device) -> tuple[dict[str, Any], str]:
    """The saved values, and in words why they cannot be used, if so; no values without a file."""
    if not path.exists():
        return {}, ""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        left = path.stat().st_size - _TAIL
        while left > 0 and (block := file.read(min(left, 1 << 22))):
            sha256.update(block)
            left -= len(block)
        if file.read() != _SEAL + sha256.hexdigest().encode():
            return {}, "is damaged (its checksum is wrong)"
    return torch.load(path, map_location=device, weights_only=True), ""
