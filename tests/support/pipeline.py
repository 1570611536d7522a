"""A copy of the pipeline with one small run, for tests that stop it in its middle."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from conftest import ROOT

# One run that is long enough to be stopped in its middle, on two cores.
EXPERIMENTS = """\
synthetic-cxr:
  quick:
    seeds: 1
    probes: {n_boot: 20, n_shuffles: 0}
    twins: 20
    base:
      dataset_options: {n_train: 1500, n_val: 200, n_test: 200}
      targets: [opacity]
      attributes: [sex]
      backbone: small
      size: 24
      epochs: EPOCHS
      threads: 1
    variants:
      erm: {method: erm}
"""
RUN = Path("build/experiments/synthetic-cxr-quick/runs/erm-0")


def checkout(folder: Path, epochs: int) -> Path:
    """A copy of what the pipeline needs, with one small experiment."""
    for name in ("workflow", "fairthesis"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    listed = EXPERIMENTS.replace("EPOCHS", str(epochs))
    (folder / "fairthesis" / "study" / "experiments.yml").write_text(listed)
    return folder


def soon(found: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.2)


def epochs_done(folder: Path) -> list[str]:
    """The lines of the run's log, so far."""
    try:
        return (folder / RUN / "log.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
