"""The folder of a data set's release: its tables, its rows and where its images lie."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fairthesis.datasets.loaders._values import count_values, meaning
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import as_text, key_column, read_table, require_columns


class Release:
    """The folder of a release, and what is left out or changed of it: counts by reason.

    Rows come from ``table`` and are kept by ``usable``, ``drop`` and ``frontal``; ``paths``,
    ``existing`` or ``at_hand`` find their images; then ``Images`` has the labels and groups.

    Args:
        name: the data set's, which also names its list of published values.
        root: the folder; ``InputError`` where it is none.
        holds: what the folder should hold, for messages.
        images: where the images should lie, for messages.
    """

    def __init__(self, name: str, root: str | Path | None, holds: str, images: str = "") -> None:
        if root is None:
            raise InputError(
                f"{name} is read from files: give the folder of its release (--data-root) that "
                f"holds {holds}."
            )
        self.name, self.home, self.images = name, Path(root), images
        if not self.home.is_dir():
            raise InputError(
                f"No such folder: {str(self.home)!r}. Expected the release of {name}, with {holds}."
            )
        self.left_out: Counter[str] = Counter()

    def targets(self, target: str, targets: Iterable[str]) -> tuple[str, ...]:
        """The targets with ``target`` first."""
        known = tuple(targets)
        if target not in known:
            raise unknown(f"target of {self.name}", target, known)
        return (target, *(name for name in known if name != target))

    def table(self, names: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
        """The first of the files ``names`` that is there, every value as text, empty as null.

        Any table that ``inputs.read_table`` reads, also gzipped. The ``columns`` are as
        ``inputs.as_text`` has them, so that keys of two tables meet.
        """
        for name in names:
            for path in (self.home / name, self.home / f"{name}.gz"):
                if path.exists():
                    frame = read_table(path)
                    require_columns(frame, columns, str(path))
                    if len(frame) == 0:
                        raise InputError(
                            f"{path} has a header and no rows: expected one per image."
                        )
                    return frame.assign(**{column: as_text(frame[column]) for column in columns})
        raise InputError(
            f"No {' or '.join(names)} in {str(self.home)!r}: expected the release of {self.name}."
        )

    def has(self, *names: str) -> bool:
        """Whether one of these files is there."""
        return any((self.home / name).is_file() for name in names)

    # Rows: which of them are kept.

    def drop(self, source: pd.DataFrame, bad: pd.Series, reason: str) -> pd.DataFrame:
        """The rows that are not ``bad``; those that are get counted under ``reason``."""
        if bad.any():
            self.left_out[reason] += int(bad.sum())
            return source[~bad].reset_index(drop=True)
        return source

    def usable(self, source: pd.DataFrame, image: str, patient: str | None = None) -> pd.DataFrame:
        """The rows with an image name (and a patient, where there are numbers), each image once."""
        for column in (image, *([patient] if patient is not None else [])):
            key_column(source, column, "the table of images")  # warns where digits were lost
        source = self.drop(source, source[image].isna(), "row without an image name")
        if patient is not None:
            source = self.drop(source, source[patient].isna(), "row without a patient")
        return self.drop(source, source[image].duplicated(), "image listed twice")

    def frontal(self, source: pd.DataFrame, column: str) -> pd.DataFrame:
        """The rows that the list calls a frontal view; others are counted, unlisted by name."""
        means = meaning(source[column], self.name, column)
        side = means.eq("not frontal").fillna(False).astype(bool)
        if side.any():
            self.left_out["not a frontal view"] += int(side.sum())
        strange, then = means.isna(), "(not known to be frontal, image left out)"
        count_values(source.loc[strange, column], "view", then, self.left_out)
        return source[~side & ~strange].reset_index(drop=True)

    # Images: where each one lies.

    def paths(
        self,
        names: pd.Series,
        folders: Iterable[str],
        suffixes: Sequence[str],
        *,
        stems: bool = False,
    ) -> pd.Series:
        """The path of each image that lies directly in one of the ``folders``, else null.

        One listing of each folder instead of one question per image. ``stems``: the names have no
        ending, as in tables of the ISIC archive.
        """
        found: dict[str, str] = {}
        for folder in folders:
            place = self.home / folder
            if place.is_dir():
                with os.scandir(place) as entries:
                    for entry in entries:
                        if entry.name.lower().endswith(tuple(suffixes)):
                            path = f"{folder}/{entry.name}" if folder != "." else entry.name
                            found.setdefault(entry.name, path)
        if stems:
            found = {name.rpartition(".")[0]: path for name, path in found.items()}
        return names.map(found)

    def existing(self, paths: pd.Series) -> pd.Series:
        """Each path where it is a file of the folder, else null."""
        there = [isinstance(path, str) and (self.home / path).is_file() for path in paths]
        return paths.where(np.array(there, dtype=bool))

    def at_hand(self, source: pd.DataFrame, path: pd.Series) -> pd.DataFrame:
        """The rows whose image is at hand, with its ``path``; ``cohort`` asks for no more."""
        source = self.drop(source.assign(path=path), path.isna(), "image file not found")
        if len(source) == 0:
            raise InputError(
                f"None of the {self.left_out.total()} images of the table is in "
                f"{str(self.home)!r}: expected {self.images}."
            )
        return source
