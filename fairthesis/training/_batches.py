"""Cached uint8 images and a cohort's labels, in batches of tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fairthesis.data import Cohort, OverlaidImages, Vectors
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import filled
from fairthesis.methods import Batch


@dataclass(frozen=True)
class Table:
    """What training is given: all images of a cohort and their labels, by row position.

    Args:
        images: uint8, shape (n, height, width, channels), in memory or memory-mapped; or vectors.
        targets: 0, 1 or NaN (not stated), shape (n, targets).
        attributes: group numbers, -1 unknown, shape (n, attributes).
        groups: the names of each attribute's groups, in the order of their numbers.
        rows: for each split the row positions of its readable images.
        patients: numbers of the patients, shape (n,).

    >>> pixels = np.full((2, 16, 16, 1), 255, np.uint8)
    >>> y, a = torch.tensor([[0.0], [1.0]]), torch.tensor([[0], [1]])
    >>> rows = {"train": np.array([0, 1])}
    >>> table = Table(pixels, y, a, (("F", "M"),), rows, torch.tensor([0, 1]))
    >>> batch = table.batch(np.array([1]))
    >>> batch.images.shape, batch.images.max().item(), batch.targets.tolist()
    (torch.Size([1, 1, 16, 16]), 1.0, [[1.0]])
    """

    images: NDArray[np.uint8] | OverlaidImages | Vectors
    targets: Float[Tensor, "n t"]
    attributes: Int[Tensor, "n a"]
    groups: tuple[tuple[str, ...], ...]
    rows: dict[str, NDArray[np.intp]]
    patients: Int[Tensor, " n"]

    def batch(self, rows: NDArray[np.intp], device: torch.device | str = "cpu") -> Batch:
        """The batch of the given row positions: images as floats from 0 to 1, vectors as are."""
        index = torch.from_numpy(rows)
        if isinstance(self.images, Vectors):
            inputs = moved(torch.from_numpy(self.images[rows]), device)
        else:
            inputs = images_tensor(self.images[rows], device)
        known = (moved(codes[index], device) for codes in (self.targets, self.attributes))
        return Batch(inputs, *known)


def moved(values: Tensor, device: torch.device | str) -> Tensor:
    """Values of the processor's memory on a device; nobody waits until they have arrived."""
    if torch.device(device).type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def images_tensor(pixels: NDArray[np.uint8], device: torch.device | str = "cpu") -> Tensor:
    """uint8 images (n, height, width, channels) as floats (n, channels, height, width), 0 to 1."""
    held = moved(torch.from_numpy(np.ascontiguousarray(pixels)), device)
    return held.permute(0, 3, 1, 2).to(torch.float32).div_(255)


def make_table(
    cohort: Cohort,
    images: NDArray[np.uint8] | OverlaidImages | Vectors,
    readable: NDArray[np.bool_],
    targets: tuple[str, ...],
    attributes: tuple[str, ...],
) -> Table:
    """Check that a cohort can be trained on and lay it out in tensors.

    Args:
        cohort: with its splits.
        images: all of its images, as ``fairthesis.data.prepared_images`` gives them, or its
            vectors.
        readable: False for an image that could not be decoded, which is in no split then.
        targets: names of the cohort's targets, one or more.
        attributes: names of its attributes, one or more.

    Raises:
        InputError: where a split is empty, a target has one class in the training or validation
            part, or an attribute one group in the training part.

    >>> from fairthesis import datasets
    >>> cohort = datasets.load("synthetic-cxr", n_train=40, n_val=20, n_test=10)
    >>> pixels = cohort.render(np.arange(70), 16)
    >>> table = make_table(cohort, pixels, np.ones(70, bool), ("opacity",), ("sex",))
    >>> {split: len(rows) for split, rows in table.rows.items()}, table.groups
    ({'train': 40, 'val': 20, 'test': 10}, (('F', 'M'),))
    """
    labels = np.stack([cohort.labels(target) for target in targets], axis=1)
    codes = np.stack([cohort.codes(attribute) for attribute in attributes], axis=1)
    splits = cohort.frame["split"].to_numpy()
    rows = {
        split: np.flatnonzero((splits == split) & readable) for split in ("train", "val", "test")
    }
    for split, positions in rows.items():
        if len(positions) == 0:
            raise InputError(
                f"The {split} part of {cohort.name} has no readable image: expected images in "
                "train, val and test."
            )
        if split == "test":
            continue
        for name, column in zip(targets, labels[positions].T, strict=True):
            seen = np.unique(column[~np.isnan(column)])
            if len(seen) < 2:
                only = f"only {seen[0]:g}" if len(seen) else "no label"
                raise InputError(
                    f"Target {name!r} has {only} among the {len(positions)} {split} images of "
                    f"{cohort.name}: expected both 0 and 1. Choose another target or another split."
                )
    for name, column in zip(attributes, codes[rows["train"]].T, strict=True):
        seen = np.unique(column[column >= 0])
        if len(seen) < 2:
            only = f"only {cohort.groups(name)[seen[0]]!r}" if len(seen) else "no known value"
            raise InputError(
                f"Attribute {name!r} has {only} among the {len(rows['train'])} train images of "
                f"{cohort.name}: expected two groups or more. Choose another attribute."
            )
    # Without patients of their own, all images of unknown patients would be one patient's.
    owner = filled(cohort.frame["patient_id"]).to_numpy(object)
    return Table(
        images,
        torch.from_numpy(labels),
        torch.from_numpy(codes),
        tuple(tuple(cohort.groups(attribute)) for attribute in attributes),
        rows,
        torch.from_numpy(np.unique(owner, return_inverse=True)[1]),
    )


def in_batches(rows: NDArray[np.intp], batch_size: int) -> Iterator[NDArray[np.intp]]:
    """The rows in batches, in their order.

    A last batch of less than half the size, or of one row, is left out: normalisation by a handful
    of images, and whitening above all, would take one loud step an epoch. In another epoch's order
    other rows are left out.

    >>> [part.tolist() for part in in_batches(np.arange(7), 3)]
    [[0, 1, 2], [3, 4, 5]]
    """
    least = max(2, min(batch_size, len(rows)) / 2)
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        if len(part) >= least:
            yield part


def _identity(images: Tensor, generator: torch.Generator) -> Tensor:
    return images


def _light(images: Tensor, generator: torch.Generator, flip: bool = False) -> Tensor:
    """Shifts to 6 %, turns to 8 degrees, zoom to 8 %, contrast and brightness to 15 %."""
    n = len(images)
    draw = moved(torch.rand(n, 7, generator=generator) * 2 - 1, images.device)
    angle, zoom = draw[:, 0] * 0.14, 1 + draw[:, 1] * 0.08
    mirror = torch.where(draw[:, 6] < 0, -1.0, 1.0) if flip else torch.ones_like(zoom)
    theta = torch.stack(
        [
            torch.stack([mirror * zoom * angle.cos(), -zoom * angle.sin(), draw[:, 2] * 0.12], 1),
            torch.stack([mirror * zoom * angle.sin(), zoom * angle.cos(), draw[:, 3] * 0.12], 1),
        ],
        dim=1,
    )  # n 2 3
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    turned = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    gain, offset = 1 + 0.15 * draw[:, 4], 0.1 * draw[:, 5]
    return (turned * gain.view(-1, 1, 1, 1) + offset.view(-1, 1, 1, 1)).clamp_(0, 1)


def _mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    return _light(images, generator, flip=True)


AUGMENTATIONS = {"none": _identity, "light": _light, "mirrored": _mirrored}


def augment(name: str, images: Float[Tensor, "n ..."], generator: torch.Generator) -> Tensor:
    """Randomly changed images: ``none``, ``light`` (shift, turn, zoom, contrast), ``mirrored``.

    ``light`` shifts by up to 6 % of the edge, turns by up to 8 degrees, zooms by up to 8 % and
    changes contrast and brightness by up to 15 % and 0.1. ``mirrored`` also flips left and right:
    for skin, not for chests, which have a heart side.

    Args:
        name: ``none``, ``light`` or ``mirrored``.
        images: floats from 0 to 1, shape (n, channels, height, width).
        generator: on the CPU; decides the draw, one for each image.

    Returns:
        Images of the same shape and range.

    Raises:
        InputError: for another name.

    >>> images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> once, again = (augment("light", images, torch.Generator().manual_seed(1)) for _ in "ab")
    >>> torch.equal(once, again), torch.equal(once, images), once.shape
    (True, False, torch.Size([2, 1, 16, 16]))
    """
    if name not in AUGMENTATIONS:
        raise unknown("augmentation", name, AUGMENTATIONS)
    return AUGMENTATIONS[name](images, generator)
