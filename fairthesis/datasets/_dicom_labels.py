"""Labels of a table of one's own, joined to DICOM files by a key that stands in their headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from fairthesis.errors import InputError, unknown
from fairthesis.inputs import key_column, require_columns

#: Key of the table -> the header's element: keys are written as pseudonyms unless they are kept.
DICOM_KEYS = {
    "patient_id": "PatientID",
    "study_id": "StudyInstanceUID",
    "image_id": "SOPInstanceUID",
}
# What joins: besides the keys what is compared only, and written nowhere.
MATCHED = {**DICOM_KEYS, "accession": "AccessionNumber"}


def with_labels(
    table: pd.DataFrame,
    found: pd.DataFrame,
    labels: pd.DataFrame,
    match: tuple[str, str],
    columns: Sequence[str],
    left_out: Counter[str],
) -> pd.DataFrame:
    """The table with columns of the labels, joined by a key as the header has it."""
    ours, theirs = match
    known = ("path", *MATCHED)
    if ours not in known:
        raise unknown("key of DICOM files", ours, known)
    require_columns(labels, [theirs, *columns], "the table of labels")
    if not columns:
        raise InputError("No column of the labels is named: expected those that are to be taken.")
    taken = set(columns) & set(table.columns)
    if taken:
        raise InputError(
            f"The column {sorted(taken)[0]!r} of the labels is one of the table's own: rename it."
        )
    keys = key_column(labels, theirs, "the table of labels")
    rows = labels[list(columns)].set_axis(keys, axis=0)[keys.notna().to_numpy()]
    if rows.index.has_duplicates:
        raise InputError(
            f"{int(rows.index.duplicated().sum())} rows of the labels repeat a key in {theirs!r}: "
            "expected a row for each."
        )
    given = found["path"] if ours == "path" else found[MATCHED[ours]]
    missing = int((~given.isin(rows.index)).sum())
    if missing == len(table):
        raise InputError(
            f"No {ours} of the {len(table)} images is in the column {theirs!r} of the labels: "
            "expected the keys that the headers have."
        )
    if missing:
        left_out["no row of labels (not stated, image kept)"] += missing
    joined = rows.reindex(given.to_numpy()).reset_index(drop=True)
    return pd.concat([table, joined], axis=1)
