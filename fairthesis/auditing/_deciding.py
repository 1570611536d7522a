"""The class of the highest probability as the decision: counted, resampled and compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from fairthesis import metrics, stats
from fairthesis.auditing._decisions import Decided, Decisions
from fairthesis.auditing._estimates import unanimous_interval
from fairthesis.auditing._findings import class_names, sums_off_one
from fairthesis.auditing._report import Estimate
from fairthesis.inputs import (
    PREDICTIONS_TABLE,
    filled,
    key_column,
    number_column,
    row_groups,
)
from fairthesis.stats import Interval

Array = NDArray[np.float64]
# What is compared between groups, and the name of the gap.
GAPS = {"accuracy": "accuracy_gap", "balanced_accuracy": "balanced_accuracy_gap"}


def decisions(
    rows: pd.DataFrame,
    columns: Mapping[str, str],
    label: str,
    groups: Sequence[str],
    patient: str | None,
    *,
    floor: int,
    n_boot: int,
    seed: int,
) -> Decisions:
    """Decide for the class of the highest probability in every row of ``class_rows``.

    Of equal ones the first in the order of ``columns`` is taken; how often is in ``warnings``, and
    so are probabilities that do not add up to 1 and classes that a group does not have.
    """
    names = list(columns)
    total, off = sums_off_one(rows, columns)
    scores = np.stack([number_column(rows, c, PREDICTIONS_TABLE) for c in columns.values()], axis=1)
    warnings = _warnings(scores, total, off, names)
    truth = pd.Categorical(class_names(rows[label]), categories=names).codes.astype(np.intp)
    parts = {a: row_groups(rows, a) for a in groups}
    who = _patients(rows, patient, [truth, *scores.T, *(c.codes for c in parts.values())])
    decided = scores.argmax(axis=1)
    masks = [np.ones(len(rows), bool)]
    for column in parts.values():
        masks += [column.codes == k for k in range(len(column.categories))]
    drawn = _draws(truth, decided == truth, who, masks, len(names), n_boot, seed)
    every = [
        _part(truth[m], decided[m], who[m], names, drawn[:, k], n_boot) for k, m in enumerate(masks)
    ]
    found: dict[str, dict[str, Decided]] = {}
    place = 1
    for attribute, column in parts.items():
        n = len(column.categories)
        found[attribute] = dict(
            zip(map(str, column.categories), every[place : place + n], strict=True)
        )
        place += n
        warnings += _missing(attribute, found[attribute])
    return Decisions(
        classes=tuple(names),
        overall=every[0],
        groups=found,
        disparities={a: _gaps(members, floor) for a, members in found.items()},
        floor=floor,
        warnings=tuple(warnings),
    )


def _warnings(
    scores: Array, total: Array, off: NDArray[np.bool_], names: Sequence[str]
) -> list[str]:
    told = []
    if off.any():
        told.append(
            f"The class probabilities of {int(off.sum())} of {len(total)} rows do not add up to 1 "
            f"(sums from {total.min():.4g} to {total.max():.4g}): they are taken as they are. Of a "
            "softmax they would."
        )
    tied = int(((scores == scores.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum())
    if tied:
        told.append(
            f"In {tied} of {len(total)} rows two or more classes share the highest probability: "
            f"the first of them in the order {', '.join(names)} is taken as the decision."
        )
    return told


def _missing(attribute: str, members: Mapping[str, Decided]) -> list[str]:
    """Groups in which the mean over classes is not known."""
    told = []
    for name, part in members.items():
        gone = [c for c, e in part.recalls.items() if math.isnan(e.value)]
        if gone:
            told.append(
                f"{attribute} = {name} has no case of {', '.join(gone)}: its balanced accuracy is "
                "not known, and it is left out of that gap."
            )
    return told


def _patients(
    rows: pd.DataFrame, patient: str | None, values: Sequence[NDArray[Any]]
) -> NDArray[np.intp]:
    """Patients as whole numbers; each row its own where there is no key.

    Rows are numbered in the order of what they hold, so that the table's order does not count.
    """
    if patient is None:
        who = np.empty(len(rows), np.intp)
        who[np.lexsort(values[::-1])] = np.arange(len(rows))
        return who
    keys = key_column(rows, patient, PREDICTIONS_TABLE, [])
    order = np.lexsort([*values[::-1], pd.factorize(keys, sort=True)[0]])
    found = np.empty(len(rows), np.intp)
    found[order] = stats.patient_index(filled(keys.iloc[order].reset_index(drop=True)))
    return found


def _draws(
    truth: NDArray[np.intp],
    right: NDArray[np.bool_],
    who: NDArray[np.intp],
    masks: Sequence[NDArray[np.bool_]],
    k: int,
    n_boot: int,
    seed: int,
) -> Array:
    """Cases and those decided rightly by part and class, (n_boot, parts, 2, k).

    Sums over patients once, so that a resample is one product.
    """
    if not n_boot:
        return np.empty((0, len(masks), 2, k))
    n_patients, shape = int(who.max()) + 1, (len(masks), 2, k)
    cells, patients = [], []
    for place, mask in enumerate(masks):
        for part, chosen in enumerate((mask, mask & right)):
            cells.append(np.ravel_multi_index((place, part, truth[chosen]), shape))
            patients.append(who[chosen])
    cell, patient = np.concatenate(cells), np.concatenate(patients)
    size = (int(np.prod(shape)), n_patients)
    sums = csr_matrix((np.ones(len(cell), np.float32), (cell, patient)), shape=size)
    drawn = stats.bootstrap(
        lambda counts: np.asarray((sums @ counts.T).T, np.float64), n_patients, n_boot, seed
    )
    return drawn.reshape(n_boot, *shape)


def _part(
    truth: NDArray[np.intp],
    decided: NDArray[np.intp],
    who: NDArray[np.intp],
    names: Sequence[str],
    drawn: Array,
    n_boot: int,
) -> Decided:
    k = len(names)
    confusion = np.bincount(truth * k + decided, minlength=k * k).reshape(k, k)
    cases, right = confusion.sum(axis=1), np.diagonal(confusion)
    values = metrics.ratio(right.astype(float), cases.astype(float))
    spread = metrics.ratio(drawn[:, 1], drawn[:, 0])

    def share(value: float, replicates: Array, patients: NDArray[np.intp]) -> Estimate:
        if n_boot and value in (0, 1):  # resamples say nothing of the precision
            return Estimate(value, unanimous_interval(value, patients))
        return Estimate(value, _ends(value, replicates))

    recalls = {
        name: share(float(values[c]), spread[:, c], who[truth == c]) for c, name in enumerate(names)
    }
    accuracy = float(right.sum() / len(truth)) if len(truth) else math.nan
    of_all = metrics.ratio(drawn[:, 1].sum(axis=1), drawn[:, 0].sum(axis=1))
    balanced = float(values.mean())  # NaN where a class is missing
    ends = _ends(balanced, spread.mean(axis=1))
    if any(e.value in (0, 1) for e in recalls.values()):
        ends = _of_unanimous(list(recalls.values()))
    return Decided(
        n=len(truth),
        n_patients=len(np.unique(who)),
        confusion=confusion,
        metrics={
            "accuracy": share(accuracy, of_all, who),
            "balanced_accuracy": Estimate(balanced, ends),
        },
        recalls=recalls,
    )


def _ends(value: float, replicates: Array) -> Interval | None:
    return stats.percentile_interval(replicates) if math.isfinite(value) else None


def _of_unanimous(recalls: Sequence[Estimate]) -> Interval | None:
    """The mean of recalls of which some are 0 or 1, from their own intervals (MOVER).

    Cases of different classes are taken as independent.
    """
    known = [(e.value, *e.ci) for e in recalls if e.ci is not None]
    if len(known) < len(recalls):
        return None
    value, low, high = np.array(known).T
    below = np.linalg.norm(np.maximum(value - low, 0)) / len(value)
    above = np.linalg.norm(np.maximum(high - value, 0)) / len(value)
    return float(value.mean() - below), float(value.mean() + above)


def _gaps(members: Mapping[str, Decided], floor: int) -> dict[str, Estimate]:
    """Largest less smallest among the groups that are large enough."""
    found = {}
    for metric, name in GAPS.items():
        own = [m.metrics[metric] for m in members.values() if m.n >= floor]
        own = [e for e in own if math.isfinite(e.value)]
        if len(own) < 2:
            found[name] = Estimate(math.nan)
            continue
        values = [e.value for e in own]
        ends = stats.gap_interval(values, [e.ci for e in own])
        found[name] = Estimate(max(values) - min(values), ends)
    return found
