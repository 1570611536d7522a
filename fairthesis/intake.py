"""What a user gave, as the arrays an audit needs; or a message that says what to mend."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import thresholds
from fairthesis.errors import InputError, unknown
from fairthesis.resampling import patient_index
from fairthesis.schema import group_values, require_columns
from fairthesis.values import filled, is_empty, keys, labels, probabilities, text

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
    own = ["image_id", *([patient] if patient else [])]
    frame = with_keys(frame.reset_index(drop=True), own, told=warnings)
    frame, target = of_target(frame, target, (label, score, patient))
    rows, split = of_split(frame, split, (label, score, patient))
    if rows.empty:
        raise InputError(f"No rows in {WHAT} for the chosen split and target.")
    if patient and split is not None:
        _warn_of_shared(frame, rows, patient, warnings)
    validation = part_of(frame, "val")
    rows = _in_order(_stated(rows, label, score, warnings), label, score, groups, patient)
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


def of_target(
    frame: pd.DataFrame, target: str | None, used: Collection[str | None] = ()
) -> tuple[pd.DataFrame, str | None]:
    """The rows of one target, and its name; refuses to choose among several.

    A column ``target`` that is among those ``used`` (as label, say) names no targets.
    """
    if "target" in used:
        if target is not None:
            raise InputError(
                f"The column target is the label (or another column in use) of {WHAT}, so it names "
                f"no targets: leave out --target (target=...), which is {target!r}."
            )
        return frame, None
    if target is None:
        if "target" not in frame.columns:
            return frame, None
        require_columns(frame, ["target"], WHAT)
        found = sorted(text(frame["target"]).dropna().unique())
        if len(found) > 1:
            raise InputError(
                f"The column target holds {len(found)} targets: {', '.join(found[:30])}. "
                "Choose one (--target, target=...): each is audited by itself."
            )
        return frame, (found[0] if found else None)
    require_columns(frame, ["target"], WHAT)
    names = text(frame["target"])
    if not (names == target).any():
        raise unknown("target", target, sorted(names.dropna().unique()))
    return frame[(names == target).fillna(False).to_numpy(bool)], target


def of_split(
    frame: pd.DataFrame, split: str | None, used: Collection[str | None] = ()
) -> tuple[pd.DataFrame, str | None]:
    """The rows of one part and its name: ``test`` where the table has a ``split`` column.

    A column ``split`` that is among those ``used`` (as label, say) names no parts.
    """
    if "split" not in frame.columns or "split" in used:
        if split is not None:
            raise InputError(f"No column split in {WHAT}: cannot take the part {split!r}.")
        return frame, None
    wanted = "test" if split is None else split
    require_columns(frame, ["split"], WHAT)
    names = text(frame["split"])
    if not (names == wanted).any():
        hint = "An audit covers the test part; --split (split=...) chooses another."
        raise unknown("split", wanted, sorted(names.dropna().unique()), hint)
    return frame[(names == wanted).fillna(False).to_numpy(bool)], wanted


def part_of(frame: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of one part; none where there is no ``split`` column, or no such part.

    >>> part_of(pd.DataFrame({"split": ["val ", "test"], "x": [1, 2]}), "val")["x"].tolist()
    [1]
    """
    if "split" not in frame.columns:
        return frame.iloc[:0]
    require_columns(frame, ["split"], WHAT)
    return frame[(text(frame["split"]) == split).fillna(False).to_numpy(bool)]


def with_keys(
    frame: pd.DataFrame,
    columns: Iterable[str],
    what: str = WHAT,
    told: list[str] | None = None,
) -> pd.DataFrame:
    """The frame with those of ``columns`` that it has as keys (``values.keys``)."""
    own = [column for column in dict.fromkeys(columns) if column in frame.columns]
    return frame.assign(**{column: keys(frame, column, what, told) for column in own})


def _in_order(
    rows: pd.DataFrame, label: str, score: str, groups: Sequence[str], patient: str | None
) -> pd.DataFrame:
    """The rows in an order of their own, so that resampling does not depend on the table's.

    By patient, image, score and label; what is then still equal differs in groups at most.
    """
    own = [c for c in (patient, "image_id") if c is not None and c in rows.columns]
    columns = [rows[c] for c in dict.fromkeys(own)]  # keys by now
    columns += [rows[score], rows[label]]
    columns += [group_values(rows, name, WHAT) for name in sorted(set(groups))]
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
        raise InputError(f"No row in {WHAT} has both {label} and {score}.")
    made = {label: labels(kept, label, WHAT), score: probabilities(kept, score, WHAT)}
    return kept.assign(**made)


def labels_of(
    rows: pd.DataFrame, label: str, both: bool = True, what: str = WHAT
) -> NDArray[np.float64]:
    """Labels of 0 and 1 as numbers; ``both`` asks for both of them."""
    values = labels(rows, label, what)
    if np.isnan(values).any():
        raise InputError(f"{label} is empty in {what}: expected 0 (absent) or 1 (present).")
    if both and values.min() == values.max():
        raise InputError(
            f"All {len(values)} labels in {label} are {values[0]:g} in {what}: expected positive "
            "and negative cases. Is this the right column?"
        )
    return values


def scores_of(rows: pd.DataFrame, score: str, what: str = WHAT) -> NDArray[np.float64]:
    """Probabilities as numbers."""
    values = probabilities(rows, score, what)
    if np.isnan(values).any():
        raise InputError(f"{score} is empty in {what}: expected a probability from 0 to 1.")
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
    shared = pd.Index(rows[patient].dropna().unique()).intersection(others.dropna().unique())
    if len(shared):
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
