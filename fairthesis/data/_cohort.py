"""Cohort: one row per image, with targets, attributes and a patient-disjoint split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.data._vectors import Vectors
from fairthesis.data._windows import OWN, window_text
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import SPLITS, attribute_parts, group_values, require_columns

Render = Callable[[NDArray[np.intp], int], NDArray[np.uint8]]


@dataclass(frozen=True)
class _Some:
    """The drawing of some rows of a cohort."""

    whole: Render
    rows: NDArray[np.intp]

    def __call__(self, rows: NDArray[np.intp], size: int) -> NDArray[np.uint8]:
        return self.whole(self.rows[rows], size)

    def signature(self) -> str:
        """Of the drawing, and of where these rows lie in it."""
        own: str = getattr(self.whole, "signature", str)()
        return own + hashlib.sha256(self.rows.astype("<i8").tobytes()).hexdigest()[:16]

    @property
    def changes(self) -> dict[str, Any]:
        """The changes that the whole knows (``datasets.twin_changes``), of these rows."""
        known = getattr(self.whole, "changes", {})
        return {
            name: replace(change, applies=change.applies[self.rows])
            for name, change in known.items()
        }

    def twin(
        self, rows: NDArray[np.intp], change: str, frame: pd.DataFrame
    ) -> tuple[Render, pd.DataFrame]:
        """Twins of these rows, as the whole draws them."""
        whole: Any = self.whole
        return whole.twin(self.rows[rows], change, frame)


@dataclass(frozen=True)
class Cohort:
    """A table of images that a model can be trained on and audited with.

    Attributes:
        name: the data set's name, which is part of messages and of the cache's folder.
        frame: one row per image, with the columns ``image_id`` (unique string), ``patient_id``
            (string), ``split`` (``train``, ``val``, ``test``), one float column per target (1
            present, 0 absent, NaN not stated), one string column per attribute (null where unknown;
            an intersection ``sex*age_group`` has none of its own), and ``path`` (relative to
            ``root``) where the images are in files.
        targets: the columns of the targets, the main one first.
        attributes: the columns of the attributes, or intersections ``a*b`` of them.
        channels: 1 for grey images, 3 for colour.
        root: the folder that ``path`` is relative to.
        render: ``render(rows, size)`` gives uint8 images of shape (len(rows), size, size, channels)
            for row positions ``rows`` of the frame; None for images in files.
        vectors: numbers of each image in the place of its pixels, as of a foundation model; None
            for images.
        left_out: the rows of the source that are not in the frame, counted by reason.
        window: what is black and white in images in files with more than 8 bits of grey, and in
            DICOM: ``own`` (what a DICOM file says itself; else from each image's own least to its
            largest value), ``full`` (all that the bits allow) or ``LOW,HIGH``, two numbers, of
            DICOM in the units of its rescaled values. Or, in any file, ``equalised``: as ``own``,
            then the grey levels of each image spread evenly, of colour those of its luma. Text or a
            pair of numbers; kept as text.

    Raises:
        InputError: for a window that is none of these, a missing column, no rows, an ``image_id``
            that repeats, another split, and a patient in more than one split.

    >>> frame = pd.DataFrame(
    ...     {
    ...         "image_id": ["1", "2", "3", "4"],
    ...         "patient_id": ["a", "a", "b", "c"],
    ...         "split": ["train", "train", "val", "test"],
    ...         "path": ["1.png", "2.png", "3.png", "4.png"],
    ...         "opacity": [1.0, 0.0, np.nan, 1.0],
    ...         "sex": ["F", "F", "M", None],
    ...     }
    ... )
    >>> cohort = Cohort("mine", frame, ("opacity",), ("sex",), root=Path("images"))
    >>> cohort.groups("sex"), cohort.codes("sex").tolist(), cohort.labels("opacity").tolist()
    (['F', 'M'], [0, 0, 1, -1], [1.0, 0.0, nan, 1.0])
    >>> Cohort("mine", frame.assign(patient_id="a"), ("opacity",), ("sex",))
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: Patient 'a' of the cohort mine is in more than one split: ...
    """

    name: str
    frame: pd.DataFrame
    targets: tuple[str, ...]
    attributes: tuple[str, ...]
    channels: int = 1
    root: Path | None = None
    render: Render | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    vectors: Vectors | None = None
    window: str = OWN

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", window_text(self.window))
        what = f"the cohort {self.name}"
        require_columns(self.frame, ["image_id", "patient_id", "split"], what)
        require_columns(self.frame, [*self.targets, *self._columns()], what)
        if self.render is None and self.vectors is None:
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

    def take(self, rows: NDArray[np.intp]) -> Cohort:
        """The cohort of some of its rows, by position; images that are drawn stay the same."""
        some = getattr(self.render, "some", None)  # of a render that knows how itself
        drawn = None if self.render is None else _Some(self.render, rows)
        return replace(
            self,
            frame=self.frame.iloc[rows].reset_index(drop=True),
            render=some(rows) if some else drawn,
            vectors=None if self.vectors is None else self.vectors.take(rows),
        )

    def fingerprint(self) -> str:
        """SHA-256 over the table (ids, splits, targets, attributes), 16 hexadecimal digits.

        A ``window`` other than ``own`` is part of it. The same rows give the same fingerprint on
        any machine, whatever their location. For drawn images all that the drawing depends on is
        part of it (``render.signature()``).
        """
        columns = ["image_id", "patient_id", "split", *self.targets, *self._columns()]
        text = self.frame[columns].to_csv(index=False, lineterminator="\n", float_format="%.6g")
        text += getattr(self.render, "signature", str)()
        if self.vectors is not None:
            text += f"vectors {self.vectors.digest}"
        if self.window != OWN:
            text += f"window {self.window}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _columns(self) -> list[str]:
        """The columns that the attributes are made of, each once."""
        parts = (attribute_parts(self.frame, name) for name in self.attributes)
        return list(dict.fromkeys(part for names in parts for part in names))

    def group_of(self, attribute: str) -> pd.Series:
        """The group of each image, null where unknown.

        ``attribute`` is one of the cohort's, or an intersection of any number of them, joined by
        ``*``: its groups are named ``F * 80+``, and an image is unknown where any part is.

        Raises:
            InputError: where the cohort has no such attribute.
        """
        known = self._columns()
        for part in attribute_parts(self.frame, attribute):
            if part not in known:
                raise unknown(f"attribute of {self.name}", part, known)
        if attribute in known:
            return self.frame[attribute]
        return group_values(self.frame, attribute, f"the cohort {self.name}")

    def groups(self, attribute: str) -> list[str]:
        """The sorted values of an attribute or an intersection (see ``group_of``)."""
        return sorted(self.group_of(attribute).dropna().unique())

    def codes(self, attribute: str) -> NDArray[np.int64]:
        """The attribute as integers 0..k-1 in the order of ``groups``; -1 where unknown."""
        values = pd.Categorical(self.group_of(attribute), categories=self.groups(attribute))
        return values.codes.astype(np.int64)

    def labels(self, target: str) -> NDArray[np.float32]:
        """The target as floats 0, 1 or NaN, shape (n_images,).

        Raises:
            InputError: where the cohort has no such target.
        """
        if target not in self.targets:
            raise unknown(f"target of {self.name}", target, self.targets)
        return self.frame[target].to_numpy(dtype=np.float32)
