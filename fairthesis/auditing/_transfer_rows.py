"""The tables of a model in two cohorts, and their rows as the tests of a shift take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.auditing._shift import Sample
from fairthesis.errors import InputError
from fairthesis.inputs import (
    as_frame,
    attribute_parts,
    embedding_columns,
    embedding_values,
    filled,
    group_values,
    is_empty,
    key_column,
    label_column,
    numbered_columns,
    require_columns,
    row_scores,
    rows_of_split,
    rows_of_target,
)
from fairthesis.stats import patient_index

INTERNAL, EXTERNAL = "in-distribution", "external"


@dataclass(frozen=True)
class TransferTables:
    """One model's tables in its own cohort and in another one.

    ``internal`` are predictions of the cohort that the model was trained on, with its ``val`` and
    ``test`` rows in a column ``split``; ``external`` those of the other cohort, of which all rows
    are taken; the embeddings, tables of ``image_id`` and numbered columns, are of the same images.

    >>> table = pd.DataFrame({"image_id": [1], "y_true": [1], "y_score": [0.7]})
    >>> TransferTables(table, table).external_embeddings is None
    True
    """

    internal: pd.DataFrame
    external: pd.DataFrame
    internal_embeddings: pd.DataFrame | None = None
    external_embeddings: pd.DataFrame | None = None


@dataclass(frozen=True)
class Columns:
    """What the columns are called, and which rows are asked for."""

    groups: tuple[str, ...]
    label: str
    score: str
    patient: str
    target: str | None
    split: str | None
    prefix: tuple[str, ...]


@dataclass(frozen=True)
class CohortRows:
    """A cohort's rows with a score, by image: as a sample, with labels where there are any.

    ``groups`` has a text or None for each row, attribute to (n,).
    """

    sample: Sample
    groups: dict[str, NDArray[np.object_]]

    @property
    def labelled(self) -> bool:
        """Whether any row has a label."""
        return self.sample.y is not None and bool(np.isfinite(self.sample.y).any())

    def members(self, attribute: str) -> set[str]:
        """The groups that have a row."""
        return {name for name in self.groups[attribute] if name is not None}

    def of(self, attribute: str, group: str) -> Sample:
        """The rows of one group."""
        return self.sample.rows(self.groups[attribute] == group)


def checked_tables(tables: TransferTables, name: str, columns: Columns) -> TransferTables:
    """The tables, with the columns that are needed, and nothing but the target's rows."""
    found = []
    for which, given in ((INTERNAL, tables.internal), (EXTERNAL, tables.external)):
        what = f"the {which} predictions of {name}"
        frame = as_frame(given, what)
        needed = ["image_id", columns.score, columns.patient]
        needed += [columns.label] if which == INTERNAL else []
        parts = [part for group in columns.groups for part in attribute_parts(frame, group)]
        require_columns(frame, [*dict.fromkeys([*needed, *parts])], what)
        if which == EXTERNAL and columns.label not in frame.columns:
            frame = frame.assign(**{columns.label: np.nan})
        used = (columns.label, columns.score, columns.patient)
        frame, _ = rows_of_target(frame, columns.target, used)
        if which == EXTERNAL:
            frame = frame.drop(columns=[c for c in ("split",) if c in frame.columns])
        if frame.empty:
            raise InputError(f"No row in {what}: expected one row per image.")
        found.append(frame.reset_index(drop=True))
    return TransferTables(
        found[0], found[1], tables.internal_embeddings, tables.external_embeddings
    )


def cohort_rows(
    frame: pd.DataFrame, embeddings: pd.DataFrame | None, columns: Columns, what: str
) -> CohortRows:
    """The rows with a score, sorted by image; of a table with ``split`` those of the part."""
    used = (columns.label, columns.score)
    rows, _ = rows_of_split(frame, columns.split, used)
    rows = rows[~is_empty(rows[columns.score])]
    keys = key_column(rows, "image_id", what)
    if keys.isna().any() or keys.duplicated().any():
        raise InputError(
            f"An image_id is empty or appears twice in {what}: expected one row per image."
        )
    order = np.argsort(keys.to_numpy(str), kind="stable")
    rows, keys = rows.iloc[order], keys.iloc[order]
    z = None if embeddings is None else _vectors(embeddings, keys, columns.prefix, what)
    sample = Sample(
        row_scores(rows, columns.score, what),
        patient_index(filled(key_column(rows, columns.patient, what))),
        label_column(rows, columns.label, what),
        z,
    )
    groups = {
        name: np.array([None if pd.isna(v) else str(v) for v in group_values(rows, name, what)])
        for name in columns.groups
    }
    return CohortRows(sample, groups)


def _vectors(
    table: pd.DataFrame, keys: pd.Series, prefixes: tuple[str, ...], what: str
) -> NDArray[np.float64]:
    """The embedding of each image, shape (n, d)."""
    name = what.replace("predictions", "embeddings")
    require_columns(table, ["image_id"], name)
    columns = [column for prefix in prefixes for column in numbered_columns(table, prefix)]
    columns = columns or embedding_columns(table, prefixes[0], name)
    own = pd.Series(np.arange(len(table)), index=key_column(table, "image_id", name))
    if own.index.duplicated().any():
        raise InputError(f"An image_id appears twice in {name}: expected one row per image.")
    at = own.reindex(keys.to_numpy())
    if at.isna().any():
        first = keys[at.isna().to_numpy()].iloc[0]
        raise InputError(
            f"{int(at.isna().sum())} images have no row in {name}, {first} for instance: expected "
            "the embeddings of the same images."
        )
    return embedding_values(table.iloc[at.to_numpy(np.intp)], columns, name)


def alone(
    internal: CohortRows, external: CohortRows, attributes: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """Groups that one cohort has and the other has not: attribute -> cohort -> groups."""
    found = {}
    for attribute in attributes:
        here, there = internal.members(attribute), external.members(attribute)
        if not here & there:
            raise InputError(
                f"No group of {attribute} is in both cohorts: {', '.join(sorted(here)) or 'none'} "
                f"in-distribution, {', '.join(sorted(there)) or 'none'} in the external one. Spell "
                "them alike (--rename is for columns; values are mapped in the table)."
            )
        found[attribute] = {INTERNAL: sorted(here - there), EXTERNAL: sorted(there - here)}
    return found
