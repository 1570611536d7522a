"""Your own images: a CSV table with a column of image files, of labels and of attributes.

Images: PNG, JPEG, TIFF and their like, and DICOM, in files below the folder that holds the table.
Labels and groups: the columns you name; labels are 0 or 1 (true/false, yes/no), empty is not
stated, never 0. ``fairthesis datasets dicom`` makes the table of a folder of DICOM files.

Pitfalls: name the column of patients, or the split will share them between its parts; check the
table with ``fairthesis datasets check-leaks``; links that lead out of the folder are followed, and
counted. Access: yours. Licence: that of your data.
Citation: that of your data.

    fairthesis datasets describe csv --data-root mine --option table=images.csv \\
        --option image=file --option patient=pid --option targets=cancer --option attributes=sex

The options may stand in a YAML file instead: ``--option config=mine.yml``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import inputs
from fairthesis.data import FRACTIONS, Cohort, Window, split_by_patient
from fairthesis.datasets.loaders._images import Images
from fairthesis.datasets.loaders._release import Release
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import (
    SPLITS,
    attribute_parts,
    parameter_kinds,
    require_columns,
    typed_option,
)

ANSWERS = {"1": 1.0, "1.0": 1.0, "true": 1.0, "yes": 1.0, "y": 1.0}
ANSWERS |= {"0": 0.0, "0.0": 0.0, "false": 0.0, "no": 0.0, "n": 0.0}
OPTIONS = (
    *("table", "image", "patient", "lesion", "targets", "attributes"),
    *("split", "channels", "fractions", "window"),
)


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    config: str | None = None,
    table: str | None = None,
    image: str = "path",
    patient: str | None = None,
    lesion: str | None = None,
    targets: str | Sequence[str] = (),
    attributes: str | Sequence[str] = (),
    split: str | None = None,
    channels: int = 3,
    fractions: tuple[float, float, float] = FRACTIONS,
    window: Window = "own",
) -> Cohort:
    """A cohort from ``root/table``; several columns are given as a list or ``a,b``.

    An attribute may be an intersection of columns, ``sex*age_group``.

    ``split`` names a column with train, val, test; without it patients (and lesions) are dealt
    out in ``fractions``. ``patient`` may be the column of ``image`` where every image is another
    patient. ``window`` says which values of 16-bit grey and of DICOM are black and white: ``own``
    (the DICOM file's; else each image's least and largest), ``full`` (all that the bits allow),
    ``LOW,HIGH``, or ``equalised`` (the grey levels of each image spread evenly). ``config`` is a
    YAML file in ``root`` with these options by name.
    """
    release = Release("csv", root, holds="your table (.csv)")
    given: dict[str, Any] = {"table": table, "image": image, "patient": patient, "lesion": lesion}
    given |= {"targets": targets, "attributes": attributes, "split": split, "channels": channels}
    given |= {"fractions": fractions, "window": window}
    if config is not None:
        given |= read_config(release.home / config, load, OPTIONS)
    labels, groups = as_names(given["targets"]), as_names(given["attributes"])
    for option, value, what in (
        ("targets", labels, "columns of labels"),
        ("patient", given["patient"], "column of patients (the image's own column where each "
         "image is another patient)"),
        ("table", given["table"], "name of the table in the folder"),
    ):  # fmt: skip
        if not value:
            raise InputError(f"Expected the option {option}: the {what}, in the table (.csv).")
    if given["channels"] not in (1, 3):
        raise InputError(f"Expected channels to be 1 or 3, but got {given['channels']!r}.")
    keys = [given[key] for key in ("image", "patient", "lesion", "split") if given[key]]
    source = release.table([str(given["table"])], [*keys, *labels])
    columns = [part for name in groups for part in attribute_parts(source, name)]
    require_columns(source, columns, str(release.home / str(given["table"])))

    source = release.usable(source, given["image"], given["patient"])
    path = source[given["image"]]
    release.images = f"files at the paths in the column {given['image']!r}, relative to the folder"
    patients = source[given["patient"]]
    images = Images(release, image_id=path, patient_id=patients, path=release.existing(path))
    for name in labels:
        images.frame[name] = as_label(source[name])
    for name in columns:
        images.frame[name] = source[name].str.strip()
    disjoint = ["patient_id"]
    if given["lesion"]:
        images.frame["lesion_id"] = source[given["lesion"]]
        disjoint.append("lesion_id")
    own = as_split(source[given["split"]]) if given["split"] else None
    if own is not None:  # not used then, but refused all the same where they are no shares
        split_by_patient(images.frame.head(1), fractions=given["fractions"])
    cohort = images.cohort(
        labels,
        groups,
        channels=int(given["channels"]),
        seed=seed,
        fractions=given["fractions"],
        keys=disjoint,
        split=own,
    )
    return replace(cohort, window=given["window"])


def as_names(value: str | Sequence[str]) -> list[str]:
    """``a,b`` or a list of names as a list."""
    names = value.split(",") if isinstance(value, str) else [str(name) for name in value]
    return [name.strip() for name in names if name.strip()]


def read_config(path: Path, load: Callable[..., Any], options: Sequence[str]) -> dict[str, Any]:
    """The ``options`` in a YAML or JSON file, typed as ``load`` says."""
    found, text = inputs.read_document(path, "options")
    known = parameter_kinds(load)
    return typed_option(
        {name: known[name] for name in options}, found, f"option in {path.name}", text=text
    )


def as_label(values: pd.Series) -> NDArray[np.float64]:
    """A column of text as 1, 0 or NaN (not stated); anything else is refused."""
    text = values.str.strip().str.lower()
    label = text.map(ANSWERS)
    strange = label.isna() & text.notna() & (text != "")
    if strange.any():
        raise InputError(
            f"Label {values[strange].iloc[0]!r} in the column {values.name!r}: expected 0, 1 or "
            "empty (not stated)."
        )
    return np.asarray(label, dtype=np.float64)


def as_split(values: pd.Series) -> pd.Series:
    """A column of text as train, val and test."""
    text = values.str.strip().str.lower().replace({"valid": "val", "validation": "val"})
    strange = ~text.isin(SPLITS)
    if strange.any():
        raise unknown(f"split in the column {values.name!r}", values[strange].iloc[0], SPLITS)
    return text
