"""Folds: another split of a cohort, in which each patient is in the test part once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.data import Cohort, folds_by_patient, overlay_of, split_by_patient
from fairthesis.errors import InputError, unknown

OFFICIAL = ("refuse", "deal", "leave-out")
KEYS = ("patient_id", "lesion_id")
_SEEDS = 3  # with as many more the same test part comes again by chance in tiny tables only


def fold_of(
    cohort: Cohort,
    *,
    k: int = 5,
    fold: int = 0,
    repeat: int = 0,
    validation: float = 0.25,
    strata: Sequence[str] | None = None,
    official: Literal["refuse", "deal", "leave-out"] = "deal",
) -> Cohort:
    """A cohort whose test part is one of k folds by patient.

    Repeated stratified k-fold cross-validation with groups: rows that share a patient, or a lesion
    (``lesion_id``, where the table has it), are in one fold. In a repeat every image is in the test
    part of one fold. The deal depends on the table, k and the repeat, and not on the cohort's own
    split.

    Args:
        cohort: any cohort, of images or vectors.
        k: number of folds, 2 or more. 5 with the default ``validation`` has parts of 60, 20 and
            20 %.
        fold: which is the test part, from 0 to k - 1.
        repeat: another number deals the patients anew.
        validation: share of the other folds' images that is the validation part, dealt by patient.
        strata: columns (targets, attributes, intersections ``a*b``) whose combinations are spread
            over folds and over both other parts; by default the first target and the first
            attribute, as in the data sets' own splits.
        official: what is done with a test part that comes with the data set, as a cohort that is
            given here is taken to have with ``refuse`` and ``leave-out``: ``refuse`` it, ``deal``
            it into folds with all other images, or ``leave-out``, folds of the others alone.

    Returns:
        The cohort with another column ``split``. Images that are left out are counted.

    Raises:
        InputError: for a value out of its range, an official test part that is refused, fewer
            patients than folds, and a fold whose test part, or this fold's training or validation
            part, lacks the first target's present or absent cases; the message names the counts.

    >>> from fairthesis import datasets
    >>> cohort = datasets.load("synthetic-derm", n_train=300, n_val=100, n_test=100)
    >>> parts = [fold_of(cohort, k=5, fold=fold).frame["split"] == "test" for fold in range(5)]
    >>> bool((np.sum(parts, axis=0) == 1).all())  # each image is tested once
    True
    """
    if official not in OFFICIAL:
        raise unknown("official of folds", official, OFFICIAL)
    if not 0 <= fold < k:
        raise InputError(f"Expected fold to be from 0 to {k - 1} (k = {k}), but got {fold}.")
    if not 0 < validation < 1:
        raise InputError(f"Expected validation to be between 0 and 1, but got {validation}.")
    if official == "refuse":
        raise InputError(
            f"The cohort {cohort.name} brings a test part of its own, which folds would break up: "
            "give official=leave-out for folds of the other images, official=deal to deal all "
            "images into folds, or leave out its split (official_split=false in inner, or the "
            "column split)."
        )
    if cohort.render is None and cohort.vectors is None:  # all folds and repeats share one cache
        cohort = replace(cohort, render=overlay_of(cohort))
    if official == "leave-out":
        test = (cohort.frame["split"] == "test").to_numpy()
        left = {**cohort.left_out, "image of the official test part": int(test.sum())}
        cohort = replace(cohort.take(np.flatnonzero(~test)), left_out=left)
    frame = cohort.frame
    keys = [key for key in KEYS if key in frame]
    names = [*cohort.targets[:1], *cohort.attributes[:1]] if strata is None else list(strata)
    dealt = folds_by_patient(frame, keys, names, seed=repeat, k=k)
    rest = np.flatnonzero(dealt != fold)
    split = np.full(len(frame), "test", dtype=object)
    split[rest] = split_by_patient(
        frame.iloc[rest],
        keys,
        names,
        seed=int(np.random.SeedSequence([repeat, fold]).generate_state(1)[0]),
        fractions=(1 - validation, validation, 0),
    )
    if cohort.targets:
        _check_classes(cohort, dealt, split, fold)
    return replace(cohort, frame=frame.assign(split=split.astype(str)))


def has_official_test(cohort: Cohort, load: Callable[[int], Cohort]) -> bool:
    """Whether a data set's test part is its own: the same images, tested whatever the seed.

    Args:
        cohort: loaded with seed 0.
        load: gives the cohort of another seed.
    """

    def tested(one: Cohort) -> set[str]:
        return set(one.frame.loc[one.frame["split"] == "test", "image_id"])

    columns = ["image_id", *cohort.targets]
    first = tested(cohort)
    if not first:
        return False
    for seed in range(1, 1 + _SEEDS):
        other = load(seed)
        # Another seed of a synthetic cohort draws other images under the same names.
        if not cohort.frame[columns].equals(other.frame[columns]) or tested(other) != first:
            return False
    return True


def _check_classes(
    cohort: Cohort, dealt: NDArray[np.int64], split: NDArray[np.object_], fold: int
) -> None:
    """Refuse folds without cases or controls: nothing can be learned, or tested, there."""
    target = cohort.targets[0]
    label = cohort.frame[target]
    parts = {f"fold {i}": dealt == i for i in range(int(dealt.max()) + 1)}
    parts |= {f"the {part} part of fold {fold}": split == part for part in ("train", "val")}
    for name, rows in parts.items():
        present, absent = int((label[rows] == 1).sum()), int((label[rows] == 0).sum())
        if not present or not absent:
            patients = pd.Series(label == 1).groupby(cohort.frame["patient_id"]).max().sum()
            raise InputError(
                f"{name.capitalize()} of {cohort.name} has {present} images with {target} and "
                f"{absent} without: expected both in each. {int(patients)} patients have it: use "
                "fewer folds, or another target."
            )
