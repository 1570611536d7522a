"""Twins: images of a cohort with one thing changed and all else as it was.

A cohort has twins where its ``render`` says which changes it knows (``Twinned``); which cohort it
is does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from fairthesis.data import Cohort
from fairthesis.errors import InputError, unknown

Images = NDArray[np.uint8]
#: Older names of changes.
ALIASES = {"device": "device_removed"}


@dataclass(frozen=True)
class Change:
    """One thing that can be changed in the images of a cohort.

    Attributes:
        words: what is changed, as ``device removed``.
        applies: whether an image is changed by it, shape (n_images,): a device that is not there
            cannot be removed.

    >>> Change("device removed", np.array([True, False])).applies.tolist()
    [True, False]
    """

    words: str
    applies: NDArray[np.bool_]


@runtime_checkable
class Twinned(Protocol):
    """A ``render`` whose images have twins.

    >>> from fairthesis import datasets
    >>> isinstance(datasets.load("synthetic-cxr", n_train=8, n_val=2, n_test=2).render, Twinned)
    True
    """

    def __call__(self, rows: NDArray[np.intp], size: int) -> Images:
        """Images of shape (len(rows), size, size, channels), the same in any batch."""
        ...

    @property
    def changes(self) -> Mapping[str, Change]:
        """Name of each change that is known -> what it is.

        By convention the name is that of an attribute (another group), or ends in ``_removed`` or
        ``_added``; ``disease`` is what the target says.
        """
        ...

    def twin(
        self, rows: NDArray[np.intp], change: str, frame: pd.DataFrame
    ) -> tuple[Callable[[NDArray[np.intp], int], Images], pd.DataFrame]:
        """The drawing of the twins of ``rows``, and the table beside it.

        ``frame`` is the rows' part of the cohort's table, numbered from 0.
        """
        ...


def twin_changes(cohort: Cohort) -> dict[str, Change]:
    """The changes that a cohort knows, by name; none where it has no twins.

    >>> from fairthesis import datasets
    >>> cohort = datasets.load("synthetic-cxr", n_train=8, n_val=2, n_test=2)
    >>> for name, change in twin_changes(cohort).items():
    ...     print(f"{name}: {change.words}")
    sex: other sex
    device_removed: device removed
    device_added: device added
    disease_removed: opacity removed
    disease_added: opacity added
    """
    return dict(getattr(cohort.render, "changes", {}))


def twin(cohort: Cohort, rows: ArrayLike, change: str) -> Cohort:
    """The images at ``rows`` of a cohort, with one thing changed and all else as it was.

    What a model makes of a twin shows what it goes by: the patient, the ids and the noise stay. The
    table says what the twin's picture shows: with the group its column is another, with the device
    the column ``device``. With the disease the clean label changes, and the recorded label with it:
    one that was recorded wrongly stays wrong.

    Args:
        cohort: a cohort that has twins: a synthetic one, or one with planted markers.
        rows: row positions in its frame.
        change: a name of ``twin_changes(cohort)``. Of a synthetic cohort: the attribute of the
            smaller group (``sex``, ``skin_tone``): the same patient is drawn as one of the other
            group, the disease and its contrast unchanged; ``device_removed`` (or ``device``) and
            ``device_added``; ``disease_removed`` and ``disease_added``: what shows the disease is
            left out, or drawn. An image that a change does not apply to stays as it is.

    Returns:
        A cohort of these images, in that order.

    Raises:
        InputError: for a cohort that has no twins, and for another change.

    >>> from fairthesis import datasets
    >>> cohort = datasets.load("synthetic-cxr", n_train=8, n_val=2, n_test=2)
    >>> other = twin(cohort, [0, 1], "sex")
    >>> cohort.frame["sex"].tolist()[:2], other.frame["sex"].tolist()
    (['M', 'F'], ['F', 'M'])
    >>> bool((cohort.labels("opacity")[:2] == other.labels("opacity")).all())
    True
    """
    render, name = _render(cohort), _known(cohort, change)
    rows = np.asarray(rows, dtype=np.intp)
    drawing, frame = render.twin(rows, name, cohort.frame.iloc[rows].reset_index(drop=True))
    return replace(cohort, frame=frame, render=drawing)


def _render(cohort: Cohort) -> Twinned:
    if not twin_changes(cohort) or not isinstance(cohort.render, Twinned):
        raise InputError(
            f"The cohort {cohort.name} has no twins: expected a synthetic one, or one with planted "
            "markers."
        )
    return cohort.render


def _known(cohort: Cohort, change: str) -> str:
    """The name of a change that the cohort knows."""
    known = twin_changes(cohort)
    name = change if change in known else ALIASES.get(change, change)
    if name not in known:
        raise unknown(f"change of {cohort.name}", change, known)
    return name


def twin_scores(
    cohort: Cohort,
    score: Callable[[Images], NDArray[np.floating[Any]]],
    *,
    size: int,
    rows: ArrayLike | None = None,
    changes: Sequence[str] | None = None,
    batch_size: int = 1024,
    progress: bool = False,
) -> tuple[NDArray[np.floating[Any]], dict[str, NDArray[np.floating[Any]]]]:
    """What a model makes of a cohort's images and of their twins, drawn batch by batch.

    Args:
        cohort: a cohort that has twins.
        score: the model: uint8 images of shape (n, size, size, channels) to scores of shape (n,) or
            (n, targets).
        size: edge of the images in pixels.
        rows: row positions in its frame; all if None.
        changes: names of ``twin_changes(cohort)``; all if None.
        batch_size: images that are held at a time.
        progress: whether a bar is shown.

    Returns:
        Scores of the images, and of their twins by change: NaN where a change does not apply.

    Raises:
        InputError: for a cohort that has no twins, and for another change.

    >>> from fairthesis import datasets
    >>> cohort = datasets.load("synthetic-cxr", n_train=8, n_val=2, n_test=2)
    >>> mean, twins = twin_scores(cohort, lambda images: images.mean((1, 2, 3)), size=16)
    >>> there = cohort.frame["device"].to_numpy() == 1
    >>> bool((twins["device_removed"][there] < mean[there]).all())  # it is brighter than tissue
    True
    """

    def shown(images_of: Cohort, at: NDArray[np.intp]) -> NDArray[np.floating[Any]]:
        assert images_of.render is not None
        return np.asarray(score(images_of.render(at, size)))

    return twin_values(
        cohort, shown, rows=rows, changes=changes, batch_size=batch_size, progress=progress
    )


def twin_values(
    cohort: Cohort,
    value: Callable[[Cohort, NDArray[np.intp]], NDArray[np.floating[Any]]],
    *,
    rows: ArrayLike | None = None,
    changes: Sequence[str] | None = None,
    batch_size: int = 1024,
    progress: bool = False,
) -> tuple[NDArray[np.floating[Any]], dict[str, NDArray[np.floating[Any]]]]:
    """``twin_scores`` of a model that is given the cohorts themselves, and reads what it needs.

    Args:
        cohort: a cohort that has twins.
        value: the model: a cohort (this one, or one of twins) and row positions in its frame, to
            scores of shape (n,) or (n, targets).
        rows: as of ``twin_scores``.
        changes: as of ``twin_scores``.
        batch_size: rows that ``value`` is given at a time.
        progress: whether a bar is shown.

    Returns:
        As ``twin_scores``.

    Raises:
        InputError: as ``twin_scores``.

    >>> from fairthesis import datasets
    >>> cohort = datasets.load("synthetic-cxr", n_train=8, n_val=2, n_test=2)
    >>> own, twins = twin_values(cohort, lambda shown, rows: shown.codes("sex")[rows].astype(float))
    >>> bool((own != twins["sex"]).all())
    True
    """
    at = np.arange(len(cohort)) if rows is None else np.asarray(rows, dtype=np.intp)
    _render(cohort)
    known = twin_changes(cohort)
    asked = known if changes is None else changes
    wanted = list(dict.fromkeys(_known(cohort, name) for name in asked))
    parts: list[NDArray[np.floating[Any]]] = []
    by_change: dict[str, list[NDArray[np.floating[Any]]]] = {name: [] for name in wanted}
    total = len(at) + sum(int(known[name].applies[at].sum()) for name in wanted)
    with tqdm(total=total, desc=cohort.name, unit="image", disable=not progress) as bar:
        for part in _batches(at, batch_size):
            own = _floats(value(cohort, part))
            parts.append(own)
            bar.update(len(part))
            for name in wanted:
                applies = known[name].applies[part]
                found = np.full_like(own, np.nan)
                if applies.any():
                    other = twin(cohort, part[applies], name)
                    found[applies] = _floats(value(other, np.arange(len(other))))
                by_change[name].append(found)
                bar.update(int(applies.sum()))
    joined = {name: np.concatenate(found) for name, found in by_change.items()}
    return np.concatenate(parts), joined


def _batches(rows: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _floats(values: ArrayLike) -> NDArray[np.floating[Any]]:
    found = np.asarray(values)
    return found if found.dtype.kind == "f" else found.astype(np.float64)
