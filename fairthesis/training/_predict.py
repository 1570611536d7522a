"""A run's predictions and embeddings of a cohort, written part by part, and resumed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from fairthesis import data
from fairthesis.data import Cohort
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import SPLITS, attribute_parts
from fairthesis.provenance import peak_memory_mb, provenance
from fairthesis.storage import DONE
from fairthesis.training._export import embeddings_of, predictions_of
from fairthesis.training._inference import infer, joined
from fairthesis.training._parts import clear_parts, in_parts, join_parts
from fairthesis.training._run import Run
from fairthesis.training._run_folder import WEIGHTS, RunFolder, claimed
from fairthesis.training._setup import inputs_of

TABLES = ("predictions.parquet", "embeddings.parquet")


def predict(
    run: Run,
    cohort: Cohort,
    out: str | Path,
    *,
    split: str = "all",
    rename: Mapping[str, str] | None = None,
    need_target: bool = True,
    new_groups: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Write what a run's model gives for a cohort; gives the folder ``out``.

    Args:
        run: the model (``load_run``).
        cohort: its images or vectors, of the kind that the run was trained on.
        out: the folder to be written. It gets ``predictions.parquet`` and ``embeddings.parquet`` as
            a run has them, ``provenance.json`` and, last, ``DONE``. A killed call goes on where it
            stopped.
        split: the part that is predicted, or ``all``.
        rename: the cohort's name of a target or an attribute -> the run's name of it.
        need_target: refuse a cohort that has none of the run's targets; else their labels are null.
        new_groups: whether an attribute may have groups that the run has not seen.
        overwrite: whether other predictions in ``out`` are replaced.
        progress: whether a bar is shown.

    Raises:
        InputError: for a cohort that the run cannot take, before anything is written.

    >>> import os, tempfile
    >>> from unittest import mock
    >>> from fairthesis import datasets
    >>> from fairthesis.training import TrainConfig, load_run, train
    >>> few = {"n_train": 64, "n_val": 32, "n_test": 32}
    >>> small = {"backbone": "small", "size": 16, "epochs": 1, "batch_size": 32}
    >>> config = TrainConfig(dataset_options=few, **small)
    >>> with tempfile.TemporaryDirectory() as at, mock.patch.dict(os.environ, FAIRTHESIS_CACHE=at):
    ...     run = load_run(train(config, f"{at}/run", progress=False))
    ...     others = datasets.load("synthetic-cxr", seed=1, **few)
    ...     out = predict(run, others, f"{at}/others", split="test", progress=False)
    ...     table = pd.read_parquet(out / "predictions.parquet")
    >>> len(table), table.columns[:6].tolist()
    (32, ['image_id', 'patient_id', 'split', 'target', 'y_true', 'y_score'])
    """
    out = Path(out)
    cohort = _renamed(cohort, rename or {})
    run.check(cohort)
    _check_target(run, cohort, need_target)
    if not new_groups:
        _check_groups(run, cohort)
    if split not in (*SPLITS, "all"):
        raise unknown("split", split, (*SPLITS, "all"))
    held, readable = inputs_of(cohort, run.config["size"], progress)
    here = np.ones(len(cohort), bool) if split == "all" else (cohort.frame["split"] == split)
    rows = np.flatnonzero(np.asarray(here) & readable)
    if not len(rows):
        raise InputError(f"No readable image of {cohort.name} is in the part {split!r}.")
    config: dict[str, Any] = {
        "predictions_of": run.folder.resolve().name,
        "run": _digest(run),
        "data_fingerprint": data.images_fingerprint(cohort, run.config["size"]),
        "split": split,
        "rename": dict(rename or {}),
    }
    origin = provenance(
        run=config["predictions_of"], run_digest=config["run"], dataset=cohort.name,
        data_fingerprint=config["data_fingerprint"], split=split, device=str(run.device),
        targets=list(run.targets), attributes=list(run.attributes),
    )  # fmt: skip
    with claimed(config, out, {}, overwrite) as place:
        if place.finished:
            clear_parts(out)
            return out
        place.begin()
        parts = list(in_parts(rows, run.batch_size))
        bar = tqdm(total=len(rows), desc=f"{cohort.name}", unit="image", disable=not progress)
        with bar:
            for k, part in enumerate(parts):
                names = [f"part-{k:06d}-{name}" for name in TABLES]
                if not all((out / name).is_file() for name in names):
                    _write_part(run, cohort, part, run.reader(held), place, names)
                bar.update(len(part))
        for name in TABLES:
            files = [out / f"part-{k:06d}-{name}" for k in range(len(parts))]
            by_target = run.targets if name == TABLES[0] else (None,)
            place.file(lambda to, f=files, b=by_target: join_parts(f, b, to), name)  # type: ignore[misc]
        origin |= {
            "images": {s: int((cohort.frame["split"].iloc[rows] == s).sum()) for s in SPLITS},
            "left_out": dict(cohort.left_out) | {"unreadable image": int((~readable).sum())},
            "peak_memory_mb": peak_memory_mb(),
        }
        place.json(origin, "provenance.json")
        place.finish(config["data_fingerprint"], ("config.json", *TABLES, "provenance.json"))
        clear_parts(out)
    return out


def _digest(run: Run) -> str:
    """Of what the run vouches for; of a shared model, of its weights."""
    file = run.folder / (DONE if run.operating_points is None else WEIGHTS)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _write_part(
    run: Run, cohort: Cohort, rows: NDArray[np.intp], read: Any, place: RunFolder, names: list[str]
) -> None:
    """Two tables of some rows."""
    try:
        found = joined(infer(run.model, read, rows, run.batch_size), len(rows))
    except FloatingPointError as error:
        raise InputError(f"{run.folder.name} cannot be used for {cohort.name}: {error}.") from error
    attributes = list(dict.fromkeys([*run.attributes, *cohort.attributes]))
    tables = predictions_of(cohort, rows, found.scores, run.targets, attributes)
    place.table(pd.concat(tables, ignore_index=True), names[0])
    place.table(embeddings_of(cohort, rows, found), names[1])


def _renamed(cohort: Cohort, names: Mapping[str, str]) -> Cohort:
    known = [*cohort.targets, *cohort.attributes]
    for theirs in names:
        if theirs not in known:
            raise unknown(f"target or attribute of {cohort.name}", theirs, known)
    if not names:
        return cohort
    return replace(
        cohort,
        frame=cohort.frame.rename(columns=dict(names)),
        targets=tuple(names.get(name, name) for name in cohort.targets),
        attributes=tuple(names.get(name, name) for name in cohort.attributes),
    )


def _check_target(run: Run, cohort: Cohort, needed: bool) -> None:
    if needed and not set(run.targets) & set(cohort.targets):
        raise InputError(
            f"{cohort.name} has no target {', '.join(run.targets)}, which the run predicts: it has "
            f"{', '.join(cohort.targets) or 'none'}. Say which one it is (rename, --rename "
            f"THEIRS={run.targets[0]}), or predict without labels (--unlabelled)."
        )


def _check_groups(run: Run, cohort: Cohort) -> None:
    """Groups that the run has not seen are a mistake in spelling, as often as not."""
    for attribute, known in run.groups.items():
        parts = attribute_parts(cohort.frame, attribute)
        own = {p for name in cohort.attributes for p in attribute_parts(cohort.frame, name)}
        if not own.issuperset(parts):
            continue
        new = [group for group in cohort.groups(attribute) if group not in known]
        if new:
            raise InputError(
                f"{attribute} of {cohort.name} has groups that the run has not seen: "
                f"{', '.join(map(repr, new[:5]))}; it knows {', '.join(map(repr, known))}. Spell "
                "them alike, or allow them (new_groups, --new-groups)."
            )
