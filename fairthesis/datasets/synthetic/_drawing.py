"""What synthetic images share: batches, twins, and the shapes that they are drawn from.

Only additions, multiplications, divisions, square roots and comparisons on float32, element by
element: no library function whose last bit differs between machines, so that a cohort has the
same bytes everywhere. Coordinates run from -1 to 1, x to the right and y downwards.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.datasets._twins import Change
from fairthesis.datasets.synthetic._counter import uniform

Field = NDArray[Any]  # float32
# Working arrays of 512 KiB: smaller ones leave threads waiting for one another at every step.
CHUNK_PIXELS = 1 << 17


@dataclass(frozen=True)
class Drawing:
    """The ``render`` of a synthetic cohort, which draws its images: ``render(rows, size)``.

    An image does not depend on the batch that it is drawn in. A subclass draws (``draw``), and
    names its ``target``, its ``group`` and ``group_names`` (of the larger and the smaller group)
    and its ``channels``. What can be changed alone in an image: ``changes``.

    Attributes:
        seed: of the cohort.
        patient: number of each image's patient, the key of the patient's random stream; this and
            the other arrays have shape (n_images,).
        image: number of each image, the key of its own stream.
        minority: whether the patient is of the smaller group.
        age: from 0 (young) to 1 (old).
        disease: whether the disease is shown.
        device: whether the device (the shortcut) is shown.
        contrast: factor on what shows the disease.
        lesion_contrast: mean height of what shows the disease, as a share of the grey scale.
        noise: standard deviation of a pixel's noise, as a share of the grey scale.
        anatomy: how visible the group is; 0 is not at all.

    >>> from fairthesis import datasets
    >>> render = datasets.load("synthetic-cxr", n_train=8, n_val=2, n_test=2).render
    >>> render.group_names, render([0, 3], 24).shape
    (('M', 'F'), (2, 24, 24, 1))
    >>> bool((render([3], 24)[0] == render([0, 3], 24)[1]).all())
    True
    """

    seed: int
    patient: NDArray[np.int64]
    image: NDArray[np.int64]
    minority: NDArray[np.bool_]
    age: NDArray[np.float32]
    disease: NDArray[np.bool_]
    device: NDArray[np.bool_]
    contrast: NDArray[np.float32]
    lesion_contrast: float
    noise: float
    anatomy: float

    channels: ClassVar[int] = 1
    target: ClassVar[str]  # the recorded label of the disease
    group: ClassVar[str]  # the attribute of the larger and the smaller group
    group_names: ClassVar[tuple[str, str]]  # larger, smaller

    def __call__(self, rows: NDArray[np.intp], size: int) -> NDArray[np.uint8]:
        """Images of shape (len(rows), size, size, channels)."""
        rows = np.asarray(rows, dtype=np.intp)
        out = np.empty((len(rows), size, size, self.channels), dtype=np.uint8)
        step = max(1, CHUNK_PIXELS // (size * size))
        # glibc keeps freed blocks smaller than the largest one freed before; others go back to the
        # system and come anew, cleared page by page, at every step: half the speed
        np.empty(1 << 24, dtype=np.uint8)
        for start in range(0, len(rows), step):
            part = self.take(rows[start : start + step]).draw(size)
            part = np.clip(part, 0, 1) * np.float32(255) + np.float32(0.5)
            out[start : start + step] = part.reshape(-1, size, size, self.channels)
        return out

    def draw(self, size: int) -> Field:
        """The images from 0 to 1, shape (n_images, size, size, channels) or without channels."""
        raise NotImplementedError

    def take(self, rows: NDArray[np.intp]) -> Self:
        """The same drawing for the images at ``rows`` only, in that order."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {
            k: v[rows] for k, v in arrays.items() if isinstance(v, np.ndarray)
        }
        return replace(self, **chosen)

    @property
    def changes(self) -> dict[str, Change]:
        """The group, the device and the disease can be changed alone, see ``datasets.twin``."""
        shown = self.target.replace("_", " ")
        return {
            self.group: Change(
                f"other {self.group.replace('_', ' ')}", np.ones(len(self.image), bool)
            ),
            "device_removed": Change("device removed", self.device),
            "device_added": Change("device added", ~self.device),
            "disease_removed": Change(f"{shown} removed", self.disease),
            "disease_added": Change(f"{shown} added", ~self.disease),
        }

    def twin(
        self, rows: NDArray[np.intp], change: str, frame: pd.DataFrame
    ) -> tuple[Self, pd.DataFrame]:
        """The twins of ``rows`` and the table beside them; see ``datasets.twin``."""
        own = self.take(rows)
        if change == self.group:
            larger, smaller = self.group_names
            group = np.where(own.minority, larger, smaller)
            return replace(own, minority=~own.minority), frame.assign(**{change: group})
        what, _, how = change.partition("_")
        there = np.full(len(rows), how == "added")
        if what == "device":
            return replace(own, device=there), frame.assign(device=there.astype(float))
        label, clean = self.target, f"clean_{self.target}"
        turned = own.disease != there
        columns = {clean: there.astype(float)}
        if label in frame:  # it may have another name by now; a wrong label stays wrong
            columns[label] = np.where(turned, 1 - frame[label], frame[label])
        return replace(own, disease=there), frame.assign(**columns)

    def signature(self) -> str:
        """SHA-256 of all that the pixels depend on, beside the drawing's own code."""
        digest = hashlib.sha256(type(self).__name__.encode())
        for f in fields(self):
            value = getattr(self, f.name)
            digest.update(f.name.encode())
            digest.update(
                value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
            )
        return digest.hexdigest()


def rise(edge: Field) -> Field:
    """A smooth step: 0 below -1, 1 above 1."""
    t = edge * np.float32(0.5) + np.float32(0.5)
    np.clip(t, 0, 1, out=t)
    step = t * np.float32(-2)
    step += np.float32(3)
    step *= t
    step *= t
    return step


def bump(q: Field) -> Field:
    """A soft spot: (1 - q)² for a squared distance q below 1, else 0."""
    t = np.maximum(np.float32(1) - q, 0)
    return t * t


def wave(phase: Field) -> Field:
    """A periodic arch between 0 and 1, of period 1."""
    t = phase - np.floor(phase)
    return np.float32(4) * t * (np.float32(1) - t)


def enlarge(coarse: Field, size: int) -> Field:
    """Fields of shape (n, k, k) as (n, size, size), smoothly interpolated."""
    k = coarse.shape[-1]
    at = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32((k - 1) / size)
    low = np.minimum(at.astype(np.intp), k - 2)
    t = at - low.astype(np.float32)
    t = t * t * (np.float32(3) - np.float32(2) * t)
    # np.take, since an array from indexing by arrays keeps the indexed axis first in memory
    rows = coarse.take(low, axis=1) * (1 - t)[:, None] + coarse.take(low + 1, axis=1) * t[:, None]
    return rows.take(low, axis=2) * (1 - t) + rows.take(low + 1, axis=2) * t


def normals(stream: NDArray[np.uint64], count: int, start: int = 0) -> Field:
    """Near-normal numbers of standard deviation 1, shape (count, n, 1, 1)."""
    u = uniform(stream, 3 * count, start).reshape(len(stream), count, 3)
    normal = (u[:, :, 0] + u[:, :, 1] + u[:, :, 2] - 1.5) * 2
    return normal.T.astype(np.float32)[:, :, None, None]


def posed(x: Field, y: Field, pose: Field) -> tuple[Field, Field]:
    """Coordinates in the patient's own frame: shifted, scaled and a little tilted."""
    scale = np.float32(1) + np.float32(0.03) * pose[2]
    tilt = np.float32(0.02) * pose[3]
    across, down = x - np.float32(0.03) * pose[0], y - np.float32(0.025) * pose[1]
    return (across + tilt * down) * scale, (down - tilt * across) * scale
