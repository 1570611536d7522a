"""An experiment: variants x seeds of a training run, each audited, gathered in tidy tables.

The experiments of the book are listed in ``experiments.yml``. Each step can be run on its own
(a pipeline does) or all at once (a notebook does); what is finished is not run again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fairthesis.archive import LEAKAGE, TABLES, TOLERANCE, Results, archive, load_results
from fairthesis.errors import InputError
from fairthesis.plans import Plan, experiments, plan
from fairthesis.provenance import (
    AUDITING,
    PROBING,
    code_fingerprint,
    provenance,
    used_test_labels,
    write_json,
)
from fairthesis.schema import attribute_columns, write_atomically, write_table

__all__ = [
    "Plan",
    "audit_run",
    "collect",
    "data_run",
    "experiments",
    "leakage",
    "plan",
    "results",
    "run",
    "train_run",
]


def data_run(plan: Plan, seed: int, out: Path, progress: bool = True) -> Path:
    """Load and decode what the runs of one seed read; gives a file with what was found."""
    from fairthesis import datasets, images
    from fairthesis.config import TrainConfig

    found: dict[str, Any] = {}
    read: dict[str, Any] = {}  # most variants read the same images
    for variant in plan.variants:
        config: TrainConfig = plan.config(variant, seed)
        key = json.dumps([config.dataset_options, config.size], sort_keys=True)
        if key not in read:
            cohort = datasets.load(
                config.dataset, config.data_root, seed=seed, **config.dataset_options
            )
            images.prepared(cohort, config.size, progress=progress)
            read[key] = {
                "data_fingerprint": cohort.fingerprint(),
                "images": cohort.frame["split"].value_counts().sort_index().to_dict(),
                "left_out": dict(cohort.left_out),
                "size": config.size,
            }
        found[variant] = read[key]
    write_json(found, out / "data" / f"{seed}.json")
    return out / "data" / f"{seed}.json"


def train_run(plan: Plan, variant: str, seed: int, out: Path, progress: bool = True) -> Path:
    """Train one run unless it is finished; gives its run directory.

    For a post-hoc variant the parent is trained first, unless it is finished.
    """
    folder = plan.folder(out, variant, seed)
    parent = plan.parent(variant)
    if parent is not None:
        from fairthesis.finished import apply

        trained = train_run(plan, parent, seed, out, progress)
        return apply(plan.variants[variant]["posthoc"], trained, folder, overwrite=True)
    from fairthesis.train import train

    return train(plan.config(variant, seed), folder, overwrite=True, progress=progress)


def audit_run(plan: Plan, variant: str, seed: int, out: Path) -> Path:
    """Audit one run on its test part, at a threshold chosen on its validation part.

    Its embedding is probed too where the plan has ``probes``.
    """
    from fairthesis.audit import audit

    folder = plan.folder(out, variant, seed)
    key = _audit_key(plan, folder, seed)
    if (folder / "audit" / "key.txt").exists():
        if (folder / "audit" / "key.txt").read_text() == key:
            return folder / "audit"
        (folder / "audit" / "key.txt").unlink()
    frame = pd.read_parquet(folder / "predictions.parquet")
    groups = list(json.loads((folder / "provenance.json").read_text())["groups"])
    used_test_labels(folder)
    for target in frame["target"].unique():
        report = audit(
            frame,
            groups=groups,
            patient="patient_id",
            target=target,
            seed=seed,
            **plan.audit_settings,
        )
        write_json(report.to_dict(), folder / "audit" / target / "audit.json")
    if plan.probes:
        write_table(probed(folder, seed, **plan.probes), folder / "audit" / "leakage.csv")
    write_atomically(folder / "audit" / "key.txt", lambda to: to.write_text(key))
    return folder / "audit"


def _audit_key(plan: Plan, folder: Path, seed: int) -> str:
    read: list[Any] = [plan.audit_settings, seed]
    if plan.probes:
        read.append([dict(plan.probes), code_fingerprint(PROBING)])
    return _digest(folder / "predictions.parquet", read, AUDITING)


def _digest(table: Path, settings: list[Any], modules: tuple[str, ...]) -> str:
    """Changes whenever a run's table, the settings or the code that reads it do."""
    digest = hashlib.sha256(table.read_bytes())
    digest.update(json.dumps([settings, code_fingerprint(modules)]).encode())
    return digest.hexdigest()


def leakage(
    plan: Plan, out: str | Path, seed: int, *, n_boot: int = 200, n_shuffles: int = 3
) -> pd.DataFrame:
    """How well fresh probes read the first attribute from every variant's disease embedding.

    The finished runs of one seed are probed (``fairthesis.leakage.measure``): the probes are
    fitted on validation patients and judged on test patients. One row per variant, probe and
    scope (marginal, or given the target), with ``auroc``, its interval, and what refits with the
    attribute shuffled over patients reach. Kept in ``leakage.csv`` of the run.
    """
    parts = []
    for variant in plan.variants:
        folder = plan.folder(Path(out), variant, seed)
        key = _digest(folder / "embeddings.parquet", [n_boot, n_shuffles], PROBING)
        kept = folder / f"leakage-{key[:16]}.csv"
        if not kept.exists():
            write_table(probed(folder, seed, n_boot, n_shuffles), kept)
        parts.append(pd.read_csv(kept).assign(variant=variant))
    return pd.concat(parts, ignore_index=True)


def probed(folder: Path, seed: int, n_boot: int = 200, n_shuffles: int = 3) -> pd.DataFrame:
    """What fresh probes read of the first attribute in the disease embedding of one run."""
    from fairthesis.leakage import measure

    predictions = pd.read_parquet(folder / "predictions.parquet")
    attribute = attribute_columns(predictions)[0]
    found = measure(
        pd.read_parquet(folder / "embeddings.parquet"),
        predictions,
        attribute=attribute,
        target=str(predictions["target"].iloc[0]),
        n_boot=n_boot,
        n_shuffles=n_shuffles,
        seed=seed,
    )
    return found.table().assign(attribute=attribute)


def collect(plan: Plan, out: Path, runs_of: Path | None = None) -> Results:
    """Gather the audits, probes and logs of all runs in ``metrics.csv``, ``disparities.csv``,
    ``leakage.csv`` and ``curves.csv`` with a ``provenance.json`` under ``out``.

    ``runs_of`` is the folder of an experiment with the same runs and more, if it is not ``out``.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    runs, leaks = [], [pd.DataFrame(columns=LEAKAGE)]
    for variant, seed in plan.runs:
        folder = plan.folder(runs_of or out, variant, seed)
        key: dict[str, Any] = {"variant": variant, "seed": seed}
        origin = json.loads((folder / "provenance.json").read_text())
        if origin.get("uses_test_labels"):
            raise InputError(
                f"The run {folder.name} was selected on test labels (selection: oracle) and cannot "
                "be collected: leave the variant out of the experiment, or choose another rule."
            )
        runs.append(key | {name: origin[name] for name in _OF_RUN})
        for file in sorted(folder.glob("audit/*/audit.json")):
            report = json.loads(file.read_text())
            _flatten(report, key | {"target": file.parent.name}, rows)
        if plan.probes:
            leak = pd.read_csv(folder / "audit" / "leakage.csv")
            leaks.append(leak.assign(variant=variant, seed=seed))
        for text in (folder / "log.jsonl").read_text().splitlines():
            line = json.loads(text)
            rows["curves"] += [
                key | {"epoch": line["epoch"], "name": name, "value": value}
                for name, value in line.items()
                if name not in ("epoch", "seconds")
            ]
    tables = {name: pd.DataFrame(rows[name]) for name in TABLES}
    tables["leakage"] = pd.concat([part for part in leaks if len(part)] or leaks)[list(LEAKAGE)]
    for name, table in tables.items():
        write_table(table.round(6), out / f"{name}.csv")
    described = provenance(
        experiment={
            "dataset": plan.dataset,
            "profile": plan.profile,
            "base": {k: v for k, v in plan.base.items() if k != "data_root"},
            "variants": dict(plan.variants),
            "seeds": list(plan.seeds),
            **plan.audit_settings,
            "probes": dict(plan.probes) if plan.probes else None,
        },
        tolerance=TOLERANCE,
        runs=runs,
    )
    write_json(described, out / "provenance.json")
    return load_results(out, f"computed in {out.name}")


_OF_RUN = (
    "git_commit",
    "code_fingerprint",
    "data_fingerprint",
    "selected_epoch",
    "wall_seconds",
    "peak_memory_mb",
    "images",
    "left_out",
    "groups",
)


def _flatten(
    report: Mapping[str, Any], key: Mapping[str, Any], rows: dict[str, list[dict[str, Any]]]
) -> None:
    def line(value: Mapping[str, Any]) -> dict[str, Any]:
        lo, hi = value["ci"] or (None, None)
        return {"value": value["value"], "lo": lo, "hi": hi}

    for metric, value in report["overall"].items():
        nowhere = {"attribute": None, "group": None}
        rows["metrics"].append({**key, **nowhere, "metric": metric, **line(value)})
    for attribute, groups in report["groups"].items():
        for group, content in groups.items():
            place = {**key, "attribute": attribute, "group": group}
            for count in ("n", "n_patients", "n_positive", "n_negative"):
                value = {"value": content[count], "ci": None}
                rows["metrics"].append({**place, "metric": count, **line(value)})
            for metric, value in content["metrics"].items():
                rows["metrics"].append({**place, "metric": metric, **line(value)})
    for attribute, names in report["disparities"].items():
        for name, value in names.items():
            chance = {k: value[k] for k in ("null_mean", "null_q95", "p_value")}
            place = {**key, "attribute": attribute, "name": name}
            rows["disparities"].append({**place, **line(value), **chance})


def run(
    plan: Plan, out: str | Path, *, progress: bool = True, say: Callable[[str], None] | None = None
) -> Results:
    """Train and audit what is not finished, then gather the tables. Can be killed and resumed."""
    out = Path(out)
    plan.check()
    for number, (variant, seed) in enumerate(plan.runs, 1):
        if say:
            say(
                f"[{number}/{len(plan.runs)}] {plan.dataset} {plan.profile}: {variant}, seed {seed}"
            )
        train_run(plan, variant, seed, out, progress)
        audit_run(plan, variant, seed, out)
    return collect(plan, out)


def results(
    dataset: str,
    profile: str = "quick",
    data_root: str | Path | None = None,
    seed: int = 0,
    out_dir: str | Path = "build/experiments",
) -> Results:
    """What a chapter shows: the experiment run here, or its archived full run without the data.

    Runs in ``out_dir/DATASET-PROFILE`` (finished runs are used again). For a real data set without
    a ``data_root`` the tables come from ``results/DATASET-full``.
    """
    chosen = plan(dataset, profile, data_root, seed)
    if dataset.startswith("synthetic") or data_root:
        out = Path(out_dir) / f"{dataset}-{profile}"
        return run(chosen, out, progress=False, say=print)
    folder = archive() / f"{dataset}-full"
    return load_results(folder, f"archived full run, results/{folder.name}")
