"""A post-hoc method on a finished run: a run directory in, a run directory of its own out.

The result has the layout of a run, so that audit, probes and tables take it like any other.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairthesis.errors import InputError, unknown
from fairthesis.posthoc import POSTHOC, Run
from fairthesis.provenance import code_fingerprint, peak_memory_mb, provenance, write_json
from fairthesis.schema import write_atomically, write_table
from fairthesis.selection import validation_scores

CODE = ("erasure.py", "finished.py", "postprocess.py", "posthoc.py", "schema.py")
PREFIX = "disease_"


def read(folder: Path) -> tuple[Run, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """A finished run, its two tables as they are, and its provenance."""
    if not (folder / "DONE").exists():
        raise InputError(f"No finished run in {str(folder)!r}: expected a run directory with DONE.")
    predictions = pd.read_parquet(folder / "predictions.parquet")
    embeddings = pd.read_parquet(folder / "embeddings.parquet")
    origin = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    targets = tuple(dict.fromkeys(predictions["target"]))
    attributes = list(origin["groups"])
    keys = embeddings[["image_id", "patient_id", "split"]]
    wide = predictions.pivot(index="image_id", columns="target", values=["y_true", "y_score"])
    wide = wide.reindex(keys["image_id"])
    first = predictions.drop_duplicates("image_id").set_index("image_id")
    labels = first.loc[keys["image_id"], attributes]
    joint = labels.astype(object).fillna("").agg(" / ".join, axis=1).to_numpy(object)
    joint[labels.isna().any(axis=1).to_numpy()] = None
    columns = [column for column in embeddings if str(column).startswith(PREFIX)]
    run = Run(
        keys,
        embeddings[columns].to_numpy(np.float64),
        wide["y_true"][list(targets)].to_numpy(np.float64),
        wide["y_score"][list(targets)].to_numpy(np.float64),
        joint,
        targets,
        int(origin["seed"]),
    )
    return run, predictions, embeddings, origin


def apply(name: str, parent: str | Path, out: str | Path, *, overwrite: bool = False) -> Path:
    """Apply the method ``name`` of ``POSTHOC`` to the run in ``parent``; write the run ``out``.

    A finished result of the same parent, method and code is left as it is.

    Raises:
        InputError: for an unknown name, a parent that is not finished, and where ``out`` holds
            anything else and ``overwrite`` is false.
    """
    if name not in POSTHOC:
        raise unknown("post-hoc method", name, POSTHOC)
    parent, out = Path(parent), Path(out)
    run, predictions, embeddings, origin = read(parent)
    config = {
        "posthoc": name,
        "parent": {
            "run": parent.name,
            "config": json.loads((parent / "config.json").read_text(encoding="utf-8")),
            "tables": _digest(parent),
        },
        "code_fingerprint": code_fingerprint(CODE),
    }
    if _claimed(config, out, overwrite):
        return out
    started = time.perf_counter()
    made = POSTHOC[name](run)
    origin |= provenance(
        posthoc=name,
        parent=parent.name,
        wall_seconds=round(time.perf_counter() - started, 1),
        peak_memory_mb=peak_memory_mb(),
    )
    write_json(config, out / "config.json")
    _write(made, predictions, embeddings, out)
    validated = _validated(made, predictions, list(origin["groups"]))
    origin |= {f"selected_{name}": value for name, value in validated.items()}
    line = {"epoch": origin["selected_epoch"]} | validated
    write_atomically(out / "log.jsonl", lambda to: to.write_text(json.dumps(line) + "\n"))
    write_json(origin, out / "provenance.json")
    write_atomically(out / "DONE", lambda to: to.write_text(f"{origin['data_fingerprint']}\n"))
    return out


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for table in ("predictions", "embeddings"):
        digest.update((folder / f"{table}.parquet").read_bytes())
    return digest.hexdigest()[:16]


def _claimed(config: Mapping[str, Any], out: Path, overwrite: bool) -> bool:
    """Whether ``out`` is this very result; else it is made ready, or refused."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    described = out / "config.json"
    if not described.exists():
        raise InputError(f"{str(out)!r} holds no run: choose another folder for the result.")
    same = json.loads(described.read_text(encoding="utf-8")) == config
    if same and (out / "DONE").exists():
        return True
    if not same and not overwrite:
        raise InputError(
            f"The folder {str(out)!r} holds another run: choose another folder, or overwrite it."
        )
    shutil.rmtree(out)
    return False


def _write(made: Run, predictions: pd.DataFrame, embeddings: pd.DataFrame, out: Path) -> None:
    scores = {
        (image, target): score
        for target, column in zip(made.targets, made.y_score.T, strict=True)
        for image, score in zip(made.keys["image_id"], column, strict=True)
    }
    keys = zip(predictions["image_id"], predictions["target"], strict=True)
    changed = predictions.assign(y_score=np.array([scores[key] for key in keys], np.float32))
    write_table(changed, out / "predictions.parquet")
    moved = embeddings.copy()
    columns = [name for name in map(str, embeddings) if name.startswith(PREFIX)]
    moved[columns] = made.z.astype(np.float32)
    write_table(moved, out / "embeddings.parquet")


def _validated(made: Run, predictions: pd.DataFrame, attributes: Sequence[str]) -> dict[str, float]:
    """AUROC on the validation part, as the log of a trained run has it."""
    rows = made.part("val") & ~np.isnan(made.y_score).any(axis=1)
    first = predictions.drop_duplicates("image_id").set_index("image_id")
    labels = first.loc[made.keys["image_id"], list(attributes)]
    codes = np.stack([pd.Categorical(labels[a]).codes for a in attributes], axis=1)
    return validation_scores(made.y_true[rows], made.y_score[rows], codes[rows])
