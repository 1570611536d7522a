"""Cohort: one row per image, with targets, attributes and a patient-disjoint split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.errors import InputError, unknown
from fairthesis.schema import SPLITS, require_columns

Render = Callable[[NDArray[np.intp], int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Cohort:
    """A table of images that a model can be trained on and audited with.

    ``frame`` has one row per image and the columns ``image_id`` (unique string), ``patient_id``
    (string), ``split`` (``train``, ``val``, ``test``), one float column per target (1 present,
    0 absent, NaN not stated), one string column per attribute (null where unknown), and either
    ``path`` (relative to ``root``, for images in files) or none (for images that ``render``
    makes). ``left_out`` counts the rows of the source that are not in the frame, by reason.

    ``render(rows, size)`` gives uint8 images of shape (len(rows), size, size, channels) for row
    positions ``rows`` of the frame.
    """

    name: str
    frame: pd.DataFrame
    targets: tuple[str, ...]
    attributes: tuple[str, ...]
    channels: int = 1
    root: Path | None = None
    render: Render | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        what = f"the cohort {self.name}"
        require_columns(self.frame, ["image_id", "patient_id", "split"], what)
        require_columns(self.frame, [*self.targets, *self.attributes], what)
        if self.render is None:
            require_columns(self.frame, ["path"], what)
        if len(self.frame) == 0:
            raise InputError(f"No images are left in {what}: {dict(self.left_out) or 'no rows'}.")
        doubled = self.frame["image_id"].duplicated()
        if doubled.any():
            value = self.frame.loc[doubled, "image_id"].iloc[0]
            raise InputError(f"Image id {value!r} appears twice in {what}: expected unique ids.")
        strange = set(self.frame["split"].unique()) - set(SPLITS)
        if strange:
            raise unknown(f"split in {what}", sorted(map(str, strange))[0], SPLITS)
        shared = self.frame.groupby("patient_id")["split"].nunique()
        if (shared > 1).any():
            value = shared.index[shared > 1][0]
            raise InputError(
                f"Patient {value!r} of {what} is in more than one split: expected splits by "
                "patient."
            )

    def __len__(self) -> int:
        return len(self.frame)

    def fingerprint(self) -> str:
        """SHA-256 over the table (ids, splits, targets, attributes), 16 hexadecimal digits.

        The same rows give the same fingerprint on any machine, whatever their location. For drawn
        images all that the drawing depends on is part of it (``render.signature()``).
        """
        columns = ["image_id", "patient_id", "split", *self.targets, *self.attributes]
        text = self.frame[columns].to_csv(index=False, lineterminator="\n", float_format="%.6g")
        text += getattr(self.render, "signature", str)()
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def groups(self, attribute: str) -> list[str]:
        """The sorted values of an attribute.

        Raises ``InputError`` where the cohort has no such attribute.
        """
        if attribute not in self.attributes:
            raise unknown(f"attribute of {self.name}", attribute, self.attributes)
        return sorted(self.frame[attribute].dropna().unique())

    def codes(self, attribute: str) -> NDArray[np.int64]:
        """The attribute as integers 0..k-1 in the order of ``groups``; -1 where unknown."""
        values = pd.Categorical(self.frame[attribute], categories=self.groups(attribute))
        return values.codes.astype(np.int64)

    def labels(self, target: str) -> NDArray[np.float32]:
        """The target as floats 0, 1 or NaN, shape (n_images,)."""
        if target not in self.targets:
            raise unknown(f"target of {self.name}", target, self.targets)
        return self.frame[target].to_numpy(dtype=np.float32)
