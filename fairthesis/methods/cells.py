"""Cells: every combination of the first target with all attributes, for sampling and weighting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor


def cell_codes(
    targets: Float[Tensor, "n t"], attributes: Int[Tensor, "n a"], groups: Sequence[int]
) -> Int[Tensor, " n"]:
    """The cell of each row, 0 to 2 prod(groups) - 1; -1 where any of it is unknown.

    A cell is the *first* target's class with the group of *every* attribute: two targets of three
    classes each would leave most cells of a medical cohort empty.

    >>> y, a = torch.tensor([[0.0], [1.0], [float("nan")]]), torch.tensor([[1, 0], [2, 1], [0, 0]])
    >>> cell_codes(y, a, [3, 2])
    tensor([ 2, 11, -1])
    """
    known = ~torch.isnan(targets[:, 0]) & (attributes >= 0).all(1)
    code = torch.nan_to_num(targets[:, 0]).long()
    for column, number in zip(attributes.T, groups, strict=True):
        code = code * number + column
    return torch.where(known, code, -1)


def number_of_cells(groups: Sequence[int]) -> int:
    """2 classes times all combinations of groups.

    >>> number_of_cells([3, 2])
    12
    """
    product = 2
    for number in groups:
        product *= number
    return product


def cell_counts(codes: Int[Tensor, " n"], number: int) -> Int[Tensor, " c"]:
    """How many rows each cell has; rows without a cell are not counted.

    >>> cell_counts(torch.tensor([0, 2, 2, -1]), 3)
    tensor([1, 0, 2])
    """
    return torch.bincount(codes[codes >= 0], minlength=number)


def balanced_draws(
    codes: NDArray[np.integer], number: int, generator: np.random.Generator, power: float = 1.0
) -> NDArray[np.intp]:
    """``number`` positions drawn with replacement, P ∝ n_cell^(-power); never one without a cell.

    >>> generator = np.random.default_rng(0)
    >>> drawn = balanced_draws(np.array([0, 0, 0, 1, -1]), 1000, generator)
    >>> bool(abs((drawn == 3).mean() - 0.5) < 0.05), 4 in drawn
    (True, False)
    """
    known = np.flatnonzero(codes >= 0)
    if len(known) == 0:
        return np.empty(0, np.intp)
    chance = np.bincount(codes[known])[codes[known]] ** -float(power)
    return generator.choice(known, number, p=chance / chance.sum())
