"""An experiment: variants x seeds of a training run, each audited, gathered in tidy tables.

The experiments of the book are listed in ``experiments.yml``. Each step can be run on its own
(a pipeline does) or all at once (a notebook does); a finished run is not run again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairthesis.errors import InputError
from fairthesis.provenance import write_json
from fairthesis.storage import check_finished
from fairthesis.study._archive import (
    Results,
    archive_results,
    load_results,
)
from fairthesis.study._collect import collect
from fairthesis.study._plans import Plan, experiments, plan
from fairthesis.study._run_audit import audit_run, check_audited, probed

__all__ = [
    "Plan",
    "audit_run",
    "collect",
    "data_run",
    "experiments",
    "plan",
    "probed",
    "results",
    "run_experiment",
    "run_shard",
    "train_run",
]


def data_run(plan: Plan, seed: int, out: Path, progress: bool = True) -> Path:
    """Load and decode what the runs of one seed read.

    Args:
        plan: the experiment.
        seed: one of its seeds.
        out: the experiment's folder.
        progress: show a progress bar.

    Returns:
        A JSON file ``out/data/SEED.json``: variant -> ``data_fingerprint``, ``images`` (per split),
        ``left_out`` (by reason) and ``size``.

    Raises:
        InputError: where the data cannot be loaded, or a variant's settings are not valid.

    >>> import os, tempfile
    >>> from unittest.mock import patch
    >>> options = {"n_train": 8, "n_val": 2, "n_test": 2}
    >>> base = {"dataset": "synthetic-cxr", "size": 16, "dataset_options": options}
    >>> base |= {"targets": ["opacity"], "attributes": ["sex"]}
    >>> tiny = Plan("tiny", "quick", base, {"erm": {"method": "erm"}}, (0,))
    >>> with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, FAIRTHESIS_CACHE=name):
    ...     file = data_run(tiny, 0, Path(name), progress=False)
    ...     json.loads(file.read_text())["erm"]["images"]
    {'test': 2, 'train': 8, 'val': 2}
    """
    from fairthesis import data, datasets
    from fairthesis.training import TrainConfig

    found: dict[str, Any] = {}
    read: dict[str, Any] = {}  # most variants read the same images
    for variant in plan.variants:
        config: TrainConfig = plan.config(variant, seed)
        key = json.dumps([config.dataset_options, config.size], sort_keys=True)
        if key not in read:
            cohort = datasets.load(
                config.dataset, config.data_root, seed=seed, **config.dataset_options
            )
            data.prepared_images(cohort, config.size, progress=progress)
            read[key] = {
                "data_fingerprint": data.images_fingerprint(cohort, config.size),
                "images": cohort.frame["split"].value_counts().sort_index().to_dict(),
                "left_out": dict(cohort.left_out),
                "size": config.size,
            }
        found[variant] = read[key]
    write_json(found, out / "data" / f"{seed}.json")
    return out / "data" / f"{seed}.json"


def train_run(
    plan: Plan,
    variant: str,
    seed: int,
    out: Path,
    progress: bool = True,
    overwrite: bool = False,
) -> Path:
    """Train one run unless it is finished.

    For a post-hoc variant the parent is trained first, unless it is finished.

    Args:
        plan: the experiment.
        variant: one of its variants.
        seed: one of its seeds.
        out: the experiment's folder.
        progress: show a progress bar.
        overwrite: replace a run of another configuration, data or code, instead of refusing it.

    Returns:
        The run directory, ``out/runs/VARIANT-SEED``.

    Raises:
        InputError: for an unknown variant, settings that are not valid, and a run that is in the
            way.

    >>> import os, tempfile
    >>> from unittest.mock import patch
    >>> options = {"n_train": 32, "n_val": 16, "n_test": 16}
    >>> base = {"dataset": "synthetic-cxr", "size": 16, "dataset_options": options, "epochs": 1}
    >>> base |= {"targets": ["opacity"], "attributes": ["sex"], "backbone": "small", "threads": 1}
    >>> tiny = Plan("tiny", "quick", base | {"batch_size": 32}, {"erm": {"method": "erm"}}, (0,))
    >>> with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, FAIRTHESIS_CACHE=name):
    ...     run = train_run(tiny, "erm", 0, Path(name), progress=False)
    ...     run.name, (run / "DONE").is_file()
    ('erm-0', True)
    """
    folder = plan.folder(out, variant, seed)
    parent = plan.parent(variant)
    if parent is not None:
        from fairthesis.training import apply_posthoc

        trained = train_run(plan, parent, seed, out, progress, overwrite)
        return apply_posthoc(
            plan.variants[variant]["posthoc"], trained, folder, overwrite=overwrite
        )
    from fairthesis.training import train

    return train(plan.config(variant, seed), folder, overwrite=overwrite, progress=progress)


def run_experiment(
    plan: Plan,
    out: str | Path,
    *,
    progress: bool = True,
    say: Callable[[str], None] | None = None,
    overwrite: bool = False,
) -> Results:
    """Train and audit every run that is not finished, then gather the tables.

    It can be killed and resumed: finished runs are used again.

    Args:
        plan: the experiment; every variant's settings are checked before the first run starts.
        out: its folder.
        progress: show progress bars.
        say: called with a line before each run.
        overwrite: replace runs of another configuration, data or code, instead of refusing them.

    Raises:
        InputError: for settings that are not valid, and a run that is in the way.

    >>> variants = {"erm": {"method": "erm"}, "mine": {"metod": "erm"}}
    >>> run_experiment(Plan("tiny", "quick", {"dataset": "synthetic-cxr"}, variants, (0,)), "out")
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: Unknown parameter of the variant mine 'metod': ... 'method'?
    """
    run_shard(plan, out, (1, 1), progress=progress, say=say, overwrite=overwrite)
    return collect(plan, Path(out))


def run_shard(
    plan: Plan,
    out: str | Path,
    shard: tuple[int, int],
    *,
    progress: bool = True,
    say: Callable[[str], None] | None = None,
    overwrite: bool = False,
) -> int:
    """Train and audit every n-th run of an experiment, beside other processes with the same folder.

    A post-hoc variant is made by the part that trains what it starts from. Nothing is gathered:
    ``run_experiment`` does, once no run is missing.

    Args:
        plan, out, progress, say, overwrite: as of ``run_experiment``.
        shard: i and n, from 1 to n.

    Returns:
        How many of all runs are not finished.

    Raises:
        InputError: as of ``run_experiment``, and for a shard that is not one.

    >>> run_shard(plan("synthetic-cxr"), "out", (3, 2))
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: Expected the shard's number to be from 1 to n, but got 3/2.
    """
    number, of = shard
    if not 1 <= number <= of:
        raise InputError(f"Expected the shard's number to be from 1 to n, but got {number}/{of}.")
    out = Path(out)
    plan.check()
    trained = [run for run in plan.runs if plan.parent(run[0]) is None]
    mine = set(trained[number - 1 :: of])
    runs = [(v, seed) for v, seed in plan.runs if (plan.parent(v) or v, seed) in mine]
    for place, (variant, seed) in enumerate(runs, 1):
        if say:
            say(f"[{place}/{len(runs)}] {plan.dataset} {plan.profile}: {variant}, seed {seed}")
        train_run(plan, variant, seed, out, progress, overwrite)
        audit_run(plan, variant, seed, out)
    return sum(not _is_finished(plan.folder(out, *run)) for run in plan.runs)


def _is_finished(folder: Path) -> bool:
    try:
        check_finished(folder, ("predictions.parquet", "provenance.json", "log.jsonl"))
        check_audited(folder)
    except InputError:
        return False
    return True


def results(
    dataset: str,
    profile: str = "quick",
    data_root: str | Path | None = None,
    seed: int = 0,
    out_dir: str | Path = "build/experiments",
) -> Results:
    """What a chapter shows: the experiment run here, or its archived full run without the data.

    Args:
        dataset: an experiment of ``experiments.yml``.
        profile: one of its profiles.
        data_root: the folder of a real data set; without it the tables come from
            ``results/DATASET-full``.
        seed: the first of the seeds.
        out_dir: the experiment runs in ``out_dir/DATASET-PROFILE``; finished runs are used again.

    Raises:
        InputError: for an unknown experiment or profile, and where no archive is found.

    >>> results("ham10000").source
    'archived full run, results/ham10000-full'
    """
    chosen = plan(dataset, profile, data_root, seed)
    if dataset.startswith("synthetic") or data_root:
        out = Path(out_dir) / f"{dataset}-{profile}"
        return run_experiment(chosen, out, progress=False, say=print)
    folder = archive_results() / f"{dataset}-full"
    return load_results(folder, f"archived full run, results/{folder.name}")
