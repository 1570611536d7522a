"""The patients of a synthetic cohort, and the bias that is planted in them, by mechanism."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from fairthesis.datasets.synthetic._counter import streams, uniform
from fairthesis.errors import InputError
from fairthesis.inputs import SPLITS

# what a stream of random numbers is for
PATIENT, IMAGE, ANATOMY, LESION, TEXTURE, GRAIN = range(6)


@dataclass(frozen=True)
class Mechanisms:
    """The bias that is planted in a synthetic cohort, one number per mechanism.

    At 0 a mechanism is off; with all off the larger and the smaller group differ in nothing but the
    look of the group.

    Attributes:
        prevalence: P(disease), from 0 to 1.
        underrepresentation: u from 0 to 0.98: the smaller group has the share (1 - u) / 2.
        prevalence_difference: d: P(disease) is ``prevalence + d`` in the smaller group.
        contrast_loss: c from 0 to 1: lesions of the smaller group have 1 - c times the contrast.
        shortcut: s from -1 to 1: in the larger group P(device | disease) = (1 + s) / 2 and
            P(device | no disease) = (1 - s) / 2. At 0 half of the images have a device, by chance.
        shortcut_minority: the same for the smaller group; None stands for ``-shortcut``.
        label_noise: p from 0 to 0.5: the recorded label of the smaller group is flipped with
            probability p. The clean label stays beside it.

    Raises:
        InputError: for a number out of its range.

    >>> Mechanisms(shortcut=0.6).minority_shortcut
    -0.6
    >>> Mechanisms(prevalence=0.4, prevalence_difference=-0.5)
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: Expected prevalence + prevalence_difference to be from 0 to 1, ...
    """

    prevalence: float = 0.4
    underrepresentation: float = 0.0
    prevalence_difference: float = 0.0
    contrast_loss: float = 0.0
    shortcut: float = 0.0
    shortcut_minority: float | None = None
    label_noise: float = 0.0

    def __post_init__(self) -> None:
        self._between("prevalence", self.prevalence, 0, 1)
        self._between("underrepresentation", self.underrepresentation, 0, 0.98)
        self._between("prevalence_difference", self.prevalence_difference, -1, 1)
        self._between(
            "prevalence + prevalence_difference",
            self.prevalence + self.prevalence_difference,
            0,
            1,
        )
        self._between("contrast_loss", self.contrast_loss, 0, 1)
        self._between("shortcut", self.shortcut, -1, 1)
        if self.shortcut_minority is not None:
            self._between("shortcut_minority", self.shortcut_minority, -1, 1)
        self._between("label_noise", self.label_noise, 0, 0.5)

    @staticmethod
    def _between(name: str, value: float, low: float, high: float) -> None:
        if not isinstance(value, int | float) or not low <= value <= high:
            raise InputError(f"Expected {name} to be from {low} to {high}, but got {value!r}.")

    @property
    def minority_shortcut(self) -> float:
        """The shortcut's strength in the smaller group."""
        return -self.shortcut if self.shortcut_minority is None else self.shortcut_minority


MECHANISMS = tuple(field.name for field in fields(Mechanisms))


def draw(
    sizes: dict[str, int], seed: int, planted: Mechanisms, *, age_shares: tuple[float, ...]
) -> pd.DataFrame:
    """One row per image, of patients with one to three images each.

    Columns: ``split``, ``part_patient`` and ``part_image`` (number within the split), ``patient``
    and ``image`` (number over all splits, the keys of the random streams), ``minority`` (bool),
    ``age`` (index into ``age_shares``), ``disease`` (bool), ``recorded`` (bool, the label with its
    noise), ``device`` (bool). Each split is drawn by itself, so that a larger test part leaves
    the training part as it is and starts with the smaller test part.
    """
    parts = []
    for number, split in enumerate(SPLITS):
        size = sizes[split]
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise InputError(
                f"Expected n_{split} to be an integer larger than 0, but got {size!r}."
            )
        if size >> 32:  # the splits' random streams lie that far apart
            raise InputError(f"Expected n_{split} to be smaller than 2**32, but got {size!r}.")
        parts.append(_part(split, number << 32, int(size), seed, planted, age_shares))
    return pd.concat(parts, ignore_index=True)


def _part(
    split: str, offset: int, size: int, seed: int, planted: Mechanisms, ages: tuple[float, ...]
) -> pd.DataFrame:
    patients = np.arange(size, dtype=np.int64)  # enough: each has at least one image
    u = uniform(streams(seed, PATIENT, patients + offset), 4)
    owner = np.repeat(patients, 1 + (u[:, 0] > 0.6) + (u[:, 0] > 0.9))[:size]
    minority = u[:, 1] < (1 - planted.underrepresentation) / 2
    # A sum in a fixed order, not a searchsorted on np.cumsum of unequal builds.
    age = np.zeros(size, dtype=np.int64)
    edge = 0.0
    for share in ages[:-1]:
        edge += share
        age += u[:, 2] >= edge
    prevalence = planted.prevalence + planted.prevalence_difference * minority
    sick = u[:, 3] < prevalence

    image = np.arange(size, dtype=np.int64) + offset
    v = uniform(streams(seed, IMAGE, image), 4)
    small = minority[owner]
    # Half of the images follow the patient's state, half are drawn afresh: the images of one
    # patient resemble each other and the prevalence stays what it was.
    disease = np.where(v[:, 0] < 0.5, sick[owner], v[:, 1] < prevalence[owner])
    strength = np.where(small, planted.minority_shortcut, planted.shortcut)
    device = v[:, 2] < (1 + strength * (2 * disease - 1.0)) / 2
    flipped = small & (v[:, 3] < planted.label_noise)
    return pd.DataFrame(
        {
            "split": split,
            "part_patient": owner,
            "part_image": np.arange(size),
            "patient": owner + offset,
            "image": image,
            "minority": small,
            "age": age[owner],
            "disease": disease,
            "recorded": disease ^ flipped,
            "device": device,
        }
    )
