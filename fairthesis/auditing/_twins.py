"""What a model makes of twins: images in which one thing alone was changed.

A gap between groups, and a probe of embeddings, see a shortcut that differs between groups. One
that is the same in all groups moves no gap. A twin shows it: the picture of the same patient
without the device has another score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import stats
from fairthesis.auditing._estimates import interval_of, level_of, unanimous_interval
from fairthesis.auditing._twins_report import TwinReport
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import (
    as_frame,
    attribute_columns,
    filled,
    label_column,
    probability_column,
    require_columns,
    row_groups,
    row_scores,
    rows_of_target,
    with_keys,
)

Array = NDArray[np.float64]
Sums = NDArray[np.float64]
#: Columns of twins' scores are called ``twin_`` and the name of the change.
TWIN = "twin_"
#: What is told of every change: name of the measure -> words.
TWIN_MEASURES = {
    "score": "mean change of the score",
    "logit": "mean change of the logit, in spreads",
    "logit_absolute": "mean absolute change of the logit, in spreads",
    "flips": "share of decisions that flip",
}
WHAT = "the table of twins"
LEAST = 2.0**-24  # of a score: what float32 tells apart from 1
FEW = 10  # patients
ALL = "all"
#: Columns of ``TwinReport.effects``.
TWIN_COLUMNS = (
    *("target", "change", "attribute", "group", "n", "n_patients", "measure", "value"),
    *("ci_low", "ci_high"),
)


class _Cell(NamedTuple):
    change: str
    attribute: str
    group: str
    rows: NDArray[np.intp]


def twin_effects(
    pairs: pd.DataFrame,
    *,
    groups: Sequence[str] | None = None,
    threshold: float | Mapping[str, float] = 0.5,
    rule: str = "fixed",
    n_boot: int = 2000,
    seed: int = 0,
    words: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> TwinReport:
    """How much scores and decisions change when one thing alone is changed, by group.

    With s the score of an image and t that of its twin, l = log(s / (1 - s)), and means over the
    images of a group that the change applies to: ::

        score           mean(t - s)
        logit           mean(l(t) - l(s)) / spread
        logit_absolute  mean(abs(l(t) - l(s))) / spread
        flips           share with (t >= threshold) other than (s >= threshold)
        spread          sqrt((var(l given y = 0) + var(l given y = 1)) / 2)

    The spread is that of the original images' logits within the classes of the target, all groups
    together, both classes alike (as in d_a: Simpson and Fitter 1973, Psychol. Bull. 80). It does
    not change with prevalence, and a change in spreads is the same for every affine map of the
    logit: models, and a model before and after its scores are rescaled, can be compared. Within
    classes, since between them the logit is meant to differ: a better model would else seem to
    change less. The distance of the classes in the same unit is the report's ``separation``.

    Args:
        pairs: a predictions table (``y_score``; ``y_true``, ``patient_id``, ``image_id``,
            ``target`` and attributes where known) with a column ``twin_NAME`` for each change: the
            score of the twin, empty where the change does not apply to the image.
        groups: attributes, or intersections ``a*b``; all of the table's attributes if None.
        threshold: of a decision; one, or one for each target.
        rule: how it was chosen, to be reported.
        n_boot: resamples of patients for the intervals (percentiles, with the spread drawn anew; a
            share of 0 or 1 has Clopper and Pearson's interval); 0 leaves them out.
        seed: of the resamples.
        words: name of a change -> what it is in words.
        settings: what else is to be said in the report.

    Raises:
        InputError: where a column is missing or cannot be read, or no change is there.

    >>> table = pd.DataFrame({"y_true": [0, 1, 0, 1], "y_score": [0.2, 0.6, 0.4, 0.8]})
    >>> table = table.assign(sex=["F", "F", "M", "M"], twin_device_removed=[0.1, 0.4, 0.4, None])
    >>> report = twin_effects(table, groups=["sex"], n_boot=0)
    >>> found = report.effects.query("measure == 'flips'")
    >>> found[["group", "n", "value"]].round(3).values.tolist()
    [['all', 3, 0.333], ['F', 2, 0.5], ['M', 1, 0.0]]
    """
    pairs = with_keys(as_frame(pairs, WHAT), ["image_id", "patient_id"], WHAT)
    changes = [str(name).removeprefix(TWIN) for name in pairs if str(name).startswith(TWIN)]
    if not changes:
        raise InputError(f"No column of {WHAT} is called {TWIN}...: expected one for each change.")
    require_columns(pairs, ["y_score"], WHAT)
    if groups is None:
        groups = attribute_columns(pairs.drop(columns=[f"{TWIN}{name}" for name in changes]))
    parts: list[pd.DataFrame] = []
    about: dict[str, dict[str, Any]] = {}
    warnings: list[str] = []
    names = list(dict.fromkeys(pairs["target"])) if "target" in pairs else [None]
    for name in names:
        rows, _ = rows_of_target(pairs, name)
        target = "" if name is None else str(name)
        point = _point(threshold, target)
        found = _Pairs(rows, changes, groups, point)
        parts.append(found.effects(n_boot, seed).assign(target=target))
        about[target] = {
            "threshold": {"value": point, "rule": rule},
            "spread": found.spread,
            "separation": found.separation,
            "n": len(rows),
            "n_patients": found.n_patients,
        }
        warnings += [f"{target}: {text}" if len(names) > 1 else text for text in found.warnings()]
    told = {name: (words or {}).get(name, name.replace("_", " ")) for name in changes}
    return TwinReport(
        effects=pd.concat(parts, ignore_index=True)[list(TWIN_COLUMNS)],
        targets=about,
        changes=told,
        warnings=tuple(warnings),
        settings={"n_boot": n_boot, "seed": seed, "groups": list(groups), **(settings or {})},
    )


def _point(threshold: float | Mapping[str, float], target: str) -> float:
    if not isinstance(threshold, Mapping):
        return float(threshold)
    if target not in threshold:
        raise unknown("target with a threshold", target, threshold)
    return float(threshold[target])


def _logit(score: Array) -> Array:
    # A score that float32 rounds to 0 or 1 has no logit: it is the last that can be told apart.
    held = np.clip(score, LEAST, 1 - LEAST)
    return np.asarray(np.log(held) - np.log1p(-held))


class _Pairs:
    """The images and twins of one target as arrays, and what is made of them."""

    def __init__(
        self, rows: pd.DataFrame, changes: Sequence[str], groups: Sequence[str], threshold: float
    ) -> None:
        keys = [name for name in ("patient_id", "image_id") if name in rows]
        rows = rows.sort_values(keys, kind="stable") if keys else rows
        rows = rows.reset_index(drop=True)
        who = filled(rows["patient_id"]) if "patient_id" in rows else pd.Series(range(len(rows)))
        self.patient = stats.patient_index(who)
        self.n_patients = int(self.patient.max()) + 1
        self.score = row_scores(rows, "y_score", WHAT)
        self.twins = {name: probability_column(rows, f"{TWIN}{name}", WHAT) for name in changes}
        self.threshold = threshold
        self.logit = _logit(self.score)
        known = np.full(len(rows), np.nan)
        label = label_column(rows, "y_true", WHAT) if "y_true" in rows else known
        self.cells: list[_Cell] = []
        by_group = {name: row_groups(rows, name) for name in groups}
        for change, other in self.twins.items():
            applies = ~np.isnan(other)
            self.cells.append(_Cell(change, ALL, ALL, np.flatnonzero(applies)))
            for attribute, found in by_group.items():
                for code, group in enumerate(found.categories):
                    here = np.flatnonzero(applies & (found.codes == code))
                    self.cells.append(_Cell(change, attribute, str(group), here))
        # Of both classes the number, the sum and the sum of squares; from their middle, for
        # squares of large numbers lose digits.
        centred = self.logit - self.logit.mean()
        columns = [
            column
            for value in (0.0, 1.0)
            for column in np.stack([np.ones_like(centred), centred, centred**2]) * (label == value)
        ]
        self.classes = np.stack([self._by_patient(column) for column in columns], axis=-1)
        moments = _moments(self.classes.sum(0)[None])
        self.spread = float(_spread(moments)[0])
        middle = moments[..., 1, 0] - moments[..., 0, 0]
        self.separation = float(middle[0] / self.spread) if self.spread > 0 else float("nan")

    def _by_patient(self, column: Array, rows: NDArray[np.intp] | None = None) -> Sums:
        at = self.patient if rows is None else self.patient[rows]
        return np.asarray(np.bincount(at, column, self.n_patients), np.float64)

    def effects(self, n_boot: int, seed: int) -> pd.DataFrame:
        """A row per change, group and measure, with its interval."""
        sums = [self.classes]
        for cell in self.cells:
            s, t = self.score[cell.rows], self.twins[cell.change][cell.rows]
            moved = _logit(t) - self.logit[cell.rows]
            flips = (t >= self.threshold) != (s >= self.threshold)
            columns = (np.ones(len(s)), t - s, moved, np.abs(moved), flips.astype(np.float64))
            sums.append(np.stack([self._by_patient(c, cell.rows) for c in columns], axis=-1))
        table = np.concatenate(sums, axis=1)
        value = _measures(table.sum(0)[None])[0]
        drawn = np.empty((0, *value.shape))
        if n_boot:
            drawn = stats.bootstrap(
                lambda counts: _measures(counts.astype(np.float64) @ table),
                *(self.n_patients, n_boot, seed),
            )
        rows = []
        for k, cell in enumerate(self.cells):
            who = self.patient[cell.rows]
            place = {
                **{"change": cell.change, "attribute": cell.attribute, "group": cell.group},
                **{"n": len(who), "n_patients": len(np.unique(who))},
            }
            for m, measure in enumerate(TWIN_MEASURES):
                ends = self._interval(measure, float(value[k, m]), drawn[:, k, m], who)
                rows.append({**place, "measure": measure, "value": value[k, m], **ends})
        return pd.DataFrame(rows)

    @staticmethod
    def _interval(
        measure: str, value: float, drawn: Array, who: NDArray[np.intp]
    ) -> dict[str, float]:
        if not len(drawn) or not np.isfinite(value):
            ends = None
        elif measure == "flips" and value in (0, 1):  # resamples say nothing there
            ends = unanimous_interval(value, who)
        else:
            ends = interval_of(value, drawn, np.empty(0), level_of(who))
        low, high = ends or (np.nan, np.nan)
        return {"ci_low": low, "ci_high": high}

    def warnings(self) -> list[str]:
        """What to beware of."""
        told = []
        if not self.spread > 0:
            told.append(
                "The logit has no spread within the classes of the target (no labels, or scores "
                "all alike): its changes cannot be told in spreads."
            )
        cut = np.mean((self.score <= LEAST) | (self.score >= 1 - LEAST))
        if cut > 0.01:
            told.append(
                f"{100 * cut:.0f} % of the scores are 0 or 1 to float32's last digit: their "
                "logits are cut there, and changes of the logit are too small."
            )
        few = {
            f"{cell.group} ({cell.attribute})"
            for cell in self.cells
            if 0 < len(np.unique(self.patient[cell.rows])) < FEW
        }
        if few:
            told.append(
                f"Fewer than {FEW} patients in {', '.join(sorted(few))}: expect wide intervals "
                "that miss the truth more often than they say."
            )
        return told


def _moments(sums: Sums) -> Array:
    """Mean and variance of both classes, (..., 2 classes, 2), from their sums (..., 6)."""
    held = sums.reshape(*sums.shape[:-1], 2, 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = held[..., 1] / held[..., 0]
        variance = np.maximum(held[..., 2] / held[..., 0] - mean**2, 0)
    return np.stack([mean, variance], axis=-1)


def _spread(moments: Array) -> Array:
    """Root of the mean variance of the classes that are there, shape (...,)."""
    variance = moments[..., 1]
    there = np.isfinite(variance)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(np.where(there, variance, 0).sum(-1) / there.sum(-1)))


def _measures(sums: Sums) -> Array:
    """The four measures of every cell from the sums, (c, 6 + 5 cells) to (c, cells, 4)."""
    spread = _spread(_moments(sums[:, :6]))
    cells = sums[:, 6:].reshape(len(sums), -1, 5)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = cells[..., 1:] / cells[..., :1]
        found[..., 1:3] /= np.where(spread > 0, spread, np.nan)[:, None, None]
    return np.asarray(found)
