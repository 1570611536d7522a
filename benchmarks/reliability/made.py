"""What faults are tried on: small tables and runs, folders for them, and what lies in these."""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from trying import call, end, home, start

from fairthesis.storage import content_digest, is_partial

FEW = ("--n-boot", "20", "--n-permutations", "20")
AUDIT = ("audit", "table.csv", "--group", "sex", "--patient", "patient_id", *FEW)
SMALL = ("--dataset-option", "n_train=64", "--dataset-option", "n_val=32")
SMALL += ("--dataset-option", "n_test=64")
TRAIN = ("train", "--dataset", "synthetic-cxr", "--backbone", "small", "--size", "16")
TRAIN += ("--batch-size", "32", "--threads", "1", "--quiet", *SMALL)
WHOLE = (*TRAIN, "--epochs", "3", "--out", "run")


def table(n: int = 120, seed: int = 0) -> pd.DataFrame:
    """Predictions of ``n`` images of two groups, one a patient."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    columns = {"image_id": [f"i{k}" for k in range(n)], "patient_id": range(n), "y_true": y}
    columns |= {"y_score": np.round(np.clip(0.3 * y + 0.7 * rng.random(n), 0, 1), 4)}
    return pd.DataFrame(columns).assign(sex=np.where(np.arange(n) % 2, "F", "M"))


def files(folder: Path) -> dict[str, str]:
    """The files below ``folder`` by checksum, times in JSON left out; caches and home apart."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in ("cache", "home"):
            try:
                found[str(name)] = content_digest(path.name, path.read_bytes())
            except ValueError:  # no JSON any more
                found[str(name)] = "damaged"
    return found


def left_over(folder: Path) -> list[str]:
    """Temporary files and folders that lie below ``folder``."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if is_partial(path.name)]


@contextlib.contextmanager
def copied(of: Path) -> Iterator[Path]:
    """A copy of a folder, in a place of its own."""
    with tempfile.TemporaryDirectory(prefix="fault-") as name:
        shutil.copytree(of, Path(name) / "here")
        yield Path(name) / "here"


@contextlib.contextmanager
def fresh() -> Iterator[Path]:
    """A folder with a table of predictions, ``table.csv``."""
    with tempfile.TemporaryDirectory(prefix="fault-") as name:
        folder = Path(name) / "here"
        folder.mkdir()
        table().to_csv(folder / "table.csv", index=False)
        yield folder


@functools.cache
def unbroken() -> Path:
    """A folder with the finished ``run`` of ``TRAIN`` over 3 epochs, its ``cache``, and a table."""
    folder = home() / "unbroken"
    folder.mkdir()
    table().to_csv(folder / "table.csv", index=False)
    ended = call(folder, *TRAIN, "--epochs", "3", "--out", "run")
    assert ended.code == 0, ended.said
    return folder


@functools.cache
def half() -> Path:
    """A folder with the same run, killed after its first epoch or later."""
    folder = home() / "half"
    folder.mkdir()
    shutil.copytree(unbroken() / "cache", folder / "cache")
    process = start(folder, killed_at("state.pt"), program=(sys.executable, "-W", "ignore", "-c"))
    ended = end(process, folder)
    assert ended.code == -9 and (folder / "run" / "state.pt").exists(), ended
    return folder


def killed_at(name: str) -> list[str]:
    """Code that trains and is killed just after a file ``name`` of the run has its name, and args.

    A file gets its name by a rename; the kill comes with the second event of the kind, when the
    first file is in its place and the second is about to be.
    """
    code = (
        "import os, signal, sys\n"
        "seen = 0\n"
        "def hook(event, args):\n"
        "    global seen\n"
        f"    if event == 'os.rename' and str(args[1]).endswith({name!r}):\n"
        "        seen += 1\n"
        "        if seen == 2:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(hook)\n"
        "from fairthesis.cli import main\n"
        "main()\n"
    )
    return [code, *TRAIN, "--epochs", "3", "--out", "run"]


def same_run(a: Path, b: Path) -> bool:
    """Whether two run folders hold the same predictions, model and log, to the bit."""
    kept = ("predictions.parquet", "embeddings.parquet", "model.safetensors", "log.jsonl")
    if not all((folder / name).is_file() for name in kept for folder in (a, b)):
        return False
    bytes_of = [[(folder / name).read_bytes() for name in kept] for folder in (a, b)]
    digests = [list(map(content_digest, kept, contents)) for contents in bytes_of]
    return digests[0] == digests[1]
