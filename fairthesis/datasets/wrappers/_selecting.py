"""Bias by selection: cells of the training part thinned to a wanted association."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fairthesis.data import Cohort, overlay_of
from fairthesis.datasets.wrappers._cells import Cells, covariate_of
from fairthesis.datasets.wrappers._mechanisms import (
    Sides,
    Table,
    probabilities_of,
    sides,
    values_of,
)
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import SPLITS, shown_value

#: Settings of ``select``: those of ``planted`` that are an association of target and covariate.
ASSOCIATIONS = ("reversed", "one-group", "same", "marks-group", "none")


def select(
    cohort: Cohort,
    *,
    covariate: str | None = None,
    value: str | None = None,
    setting: str = "reversed",
    shortcut: float | None = None,
    shortcut_minority: float | None = None,
    group_mark: float | None = None,
    probabilities: Table | None = None,
    prevalence: Mapping[str, float] | None = None,
    target: str | None = None,
    attribute: str | None = None,
    minority: str | Sequence[str] | None = None,
    test: Literal["balanced", "same", "all"] = "balanced",
    keep: Literal["shares", "images"] = "shares",
    floor: int = 10,
    seed: int = 0,
) -> Cohort:
    """Part of a cohort, chosen so that a covariate goes with the target as is wanted.

    A covariate (the view of a film, the site of a lesion, a device) takes the place that a planted
    marker has: in the training part, P(covariate is ``value`` given target and group) becomes what
    a setting of ``planted`` says. The odds ratio of target and covariate in a group is then
    ((1 + s) / (1 - s))² for its shortcut s. Of all selections with this table the largest is taken:
    N w images of each cell (target, group, covariate), rounded down, for its wanted share w and the
    largest N for which no cell lacks any. The sizes of the groups, and P(target given group) where
    ``prevalence`` does not change it, stay as they are.

    Images are left out, not patients: a patient's images may lie in several cells, so no choice of
    whole patients reaches a wanted table. No patient changes parts. In each cell images leave in an
    order of their own, patient by patient, which ``seed`` decides: of two selections, the one with
    fewer images in every cell is part of the other.

    Args:
        cohort: any cohort, of images or vectors.
        covariate: a column of its frame; None chooses by ``prevalence`` alone.
        value: the covariate's value that is associated, against all others together; by default the
            more frequent one of two.
        setting: one of ``ASSOCIATIONS``; the next three, where given, replace its values.
        shortcut: s, above -1 and below 1, in the larger group.
        shortcut_minority: the same of the smaller group; by default in the setting's proportion to
            ``shortcut``, and ``-shortcut`` where it has none.
        group_mark: m, which makes ``value`` the more frequent in the smaller group.
        probabilities: group -> (P(value | no target), P(value | target)), in their place.
        prevalence: group -> P(target) in the training part, for every group.
        target: by default the cohort's first.
        attribute: by default the cohort's first; an intersection ``a*b`` is possible.
        minority: the groups that are the smaller side; by default the rarest group alone.
        test: ``balanced`` makes the covariate half of every (target, group) in validation and test,
            and P(target) the same in all groups where ``prevalence`` is given; ``same`` selects
            there as in training; ``all`` leaves these parts whole.
        keep: ``shares`` keeps the sizes of the groups among each other, and P(target given group);
            ``images`` keeps more images, all that each target and group can give, and lets these
            shares become what they will.
        floor: images that have to be left in every cell whose share is not 0, in every part that is
            selected from.
        seed: of the order in which images leave.

    Returns:
        The selection. ``left_out`` counts what is not in it, by part, and images whose target,
        group or covariate is unknown.

    Raises:
        InputError: for an unknown name, a value out of its range, and an association that would
            leave a cell below the floor; the message names the cell and its counts.

    >>> from fairthesis import datasets
    >>> cohort = datasets.load("synthetic-cxr", setting="clean", n_train=900)
    >>> part = select(cohort, covariate="device", value="1", setting="same", shortcut=0.5, floor=5)
    >>> train = part.frame[part.frame["split"] == "train"]
    >>> (train["device"] == 1).groupby(train["opacity"]).mean().round(2).tolist()
    [0.25, 0.75]
    """
    if test not in ("balanced", "same", "all"):
        raise unknown("test of select", test, ("balanced", "same", "all"))
    if covariate is None and prevalence is None:
        raise InputError(
            "Nothing is to be selected by: expected covariate (a column of the cohort's table), "
            "prevalence (group -> share of the target), or both."
        )
    if keep not in ("shares", "images"):
        raise unknown("keep of select", keep, ("shares", "images"))
    if keep == "images" and prevalence is not None:
        raise InputError(
            "With keep=images the share of the target is what it becomes: leave out prevalence, or "
            "keep=images."
        )
    values = values_of(
        setting,
        ASSOCIATIONS,
        shortcut=shortcut,
        shortcut_minority=shortcut_minority,
        group_mark=group_mark,
    )
    where = sides(cohort, target, attribute, minority)
    shown, known, words = np.zeros(len(cohort), bool), where.known, None
    if covariate is not None:
        shown, sure, value = covariate_of(cohort, covariate, value)
        known = known & sure
        words = f"{covariate} {value}", f"another {covariate}"
    wanted = probabilities_of(where, values, probabilities)
    cells = Cells(cohort, where, shown, known, words, keep, seed)
    shares = _prevalence(where, prevalence)
    kept = ~known if test == "all" else np.zeros(len(cohort), bool)
    kept &= (cohort.frame["split"] != "train").to_numpy()
    for part in SPLITS:
        train = part == "train"
        here = (cohort.frame["split"] == part).to_numpy() & known
        if not here.any():
            continue
        if not train and test == "all":
            kept |= here
        elif train or test == "same":
            kept |= cells.chosen(part, here, wanted, shares, floor)
        else:
            half = np.full(len(cohort), 0.5)
            alike = None if shares is None else dict.fromkeys(shares, cells.prevalence(here))
            kept |= cells.chosen(part, here, half, alike, floor)
    reasons = _reasons(cohort, kept, known, covariate)
    rows = np.flatnonzero(kept)
    if cohort.render is None and cohort.vectors is None:  # all selections share one cache
        cohort = replace(cohort, render=overlay_of(cohort))
    return replace(cohort.take(rows), left_out={**cohort.left_out, **reasons})


def _prevalence(where: Sides, given: Mapping[str, float] | None) -> dict[str, float] | None:
    if given is None:
        return None
    groups = sorted(where.group[where.known].unique())
    for name in given:
        if name not in groups:
            raise unknown("group in prevalence", name, groups)
    for name in groups:
        share = given.get(name)
        if share is None or isinstance(share, bool) or not 0 < share < 1:
            raise InputError(
                f"Expected prevalence of {name!r} to be between 0 and 1, but got "
                f"{shown_value(share)}."
            )
    return dict(given)


def _reasons(
    cohort: Cohort, kept: NDArray[np.bool_], known: NDArray[np.bool_], covariate: str | None
) -> dict[str, int]:
    """How many images are left out, by part and reason."""
    found: dict[str, int] = {}
    split = cohort.frame["split"].to_numpy()
    what = "target, group or covariate" if covariate else "target or group"
    for part in SPLITS:
        gone: Any = (split == part) & ~kept
        found[f"{part} image of unknown {what}"] = int((gone & ~known).sum())
        found[f"{part} image left out by selection"] = int((gone & known).sum())
    return {reason: count for reason, count in found.items() if count}
