"""The audit of one run of an experiment, and its probes; kept in the run's folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fairthesis import datasets
from fairthesis.errors import InputError
from fairthesis.inputs import attribute_columns
from fairthesis.provenance import (
    AUDITING,
    PROBING,
    USING,
    code_fingerprint,
    json_text,
    used_test_labels,
)
from fairthesis.storage import (
    check_finished,
    clear_partials,
    content_digest,
    damage_in_words,
    marker_text,
    text_writer,
    write_together,
)
from fairthesis.study._archive import LATER
from fairthesis.study._twins import (
    FILE,
    WEIGHTS,
    has_run_twins,
    model_folder,
    run_twins,
    twins_key,
)
from fairthesis.study._use import tables_of_run

if TYPE_CHECKING:
    from fairthesis.study._plans import Plan

AUDITED = "key.txt"  # of what the audit was made; it vouches for the audit's files
_TABLE = "../predictions.parquet"


def audit_run(plan: Plan, variant: str, seed: int, out: Path) -> Path:
    """Audit one run on its test part, at a threshold chosen on its validation part.

    Its embedding is probed too where the plan has ``probes``, for each of its attributes, and the
    attribute erased from it and a head refitted; its twins are drawn where the cohort has some. An
    audit of the same predictions, settings and code is used again.

    Args:
        plan: the experiment.
        variant: one of its variants.
        seed: one of its seeds, also that of the resampling.
        out: the experiment's folder.

    Returns:
        The folder ``audit`` of the run: ``TARGET/audit.json``, ``leakage.csv`` and ``use.csv``
        where it is probed, ``disentanglement.csv`` where the plan asks for it, and ``twins.csv``
        where there are twins.

    Raises:
        InputError: where the run is not finished, or is damaged.

    >>> from fairthesis.study import plan
    >>> audit_run(plan("synthetic-cxr"), "erm", 0, Path("no/such/folder"))
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: No finished run in 'no/such/folder/runs/erm-0': expected a run ...
    """
    from fairthesis.auditing import audit

    folder = plan.folder(out, variant, seed)
    twins = has_run_twins(plan, variant, seed)
    check_finished(folder, ["predictions.parquet", "embeddings.parquet", "provenance.json"])
    model = model_folder(plan, variant, seed, folder) if twins else None
    if model is not None:
        check_finished(model, [WEIGHTS, "config.json"])
    groups = list(json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["groups"])
    key = _audit_key(plan, folder, seed, model, groups)
    if _audited(folder, key):
        return folder / "audit"
    frame = pd.read_parquet(folder / "predictions.parquet")
    used_test_labels(folder)
    texts: dict[str, str] = {}
    for target in frame["target"].unique():
        report = audit(
            frame,
            groups=groups,
            patient="patient_id",
            target=target,
            seed=seed,
            **plan.audit_settings,
        )
        texts[f"{target}/audit.json"] = json_text(report.to_dict())
    if plan.probes:
        beside = _beside(plan, variant, seed, folder)
        leaks = pd.concat(
            [probed(folder, seed, a, **plan.probes, beside=beside) for a in groups],
            ignore_index=True,
        )
        texts["leakage.csv"] = leaks.to_csv(index=False, lineterminator="\n")
    for name, table in tables_of_run(plan, folder, seed, groups).items():
        texts[name] = table.to_csv(index=False, lineterminator="\n")
    if twins:
        moved = run_twins(plan, variant, seed, folder)
        texts[FILE] = moved.to_csv(index=False, lineterminator="\n")
    checksums = {name: content_digest(name, text.encode()) for name, text in texts.items()}
    checksums[_TABLE] = hashlib.sha256((folder / "predictions.parquet").read_bytes()).hexdigest()
    texts[AUDITED] = marker_text(key, checksums, AUDITED)
    files = {name: text_writer(text) for name, text in texts.items()}
    stale = ("*/audit.json", "leakage.csv", *(file for file, _ in LATER.values()))
    write_together(folder / "audit", files, AUDITED, stale=stale)
    return folder / "audit"


def _audited(folder: Path, key: str) -> bool:
    """Whether the run's audit is there, whole, and of this key."""
    marker = folder / "audit" / AUDITED
    if not marker.is_file() or marker.read_bytes().partition(b"\n")[0] != key.encode():
        return False
    clear_partials(folder / "audit")
    return damage_in_words(folder / "audit", marker=AUDITED) is None


def check_audited(folder: Path) -> None:
    """Refuse a run whose audit is missing, damaged, or of other predictions (``InputError``)."""
    found = damage_in_words(folder / "audit", marker=AUDITED)
    if found:
        raise InputError(
            f"The run {folder.name} has no whole audit of its predictions ({found}): audit it "
            "again with `fairthesis experiment audit`, or `run`."
        )


def _audit_key(
    plan: Plan, folder: Path, seed: int, model: Path | None, groups: Sequence[str]
) -> str:
    read: list[Any] = [plan.audit_settings, seed]
    if plan.probes:
        read.append([dict(plan.probes), code_fingerprint(PROBING)])
        read.append([plan.disentanglement, code_fingerprint(USING)])
        read += [list(groups)] if len(groups) > 1 else []
    if model is not None:
        read.append(twins_key(plan, model))
    return _digest(folder / "predictions.parquet", read, AUDITING)


def _digest(table: Path, settings: list[Any], modules: tuple[str, ...]) -> str:
    """Changes whenever a run's table, the settings or the code that reads it do."""
    digest = hashlib.sha256(table.read_bytes())
    digest.update(json.dumps([settings, code_fingerprint(modules)]).encode())
    return digest.hexdigest()


def probe_run(
    plan: Plan, out: str | Path, seed: int, *, n_boot: int = 200, n_shuffles: int = 3
) -> pd.DataFrame:
    """How well fresh probes recover the first attribute from every variant's disease embedding.

    The finished runs of one seed are probed (``embeddings.probe``): the probes are fitted on
    validation patients and judged on test patients. Kept in the run's folder and used again.

    Args:
        plan: the experiment.
        out: its folder.
        seed: one of its seeds.
        n_boot: resamples of patients for the intervals.
        n_shuffles: refits with the attribute shuffled over patients.

    Returns:
        One row per variant, probe and scope (marginal, or given the target): ``source, probe,
        scope, auroc, ci_low, ci_high, shuffled_mean, shuffled_q95, attribute, variant``.

    Raises:
        InputError: where a run is not finished, or is damaged.

    >>> from fairthesis.study import plan
    >>> probe_run(plan("synthetic-cxr"), "no/such/folder", seed=0)
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: No finished run in 'no/such/folder/runs/erm-0': expected a run ...
    """
    parts = []
    for variant in plan.variants:
        folder = plan.folder(Path(out), variant, seed)
        check_finished(folder, ("predictions.parquet", "embeddings.parquet"))
        key = _digest(folder / "embeddings.parquet", [n_boot, n_shuffles], PROBING)
        kept = folder / f"leakage-{key[:16]}.csv"
        mark = kept.with_suffix(".txt").name  # vouches for the table
        if damage_in_words(folder, marker=mark):
            leaks = probed(folder, seed, None, n_boot, n_shuffles)
            text = leaks.to_csv(index=False, lineterminator="\n")
            seal = marker_text(key, {kept.name: content_digest(kept.name, text.encode())}, mark)
            files = {kept.name: text_writer(text), mark: text_writer(seal)}
            write_together(folder, files, last=mark)
        parts.append(pd.read_csv(kept).assign(variant=variant))
    return pd.concat(parts, ignore_index=True)


def _beside(plan: Plan, variant: str, seed: int, folder: Path) -> dict[str, pd.DataFrame]:
    """What is probed beside a run's embedding: its logit, and the features before its head.

    The features of a run that has weights of its own, on images; a method clears the embedding, and
    not these.
    """
    frame = pd.read_parquet(folder / "predictions.parquet")
    frame = frame[frame["target"] == frame["target"].iloc[0]]
    score = frame["y_score"].to_numpy(np.float64).clip(1e-7, 1 - 1e-7)
    found = {"logit": frame[["image_id"]].assign(disease_000=np.log(score / (1 - score)))}
    config = plan.config(variant, seed)
    if plan.parent(variant) is None and config.backbone != "none":
        from fairthesis.training import load_run

        cohort = datasets.load(
            config.dataset, config.data_root, seed=seed, **config.dataset_options
        )
        known = cohort.frame["image_id"].isin(frame["image_id"])  # the others could not be read
        rows = np.flatnonzero(known & (cohort.frame["split"] != "train"))
        values = load_run(folder).features(cohort.take(rows))
        names = [f"disease_{i:03d}" for i in range(values.shape[1])]
        table = pd.DataFrame(values, columns=names)
        found["features"] = table.assign(image_id=cohort.frame["image_id"].to_numpy()[rows])
    return found


def probed(
    folder: Path,
    seed: int,
    attribute: str | None = None,
    n_boot: int = 200,
    n_shuffles: int = 3,
    beside: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """The table of ``probe_run`` for one run, without its ``variant``.

    Of the first attribute if None; ``beside`` as for ``embeddings.probe``.
    """
    from fairthesis.embeddings import probe

    predictions = pd.read_parquet(folder / "predictions.parquet")
    attribute = attribute or attribute_columns(predictions)[0]
    found = probe(
        pd.read_parquet(folder / "embeddings.parquet"),
        predictions,
        attribute=attribute,
        target=str(predictions["target"].iloc[0]),
        n_boot=n_boot,
        n_shuffles=n_shuffles,
        beside=beside,
        seed=seed,
    )
    return found.table().assign(attribute=attribute)
