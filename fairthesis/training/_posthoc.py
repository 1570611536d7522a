"""A post-hoc method on a finished run: a run directory in, a run directory of its own out.

The result has the layout of a run, so that audit, probes and tables take it like any other.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.errors import InputError, unknown
from fairthesis.postprocessing import DRAWN, POSTHOC, RunTables
from fairthesis.provenance import code_fingerprint, peak_memory_mb, provenance
from fairthesis.storage import RUN, check_finished
from fairthesis.training._run_folder import RunFolder, claimed
from fairthesis.training._selection import validation_scores

# What decides a result, as ``code_fingerprint`` takes it; a test looks that the files are there.
CODE = (
    *("embeddings/_eraser.py", "embeddings/_erasers.py", "embeddings/_kernel_eraser.py"),
    *("embeddings/_moments.py", "embeddings/_projections.py", "inputs/_schema.py"),
    *("postprocessing/_posthoc.py", "postprocessing/_randomized.py", "training/_posthoc.py"),
)
PREFIX = "disease_"


def read_run(folder: Path) -> tuple[RunTables, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """A finished run, its two tables as they are, and its provenance."""
    check_finished(folder, (*RUN,))
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
    run = RunTables(
        keys,
        embeddings[columns].to_numpy(np.float64),
        wide["y_true"][list(targets)].to_numpy(np.float64),
        wide["y_score"][list(targets)].to_numpy(np.float64),
        joint,
        targets,
        int(origin["seed"]),
    )
    return run, predictions, embeddings, origin


def apply_posthoc(
    name: str, parent: str | Path, out: str | Path, *, overwrite: bool = False
) -> Path:
    """Apply the method ``name`` of ``POSTHOC`` to the run in ``parent``; write the run ``out``.

    The result has the tables and the layout of a run, but for the weights. A finished result of the
    same parent, method and code is left as it is.

    Args:
        name: a name in ``fairthesis.postprocessing.POSTHOC``.
        parent: the directory of a finished run.
        out: the directory to be written.
        overwrite: whether another run in ``out`` is replaced.

    Returns:
        ``out``.

    Raises:
        InputError: for an unknown name, a parent that is not finished, and where ``out`` holds
            anything else and ``overwrite`` is false.

    >>> import os, tempfile
    >>> from unittest import mock
    >>> from fairthesis.training import TrainConfig, train
    >>> few = {"n_train": 96, "n_val": 48, "n_test": 48}
    >>> small = {"backbone": "small", "size": 16, "epochs": 1, "batch_size": 32}
    >>> config = TrainConfig(dataset_options=few, **small)
    >>> with tempfile.TemporaryDirectory() as at, mock.patch.dict(os.environ, FAIRTHESIS_CACHE=at):
    ...     run = train(config, f"{at}/erm", progress=False)
    ...     out = apply_posthoc("leace", run, f"{at}/leace")
    ...     before, after = (pd.read_parquet(p / "embeddings.parquet") for p in (run, out))
    >>> train_rows = after[after["split"] == "train"]
    >>> len(after) == len(before), after.equals(before)
    (True, False)
    """
    if name not in POSTHOC:
        raise unknown("post-hoc method", name, POSTHOC)
    parent, out = Path(parent), Path(out)
    run, predictions, embeddings, origin = read_run(parent)
    config = {
        "posthoc": name,
        "parent": {
            "run": parent.name,
            "config": json.loads((parent / "config.json").read_text(encoding="utf-8")),
            "tables": _digest(parent),
        },
        "code_fingerprint": code_fingerprint(CODE),
    }
    with claimed(config, out, {}, overwrite) as place:
        if place.finished:
            return out
        started = time.perf_counter()
        made = POSTHOC[name](run)
        origin |= provenance(
            posthoc=name,
            parent=parent.name,
            wall_seconds=round(time.perf_counter() - started, 1),
            peak_memory_mb=peak_memory_mb(),
        )
        validated = _validated(made, predictions, list(origin["groups"]))
        origin |= {f"selected_{name}": value for name, value in validated.items()}
        line = json.dumps({"epoch": origin["selected_epoch"]} | validated)
        place.begin()
        _write(made, predictions, embeddings, place)
        place.file(lambda to: to.write_text(f"{line}\n", encoding="utf-8"), "log.jsonl")
        place.json(origin, "provenance.json")
        place.finish(origin["data_fingerprint"], RUN)
    return out


def scores_after(
    folder: str | Path, parent: str | Path, z: NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]],
) -> NDArray[np.float64]:  # fmt: skip
    """What a post-hoc result gives for other images, from what its parent's model gives for them.

    The method is fitted again, on the same rows.

    Args:
        folder: the result, as ``apply_posthoc`` wrote it.
        parent: the run that it was made from.
        z: the parent's disease embeddings of the images, shape (n, d).
        scores: its probabilities, shape (n, targets).

    Returns:
        Probabilities, shape (n, targets).

    Raises:
        InputError: for a method that draws decisions, and where ``folder`` was made from another
            run, or from other tables of this one.
    """
    folder, parent = Path(folder), Path(parent)
    check_finished(folder, ("config.json", "predictions.parquet"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name = str(config.get("posthoc"))
    if name not in POSTHOC:
        raise unknown(f"post-hoc method of {str(folder)!r}", name, POSTHOC)
    if name in DRAWN:
        raise InputError(
            f"{folder.name}: {name} draws its decisions, and two images' would differ by the draw "
            f"alone. Expected a result of one of {', '.join(n for n in POSTHOC if n not in DRAWN)}."
        )
    if config["parent"]["tables"] != _digest(parent):
        raise InputError(
            f"{folder.name} was made from other tables than those of {str(parent)!r}: expected the "
            f"run {config['parent']['run']!r} as it was then. Apply the method again."
        )
    run = read_run(parent)[0]
    n = len(z)
    keys = pd.DataFrame({"image_id": [None] * n, "patient_id": [None] * n, "split": "other"})
    both = RunTables(
        pd.concat([run.keys, keys], ignore_index=True),
        np.concatenate([run.z, z]),
        np.concatenate([run.y_true, np.full((n, len(run.targets)), np.nan)]),
        np.concatenate([run.y_score, scores]),
        np.concatenate([run.group, np.full(n, None, object)]),
        run.targets,
        run.seed,
    )
    return POSTHOC[name](both).y_score[len(run.keys) :]


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for table in ("predictions", "embeddings"):
        digest.update((folder / f"{table}.parquet").read_bytes())
    return digest.hexdigest()[:16]


def _write(
    made: RunTables, predictions: pd.DataFrame, embeddings: pd.DataFrame, place: RunFolder
) -> None:
    scores = {
        (image, target): score
        for target, column in zip(made.targets, made.y_score.T, strict=True)
        for image, score in zip(made.keys["image_id"], column, strict=True)
    }
    keys = zip(predictions["image_id"], predictions["target"], strict=True)
    changed = predictions.assign(y_score=np.array([scores[key] for key in keys], np.float32))
    if not np.isfinite(made.z).all() or np.isinf(changed["y_score"]).any():
        raise InputError("The post-hoc method gave values that are not finite: nothing is written.")
    place.table(changed, "predictions.parquet")
    moved = embeddings.copy()
    columns = [name for name in map(str, embeddings) if name.startswith(PREFIX)]
    moved[columns] = made.z.astype(np.float32)
    place.table(moved, "embeddings.parquet")


def _validated(
    made: RunTables, predictions: pd.DataFrame, attributes: Sequence[str]
) -> dict[str, float]:
    """AUROC on the validation part, as the log of a trained run has it."""
    rows = made.part("val") & ~np.isnan(made.y_score).any(axis=1)
    first = predictions.drop_duplicates("image_id").set_index("image_id")
    labels = first.loc[made.keys["image_id"], list(attributes)]
    codes = np.stack([pd.Categorical(labels[a]).codes for a in attributes], axis=1)
    return validation_scores(made.y_true[rows], made.y_score[rows], codes[rows])
