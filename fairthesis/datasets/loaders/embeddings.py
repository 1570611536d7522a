"""Vectors of any encoder: a table of embeddings, and a table of labels, groups and patients.

Images: none, but vectors: Parquet or CSV with numbered columns (``z_000``, ``z_001``, ...) or one
column of lists, ``.npy``, ``.npz`` or ``.safetensors`` with keys; one file or a folder of shards.
They stay on disk and are read by row. Labels and groups: a row per image, or a predictions table
with ``target`` and ``y_true``; without ``table``, columns of the vectors' own table. The two are
joined by key.

Pitfalls: name the column of patients, or the split will share them between its parts; keep to the
encoder's own split, where it was trained on some of these images: what it has seen, it knows.
Train with ``backbone: none``: the vectors are the features, standardised by the training part.
Access: yours. Licence: that of your data and of the encoder.
Citation: that of your data and of the encoder.

    fairthesis datasets describe embeddings --data-root mine --option vectors=dinov2.parquet \\
        --option table=labels.csv --option targets=cancer --option attributes=sex

The options may stand in a YAML file instead: ``--option config=mine.yml``. A folder that
``fairthesis embed`` wrote needs none: its ``embeddings.json`` names the labels and groups.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairthesis import data
from fairthesis.data import FRACTIONS, Cohort, VectorTable, split_by_patient
from fairthesis.datasets.loaders._release import Release
from fairthesis.datasets.loaders.own_csv import as_label, as_names, as_split, read_config
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import (
    SPLITS,
    attribute_parts,
    key_column,
    read_table,
    require_columns,
    text_column,
)

OPTIONS = (
    *("vectors", "ids", "prefix", "table", "key", "patient", "lesion", "targets", "attributes"),
    *("split", "fractions"),
)
DEFAULT = "embeddings.parquet"
DESCRIPTION = "embeddings.json"


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    config: str | None = None,
    vectors: str | None = None,
    ids: str | None = None,
    prefix: str | None = None,
    table: str | None = None,
    key: str = "image_id",
    patient: str = "patient_id",
    lesion: str | None = None,
    targets: str | Sequence[str] = (),
    attributes: str | Sequence[str] = (),
    split: str | None = None,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """A cohort of the vectors in ``root/vectors``; several columns are given as a list or ``a,b``.

    ``vectors``, ``ids``, ``prefix`` and ``key`` are as ``fairthesis.data.read_vectors`` has them.
    ``table`` holds the labels; without it they are columns beside the vectors. ``split`` names a
    column with train, val, test; by default it is ``split`` where there is one, and else patients
    (and lesions) are dealt out in ``fractions``. ``targets`` may be left out of a table with
    ``target`` and ``y_true``. ``config`` is a YAML file in ``root`` with these options by name.
    """
    release = Release("embeddings", root, holds="your vectors (.parquet) and labels (.csv)")
    home, left_out = release.home, Counter[str]()
    given: dict[str, Any] = {"vectors": vectors, "ids": ids, "prefix": prefix, "table": table}
    given |= {"key": key, "patient": patient, "lesion": lesion, "split": split}
    given |= {"targets": targets, "attributes": attributes, "fractions": fractions}
    if config is None and not (given["table"] or as_names(targets) or attributes):
        given |= _described(home, given)
    if config is not None:
        given |= read_config(home / config, load, OPTIONS)
    key, patient = given["key"], given["patient"]
    found = data.read_vectors(
        home / (given["vectors"] or DEFAULT),
        key=key,
        prefix=given["prefix"],
        ids=home / given["ids"] if given["ids"] else None,
    )
    rows, names = _labelled(found, home, given)
    groups = as_names(given["attributes"])
    columns = [part for name in groups for part in attribute_parts(rows, name)]
    what = str(given["table"] or given["vectors"] or DEFAULT)
    require_columns(rows, [patient, *names, *columns], what)
    if not names:
        raise InputError(f"Expected the option targets: the columns of labels in {what}.")

    frame = pd.DataFrame({"image_id": rows[key].to_numpy(object)})
    frame["patient_id"] = key_column(rows, patient, what).to_numpy(object)
    for name in names:
        frame[name] = as_label(text_column(rows[name]))
    for name in columns:
        frame[name] = text_column(rows[name]).to_numpy(object)
    keys = ["patient_id"]
    if given["lesion"]:
        require_columns(rows, [given["lesion"]], what)
        frame["lesion_id"] = key_column(rows, given["lesion"], what).to_numpy(object)
        keys.append("lesion_id")
    column = given["split"] or _split_column(rows)
    if column:
        require_columns(rows, [column], what)
        frame["split"] = as_split(text_column(rows[column])).to_numpy(object)
    places = found.places(frame["image_id"])
    kept = (places >= 0) & frame["patient_id"].notna().to_numpy()
    left_out["row without a vector"] = int((places < 0).sum())
    left_out["row without a patient"] = int((frame["patient_id"].isna() & (places >= 0)).sum())
    left_out["vector without a row of labels"] = len(found.frame) - int((places >= 0).sum())
    if not kept.any():
        raise InputError(
            f"None of the {len(frame)} rows of {what} has a vector: its {key} is "
            f"{frame['image_id'].iloc[0]!r}, that of the vectors {found.frame[key].iloc[0]!r}. "
            "Expected the same keys in both."
        )
    frame = frame[kept].reset_index(drop=True)
    if not column:
        strata = [names[0], *groups[:1]]
        frame["split"] = split_by_patient(
            frame, keys, strata, seed=seed, fractions=given["fractions"]
        )
    return Cohort(
        "embeddings",
        frame,
        tuple(names),
        tuple(groups),
        left_out={reason: count for reason, count in left_out.items() if count},
        vectors=found.vectors(places[kept]),
    )


def _described(home: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The options that ``fairthesis embed`` wrote beside its table, where they are not given."""
    if not (home / DESCRIPTION).is_file():
        return {}
    usual = inspect.signature(load).parameters
    own = read_config(home / DESCRIPTION, load, OPTIONS)
    return {name: value for name, value in own.items() if given[name] == usual[name].default}


def _labelled(
    found: VectorTable, home: Path, given: dict[str, Any]
) -> tuple[pd.DataFrame, list[str]]:
    """The table of labels, a row per key, and the names of its targets."""
    key, names = given["key"], as_names(given["targets"])
    own = found.frame
    if not given["table"]:
        return own, names
    rows = read_table(home / str(given["table"]))
    what = str(given["table"])
    require_columns(rows, [key], what)
    rows[key] = key_column(rows, key, what)
    rows = rows[rows[key].notna()]
    if {"target", "y_true"} <= set(rows.columns):
        rows, names = _wide(rows, key, names, what)
    doubled = rows[key].duplicated()
    if doubled.any():
        value = rows.loc[doubled, key].iloc[0]
        raise InputError(f"The key {value!r} appears twice in {what}: expected one row per image.")
    # The patient and the split may stand beside the vectors alone.
    lacking = [c for c in own.columns if c not in rows.columns]
    return rows.merge(own[[key, *lacking]], on=key, how="left"), names


def _wide(
    rows: pd.DataFrame, key: str, names: list[str], what: str
) -> tuple[pd.DataFrame, list[str]]:
    """A table with a row per image and target, as one with a column per target."""
    known = list(dict.fromkeys(rows["target"].dropna().astype(str)))
    for name in names:
        if name not in known:
            raise unknown(f"target of {what}", name, known)
    names = names or known
    wide = rows.drop_duplicates(key).drop(columns=["target", "y_true", "y_score"], errors="ignore")
    for name in names:
        own = rows[rows["target"].astype(str) == name]
        if own[key].duplicated().any():
            value = own.loc[own[key].duplicated(), key].iloc[0]
            raise InputError(f"The key {value!r} of {name} appears twice in {what}.")
        wide[name] = wide[key].map(own.set_index(key)["y_true"])
    return wide, names


def _split_column(rows: pd.DataFrame) -> str | None:
    """``split``, where it says train, val or test throughout."""
    if "split" not in rows.columns:
        return None
    values = text_column(rows["split"]).str.lower()
    return "split" if bool(np.isin(values.dropna().unique(), SPLITS).all()) else None
