"""Trackers: an epoch's line of the log, also sent to TensorBoard, MLflow or a function."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairthesis.errors import InputError, unknown

#: A function of a run's configuration and an epoch's line of ``log.jsonl``, called after every
#: epoch.
Tracker = Callable[[Mapping[str, Any], Mapping[str, Any]], None]


def tensorboard(folder: str | Path) -> Tracker:
    """Scalars for TensorBoard, in ``folder/tensorboard``.

    Raises:
        InputError: where the package tensorboard is not installed.
    """
    module = _imported("torch.utils.tensorboard", "tensorboard")
    opened: list[Any] = []  # when the run has begun: until then its folder must be empty

    def send(config: Mapping[str, Any], line: Mapping[str, Any]) -> None:
        if not opened:
            opened.append(module.SummaryWriter(str(Path(folder) / "tensorboard")))
        [writer] = opened
        for name, value in _numbers(line).items():
            writer.add_scalar(name, value, line["epoch"])
        writer.flush()

    return send


def mlflow(folder: str | Path) -> Tracker:
    """Metrics of an MLflow run, named like ``folder``; where to is MLflow's own setting.

    Raises:
        InputError: where the package mlflow is not installed.
    """
    module = _imported("mlflow", "mlflow")
    module.start_run(run_name=Path(folder).name)
    sent: list[bool] = []

    def send(config: Mapping[str, Any], line: Mapping[str, Any]) -> None:
        if not sent:
            module.log_params({k: v for k, v in config.items() if not isinstance(v, dict)})
            sent.append(True)
        module.log_metrics(_numbers(line), step=line["epoch"])

    return send


#: Name -> function that takes a run's folder and gives the tracker. Neither package is needed by
#: anything else.
TRACKERS: dict[str, Callable[[str | Path], Tracker]] = {
    "tensorboard": tensorboard,
    "mlflow": mlflow,
}


def make_tracker(name: str, folder: str | Path) -> Tracker:
    """The tracker ``name`` for the run in ``folder``.

    Args:
        name: a name in ``TRACKERS``.
        folder: the run directory.

    Raises:
        InputError: for an unknown name, or a package that is not installed.

    >>> make_tracker("tensorbord", "run")
    Traceback (most recent call last):
    fairthesis.errors.InputError: Unknown tracker 'tensorbord': ... Did you mean 'tensorboard'?
    """
    if name not in TRACKERS:
        raise unknown("tracker", name, TRACKERS)
    return TRACKERS[name](folder)


def told(tracker: Tracker | None, config: Mapping[str, Any], line: Mapping[str, Any]) -> bool:
    """Call the tracker; whether to go on with it. What fails there costs no training."""
    if tracker is None:
        return False
    try:
        tracker(config, line)
        return True
    except Exception as error:
        warnings.warn(
            f"The tracker failed in epoch {line['epoch'] + 1} ({type(error).__name__}: {error}): "
            "the run goes on without it, and log.jsonl has every line.",
            stacklevel=2,
        )
        return False


def _numbers(line: Mapping[str, Any]) -> dict[str, float]:
    return {k: float(v) for k, v in line.items() if k != "epoch" and isinstance(v, int | float)}


def _imported(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"The tracker {package} needs the package {package}: pip install {package}."
        ) from error
