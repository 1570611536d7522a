"""Embeddings joined with labels: what a probe is fitted on (``val``) and judged on (``test``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairthesis import inputs, stats
from fairthesis.embeddings._probes import Array, Codes
from fairthesis.embeddings._sources import Source, Table, drawn
from fairthesis.errors import InputError
from fairthesis.inputs import (
    EMBEDDING_KEYS,
    PREDICTIONS_TABLE,
    as_frame,
    embedding_values,
    group_values,
    numbered_columns,
    require_columns,
    rows_of_target,
    text_column,
)

_PLACE = "\x1fplace"  # of a row in its table: no attribute is called so


@dataclass(frozen=True)
class ProbePart:
    """Cases of one part: embedding (n, d), group, target and patient codes of shape (n,)."""

    x: Array
    group: Codes
    target: Codes
    patient: Codes


def join_labels(
    embeddings: Table,
    predictions: pd.DataFrame,
    attribute: str,
    target: str | None,
    prefix: str,
    max_rows: int | None = None,
    seed: int = 0,
) -> tuple[pd.DataFrame, list[str], list[str], dict[str, int], str | None]:
    """Join the embeddings table with a target and an attribute of the predictions table.

    Args:
        embeddings: ``image_id, patient_id, split`` and numbered columns that begin with ``prefix``;
            or the file of such a table, of which the numbers of the rows in use alone are read.
        predictions: ``image_id, y_true``, the attribute, and ``target`` if there are several.
        attribute: the column to be probed.
        target: which target; None where the table has one.
        prefix: of the embedding's columns.
        max_rows: about how many rows of each part are taken at most, by whole patients, drawn.
        seed: of the draw.

    Returns:
        The rows of ``val`` and ``test`` with embedding, target and attribute, by image; the names
        of the embedding's columns; the groups; how many rows are left out, by reason; the target.

    Raises:
        InputError: where a column lacks or does not hold what it must, an image appears twice, a
            patient is in two splits, no row is left, or there is one group only.

    >>> ids = [1, 2, 3]
    >>> table = pd.DataFrame({"image_id": ids, "patient_id": ids, "split": "test"})
    >>> found = join_labels(
    ...     table.assign(disease_0=[0.1, 0.2, 0.3]),
    ...     table.assign(y_true=[0, 1, None], sex=["F", "M", "M"]),
    ...     attribute="sex", target=None, prefix="disease_",
    ... )
    >>> rows, columns, groups, left_out, _ = found
    >>> len(rows), columns, groups, left_out["target not stated"]
    (2, ['disease_0'], ['F', 'M'], 1)
    """
    what = "the embeddings table"
    source = Source(embeddings, prefix, what)
    columns = source.columns
    predictions = as_frame(predictions, PREDICTIONS_TABLE)
    require_columns(predictions, ["image_id", "y_true"], PREDICTIONS_TABLE)
    if attribute in (*EMBEDDING_KEYS, *columns):
        raise InputError(
            f"{attribute!r} is a column of {what} with a meaning of its own: expected an attribute "
            "of the predictions table, such as sex. Rename it there to probe it."
        )
    predictions, target = rows_of_target(predictions, target)
    labels = predictions[["image_id"]].copy()
    labels["y_true"] = inputs.label_column(predictions, "y_true", PREDICTIONS_TABLE)
    labels[attribute] = group_values(predictions, attribute, PREDICTIONS_TABLE)
    rows = source.keys()
    rows["patient_id"] = inputs.filled(inputs.key_column(rows, "patient_id", what))
    rows["split"] = text_column(rows["split"])
    for frame, name in ((rows, what), (labels, PREDICTIONS_TABLE)):
        frame["image_id"] = inputs.key_column(frame, "image_id", name)
        if frame["image_id"].dropna().duplicated().any():
            raise InputError(f"An image_id appears twice in {name}: expected one row per image.")
    labels = labels.dropna(subset=["image_id"])
    shared = rows.groupby("patient_id")["split"].nunique()
    if (shared > 1).any():
        raise InputError(
            f"{int((shared > 1).sum())} patients of {what} are in more than one split, the first "
            f"is {shared.index[shared > 1][0]!r}: a probe is judged on patients that neither the "
            "encoder nor the probe has seen. Split by patient."
        )
    both = int(rows["split"].isin(["val", "test"]).sum())
    used = drawn(rows, max_rows, seed)
    rows = rows.assign(**{_PLACE: np.arange(len(rows))})[used]
    joined = rows.merge(labels, on="image_id", how="left", indicator=True)
    left_out = {"drawn from more rows": both - len(rows)} if len(rows) < both else {}
    left_out |= {
        "not in the predictions table": int((joined["_merge"] != "both").sum()),
        f"no {attribute}": int((joined[attribute].isna() & (joined["_merge"] == "both")).sum()),
    }
    joined = joined[joined[attribute].notna()]
    left_out["target not stated"] = int(joined["y_true"].isna().sum())
    joined = joined[joined["y_true"].notna()]
    if joined.empty:
        raise InputError(
            f"No image of the val and test parts has an embedding, a {attribute} and a target: "
            "do the tables belong together?"
        )
    # A probe may depend on the order of its rows: it is that of the keys, not that of the table.
    joined = joined.sort_values("image_id", ignore_index=True)
    values = source.values(joined[_PLACE].to_numpy(np.intp))
    found = pd.DataFrame(values, columns=columns)
    joined = pd.concat([joined.drop(columns=_PLACE), found], axis=1)
    groups = sorted(joined[attribute].unique())
    if len(groups) < 2:
        raise InputError(f"{attribute} has only {groups[0]!r}: expected at least two groups.")
    return joined, columns, groups, left_out, target


def of_another(
    rows: pd.DataFrame, random: pd.DataFrame, prefix: str, what: str
) -> tuple[pd.DataFrame, list[str]]:
    """``rows`` with another table's columns in place of the encoder's, and their names."""
    require_columns(random, ["image_id"], what)
    columns = numbered_columns(random, prefix)
    other = random[["image_id", *columns]].assign(
        image_id=inputs.key_column(random, "image_id", what)
    )
    keys = rows.drop(columns=numbered_columns(rows, prefix))
    if not columns or not set(keys["image_id"]) <= set(other["image_id"]):
        raise InputError(
            f"Expected {what} to hold columns {prefix}... for the same images, but it does not."
        )
    found = pd.DataFrame(embedding_values(other, columns, what), columns=columns, index=other.index)
    other = pd.concat([other[["image_id"]], found], axis=1)
    return keys.merge(other.drop_duplicates("image_id"), on="image_id", how="left"), columns


def part(
    rows: pd.DataFrame, columns: list[str], groups: list[str], split: str, attribute: str
) -> ProbePart:
    """The cases of one split; refuses a split that lacks a group."""
    own = rows[rows["split"] == split]
    group = pd.Categorical(own[attribute], categories=groups).codes.astype(np.intp)
    if len(np.unique(group)) < len(groups):
        lacking = sorted(set(groups) - set(own[attribute]))
        raise InputError(f"The {split} part has no {attribute} = {lacking[0]!r}: cannot probe it.")
    return ProbePart(
        own[columns].to_numpy(np.float64),
        group,
        (own["y_true"].to_numpy(np.float64) > 0).astype(np.intp),
        stats.patient_index(own["patient_id"]),
    )
