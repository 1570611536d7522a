"""Subgroups: every combination of the first target with all attributes, for sampling and weighting.

And ``SharesGiven``, the groups' shares among the rows that agree in all targets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor


def subgroup_codes(
    targets: Float[Tensor, "n t"], attributes: Int[Tensor, "n a"], groups: Sequence[int]
) -> Int[Tensor, " n"]:
    """The subgroup of each row, 0 to 2 prod(groups) - 1; -1 where any of it is unknown.

    A subgroup is the *first* target's class with the group of *every* attribute: the classes of a
    second target as well would leave most subgroups of a medical cohort empty.

    Args:
        targets: 0, 1 or NaN (not stated); only the first column counts.
        attributes: group numbers, -1 unknown.
        groups: how many groups each attribute has.

    >>> y, a = torch.tensor([[0.0], [1.0], [float("nan")]]), torch.tensor([[1, 0], [2, 1], [0, 0]])
    >>> subgroup_codes(y, a, [3, 2])
    tensor([ 2, 11, -1])
    """
    known = ~torch.isnan(targets[:, 0]) & (attributes >= 0).all(1)
    code = torch.nan_to_num(targets[:, 0]).long()
    for column, number in zip(attributes.T, groups, strict=True):
        code = code * number + column
    return torch.where(known, code, -1)


def number_of_subgroups(groups: Sequence[int]) -> int:
    """2 classes times all combinations of groups.

    >>> number_of_subgroups([3, 2])
    12
    """
    product = 2
    for number in groups:
        product *= number
    return product


def subgroup_counts(codes: Int[Tensor, " n"], number: int) -> Int[Tensor, " c"]:
    """How many rows each subgroup has; rows without a subgroup are not counted.

    >>> subgroup_counts(torch.tensor([0, 2, 2, -1]), 3)
    tensor([1, 0, 2])
    """
    return torch.bincount(codes[codes >= 0], minlength=number)


def balanced_draws(
    codes: NDArray[np.integer], number: int, generator: np.random.Generator, power: float = 1.0
) -> NDArray[np.intp]:
    """``number`` positions drawn with replacement, P ∝ n_subgroup^(-power); none without one.

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


MAX_WEIGHT = 10.0  # one image of an empty corner must not rule a batch


@dataclass(frozen=True)
class CellWeights:
    """Weights under which every combination of groups counts alike in a class of a target.

    ``w = min(1 / (K P(cell | target is c)), most)``, over the K cells that have a row with that
    class; a cell is a combination of the groups of all attributes. Weights made for each attribute
    by itself, and averaged, balance none of them.

    Args:
        weights: for each target, class and cell; 0 for a cell without a row.
        shares: P(cell | target is c), of the same shape.
        groups: how many groups each attribute has.

    >>> y, a = torch.tensor([[1.0]] * 4), torch.tensor([[0, 0], [0, 0], [0, 0], [1, 1]])
    >>> cells = CellWeights.of(y, a, [2, 2], most=10.0)
    >>> cells.rows(y, a)[[0, 3]].tolist(), cells.least_share(1.0), cells.least_share(0.0)
    ([[0.6666666865348816], [2.0]], 1.0, 0.5)
    """

    weights: Float[Tensor, "t 2 c"]
    shares: Float[Tensor, "t 2 c"]
    groups: tuple[int, ...]

    @classmethod
    def of(
        cls,
        targets: Float[Tensor, "n t"],
        attributes: Int[Tensor, "n a"],
        groups: Sequence[int],
        most: float = MAX_WEIGHT,
    ) -> CellWeights:
        """From the training rows whose groups are all known."""
        cells = _joint(attributes, groups)
        counts = torch.zeros(targets.shape[1], 2, math.prod(groups))
        for t, column in enumerate(targets.T):
            for c in (0, 1):
                rows = (column == c) & (cells >= 0)
                counts[t, c] = torch.bincount(cells[rows], minlength=counts.shape[2])
        shares = counts / counts.sum(2, keepdim=True).clamp_min(1)
        there = counts > 0
        even = 1 / (there.sum(2, keepdim=True) * shares.clamp_min(1e-6))
        return cls(torch.where(there, even.clamp_max(most), 0.0), shares, tuple(groups))

    def rows(
        self, targets: Float[Tensor, "n t"], attributes: Int[Tensor, "n a"]
    ) -> Float[Tensor, "n t"]:
        """The weight of each row for each target; 1 where its target or a group is unknown."""
        cells = _joint(attributes, self.groups)
        known = ~torch.isnan(targets) & (cells >= 0)[:, None]
        table = self.weights.to(targets.device)
        which = torch.arange(targets.shape[1], device=targets.device)[None, :]
        found = table[which, torch.nan_to_num(targets).long(), cells.clamp_min(0)[:, None]]
        return torch.where(known, found, 1.0)

    def least_share(self, power: float) -> float:
        """The least weighted share of a cell, times K, under weights to a power: 1 is balance."""
        weighted = self.shares * self.weights.pow(power)
        share = weighted / weighted.sum(2, keepdim=True).clamp_min(1e-12)
        there = self.shares > 0
        relative = (share * there.sum(2, keepdim=True))[there]
        return float(relative.min()) if len(relative) else 1.0


def _joint(attributes: Int[Tensor, "n a"], groups: Sequence[int]) -> Int[Tensor, " n"]:
    """One number for a row's groups, all together; -1 where one of them is unknown."""
    code = torch.zeros(len(attributes), dtype=torch.long, device=attributes.device)
    for column, number in zip(attributes.T, groups, strict=True):
        code = code * number + column
    return torch.where((attributes >= 0).all(1), code, -1)


PRIOR_ROWS = 20.0


def pattern_codes(targets: Float[Tensor, "n t"]) -> Int[Tensor, " n"]:
    """One number for what a row's targets say, all together: digits 0, 1 and 2 (not stated).

    >>> pattern_codes(torch.tensor([[0.0, 1.0], [1.0, float("nan")]]))
    tensor([1, 5])
    """
    code = torch.zeros(len(targets), dtype=torch.long, device=targets.device)
    for column in torch.nan_to_num(targets, nan=2.0).long().T:
        code = 3 * code + column
    return code


@dataclass(frozen=True)
class SharesGiven:
    """P(group | all targets of a row), one line for every pattern of targets in the training part.

    A single target that is stated has its ``subgroups`` to the digit. A pattern of several targets,
    or one in which a target is not stated, may be rare: its shares are ``(n_g + 20 mean_t P(g |
    target_t)) / (n + 20)``, the mean over the targets that are stated, or over both classes where
    none is.
    """

    patterns: Int[Tensor, " p"]  # sorted
    shares: Float[Tensor, "p g"]

    @classmethod
    def of(
        cls,
        targets: Float[Tensor, "n t"],
        codes: Int[Tensor, " n"],
        subgroups: Float[Tensor, "t 2 g"],
    ) -> SharesGiven:
        """From the targets and one attribute's codes (-1 unknown) of the training rows."""
        patterns, place = torch.unique(pattern_codes(targets), return_inverse=True)
        groups = subgroups.shape[2]
        stated = ~torch.isnan(targets)
        each = torch.where(
            (targets == 1)[:, :, None], subgroups[:, 1].to(targets), subgroups[:, 0].to(targets)
        )
        among = torch.where(stated[:, :, None], each, subgroups.mean(1).to(targets))
        weight = torch.where(stated.any(1, keepdim=True), stated, True)[:, :, None].to(targets)
        guess = (among * weight).sum(1) / weight.sum(1)  # n g, one for all rows of a pattern
        known = codes >= 0
        counts = torch.zeros(len(patterns), groups).to(targets)
        one = torch.ones(int(known.sum())).to(targets)
        counts.index_put_((place[known], codes[known]), one, accumulate=True)
        shares = torch.zeros_like(counts)
        shares[place] = guess
        shares = (counts + PRIOR_ROWS * shares) / (counts.sum(1, keepdim=True) + PRIOR_ROWS)
        if targets.shape[1] == 1:
            for row, pattern in enumerate(patterns.tolist()):
                if pattern < 2:
                    shares[row] = subgroups[0, pattern].to(shares)
        return cls(patterns, shares)

    def rows(
        self, table: Float[Tensor, "p g"], targets: Float[Tensor, "n t"]
    ) -> Float[Tensor, "n g"]:
        """The lines of a table of patterns; the mean of all for a pattern that none of them is."""
        codes = pattern_codes(targets)
        patterns, table = self.patterns.to(codes.device), table.to(codes.device)
        place = torch.searchsorted(patterns, codes).clamp_max(len(patterns) - 1)
        known = (patterns[place] == codes)[:, None]
        return torch.where(known, table[place], table.mean(0))
