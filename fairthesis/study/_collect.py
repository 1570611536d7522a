"""The tables of a finished experiment: audits, probes, twins and logs of all runs, gathered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fairthesis.errors import InputError
from fairthesis.provenance import git_commit, json_text, provenance
from fairthesis.storage import check_finished, table_writer, text_writer, write_together
from fairthesis.study._archive import (
    LATER,
    LEAKAGE,
    TABLES,
    Results,
    load_results,
)
from fairthesis.study._kept import INFERENCE, audited_anew, kept_tables, small_writer
from fairthesis.study._plans import Plan
from fairthesis.study._run_audit import check_audited
from fairthesis.study._tolerance import TOLERANCE
from fairthesis.study._use import used_anew


def collect(plan: Plan, out: Path, runs_of: Path | None = None) -> Results:
    """Gather the audits, probes and logs of all runs in tables.

    Writes ``metrics.csv``, ``disparities.csv``, ``leakage.csv``, ``use.csv``,
    ``disentanglement.csv``, ``twins.csv``, ``curves.csv``, the runs' predictions and embeddings of
    validation and test images (``predictions.parquet``, ``embeddings.parquet``) and
    ``provenance.json`` into ``out``, together or not at all.

    Args:
        plan: the experiment.
        out: where to.
        runs_of: the folder of an experiment with the same runs and more, if it is not ``out``.

    Raises:
        InputError: where a run or its audit is missing or damaged, and for a run that was selected
            on test labels.

    >>> from fairthesis.study import plan
    >>> collect(plan("synthetic-cxr"), Path("no/such/folder"))
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: No finished run in 'no/such/folder/runs/erm-0': expected a run ...
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    runs, leaks = [], [pd.DataFrame(columns=LEAKAGE)]
    later = {name: [pd.DataFrame(columns=columns)] for name, (_, columns) in LATER.items()}
    folders: dict[tuple[str, int], Path] = {}
    for variant, seed in plan.runs:
        folder = plan.folder(runs_of or out, variant, seed)
        key: dict[str, Any] = {"variant": variant, "seed": seed}
        check_finished(folder, ("predictions.parquet", "provenance.json", "log.jsonl"))
        origin = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        if origin.get("uses_test_labels"):
            raise InputError(
                f"The run {folder.name} was selected on test labels (selection: oracle) and cannot "
                "be collected: leave the variant out of the experiment, or choose another rule."
            )
        check_audited(folder)
        runs.append(key | {name: origin[name] for name in OF_RUN})
        folders[variant, seed] = folder
        for file in sorted(folder.glob("audit/*/audit.json")):
            report = json.loads(file.read_text(encoding="utf-8"))
            _flatten(report, key | {"target": file.parent.name}, rows)
        if plan.probes:
            leak = pd.read_csv(folder / "audit" / "leakage.csv")
            leaks.append(leak.assign(variant=variant, seed=seed))
        for name, (part, _) in LATER.items():
            if (folder / "audit" / part).is_file():
                found = pd.read_csv(folder / "audit" / part)
                later[name].append(found.assign(variant=variant, seed=seed))
        for text in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            rows["curves"] += [
                key | {"epoch": line["epoch"], "name": name, "value": value}
                for name, value in line.items()
                if name not in ("epoch", "seconds")
            ]
    tables = {name: pd.DataFrame(rows[name]) for name in TABLES}
    tables["leakage"] = pd.concat([part for part in leaks if len(part)] or leaks)[list(LEAKAGE)]
    for name, (_, columns) in LATER.items():
        parts = [part for part in later[name] if len(part)] or later[name]
        tables[name] = pd.concat(parts)[list(columns)]
    # An archive without twins has nothing there that could come out otherwise.
    compared = {k: v for k, v in TOLERANCE.items() if k != "twins" or len(tables["twins"])}
    described = provenance(
        experiment={
            "dataset": plan.dataset,
            "profile": plan.profile,
            "base": {k: v for k, v in plan.base.items() if k != "data_root"},
            "variants": dict(plan.variants),
            "seeds": list(plan.seeds),
            **plan.audit_settings,
            "probes": dict(plan.probes) if plan.probes else None,
            "twins": plan.twins,
            **({"settings": list(plan.settings)} if plan.settings else {}),
            **_design(plan),
            **({"disentanglement": plan.disentanglement} if plan.disentanglement else {}),
        },
        tolerance=compared,
        inference=INFERENCE,
        runs=runs,
    )
    files = {f"{k}.csv": table_writer(v.round(6), f"{k}.csv") for k, v in tables.items()}
    files |= {k: small_writer(v) for k, v in kept_tables(plan, folders).items()}
    files["provenance.json"] = text_writer(json_text(described))
    write_together(out, files, last="provenance.json")
    return load_results(out, f"computed in {out.name}")


def reaudit(folder: str | Path) -> Results:
    """Compute an archive's intervals and p values anew, from the predictions that it keeps.

    ``metrics.csv`` and ``disparities.csv`` are replaced, and so is ``use.csv`` where the archive
    keeps embeddings; ``provenance.json`` names the inference; probes and training logs stay.

    Args:
        folder: of an experiment's tables.

    Raises:
        InputError: where the archive keeps no predictions, or a file is missing.

    >>> from fairthesis.study import archive_results
    >>> reaudit(archive_results() / "ham10000-full")
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: ... keeps no predictions.parquet: its intervals ...
    """
    folder = Path(folder)
    load_results(folder)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for (variant, seed), targets in audited_anew(folder).items():
        for target, report in targets.items():
            _flatten(report, {"variant": variant, "seed": seed, "target": target}, rows)
    described = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    described["inference"] = INFERENCE
    described["reaudited_at"] = git_commit()
    names = ("metrics", "disparities")
    files = {f"{k}.csv": table_writer(pd.DataFrame(rows[k]).round(6), f"{k}.csv") for k in names}
    if (used := used_anew(folder)) is not None:
        files[LATER["use"][0]] = table_writer(used.round(6), LATER["use"][0])
    files["provenance.json"] = text_writer(json_text(described))
    write_together(folder, files, last="provenance.json")
    return load_results(folder)


def _design(plan: Plan) -> dict[str, Any]:
    """What was fixed before the runs of folds, for ``pooled_contrasts``."""
    if not plan.groups:
        return {}
    groups = {attribute: list(names) for attribute, names in plan.groups.items()}
    return {"groups": groups, "primary": [*map(list, plan.primary)], "margin": plan.margin}


#: Names of what ``collect`` copies from the provenance of every run.
OF_RUN = (
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
