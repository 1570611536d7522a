"""A marker planted in the images of any cohort, with a chosen probability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.data import Cohort, Overlay, overlay_of
from fairthesis.datasets._twins import Change
from fairthesis.datasets.wrappers._markers import Marker
from fairthesis.datasets.wrappers._mechanisms import (
    PLANS,
    Sides,
    Table,
    probabilities_of,
    sides,
    values_of,
)
from fairthesis.datasets.wrappers._strokes import id_uniforms
from fairthesis.errors import InputError, unknown

MARKED, ORDER = 16, 18  # purposes of streams of random numbers
WITH, WITHOUT = "with", "without"


@dataclass(frozen=True)
class Planted(Overlay):
    """The ``render`` of a cohort with a planted marker; its twins have it or have it not.

    >>> from fairthesis import datasets
    >>> inner = datasets.load("synthetic-derm", n_train=40, n_val=10, n_test=10)
    >>> sorted(datasets.twin_changes(planted(inner)))
    ['marker_added', 'marker_removed']
    """

    @property
    def changes(self) -> dict[str, Change]:
        """What can be changed alone, by name."""
        assert self.ink is not None
        words = self.ink.name.replace("-", " ")
        return {
            "marker_removed": Change(f"{words} removed", self.shown),
            "marker_added": Change(f"{words} added", ~self.shown),
        }

    def twin(
        self, rows: NDArray[np.intp], change: str, frame: pd.DataFrame
    ) -> tuple[Callable[[NDArray[np.intp], int], NDArray[np.uint8]], pd.DataFrame]:
        """The twins of ``rows`` and the table beside them; see ``datasets.twin``."""
        there = np.full(len(rows), change == "marker_added")
        return replace(self.some(rows), shown=there), frame.assign(marker=_words(there))


def _words(shown: NDArray[np.bool_]) -> NDArray[np.object_]:
    return np.where(shown, WITH, WITHOUT).astype(object)


def planted(
    cohort: Cohort,
    *,
    marker: str | None = None,
    setting: str = "reversed",
    shortcut: float | None = None,
    shortcut_minority: float | None = None,
    group_mark: float | None = None,
    underrepresentation: float | None = None,
    probabilities: Table | None = None,
    target: str | None = None,
    attribute: str | None = None,
    minority: str | Sequence[str] | None = None,
    test: Literal["same", "balanced"] = "same",
    oracle: bool = False,
    looks: int = 0,
    seed: int = 0,
) -> Cohort:
    """A cohort of the same images, into some of which a marker is drawn.

    An image gets the marker where its own number u in [0, 1), made of ``seed`` and its id, is
    smaller than the probability p for its target and group. So another plan of the same seed is
    about the same numbers, and a subset of the images the same markers. Images of one patient are
    decided one by one, as in the synthetic cohorts. An image whose target or group is unknown has
    the marginal probability: the mean of p over the images where both are known.

    Args:
        cohort: any cohort of images, drawn or in files.
        marker: one of ``MARKERS``; by default ``pen-ring`` on colour, ``lead-marker`` on grey
            images.
        setting: one of ``PLANS``; the next four, where given, replace its values.
        shortcut: s from -1 to 1: in the larger group P(marker | target) = (1 + s) / 2 and
            P(marker | no target) = (1 - s) / 2.
        shortcut_minority: the same of the smaller group; by default in the setting's proportion to
            ``shortcut``, and ``-shortcut`` where it has none.
        group_mark: m from -1 to 1, added: P(marker) is m / 2 larger in the smaller group and m / 2
            smaller in the larger one, whatever the target.
        underrepresentation: u from 0 to 0.98: whole patients of the smaller group leave the
            training part, until it has the share (1 - u) / 2 of the images of known group there.
        probabilities: group -> (P(marker | no target), P(marker | target)), in the place of
            ``shortcut`` and ``group_mark``.
        target: by default the cohort's first.
        attribute: by default the cohort's first; an intersection ``a*b`` is possible.
        minority: the groups that are the smaller side; by default the rarest group alone.
        test: ``same`` plants in validation and test as in training, as the synthetic cohorts do;
            ``balanced`` gives every image there the marginal probability.
        oracle: every image of every part has the marginal probability. All else, the look of the
            markers and the images that are left out included, is as without it.
        looks: of the seed that the looks of the markers are drawn by. It is apart from ``seed``,
            so that all seeds share one cache.
        seed: decides which images get a marker.

    Returns:
        The cohort, called as the inner one with ``-planted`` behind it. Its last attribute
        ``marker`` (``with``, ``without``) says which images have it; a model is never given it. Its
        twins: ``marker_removed`` and ``marker_added``.

    Raises:
        InputError: for a cohort of vectors or one that has a marker already, an unknown name, a
            value out of its range, and a smaller group that is rarer than it is to become.

    >>> from fairthesis import datasets
    >>> inner = datasets.load("synthetic-derm", n_train=400, n_val=100, n_test=100)
    >>> cohort = planted(inner, setting="same", shortcut=0.8, marker="ruler")
    >>> with_it = cohort.frame["marker"] == "with"
    >>> with_it.groupby(cohort.frame["malignant"]).mean().round(1).tolist()
    [0.1, 0.9]
    >>> planted(inner, setting="reverse")
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: Unknown setting 'reverse': ... 'reversed'?
    """
    plain = _plain(cohort)
    values = values_of(
        setting,
        PLANS,
        shortcut=shortcut,
        shortcut_minority=shortcut_minority,
        group_mark=group_mark,
        underrepresentation=underrepresentation,
    )
    if test not in ("same", "balanced"):
        raise unknown("test of planted", test, ("same", "balanced"))
    ink = Marker(marker or ("pen-ring" if cohort.channels == 3 else "lead-marker"), looks)
    where = sides(cohort, target, attribute, minority)
    p = probabilities_of(where, values, probabilities)
    marginal = float(np.nanmean(p))
    by_chance = np.full(len(cohort), oracle) | np.isnan(p)
    if test == "balanced":
        by_chance |= (cohort.frame["split"] != "train").to_numpy()
    ids = cohort.frame["image_id"].astype(str).tolist()
    shown = id_uniforms(seed, MARKED, ids) < np.where(by_chance, marginal, p)
    render = Planted(plain.pictures, plain.rows, ink, shown, plain.opened)
    found = replace(
        cohort,
        name=f"{cohort.name}-planted",
        frame=cohort.frame.assign(marker=_words(shown)),
        attributes=(*cohort.attributes, "marker"),
        render=render,
    )
    wanted = values.get("underrepresentation", 0.0)
    return _thinned(found, where, wanted, seed) if wanted else found


def _plain(cohort: Cohort) -> Overlay:
    """The cohort's images, refused where nothing can be drawn into them."""
    if cohort.vectors is not None:
        raise InputError(
            f"{cohort.name} has vectors, into which nothing can be drawn: expected images."
        )
    if "marker" in cohort.frame or (isinstance(cohort.render, Overlay) and cohort.render.ink):
        raise InputError(
            f"{cohort.name} has a column marker or a planted marker already: expected a cohort "
            "without."
        )
    return overlay_of(cohort)


def _thinned(cohort: Cohort, where: Sides, u: float, seed: int) -> Cohort:
    """Without so many whole patients of the smaller group's training part as ``u`` asks for."""
    frame, share = cohort.frame, (1 - u) / 2
    train = (frame["split"] == "train").to_numpy()
    known = train & where.group.notna().to_numpy()
    small, large = int((known & where.small).sum()), int((known & ~where.small).sum())
    most = share / (1 - share) * large  # images of the smaller group that may stay
    if small <= most:
        raise InputError(
            f"{small} of {small + large} training images of {cohort.name} are of "
            f"{', '.join(where.names)}, no more than the share of {share:.3g} that "
            f"underrepresentation {u:g} asks for: take a larger one, or leave it out."
        )
    patients = frame["patient_id"].astype(str)
    only = pd.Series(where.small | ~train).groupby(patients.to_numpy()).all()
    here = patients[known & where.small]
    counts = here[here.map(only).to_numpy(bool)].value_counts().sort_index()
    number = id_uniforms(seed, ORDER, counts.index.tolist())
    leave, left = [], small
    for place in np.argsort(number, kind="stable"):
        if left <= most:
            break
        leave.append(counts.index[place])
        left -= int(counts.iloc[place])
    out = train & patients.isin(leave).to_numpy()
    found = cohort.take(np.flatnonzero(~out))
    reason = f"training image of {', '.join(where.names)} (under-representation)"
    return replace(found, left_out={**cohort.left_out, reason: int(out.sum())})


def marked_shares(cohort: Cohort, target: str, attribute: str) -> pd.DataFrame:
    """How many images have the marker, by part, target and group.

    Args:
        cohort: a planted cohort.
        target: one of its targets.
        attribute: one of its attributes, or an intersection.

    Returns:
        A row per part, target and group: ``split, target, group, n, marked, share``. Images whose
        target or group is unknown are in no row.

    Raises:
        InputError: for a cohort without the attribute ``marker``.

    >>> from fairthesis import datasets
    >>> inner = datasets.load("synthetic-derm", n_train=400, n_val=100, n_test=100)
    >>> table = marked_shares(planted(inner), "malignant", "skin_tone")
    >>> list(table), len(table)
    (['split', 'target', 'group', 'n', 'marked', 'share'], 12)
    """
    marked = (cohort.group_of("marker") == WITH).to_numpy()
    table = pd.DataFrame(
        {
            "split": cohort.frame["split"].to_numpy(),
            "target": cohort.labels(target),
            "group": cohort.group_of(attribute).to_numpy(),
            "marked": marked,
        }
    ).dropna()
    found: Any = table.groupby(["split", "target", "group"])["marked"].agg(["size", "sum"])
    found = found.reset_index().rename(columns={"size": "n", "sum": "marked"})
    return found.assign(target=found["target"].astype(int), share=found["marked"] / found["n"])
