"""From a table of predictions: the smallest gap that a study of this size could see."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import pandas as pd

from fairthesis import stats
from fairthesis.auditing._weights import with_weights
from fairthesis.errors import InputError
from fairthesis.inputs import (
    PREDICTIONS_TABLE,
    as_frame,
    attribute_parts,
    filled,
    group_values,
    key_column,
    label_column,
    require_columns,
    rows_of_split,
    rows_of_target,
)


class GroupSizes(NamedTuple):
    """Each group's cases, and how many images a patient has.

    ``images`` is the mean of images per patient, ``cluster`` the mean weighted by image
    (``stats.cluster_size``), which is what the design effect needs. ``positive_cluster`` is the
    same of positive images alone: a true positive rate rests on these. ``weighting`` and
    ``positive_weighting`` are what unequal weights multiply the variances by (Kish's 1 + cv^2, of
    the group and label in which it is largest): that they differ
    between labels or groups costs nothing.

    >>> GroupSizes({"f": stats.Size(10, 90)}, 1.5, 2.0).cluster
    2.0
    """

    sizes: dict[str, stats.Size]
    images: float
    cluster: float
    positive_cluster: float = 1.0
    weighting: float = 1.0
    positive_weighting: float = 1.0

    def design(self, correlation: float) -> dict[str, float]:
        """The design effect (``stats.design_effect``) of an AUROC and of a true positive rate."""
        clusters = {"auroc": self.cluster, "tpr": self.positive_cluster}
        weighting = {"auroc": self.weighting, "tpr": self.positive_weighting}
        return {
            m: stats.design_effect(size, correlation) * weighting[m] for m, size in clusters.items()
        }


def group_sizes(
    frame: pd.DataFrame,
    *,
    group: str,
    label: str = "y_true",
    patient: str | None = None,
    split: str | None = None,
    target: str | None = None,
    weight: str | None = None,
    what: str = PREDICTIONS_TABLE,
) -> GroupSizes:
    """Positive and negative cases of each group, and images per patient, of a predictions table.

    Args are those of ``power``; ``what`` names the table in messages.

    A group without a positive or without a negative case has no gap to be seen: it is left out,
    with a warning that names it.

    Raises:
        InputError: where a column is missing or cannot be read, and for fewer than two groups with
            cases of both labels.

    >>> table = pd.DataFrame({"y_true": [0, 1, 0, 1], "sex": list("ffmm")})
    >>> group_sizes(table, group="sex").sizes["f"]
    Size(positive=1, negative=1)
    """
    frame = as_frame(frame, what)
    needed = [label, *attribute_parts(frame, group), *(c for c in (patient, weight) if c)]
    require_columns(frame, needed, what)
    used = (label, patient)
    rows, _ = rows_of_split(rows_of_target(frame, target, used)[0], split, used)
    rows = rows.assign(**{label: label_column(rows, label, what)}).dropna(subset=[label])
    rows = with_weights(rows, weight, [], what)
    rows = rows.assign(**{group: group_values(rows, group, what)}).dropna(subset=[group])
    counted = {
        str(name): (int((part[label] == 1).sum()), int((part[label] == 0).sum()))
        for name, part in rows.groupby(group)
    }
    if len(counted) < 2:
        plural = "" if len(counted) == 1 else "s"
        raise InputError(
            f"{group} has {len(counted)} value{plural} in {what}: expected two groups or more."
        )
    sizes = {name: stats.Size(*cases) for name, cases in counted.items() if min(cases)}
    empty = [
        f"{name!r} ({positive} positive, {negative} negative)"
        for name, (positive, negative) in counted.items()
        if name not in sizes
    ]
    if len(sizes) < 2:
        raise InputError(
            f"Expected two groups of {group} or more with positive and negative cases in {what}, "
            f"but got {len(sizes)}: {', '.join(empty)} left out."
        )
    if empty:
        warnings.warn(
            f"Left out of {group}, as a gap needs cases of both labels: {', '.join(empty)}.",
            stacklevel=2,
        )
        rows = rows[rows[group].astype(str).isin(sizes)]
    weighting = _weighting(rows, group, label, weight)
    if patient is None:
        return GroupSizes(sizes, 1.0, 1.0, 1.0, *weighting)
    # As in an audit, a row without a key counts as a patient of its own.
    keys = filled(key_column(rows, patient, what))
    counts = keys.value_counts().to_list()
    positive = keys[(rows[label] == 1).to_numpy()].value_counts().to_list()
    return GroupSizes(
        sizes,
        len(rows) / len(counts),
        stats.cluster_size(counts),
        stats.cluster_size(positive) if positive else 1.0,
        *weighting,
    )


def _weighting(
    rows: pd.DataFrame, group: str, label: str, weight: str | None
) -> tuple[float, float]:
    """Kish's 1 + cv^2 of the weights, the largest of any group and label, and of any positives."""
    if weight is None:
        return 1.0, 1.0
    found = {
        key: len(part) / stats.effective_patients(part[weight])
        for key, part in rows.groupby([group, label])
    }
    return max(found.values()), max((f for (_, y), f in found.items() if y == 1), default=1.0)


def power(
    frame: pd.DataFrame,
    *,
    group: str,
    label: str = "y_true",
    patient: str | None = None,
    split: str | None = None,
    target: str | None = None,
    weight: str | None = None,
    auroc: float = 0.85,
    tpr: float = 0.8,
    correlation: float = 0.5,
    alpha: float = 0.05,
    wanted: float = 0.8,
) -> pd.DataFrame:
    """The smallest gaps between groups that an audit of this table could see.

    A smaller gap will more often than not be missed: that no gap was found then says little.

    Args:
        frame: one row per image, with a 0/1 label and the attribute's column; no scores.
        group: the attribute's column; ``"sex*age_group"`` is an intersection.
        label: the column of 0/1 labels; empty where not stated.
        patient: the column of patient keys; images of a patient then count for less
            (``stats.design_effect``).
        split: the part that counts; ``test`` where the table has a ``split`` column.
        target: the target, where the table has several.
        weight: the column of weights, where the audit will be weighted: unequal ones cost precision
            (Kish 1965), those of the cases of one label of a group.
        auroc: AUROC of the better group, above 0.5 and below 1.
        tpr: true positive rate of that group, between 0 and 1.
        correlation: of outcomes within a patient, from 0 to 1.
        alpha: two-sided level of the test.
        wanted: the chance to see the gap.

    Returns:
        A table with a row for each metric and pair of groups, and the columns ``metric, first,
        second, reference, gap, gap_corrected`` (``stats.smallest_gaps``): the smallest gap that
        is seen where it was planned, and where the audit looks at all gaps and pairs and corrects
        for them. NaN where none could be seen.

    Raises:
        InputError: where a column is missing or cannot be read, for fewer than two groups, and
            for a number out of its range.

    >>> table = pd.DataFrame({"y_true": [0, 1] * 400, "sex": ["f", "f", "m", "m"] * 200})
    >>> power(table, group="sex").round(3)[["metric", "gap"]].to_dict("records")
    [{'metric': 'auroc', 'gap': 0.086}, {'metric': 'tpr', 'gap': 0.123}]
    """
    found = group_sizes(
        frame,
        group=group,
        label=label,
        patient=patient,
        split=split,
        target=target,
        weight=weight,
    )
    return stats.smallest_gaps(
        found.sizes,
        {"auroc": auroc, "tpr": tpr},
        alpha=alpha,
        wanted=wanted,
        design=found.design(correlation),
    )
