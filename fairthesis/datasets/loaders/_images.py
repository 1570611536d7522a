"""The images of a release: their labels and groups, column by column, and the cohort in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairthesis.data import FRACTIONS, Cohort, split_by_patient
from fairthesis.datasets.loaders._groups import AGE_CUTS, age_group, skin_type, years
from fairthesis.datasets.loaders._links import REASON, count_links_out
from fairthesis.datasets.loaders._release import Release
from fairthesis.datasets.loaders._values import (
    KEPT,
    count_values,
    listed,
    meaning,
    most_frequent,
    spelled,
)
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import as_text

UNCERTAIN = {"ignore": np.nan, "zeros": 0.0, "ones": 1.0}


class Images:
    """One row per image in ``frame``: ``image_id``, ``patient_id``, ``path``, and what is added.

    ``path`` is null where the image is not at hand: such rows are counted by ``cohort`` alone, and
    not by what writes a column. ``given`` is what the release says, a value per row. It is known by
    the published list of ``column``, by default the column of that name; what is not in the list
    is null, and counted by its value.
    """

    def __init__(self, release: Release, **columns: pd.Series) -> None:
        self.release, self.frame = release, pd.DataFrame(columns)

    @property
    def here(self) -> pd.Series:
        """Which images are at hand."""
        return self.frame["path"].notna()

    # Labels.

    def label(
        self, target: str, given: pd.Series, column: str | None = None, *, uncertain: str = "ignore"
    ) -> None:
        """A target of its own column: 1, 0, and -1 (uncertain, by policy); else NaN.

        Empty is not stated, never 0. What is not in the list (``2``, ``yes``) is not stated either.
        """
        if uncertain not in UNCERTAIN:
            raise unknown("policy for uncertain labels", uncertain, UNCERTAIN)
        name, column = self.release.name, column or str(given.name)
        strange = spelled(given).notna() & ~listed(given, name, column) & self.here
        self._count(given[strange], target, "(set to not stated, image kept)")
        numbers = {"1": 1.0, "0": 0.0, "uncertain": UNCERTAIN[uncertain]}
        values = meaning(given, name, column).map(numbers)
        self.frame[target] = np.asarray(values, dtype=np.float64)

    def diagnoses(self, given: pd.Series, targets: Mapping[str, Sequence[str]]) -> None:
        """Targets of one diagnosis for each image: 1 where it is one of a target's, else 0.

        NaN where the diagnosis is not in the list.
        """
        means = meaning(given, self.release.name, str(given.name))
        then = "(labels set to not stated, image kept)"
        self._count(given[means.isna() & self.here], str(given.name), then)
        for target, diagnoses in targets.items():
            present = means.isin(diagnoses).astype(float)
            self.frame[target] = np.where(means.notna(), present, np.nan)

    # Groups.

    def group(self, attribute: str, given: pd.Series, column: str | None = None) -> None:
        """An attribute by its published values."""
        self._known(attribute, meaning(given, self.release.name, column or str(given.name)), given)

    def sex_and_age(
        self,
        sex: pd.Series,
        age: pd.Series,
        age_cuts: Sequence[int] = AGE_CUTS,
        *,
        column: str | None = None,
    ) -> None:
        """``sex``, ``age`` (years) and ``age_group``; ``column`` is the list of sex."""
        self.group("sex", sex, column)
        self.frame["age"] = years(age, self.release.left_out, self.here.to_numpy())
        self.frame["age_group"] = age_group(self.frame["age"], age_cuts)

    def skin_type(self, given: pd.Series, skin_types: str, column: str | None = None) -> None:
        """``skin_type`` of Fitzpatrick types 1 to 6, ``grouped`` or ``single``."""
        types = meaning(given, self.release.name, column or str(given.name))
        self._known("skin_type", skin_type(types, skin_types), given)

    def group_of_patients(
        self, attribute: str, table: pd.DataFrame, key: str, given: str, column: str | None = None
    ) -> None:
        """An attribute by the column ``given`` of a table of patients or of their stays.

        The most frequent known value of a patient is taken. Where there is none, the image counts
        by the value that stands first.
        """
        means = meaning(table[given], self.release.name, column or given)
        group = most_frequent(table[[key]].assign(group=means), key, "group")
        first = table.drop_duplicates(key).set_index(key)[given]
        patient = self.frame["patient_id"]
        self._known(attribute, as_text(patient.map(group)), patient.map(first))

    def _known(self, attribute: str, values: pd.Series, given: pd.Series) -> None:
        """Write an attribute, and count why it is null in images at hand: by what is ``given``.

        ``sex is 'unknown'``, ``skin_type is '-1'`` and ``sex is empty`` are reasons of their own.
        """
        self.frame[attribute] = values
        self._count(given[self.frame[attribute].isna() & self.here], attribute, KEPT)

    def _count(self, given: pd.Series, what: str, then: str) -> None:
        count_values(given, what, then, self.release.left_out)

    # The end.

    def count_links(self) -> None:
        """Count the images that links lead to out of the folder; ``cohort`` does where it is not.

        Asked for before, these images stand before what is counted then.
        """
        if REASON not in self.release.left_out:
            count_links_out(self.release.home, self.frame["path"], self.release.left_out)

    def cohort(
        self,
        targets: Sequence[str],
        attributes: Sequence[str],
        *,
        channels: int,
        seed: int,
        fractions: tuple[float, float, float] = FRACTIONS,
        keys: Sequence[str] = ("patient_id",),
        split: ArrayLike | None = None,
    ) -> Cohort:
        """The images at hand, split by ``keys``, stratified by the first target and attribute.

        ``split`` is the release's own, the part of each row, where there is one.
        """
        release, frame = self.release, self.frame
        if split is not None:
            frame = frame.assign(split=np.asarray(split))
        self.frame = frame = release.drop(frame, frame["path"].isna(), "image file not found")
        if len(frame) == 0:
            raise InputError(
                f"None of the images of {release.name} in the table is in {str(release.home)!r} "
                f"({dict(release.left_out)}): expected {release.images}."
            )
        self.count_links()
        if split is None:
            strata = [targets[0], *attributes[:1]]
            frame["split"] = split_by_patient(frame, keys, strata, seed=seed, fractions=fractions)
        return Cohort(
            release.name,
            frame,
            tuple(targets),
            tuple(attributes),
            channels,
            release.home,
            left_out=dict(release.left_out),
        )
