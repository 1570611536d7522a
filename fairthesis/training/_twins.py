"""A finished run's scores of a cohort's images and of their twins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import datasets
from fairthesis.auditing import TwinReport, twin_effects
from fairthesis.data import Cohort
from fairthesis.datasets import twin_changes, twin_values
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import SPLITS
from fairthesis.training._export import predictions_of
from fairthesis.training._features import kept_features
from fairthesis.training._inference import infer, joined
from fairthesis.training._posthoc import scores_after
from fairthesis.training._run import Run, chosen_threshold
from fairthesis.training._setup import inputs_of


def predict_twins(
    run: Run,
    cohort: Cohort | None = None,
    *,
    after: str | Path | None = None,
    split: str = "test",
    changes: Sequence[str] | None = None,
    most: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """What a run's model gives for images and for their twins, drawn batch by batch.

    Args:
        run: the model (``load_run``).
        cohort: a cohort that has twins (``datasets.twin_changes``); that of the run if None.
        after: a post-hoc result of this run (``apply_posthoc``), whose scores are taken instead.
        split: the part that is taken, or ``all``.
        changes: names of its changes; all if None.
        most: images of each group of the run's first attribute that are taken at most, the first in
            the order of the cohort; all if None. Those of no known group are a group of their own.
        progress: whether a bar is shown.

    Returns:
        A predictions table, with a column ``twin_NAME`` for each change: the score of the twin,
        NaN where the change does not apply. ``auditing.twin_effects`` takes it.

    Raises:
        InputError: for a cohort that has no twins or that the run cannot take, for another change
            or part, for a part without images, and for a post-hoc result of another run or one that
            draws its decisions.

    >>> import os, tempfile
    >>> from unittest import mock
    >>> from fairthesis.training import TrainConfig, load_run, train
    >>> few = {"n_train": 64, "n_val": 32, "n_test": 32}
    >>> small = {"backbone": "small", "size": 16, "epochs": 1, "batch_size": 32}
    >>> config = TrainConfig(dataset_options=few, **small)
    >>> with tempfile.TemporaryDirectory() as at, mock.patch.dict(os.environ, FAIRTHESIS_CACHE=at):
    ...     run = load_run(train(config, f"{at}/run", progress=False))
    ...     pairs = predict_twins(run, changes=["sex"], most=5, progress=False)
    >>> len(pairs), bool((pairs["y_score"] != pairs["twin_sex"]).any())
    (10, True)
    """
    cohort = _own_cohort(run) if cohort is None else cohort
    known = twin_changes(cohort)
    if not known:
        raise InputError(
            f"{cohort.name} has no twins: nothing is known of its images but what they show. "
            "Expected a run on a synthetic cohort or on one with planted markers, or name such a "
            "cohort (--dataset)."
        )
    run.check(cohort)
    lacking = [name for name in run.targets if name not in cohort.targets]
    if lacking:
        raise unknown(f"target of {cohort.name}", lacking[0], cohort.targets)
    rows = _rows(run, cohort, split, most, progress)
    batch, size = run.batch_size, run.config["size"]

    def score(shown: Cohort, at: NDArray[np.intp]) -> NDArray[np.floating[Any]]:
        assert shown.render is not None
        kept = kept_features(run.model, shown, size, batch)
        if kept is None:
            read, wanted = run.reader(shown.render(at, size)), np.arange(len(at))
        else:
            read, wanted = run.reader(kept), at
        found = joined(infer(run.model, read, wanted, batch), len(at))
        return found.scores if after is None else np.hstack([found.scores, found.disease])

    try:
        own, twins = twin_values(
            cohort, score, rows=rows, changes=changes,
            batch_size=batch * max(1, 1024 // batch), progress=progress,
        )  # fmt: skip
    except FloatingPointError as error:
        raise InputError(f"{run.folder.name} cannot be used for {cohort.name}: {error}.") from error
    if after is not None:
        own, twins = _after(after, run, own, twins)
    tables = predictions_of(cohort, rows, own, run.targets, run.attributes)
    for t, table in enumerate(tables):
        tables[t] = table.assign(**{f"twin_{name}": s[:, t] for name, s in twins.items()})
    return pd.concat(tables, ignore_index=True)


def twins_of_run(
    run: Run,
    cohort: Cohort | None = None,
    *,
    after: str | Path | None = None,
    split: str = "test",
    changes: Sequence[str] | None = None,
    most: int | None = None,
    threshold: str = "youden",
    n_boot: int = 2000,
    seed: int = 0,
    progress: bool = True,
) -> tuple[TwinReport, pd.DataFrame]:
    """How far a run's scores and decisions move when one thing alone is changed, by group.

    ``predict_twins``, then ``auditing.twin_effects`` at the run's own operating point.

    Args:
        run: the model (``load_run``).
        cohort: as for ``predict_twins``.
        after: as for ``predict_twins``; the operating point is then that of the result.
        split: as for ``predict_twins``.
        changes: as for ``predict_twins``.
        most: as for ``predict_twins``.
        threshold: a rule for the run's own validation part (``youden``, ``fpr=0.2``, ``tnr=0.8``),
            or a number.
        n_boot: resamples of patients for the intervals.
        seed: of the resamples.
        progress: whether a bar is shown.

    Returns:
        The report, and the table of scores that it was made of.

    Raises:
        InputError: as ``predict_twins``, and for another rule.

    >>> import os, tempfile
    >>> from unittest import mock
    >>> from fairthesis.training import TrainConfig, load_run, train
    >>> few = {"n_train": 64, "n_val": 32, "n_test": 32}
    >>> small = {"backbone": "small", "size": 16, "epochs": 1, "batch_size": 32}
    >>> config = TrainConfig(dataset_options=few, **small)
    >>> with tempfile.TemporaryDirectory() as at, mock.patch.dict(os.environ, FAIRTHESIS_CACHE=at):
    ...     run = load_run(train(config, f"{at}/run", progress=False))
    ...     report, _ = twins_of_run(run, n_boot=0, progress=False)
    >>> list(report.changes), 0 <= report.value("device_removed", "flips") <= 1
    (['sex', 'device_removed', 'device_added', 'disease_removed', 'disease_added'], True)
    """
    points = {
        name: run.operating_point(threshold, name)
        if after is None
        else chosen_threshold(Path(after), threshold, name)
        for name in run.targets
    }
    cohort = _own_cohort(run) if cohort is None else cohort
    pairs = predict_twins(
        run, cohort, after=after, split=split, changes=changes, most=most, progress=progress
    )
    report = twin_effects(
        pairs,
        groups=run.attributes,
        threshold=points,
        rule=threshold,
        n_boot=n_boot,
        seed=seed,
        words={name: change.words for name, change in twin_changes(cohort).items()},
        settings={
            "dataset": cohort.name,
            "data_fingerprint": cohort.fingerprint(),
            "split": split,
            "most": most,
        },
    )
    return report, pairs


def _after(
    folder: str | Path,
    run: Run,
    own: NDArray[np.floating[Any]],
    twins: Mapping[str, NDArray[np.floating[Any]]],
) -> tuple[NDArray[np.floating[Any]], dict[str, NDArray[np.floating[Any]]]]:
    """A post-hoc result's scores, from the model's scores and embeddings side by side."""
    t = len(run.targets)
    every = np.concatenate([own, *twins.values()])
    drawn = ~np.isnan(every[:, 0])  # a change that does not apply has no twin
    scores = np.full((len(every), t), np.nan)
    scores[drawn] = scores_after(folder, run.folder, every[drawn, t:], every[drawn, :t])
    parts = np.split(scores, len(twins) + 1)
    return parts[0], dict(zip(twins, parts[1:], strict=True))


def _own_cohort(run: Run) -> Cohort:
    """The cohort that a run was trained on."""
    config = run.config
    if not config.get("dataset"):
        raise InputError(
            f"{run.folder.name} does not say which data set it was trained on: name a cohort that "
            "has twins (--dataset)."
        )
    options: Mapping[str, Any] = config.get("dataset_options") or {}
    return datasets.load(str(config["dataset"]), seed=int(config["seed"]), **options)


def _rows(
    run: Run, cohort: Cohort, split: str, most: int | None, progress: bool
) -> NDArray[np.intp]:
    """The readable rows of a part; of each group of the first attribute the first ``most``."""
    if split not in (*SPLITS, "all"):
        raise unknown("split", split, (*SPLITS, "all"))
    if most is not None and most < 1:
        raise InputError(f"Expected at least 1 image of each group, but got {most}.")
    here = np.ones(len(cohort), bool)
    if split != "all":
        here = (cohort.frame["split"] == split).to_numpy(bool)
    if not isinstance(cohort.render, datasets.Drawing):  # what is drawn can always be read
        here = here & inputs_of(cohort, run.config["size"], progress)[1]
    rows = np.flatnonzero(here)
    if not len(rows):
        raise InputError(f"No readable image of {cohort.name} is in the part {split!r}.")
    if most is None:
        return rows
    codes = cohort.codes(run.attributes[0])[rows]
    place = pd.Series(codes).groupby(codes).cumcount().to_numpy()
    return rows[place < most]
