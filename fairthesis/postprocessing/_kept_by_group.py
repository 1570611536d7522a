"""Thresholds and recalibration by group: fitted on a table today, applied to another tomorrow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fairthesis.errors import InputError, unknown
from fairthesis.inputs import (
    PREDICTIONS_TABLE,
    as_frame,
    filled,
    group_values,
    key_column,
    label_column,
    probability_column,
    require_columns,
    rows_of_part,
    rows_of_target,
)
from fairthesis.postprocessing._groups import codes_of
from fairthesis.postprocessing._randomized import CONSTRAINTS, RandomizedThresholds
from fairthesis.postprocessing._recalibration import CALIBRATIONS, GroupRecalibration
from fairthesis.postprocessing._thresholds import LevelUpThresholds

#: What ``fit_by_group`` can fit.
BY_GROUP = (*CONSTRAINTS, "level_up", *CALIBRATIONS)


def fit_by_group(
    frame: pd.DataFrame,
    *,
    group: str,
    method: str,
    target: str | None = None,
    threshold: float = 0.5,
) -> tuple[Any, dict[str, Any]]:
    """Thresholds or a recalibration by group, and what they were fitted on.

    Fitted on the ``val`` rows of a table that has splits, and on all rows of one that has none.
    Rows without label, score or group are left out and counted.

    Args:
        frame: a predictions table: ``y_true, y_score``, the group, ``target`` if several.
        group: the attribute's column.
        method: one of ``BY_GROUP``: a constraint of ``RandomizedThresholds``, ``level_up``
            (``LevelUpThresholds``), or a method of ``GroupRecalibration``.
        target: which target; None where the table has one.
        threshold: of ``level_up``: the single one that it starts from.

    Returns:
        The estimator, and a mapping for ``save_fitted``.

    Raises:
        InputError: for an unknown method, no row, and whatever the estimator refuses.

    >>> table = pd.DataFrame({"sex": list("ffmm"), "y_true": 1, "y_score": [0.6, 0.7, 0.4, 0.3]})
    >>> found, about = fit_by_group(table, group="sex", method="level_up")
    >>> found.by_group(), about["n_rows"]
    ({'f': 0.5, 'm': 0.3}, 4)
    """
    if method not in BY_GROUP:
        raise unknown("method", method, BY_GROUP)
    frame = as_frame(frame, PREDICTIONS_TABLE)
    require_columns(frame, ["y_true", "y_score"], PREDICTIONS_TABLE)
    rows, target = rows_of_target(frame.reset_index(drop=True), target)
    part = "val" if "split" in rows else None
    rows = rows_of_part(rows, "val") if part else rows
    where = " in the val part" if part else ""
    names = group_values(rows, group, PREDICTIONS_TABLE).to_numpy(object)
    y = label_column(rows, "y_true", PREDICTIONS_TABLE)
    s = probability_column(rows, "y_score", PREDICTIONS_TABLE)
    known = ~(pd.isna(names) | np.isnan(y) | np.isnan(s))
    if not known.any():
        raise InputError(f"No row{where} has a label, a score and a {group}: nothing to fit on.")
    made: Any = LevelUpThresholds(threshold)
    if method in CONSTRAINTS:
        made = RandomizedThresholds(method)
    elif method in CALIBRATIONS:
        made = GroupRecalibration(method)
    found = names[known].astype(str).astype(object)
    made.fit_checked(s[known], y[known] > 0, found, group, where)
    digest = hashlib.sha256(np.stack([y[known], s[known]]).tobytes() + "\n".join(found).encode())
    sizes = pd.Series(found).value_counts().sort_index()
    about = {
        "group": group,
        "groups": {str(name): int(n) for name, n in sizes.items()},
        "target": target,
        "splits": [part] if part else None,
        "n_rows": int(known.sum()),
        "n_patients": _patients(rows, known),
        "n_left_out": int((~known).sum()),
        "method": method,
        "fingerprint": digest.hexdigest()[:16],
    }
    return made, about


def _patients(rows: pd.DataFrame, known: Any) -> int | None:
    if "patient_id" not in rows:
        return None
    return int(filled(key_column(rows, "patient_id", PREDICTIONS_TABLE))[known].nunique())


def apply_by_group(
    fitted: Any, about: Mapping[str, Any], frame: pd.DataFrame, *, seed: int = 0
) -> tuple[pd.DataFrame, int]:
    """The rows of a table with decisions or recalibrated scores by what ``fit_by_group`` found.

    No label is needed. All rows of the target are taken, of whatever split; those without a score
    or a group are left out.

    Args:
        fitted: as of ``fit_by_group`` or ``load_fitted``.
        about: the mapping that came with it: ``fitted_on`` of its ``fitted_card``.
        frame: a predictions table: ``y_score``, the group, ``target`` if several.
        seed: of decisions that are drawn at random.

    Returns:
        The rows with ``y_pred``, or with another ``y_score``; and how many are left out.

    Raises:
        InputError: for a group that was not there when it was fitted, a missing column, and no
            row.

    >>> table = pd.DataFrame({"sex": list("ffmm"), "y_true": 1, "y_score": [0.6, 0.7, 0.4, 0.3]})
    >>> fitted, about = fit_by_group(table, group="sex", method="level_up")
    >>> new = pd.DataFrame({"sex": ["m", "f", None], "y_score": [0.4, 0.4, 0.4]})
    >>> rows, left_out = apply_by_group(fitted, about, new)
    >>> rows["y_pred"].tolist(), left_out
    ([1, 0], 1)
    """
    frame, group = as_frame(frame, PREDICTIONS_TABLE), about["group"]
    require_columns(frame, ["y_score"], PREDICTIONS_TABLE)
    target = about.get("target") if "target" in frame else None
    rows, _ = rows_of_target(frame.reset_index(drop=True), target)
    names = group_values(rows, group, PREDICTIONS_TABLE)
    s = probability_column(rows, "y_score", PREDICTIONS_TABLE)
    known = names.notna().to_numpy(bool) & ~np.isnan(s)
    if not known.any():
        raise InputError(f"No row of {PREDICTIONS_TABLE} has a score and a {group}.")
    own, scores = names[known].to_numpy(object), s[known]
    codes_of(own, fitted.groups_, group)
    rows = rows[known].assign(**{group: own})
    if isinstance(fitted, GroupRecalibration):
        rows = rows.assign(y_score=fitted.transform(scores, sensitive_features=own))
    else:
        drawn = {"random_state": seed} if isinstance(fitted, RandomizedThresholds) else {}
        rows = rows.assign(y_pred=fitted.predict(scores, sensitive_features=own, **drawn))
    return rows, int((~known).sum())
