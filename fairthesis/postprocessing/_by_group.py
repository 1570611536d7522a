"""Tables in, tables out: thresholds and recalibration by group, fitted on ``val``.

Each function takes a predictions table and gives its ``test`` rows with a new column. All of them
need the patient's group when they are used, which is a decision of its own.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.embeddings import Leace
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import (
    PREDICTIONS_TABLE,
    as_frame,
    as_text,
    embedding_columns,
    embedding_values,
    group_values,
    is_empty,
    require_columns,
    row_labels,
    row_scores,
    rows_of_target,
    text_column,
)
from fairthesis.postprocessing._erasing import LABELS, WHAT, erased_frame, groups_of
from fairthesis.postprocessing._groups import Array
from fairthesis.postprocessing._randomized import CONSTRAINTS, RandomizedThresholds
from fairthesis.postprocessing._recalibration import CALIBRATIONS, GroupRecalibration
from fairthesis.postprocessing._thresholds import LevelUpThresholds, decide

IN_VAL = " in the val part"


def equalize(
    frame: pd.DataFrame,
    *,
    group: str,
    constraint: str = "equalized_odds",
    objective: str = "balanced_accuracy_score",
    target: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Test rows with ``y_pred`` by fairlearn's ThresholdOptimizer (Hardt, Price, Srebro 2016).

    Thresholds by group, drawn at random between two where the constraint needs it. Fitted on
    ``val``. Rows without label, score or group are left out.

    Args:
        frame: a predictions table: ``split, y_true, y_score``, the group, ``target`` if several.
        group: the attribute's column; it is needed again wherever the thresholds are used.
        constraint: ``equalized_odds``, ``demographic_parity``, ``true_positive_rate_parity`` or
            ``false_positive_rate_parity``.
        objective: what fairlearn maximises under the constraint.
        target: which target; None where the table has one.
        seed: decides the draw.

    Raises:
        InputError: for an unknown constraint, a part without rows, a group in test that val lacks,
            or a group with one class in val.

    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"split": ["val", "test"] * 200, "sex": rng.choice(["f", "m"], 400)})
    >>> table["y_true"] = rng.integers(0, 2, 400)
    >>> table["y_score"] = (table["y_true"] + rng.random(400)) / 2
    >>> sorted(equalize(table, group="sex")["y_pred"].unique().tolist())
    [0, 1]
    """
    if constraint not in CONSTRAINTS:
        raise unknown("constraint", constraint, CONSTRAINTS)
    val, test = _parts(frame, group, target)
    fitted = RandomizedThresholds(constraint, objective).fit_checked(
        *_cases(val, group), group, IN_VAL
    )
    called = fitted.predict(test["y_score"], sensitive_features=test[group], random_state=seed)
    return test.assign(y_pred=called)


def level_up_thresholds(
    frame: pd.DataFrame, *, group: str, threshold: float, target: str | None = None
) -> dict[str, float]:
    """A threshold per group that raises the worst group's TPR to the best one's; none is lowered.

    From one ``threshold`` for all, every group's threshold goes down until its true positive rate
    on ``val`` is at least the highest among groups; it never goes up, so no group's TPR falls
    below what the single threshold gives, on any data. The price is paid in false positives:
    look at them.

    Args:
        frame: a predictions table, as for ``equalize``.
        group: the attribute's column.
        threshold: the single one, 0 to 1.
        target: which target; None where the table has one.

    Raises:
        InputError: for a threshold out of range, or a group without a positive case in val.

    Reference: Mittelstadt, Wachter and Russell 2023 (on levelling up).

    >>> table = pd.DataFrame({"split": ["val", "val", "test"] * 2, "sex": list("fffmmm")})
    >>> table["y_true"], table["y_score"] = 1, [0.6, 0.7, 0.6, 0.4, 0.3, 0.4]
    >>> level_up_thresholds(table, group="sex", threshold=0.5)
    {'f': 0.5, 'm': 0.3}
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold is {threshold:g}: expected a number from 0 to 1.")
    val, _ = _parts(frame, group, target)
    return LevelUpThresholds(threshold).fit_checked(*_cases(val, group), group, IN_VAL).by_group()


def apply_thresholds(
    frame: pd.DataFrame, cut: dict[str, float], *, group: str, target: str | None = None
) -> pd.DataFrame:
    """Test rows with ``y_pred``: 1 where the score is at least the threshold of the row's group.

    Args:
        frame: a predictions table, as for ``equalize``.
        cut: the threshold of each group, as of ``level_up_thresholds``.
        group: the attribute's column.
        target: which target; None where the table has one.

    Raises:
        InputError: where test has no row, or a group without a threshold.

    >>> table = pd.DataFrame({"split": ["test"] * 2, "sex": ["f", "m"], "y_true": [1, 0]})
    >>> table["y_score"] = 0.4
    >>> apply_thresholds(table, {"f": 0.5, "m": 0.3}, group="sex")["y_pred"].tolist()
    [0, 1]
    """
    rows = _stated(frame, group, target)
    test = rows[rows["split"] == "test"]
    if test.empty:
        raise InputError(f"No row of the test part has a label, a score and a {group}.")
    for name in test[group].unique():
        if name not in cut:
            raise unknown(f"{group} without a threshold", name, cut)
    return test.assign(y_pred=decide(test["y_score"].to_numpy(), test[group].to_numpy(object), cut))


def recalibrate(
    frame: pd.DataFrame, *, group: str, method: str = "logistic", target: str | None = None
) -> pd.DataFrame:
    """Test rows with ``y_score`` recalibrated in each group by a map fitted on its ``val`` rows.

    The order of scores within a group is kept, up to ties. Between groups it changes, and with it
    the overall AUROC.

    Args:
        frame: a predictions table, as for ``equalize``.
        group: the attribute's column.
        method: ``logistic``, the line of ``fairthesis.metrics.recalibration_line`` on the logit
            (Platt 1999; Cox 1958), or ``isotonic``, the monotone step function (Zadrozny and Elkan
            2002), which wants some hundreds of cases per group.
        target: which target; None where the table has one.

    Raises:
        InputError: for an unknown method, a group with one class in val, or where no rising line
            can be fitted.

    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"split": ["val", "test"] * 500, "sex": ["f", "f", "m", "m"] * 250})
    >>> table["y_true"] = rng.integers(0, 2, 1000)
    >>> table["y_score"] = 0.8 + 0.1 * rng.random(1000) + 0.02 * table["y_true"]
    >>> round(float(table["y_score"].mean()), 1), round(float(table["y_true"].mean()), 1)
    (0.9, 0.5)
    >>> round(float(recalibrate(table, group="sex")["y_score"].mean()), 1)
    0.5
    """
    if method not in CALIBRATIONS:
        raise unknown("calibration", method, CALIBRATIONS)
    val, test = _parts(frame, group, target)
    val = val[val[group].isin(test[group])]  # a group that nobody asks for needs no map
    fitted = GroupRecalibration(method).fit_checked(*_cases(val, group), group, IN_VAL)
    return test.assign(y_score=fitted.transform(test["y_score"], sensitive_features=test[group]))


def erase_attribute(
    embeddings: pd.DataFrame, labels: pd.DataFrame, *, group: str, prefix: str = "disease_"
) -> pd.DataFrame:
    """The embeddings table, its columns ``prefix`` + number after LEACE of the attribute ``group``.

    The eraser (``fairthesis.embeddings.Leace``) is fitted on the rows outside ``test`` whose
    group is known and applied to every row: it needs no group where it is used. Columns keep their
    type.

    Args:
        embeddings: ``image_id``, ``split`` and numbered columns that begin with ``prefix``.
        labels: ``image_id`` and the attribute, as in a predictions table.
        group: the attribute's column.
        prefix: of the columns that are changed.

    Raises:
        InputError: where an image has two groups, none outside test has any, or all have one.

    Reference: Belrose et al., NeurIPS 2023.

    >>> table = pd.DataFrame({"image_id": list("abcd"), "split": "val", "disease_0": [0., 1, 4, 5]})
    >>> table["disease_1"] = [1.0, 0, 0, 1]
    >>> groups = pd.DataFrame({"image_id": list("abcd"), "sex": ["f", "f", "m", "m"]})
    >>> erase_attribute(table, groups, group="sex")["disease_0"].round(6).tolist()
    [2.5, 2.5, 2.5, 2.5]
    """
    embeddings, labels = as_frame(embeddings, WHAT), as_frame(labels, LABELS)
    require_columns(embeddings, ["image_id", "split"], WHAT)
    columns = embedding_columns(embeddings, prefix, WHAT)
    x = embedding_values(embeddings, columns, WHAT)
    names = groups_of(embeddings, labels, group)
    outside = (text_column(embeddings["split"]) != "test").fillna(True)
    fitted = (outside & names.notna()).to_numpy(bool)
    if not fitted.any():
        raise InputError(
            f"No row of {WHAT} outside the test part has a known {group}: expected val or train "
            "rows to fit on. Do the tables belong together?"
        )
    eraser = Leace().fit(x[fitted], names[fitted].to_numpy(str))
    return erased_frame(eraser, embeddings, columns)


def _stated(frame: pd.DataFrame, group: str, target: str | None) -> pd.DataFrame:
    """Rows of the target with score, label and group known, as numbers that an audit takes."""
    frame = as_frame(frame, PREDICTIONS_TABLE)
    require_columns(frame, ["split", "y_true", "y_score"], PREDICTIONS_TABLE)
    rows, _ = rows_of_target(frame.reset_index(drop=True), target)
    names = group_values(rows, group, PREDICTIONS_TABLE)
    rows = rows.assign(**{group: names.astype(object), "split": as_text(rows["split"])})
    there = ~(is_empty(rows["y_true"]) | is_empty(rows["y_score"]))
    rows = rows[rows["split"].isin(["val", "test"]) & there].dropna(subset=[group])
    y = row_labels(rows, "y_true", both=False) if len(rows) else np.empty(0)
    s = row_scores(rows, "y_score") if len(rows) else np.empty(0)
    return rows.assign(y_true=y.astype(np.int64), y_score=s)


def _cases(rows: pd.DataFrame, group: str) -> tuple[Array, NDArray[np.bool_], NDArray[np.object_]]:
    """Scores, labels and groups as the estimators take them."""
    return (
        rows["y_score"].to_numpy(np.float64),
        rows["y_true"].to_numpy() > 0,
        rows[group].to_numpy(object),
    )


def _parts(
    frame: pd.DataFrame, group: str, target: str | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = _stated(frame, group, target)
    val, test = (rows[rows["split"] == part] for part in ("val", "test"))
    for part, name in ((val, "val"), (test, "test")):
        if part.empty:
            raise InputError(f"No row of the {name} part has a label, a score and a {group}.")
    strange = set(test[group]) - set(val[group])
    if strange:
        raise unknown(f"{group} in the test part", sorted(strange)[0], set(val[group]))
    return val, test
