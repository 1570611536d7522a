"""What a user gave, as the arrays an audit needs; or a message that says what to mend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.auditing._row_warnings import (
    said_of_missing,
    warn_of_copies,
    warn_of_few_patients,
    warn_of_shared,
)
from fairthesis.auditing._small_cells import SMALL, pooled, said_of_small, without_small
from fairthesis.auditing._strata import Covariate, covariate
from fairthesis.auditing._threshold_source import Source, validation_of
from fairthesis.auditing._weights import relative, with_weights
from fairthesis.errors import InputError
from fairthesis.inputs import (
    OTHERS,
    PREDICTIONS_TABLE,
    as_frame,
    filled,
    group_values,
    is_empty,
    label_column,
    probability_column,
    require_columns,
    row_groups,
    row_labels,
    row_scores,
    rows_of_part,
    rows_of_split,
    rows_of_target,
    with_keys,
)
from fairthesis.stats import patient_index

PATIENT_NAMES = ("patient_id", "patient", "patientid", "subject_id", "patient id")
FILE_ENDINGS = (".png", ".jpg", ".jpeg", ".dcm", ".tif", ".tiff", ".npy")


@dataclass
class ValidationRows:
    """The rows that a threshold was chosen on: labels, scores, patients numbered from 0, weights.

    >>> ValidationRows(np.array([0.0, 1.0]), np.array([0.2, 0.9]), np.arange(2)).y.tolist()
    [0.0, 1.0]
    """

    y: NDArray[np.float64]
    s: NDArray[np.float64]
    patient: NDArray[np.intp]
    weight: NDArray[np.float64] | None = None


@dataclass
class AuditedRows:
    """The rows of an audit, as ``audited_rows`` gives them.

    ``y`` are labels of 0 and 1, ``s`` scores from 0 to 1, ``patient`` numbers from 0, each of shape
    (n,); ``groups`` has a categorical per attribute, -1 among its codes where the group is not
    known. ``threshold`` is the one that ``rule`` gave, ``validation`` the rows it was chosen on,
    ``warnings`` what was left out and why, ``flow`` how many rows there were at each step: in the
    table, of the target, of the part, and those left out for want of a label or a score.
    ``weight`` are weights with a mean of 1, None where all rows count alike; ``covariates`` the
    strata of the columns that are adjusted for; ``rule_from`` the run or the table that the rule
    was applied to, empty for the table's own part.

    >>> table = pd.DataFrame({"y_true": [0, 1], "y_score": [0.2, 0.9], "sex": ["f", "m"]})
    >>> audited_rows(table, groups=["sex"]).groups["sex"].codes.tolist()
    [0, 1]
    """

    y: NDArray[np.float64]
    s: NDArray[np.float64]
    patient: NDArray[np.intp]
    has_patients: bool
    groups: dict[str, pd.Categorical]
    threshold: float
    rule: str
    split: str | None
    target: str | None
    warnings: list[str] = field(default_factory=list)
    validation: ValidationRows | None = None
    flow: dict[str, int | None] = field(default_factory=dict)
    weight: NDArray[np.float64] | None = None
    covariates: dict[str, Covariate] = field(default_factory=dict)
    rule_from: str = ""

    def weight_of(self, rows: NDArray[np.bool_]) -> NDArray[np.float64] | None:
        """The weights of some rows; None where all count alike."""
        return None if self.weight is None else self.weight[rows]


def audited_rows(
    frame: pd.DataFrame,
    *,
    groups: Sequence[str],
    label: str = "y_true",
    score: str = "y_score",
    patient: str | None = None,
    split: str | None = None,
    target: str | None = None,
    threshold: float | str = 0.5,
    threshold_from: Source | None = None,
    weight: str | None = None,
    adjust: Sequence[str] = (),
    floor: int = 30,
    small_cells: bool = False,
) -> AuditedRows:
    """Check a table and the choices, and take the rows that can be audited.

    The arguments are those of ``audit``. Rows without a label, a score or any group are left out
    and reported in ``warnings``; the order of the rows does not count.

    Raises:
        InputError: where a column is missing or cannot be read, no row is left, all labels are
            the same, or an option is out of its range.

    >>> table = pd.DataFrame({"y_true": [0, 1, None], "y_score": [0.2, 0.9, 0.5]})
    >>> rows = audited_rows(table.assign(sex=["f", "m", "m"]), groups=["sex"], threshold=0.4)
    >>> len(rows.y), rows.threshold, len(rows.warnings) > 0
    (2, 0.4, True)
    """
    frame = as_frame(frame, PREDICTIONS_TABLE)
    if isinstance(groups, str):
        groups = (groups,)
    if not groups:
        raise InputError("No group is given: expected at least one attribute column.")
    if len(frame) == 0:
        raise InputError(f"No rows in {PREDICTIONS_TABLE}: expected one row per image.")
    named = [label, score, *(column for column in (patient, weight) if column)]
    require_columns(frame, named, PREDICTIONS_TABLE)
    adjust = (adjust,) if isinstance(adjust, str) else tuple(dict.fromkeys(adjust))
    rule, rate = metrics.parse_threshold(threshold)
    warnings: list[str] = []
    own = ["image_id", *([patient] if patient else [])]
    frame = with_keys(frame.reset_index(drop=True), own, told=warnings)
    flow: dict[str, int | None] = {"rows in the table": len(frame)}
    frame, target = rows_of_target(frame, target, (label, score, patient))
    if target is not None:
        flow[f"of the target {target}"] = len(frame)
    rows, split = rows_of_split(frame, split, (label, score, patient))
    if rows.empty:
        raise InputError(f"No rows in {PREDICTIONS_TABLE} for the chosen split and target.")
    if patient and split is not None:
        warn_of_shared(frame, rows, patient, warnings)
    if split is not None:
        flow[f"of the part {split}"] = len(rows)
    no_label, no_score = is_empty(rows[label]), is_empty(rows[score])
    flow["left out: no label"] = int(no_label.sum())
    flow["left out: no score"] = int((no_score & ~no_label).sum())
    validation, source = rows_of_part(frame, "val"), ""
    if threshold_from is not None:
        if rule == "fixed":
            raise InputError(
                f"The threshold is {threshold!r}, and threshold_from names what a rule is applied "
                "to: expected a rule such as youden or fpr=0.2, or no threshold_from."
            )
        validation, source = validation_of(threshold_from, target, label, score)
    rows = _stated(rows, label, score, warnings)
    rows, stated = with_weights(rows, weight, warnings), len(rows)
    if weight:
        flow[f"left out: no {weight}, or one of 0"] = stated - len(rows)
    rows = _in_order(rows, label, score, groups, patient, weight, adjust)
    warn_of_copies(rows, [label, score, *([patient] if patient else [])], warnings)
    y, s = row_labels(rows, label), row_scores(rows, score)
    if s.min() == s.max():
        warnings.append(
            f"All scores are {s[0]:g}: nothing is ranked, AUROC is 0.5 by definition. "
            "Is this the right column?"
        )
    of_rule = None
    if rule != "fixed":
        if validation.empty:
            raise InputError(
                f"The threshold rule {threshold!r} is applied to rows with split == 'val', and "
                f"{PREDICTIONS_TABLE} has none: expected such rows, or give a number such as 0.5. "
                "Choosing the threshold on the audited rows would flatter the model."
            )
        of_rule = _held(validation, label, score, patient, weight)
        value = metrics.choose_threshold(of_rule.y, of_rule.s, rule, rate, of_rule.weight)
    else:
        value = float(rate if rate is not None else 0.5)
    called = s >= value
    by_attribute = {
        name: _groups(rows, name, y > 0, called, floor, warnings) for name in dict.fromkeys(groups)
    }
    if small_cells:
        by_attribute = _without_small(by_attribute, y > 0, warnings)
        flow = without_small(flow)
    who = _patients(rows, patient, warnings)
    if patient:
        warn_of_few_patients(who, by_attribute, warnings)
    weights = relative(rows, weight, warnings)
    covariates = {name: covariate(rows, name, warnings) for name in adjust}
    if small_cells:
        warnings = [said_of_small(text) for text in warnings]
    return AuditedRows(
        y=y,
        s=s,
        patient=who,
        has_patients=patient is not None,
        groups=by_attribute,
        threshold=value,
        rule=str(threshold) if rule != "fixed" else "fixed",
        rule_from=source,
        split=split,
        target=target,
        warnings=warnings,
        validation=of_rule,
        weight=weights,
        covariates=covariates,
        flow=flow,
    )


def _held(
    rows: pd.DataFrame, label: str, score: str, patient: str | None, weight: str | None
) -> ValidationRows:
    """The validation rows as arrays; what another table does not have is left out."""
    patient, weight = (name if name in rows.columns else None for name in (patient, weight))
    keys = [patient] if patient else []
    held = with_keys(rows.reset_index(drop=True), ["image_id", *keys], told=[])
    held = with_weights(_stated(held, label, score, []), weight, [])
    held = _in_order(held, label, score, [], patient, weight)
    return ValidationRows(
        row_labels(held, label, False),
        row_scores(held, score),
        _patients(held, patient, []),
        relative(held, weight, []),
    )


def _in_order(
    rows: pd.DataFrame,
    label: str,
    score: str,
    groups: Sequence[str],
    patient: str | None,
    weight: str | None = None,
    adjust: Sequence[str] = (),
) -> pd.DataFrame:
    """The rows in an order of their own, so that resampling does not depend on the table's.

    By patient, image, score and label; what is then still equal differs in groups at most.
    """
    own = [c for c in (patient, "image_id") if c is not None and c in rows.columns]
    columns = [rows[c] for c in dict.fromkeys(own)]  # keys by now
    columns += [rows[score], rows[label]]
    columns += [rows[weight]] if weight else []
    named = (*sorted(set(groups)), *sorted(set(adjust)))
    columns += [group_values(rows, name, PREDICTIONS_TABLE) for name in named]
    codes = [pd.factorize(column, sort=True)[0] for column in columns]  # a null comes first
    return rows.iloc[np.lexsort(codes[::-1])]


def _stated(rows: pd.DataFrame, label: str, score: str, warnings: list[str]) -> pd.DataFrame:
    """Rows with a label and a score, both as numbers; the others are counted."""
    no_label, no_score = is_empty(rows[label]), is_empty(rows[score])
    for column, missing in ((label, no_label), (score, no_score & ~no_label)):
        if missing.any():
            warnings.append(
                f"{int(missing.sum())} of {len(rows)} rows have no {column} and are left out."
            )
    kept = rows[~(no_label | no_score)]
    if kept.empty:
        raise InputError(f"No row in {PREDICTIONS_TABLE} has both {label} and {score}.")
    columns = {
        label: label_column(kept, label, PREDICTIONS_TABLE),
        score: probability_column(kept, score, PREDICTIONS_TABLE),
    }
    return kept.assign(**columns)


def _patients(rows: pd.DataFrame, patient: str | None, warnings: list[str]) -> NDArray[np.intp]:
    if patient is None:
        known = [c for c in rows.columns if str(c).lower() in PATIENT_NAMES]
        seen = f" The table has a column {known[0]!r}: name it." if known else ""
        warnings.append(
            "No patient column was named, so every row counts as a patient of its own. If some "
            f"patients have several rows, the intervals are too narrow.{seen}"
        )
        return np.arange(len(rows))
    who = rows[patient]
    if who.isna().any():
        count = int(who.isna().sum())
        warnings.append(f"{count} rows have no {patient}: each counts as a patient of its own.")
        who = filled(who)
    if who.is_unique and who.str.lower().str.endswith(FILE_ENDINGS).all():
        warnings.append(
            f"{patient} looks like a file name, one per row: patients with several images are "
            "then resampled as if they were several patients. Name the patient's own key."
        )
    return patient_index(who)


def _groups(
    rows: pd.DataFrame,
    name: str,
    positive: NDArray[np.bool_],
    called: NDArray[np.bool_],
    floor: int,
    warnings: list[str],
) -> pd.Categorical:
    values = row_groups(rows, name, max(floor, 2))
    if OTHERS in values.categories and OTHERS not in set(rows.get(name, ())):
        pooled = group_values(rows, name, PREDICTIONS_TABLE)[values == OTHERS].nunique()
        warnings.append(
            f"{pooled} groups of {name} have fewer than {max(floor, 2)} rows each: they are pooled "
            f"as {OTHERS!r}."
        )
    missing = int((values.codes < 0).sum())
    if missing:
        warnings.append(
            f"{missing} of {len(rows)} rows have no {name}: they count overall and in no group. "
            + said_of_missing(values.codes < 0, positive, called)
        )
    if len(values.categories) < 2:
        only = f"only {values.categories[0]!r}" if len(values.categories) else "no value at all"
        raise InputError(f"{name} has {only}: expected at least two groups to compare.")
    return values


def _without_small(
    groups: dict[str, pd.Categorical], positive: NDArray[np.bool_], warnings: list[str]
) -> dict[str, pd.Categorical]:
    """The attributes with groups that have no count of 1 to 4; pooled where there was one."""
    found = {}
    for attribute, column in groups.items():
        kept, names = pooled(column, positive)
        if kept is None:
            warnings.append(
                f"{attribute} is not shown: pooling its groups until no count is under {SMALL} "
                "leaves fewer than two."
            )
            continue
        if names:
            warnings.append(
                f"{attribute}: {', '.join(names)} are pooled as {OTHERS!r}, so that no count is "
                f"under {SMALL}."
            )
        found[attribute] = kept
    if not found:
        raise InputError(
            f"No attribute can be shown without counts under {SMALL}: expected one with two groups "
            f"of at least {SMALL} positive and {SMALL} negative rows (--small-cells)."
        )
    return found
