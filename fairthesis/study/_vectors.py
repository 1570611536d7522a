"""Several methods trained on the same table of vectors, and what came of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fairthesis.auditing import audit, compare
from fairthesis.embeddings import probe
from fairthesis.errors import InputError

SHOWN = ("auroc", "auroc_gap", "equalized_odds_difference", "worst_group_auroc")


def runs_on_vectors(
    folder: str | Path,
    methods: Sequence[str],
    out_dir: str | Path,
    *,
    attribute: str | None = None,
    seed: int = 0,
    epochs: int = 20,
    progress: bool = False,
) -> dict[str, Path]:
    """Train each method on the vectors in ``folder``.

    Finished runs of the same are kept, and others in their place made anew.

    Args:
        folder: what ``fairthesis embed`` wrote, or any folder that the data set ``embeddings``
            takes without options.
        methods: names in ``fairthesis.methods.METHODS``, each with its own defaults.
        out_dir: where the runs are.
        attribute: the attribute that is hidden; the first by default.
        seed: of every run.
        epochs: of every run.
        progress: whether bars are shown.

    Returns:
        Method to run directory.

    >>> runs_on_vectors("no/such/folder", ["erm"], "runs")
    Traceback (most recent call last):
    fairthesis.errors.InputError: No such folder: ...
    """
    from fairthesis.training import TrainConfig, train

    found = {}
    for method in methods:
        config = TrainConfig(
            dataset="embeddings",
            data_root=str(folder),
            backbone="none",
            attributes=(attribute,) if attribute else (),
            method=method,
            epochs=epochs,
            seed=seed,
        )
        found[method] = train(config, Path(out_dir) / method, overwrite=True, progress=progress)
    return found


def vectors_summary(
    runs: Mapping[str, Path], *, n_boot: int = 1000, n_permutations: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """A row for each run: test metrics at its own threshold, and what a probe recovers.

    Args:
        runs: name to run directory, the reference first.
        n_boot, n_permutations: of the audit.
        seed: of audit and probe.

    Returns:
        Indexed by name: ``AUROC``, ``AUROC gap``, ``equalized odds difference`` and ``worst
        group's AUROC``, each as text with its interval; ``p of the gap``, corrected; and ``probe
        given the target``, the best fresh probe's AUROC for the attribute.

    >>> vectors_summary({}).columns.tolist()
    []
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, folder in runs.items():
        table = pd.read_parquet(folder / "predictions.parquet")
        attribute = _attribute(folder)
        report = audit(
            table, groups=[attribute], patient="patient_id", threshold="youden",
            n_boot=n_boot, n_permutations=n_permutations, seed=seed,
        )  # fmt: skip
        gaps = report.disparities[attribute]
        # Values alone are shown: a floor would take twenty fits more of each probe.
        leakage = probe(
            pd.read_parquet(folder / "embeddings.parquet"), table, attribute=attribute,
            n_boot=0, n_shuffles=0, seed=seed,
        )  # fmt: skip
        rows[name] = {
            "AUROC": _text(report.overall["auroc"]),
            "AUROC gap": _text(gaps["auroc_gap"]),
            "p of the gap": round(gaps["auroc_gap"].p_value_corrected, 3),
            "equalized odds difference": _text(gaps["equalized_odds_difference"]),
            "worst group's AUROC": _text(gaps["worst_group_auroc"]),
            "probe given the target": round(
                max(
                    r.auroc
                    for r in leakage.readings
                    if r.source == "encoder" and r.scope == "given the target"
                ),
                3,
            ),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def groups_on_vectors(
    runs: Mapping[str, Path], *, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Test metrics of every group under each run, at its own threshold, for ``plots.forest``.

    Args:
        runs: name to run directory.
        n_boot: resamples of patients.
        seed: of the resamples.

    Returns:
        The columns of ``FairnessReport.tables()["groups"]``, with the run's name as ``attribute``.

    >>> groups_on_vectors({}).empty
    True
    """
    tables = []
    for name, folder in runs.items():
        report = audit(
            pd.read_parquet(folder / "predictions.parquet"), groups=[_attribute(folder)],
            patient="patient_id", threshold="youden", n_boot=n_boot, n_permutations=0, seed=seed,
        )  # fmt: skip
        tables.append(report.tables()["groups"].assign(attribute=name))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def changes_on_vectors(
    runs: Mapping[str, Path], *, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Paired changes from the first run to each other one, on the same test patients.

    Args:
        runs: name to run directory, the reference first.
        n_boot: resamples of patients.
        seed: of the resamples.

    Returns:
        A row per run and metric: ``change``, its interval, and p corrected by Holm's method.

    >>> changes_on_vectors({"erm": Path("runs/erm")})
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected at least two runs to compare, but got one.
    """
    if len(runs) < 2:
        raise InputError("Expected at least two runs to compare, but got one.")
    tables = {name: pd.read_parquet(f / "predictions.parquet") for name, f in runs.items()}
    attribute = _attribute(next(iter(runs.values())))
    found = compare(tables, group=attribute, threshold="youden", n_boot=n_boot, seed=seed)
    whole = found.changes["group"].isin(["all rows", "between groups"])
    changes = found.changes[found.changes["metric"].isin(SHOWN) & whole]
    return changes.set_index(["model", "metric"])[["change", "ci_low", "ci_high", "p_holm"]]


def _attribute(folder: Path) -> str:
    origin = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    return str(next(iter(origin["groups"])))


def _text(estimate: Any) -> str:
    value = f"{estimate.value:.3f}"
    if estimate.ci is None:
        return value
    return f"{value} ({estimate.ci[0]:.3f} to {estimate.ci[1]:.3f})"
