"""Twins in an experiment: of every run on a cohort that has them, and in its tables."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from fairthesis import datasets
from fairthesis.auditing import TWIN_COLUMNS, TWIN_MEASURES
from fairthesis.errors import unknown
from fairthesis.postprocessing import DRAWN
from fairthesis.provenance import TWINS, code_fingerprint

if TYPE_CHECKING:
    from fairthesis.study._archive import Results
    from fairthesis.study._plans import Plan

FILE = "twins.csv"
WEIGHTS = "model.safetensors"
COLUMNS = ("variant", "seed", *TWIN_COLUMNS)
FLIPPED = "most decisions flipped"


def has_run_twins(plan: Plan, variant: str, seed: int) -> bool:
    """Whether a run's twins are computed: its cohort has some, and its scores are not drawn."""
    parent = plan.parent(variant)
    if not plan.twins or plan.variants[variant].get("posthoc") in DRAWN:
        return False
    listed = {**plan.base, **plan.variants[parent or variant]}
    # Where the plan names it the configuration is not read, which takes torch.
    name = str(listed.get("dataset") or plan.config(variant, seed).dataset)
    return datasets.has_twins(name, listed.get("dataset_options"))


def model_folder(plan: Plan, variant: str, seed: int, folder: Path) -> Path:
    """The run whose model draws a run's twins: its parent, for a post-hoc variant."""
    return folder.with_name(f"{plan.parent(variant) or variant}-{seed}")


def twins_key(plan: Plan, model: Path) -> list[Any]:
    """What a run's twins depend on, beside its predictions."""
    weights = hashlib.sha256((model / WEIGHTS).read_bytes()).hexdigest()
    return [plan.twins, plan.n_boot, weights, code_fingerprint(TWINS)]


def run_twins(plan: Plan, variant: str, seed: int, folder: Path) -> pd.DataFrame:
    """The twins of the first ``plan.twins`` test images of each group, at the plan's threshold."""
    from fairthesis.training import load_run, twins_of_run

    config = plan.config(variant, seed)
    cohort = datasets.load(config.dataset, config.data_root, seed=seed, **config.dataset_options)
    model = model_folder(plan, variant, seed, folder)
    report, _ = twins_of_run(
        load_run(model),
        cohort,
        after=None if model == folder else folder,
        most=plan.twins,
        threshold=plan.threshold,
        n_boot=plan.n_boot,
        seed=seed,
        progress=False,
    )
    return report.effects


def _overall(results: Results, measure: str) -> pd.DataFrame:
    if measure not in TWIN_MEASURES:
        raise unknown("measure of twins", measure, TWIN_MEASURES)
    rows = results.twins
    return rows[(rows["measure"] == measure) & (rows["attribute"] == "all")]


def twin_numbers(results: Results, measure: str = "flips") -> pd.DataFrame:
    """One measure of the twins of all images, of every run and change.

    Args:
        results: an experiment.
        measure: one of ``auditing.TWIN_MEASURES``.

    Returns:
        The columns ``variant, seed, change, value``, means over the targets; no rows where the
        cohort has no twins.

    Raises:
        InputError: for another measure.

    >>> from fairthesis.study import load_archived
    >>> twin_numbers(load_archived("ham10000", "full")).columns.tolist()  # real images: no rows
    ['variant', 'seed', 'change', 'value']
    """
    keys = ["variant", "seed", "change"]
    return _overall(results, measure).groupby(keys, sort=False)["value"].mean().reset_index()


def twin_table(results: Results, measure: str = "flips") -> pd.DataFrame:
    """What each change alone moves, in a row per variant: the mean over seeds, and the range.

    Args:
        results: an experiment.
        measure: one of ``auditing.TWIN_MEASURES``.

    Returns:
        Text, indexed by variant, a column per change; ``0.132 (0.120–0.151)``. No rows where the
        cohort has no twins.

    Raises:
        InputError: for another measure.

    >>> from fairthesis.study import load_archived
    >>> twin_table(load_archived("ham10000", "full")).empty
    True
    """
    table = twin_numbers(results, measure)
    if table.empty:
        return pd.DataFrame(index=pd.Index([], name="variant"))
    spread = table.groupby(["variant", "change"], sort=False)["value"].agg(
        ["mean", "min", "max", "count"]
    )
    text = spread.apply(_ranged, axis=1).unstack("change")
    ordered = text.loc[list(dict.fromkeys(table["variant"])), list(dict.fromkeys(table["change"]))]
    return ordered.rename(columns=lambda name: str(name).replace("_", " ")).rename_axis(
        columns=None
    )


def ranged(values: pd.Series) -> str:
    """Mean over seeds, and the range of several; ``0.132 (0.120–0.151)``."""
    return _ranged(values.agg(["mean", "min", "max", "count"]))


def _ranged(row: pd.Series) -> str:
    if row["count"] == 0:
        return "not known"
    ends = f" ({row['min']:.3f}–{row['max']:.3f})" if row["count"] > 1 else ""
    return f"{row['mean']:.3f}{ends}"


def most_flipped(results: Results) -> pd.Series:
    """The largest share of decisions that a change other than the disease's flips, by run."""
    table = twin_numbers(results)
    table = table[~table["change"].str.startswith("disease_")]
    return table.groupby(["variant", "seed"])["value"].max().rename(FLIPPED)
