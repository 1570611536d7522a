"""What a user gave, as the arrays an audit needs; or a message that says what to mend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import thresholds
from fairthesis.errors import InputError, unknown
from fairthesis.resampling import patient_index
from fairthesis.schema import group_values, require_columns

WHAT = "the predictions table"
MAX_GROUPS = 50
FEW = 10  # patients in a group, below which it is said
PATIENT_NAMES = ("patient_id", "patient", "patientid", "subject_id", "patient id")
FILE_ENDINGS = (".png", ".jpg", ".jpeg", ".dcm", ".tif", ".tiff", ".npy")


@dataclass
class Intake:
    """The rows of an audit: label, score, patient number and, per attribute, the group."""

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


def take_in(
    frame: pd.DataFrame,
    label: str,
    score: str,
    groups: Sequence[str],
    patient: str | None,
    split: str | None,
    target: str | None,
    threshold: float | str,
) -> Intake:
    """Check ``frame`` and the choices, and take the rows that can be audited."""
    if isinstance(groups, str):
        groups = (groups,)
    if not groups:
        raise InputError("No group is given: expected at least one attribute column.")
    if len(frame) == 0:
        raise InputError(f"No rows in {WHAT}: expected one row per image.")
    require_columns(frame, [label, score, *([patient] if patient else [])], WHAT)
    rule, rate = thresholds.parse(threshold)
    warnings: list[str] = []
    frame, target = of_target(frame.reset_index(drop=True), target)
    rows, split = of_split(frame, split)
    if rows.empty:
        raise InputError(f"No rows in {WHAT} for the chosen split and target.")
    if patient and split is not None:
        _warn_of_shared(frame, rows, patient, warnings)
    validation = frame[frame["split"] == "val"] if "split" in frame.columns else frame.iloc[:0]
    rows = _stated(rows, label, score, warnings)
    _warn_of_copies(rows, [label, score, *([patient] if patient else [])], warnings)
    y, s = labels_of(rows, label), scores_of(rows, score)
    if s.min() == s.max():
        warnings.append(
            f"All scores are {s[0]:g}: nothing is ranked, AUROC is 0.5 by definition. "
            "Is this the right column?"
        )
    if rule != "fixed":
        if validation.empty:
            raise InputError(
                f"The threshold rule {threshold!r} is applied to rows with split == 'val', and "
                f"{WHAT} has none: expected such rows, or give a number such as 0.5. "
                "Choosing the threshold on the audited rows would flatter the model."
            )
        held = _stated(validation, label, score, [])
        value = thresholds.choose(labels_of(held, label, False), scores_of(held, score), rule, rate)
    else:
        value = float(rate if rate is not None else 0.5)
    by_attribute = {name: _groups(rows, name, warnings) for name in dict.fromkeys(groups)}
    who = _patients(rows, patient, warnings)
    if patient:
        _warn_of_few_patients(who, by_attribute, warnings)
    return Intake(
        y=y,
        s=s,
        patient=who,
        has_patients=patient is not None,
        groups=by_attribute,
        threshold=value,
        rule=str(threshold) if rule != "fixed" else "fixed",
        split=split,
        target=target,
        warnings=warnings,
    )


def of_target(frame: pd.DataFrame, target: str | None) -> tuple[pd.DataFrame, str | None]:
    """The rows of one target, and its name; refuses to choose among several."""
    if target is None:
        if "target" not in frame.columns:
            return frame, None
        found = sorted(map(str, frame["target"].dropna().unique()))
        if len(found) > 1:
            raise InputError(
                f"The column target holds {len(found)} targets: {', '.join(found[:30])}. "
                "Choose one (--target, target=...): each is audited by itself."
            )
        return frame, (found[0] if found else None)
    require_columns(frame, ["target"], WHAT)
    names = frame["target"].astype("string")
    if not (names == target).any():
        raise unknown("target", target, sorted(names.dropna().unique()))
    return frame[(names == target).fillna(False).to_numpy(bool)], target


def of_split(frame: pd.DataFrame, split: str | None) -> tuple[pd.DataFrame, str | None]:
    """The rows of one part and its name: ``test`` where the table has a ``split`` column."""
    if "split" not in frame.columns:
        if split is not None:
            raise InputError(f"No column split in {WHAT}: cannot take the part {split!r}.")
        return frame, None
    wanted = "test" if split is None else split
    names = frame["split"].astype("string")
    if not (names == wanted).any():
        hint = "An audit covers the test part; --split (split=...) chooses another."
        raise unknown("split", wanted, sorted(names.dropna().unique()), hint)
    return frame[(names == wanted).fillna(False).to_numpy(bool)], wanted


def _stated(rows: pd.DataFrame, label: str, score: str, warnings: list[str]) -> pd.DataFrame:
    no_label, no_score = rows[label].isna(), rows[score].isna()
    for column, missing in ((label, no_label), (score, no_score & ~no_label)):
        if missing.any():
            warnings.append(
                f"{int(missing.sum())} of {len(rows)} rows have no {column} and are left out."
            )
    kept = rows[~(no_label | no_score)]
    if kept.empty:
        raise InputError(f"No row in {WHAT} has both {label} and {score}.")
    return kept


def labels_of(
    rows: pd.DataFrame, label: str, both: bool = True, what: str = WHAT
) -> NDArray[np.float64]:
    """Labels of 0 and 1 as numbers; ``both`` asks for both of them."""
    values = pd.to_numeric(rows[label], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = ~np.isin(values, (0.0, 1.0))
    if wrong.any():
        bad = rows[label].iloc[[int(wrong.argmax())]].tolist()[0]  # 2 rather than np.int64(2)
        raise InputError(
            f"{label} is {bad!r} in {what}: expected 0 (absent), "
            "1 (present) or empty (not stated). Map other codes to these first."
        )
    if both and values.min() == values.max():
        raise InputError(
            f"All {len(values)} labels in {label} are {values[0]:g} in {what}: expected positive "
            "and negative cases. Is this the right column?"
        )
    return values


def scores_of(rows: pd.DataFrame, score: str, what: str = WHAT) -> NDArray[np.float64]:
    """Probabilities as numbers."""
    values = pd.to_numeric(rows[score], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if np.isnan(values).any():
        bad = rows[score].iloc[int(np.isnan(values).argmax())]
        raise InputError(f"{score} is {bad!r} in {what}: expected a probability from 0 to 1.")
    outside = (values < 0) | (values > 1)
    if outside.any():
        percent = values.min() >= 0 and 10 < values.max() <= 100
        raise InputError(
            f"{score} is {values[outside][0]:g} in {what}: expected a probability from 0 to 1. "
            + (
                "If these are percentages, divide them by 100 first."
                if percent
                else "If these are logits, apply the logistic function 1 / (1 + exp(-x)) first."
            )
        )
    return values


def _patients(rows: pd.DataFrame, patient: str | None, warnings: list[str]) -> NDArray[np.intp]:
    if patient is None:
        known = [c for c in rows.columns if str(c).lower() in PATIENT_NAMES]
        seen = f" The table has a column {known[0]!r}: name it." if known else ""
        warnings.append(
            "No patient column was named, so every row counts as a patient of its own. If some "
            f"patients have several rows, the intervals are too narrow.{seen}"
        )
        return np.arange(len(rows))
    keys = rows[patient].astype("string")
    if keys.isna().any():
        count = int(keys.isna().sum())
        warnings.append(f"{count} rows have no {patient}: each counts as a patient of its own.")
        own = pd.Series([f"\0{i}" for i in range(len(rows))], index=keys.index, dtype="string")
        keys = keys.fillna(own)
    if keys.is_unique and keys.str.lower().str.endswith(FILE_ENDINGS).all():
        warnings.append(
            f"{patient} looks like a file name, one per row: patients with several images are "
            "then resampled as if they were several patients. Name the patient's own key."
        )
    return patient_index(keys)


def _groups(rows: pd.DataFrame, name: str, warnings: list[str]) -> pd.Categorical:
    values = group_of(rows, name)
    missing = int((values.codes < 0).sum())
    if missing:
        warnings.append(
            f"{missing} of {len(rows)} rows have no {name}: they count overall and in no group."
        )
    if len(values.categories) < 2:
        only = f"only {values.categories[0]!r}" if len(values.categories) else "no value at all"
        raise InputError(f"{name} has {only}: expected at least two groups to compare.")
    return values


def group_of(rows: pd.DataFrame, name: str) -> pd.Categorical:
    """The groups of one attribute, or of an intersection such as ``sex*age_group``."""
    text = group_values(rows, name, WHAT)
    values = pd.Categorical(text, categories=sorted(text.dropna().unique()))
    if len(values.categories) > MAX_GROUPS:
        raise InputError(
            f"{name} has {len(values.categories)} values: expected at most {MAX_GROUPS} groups. "
            "Bin a continuous attribute first, age in decades for instance."
        )
    return values


def _warn_of_shared(
    frame: pd.DataFrame, rows: pd.DataFrame, patient: str, warnings: list[str]
) -> None:
    others = frame.loc[~frame.index.isin(rows.index), patient]
    shared = set(rows[patient].dropna()) & set(others.dropna())
    if shared:
        warnings.append(
            f"{len(shared)} patients of the audited part are also in another split: what the "
            "model saw of them in training flatters these numbers."
        )


def _warn_of_copies(rows: pd.DataFrame, columns: list[str], warnings: list[str]) -> None:
    by_image = "image_id" in rows.columns
    if by_image:
        copies = int(rows["image_id"].dropna().duplicated().sum())
    else:
        # Without an image's key only scores tell: where these repeat anyhow, nothing is known.
        distinct = rows[columns[1]].nunique() > len(rows) / 2
        copies = int(rows.duplicated(columns).sum()) if distinct else 0
    if copies:
        what = "repeat an image_id" if by_image else f"repeat {', '.join(columns)} of another row"
        warnings.append(
            f"{copies} of {len(rows)} rows {what}: each is counted. If they are copies, leave "
            "them out first; copies make intervals too narrow."
        )


def _warn_of_few_patients(
    patient: NDArray[np.intp], groups: dict[str, pd.Categorical], warnings: list[str]
) -> None:
    for attribute, column in groups.items():
        pairs = np.unique(np.stack([patient, column.codes.astype(np.intp)]), axis=1)
        pairs = pairs[:, pairs[1] >= 0]
        for k, count in enumerate(np.bincount(pairs[1], minlength=len(column.categories))):
            if count < FEW:
                warnings.append(
                    f"{attribute} = {column.categories[k]} has only {count} "
                    f"patient{'s' if count != 1 else ''}, however many images: "
                    "what holds for them need not hold for others, and intervals are not to be "
                    "trusted."
                )
        several = int((np.bincount(pairs[0]) > 1).sum())
        if several:
            warnings.append(
                f"{several} patients have rows in more than one group of {attribute}: right for "
                "an attribute of the image, such as its view, or of a visit; for one of the "
                "patient it is an error in the table."
            )
