"""Running means and covariances of an embedding, by group and target: rows come in any pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """What erasers of means need to know of the rows seen so far.

    ``mean`` has shape (d,); ``scatter`` (d, d) is the sum of squares about it; ``cross`` (d, g, t)
    the sum of products of the centred embedding with the centred indicator of each cell of group
    and target; ``counts`` (g, t) the rows of each cell. Without a target t is 1.
    """

    groups: list[Any]
    targets: list[Any]
    counts: Array
    mean: Array
    scatter: Array
    cross: Array

    @property
    def n(self) -> int:
        """Rows seen."""
        return int(self.counts.sum())

    @property
    def covariance(self) -> Array:
        """Of the embedding, shape (d, d), divided by n."""
        return self.scatter / self.n

    def with_groups(self) -> Array:
        """Cov(X, Z), Z the one-hot group, shape (d, g)."""
        return self.cross.sum(2) / self.n

    def with_targets(self) -> Array:
        """Cov(X, Y), Y the one-hot target, shape (d, t)."""
        return self.cross.sum(1) / self.n

    def within_targets(self) -> Array:
        """Group mean less target class mean, by the cell's share, shape (d, g t)."""
        share = self.counts / np.maximum(self.counts.sum(0), 1)
        of_class = self.cross.sum(1, keepdims=True)
        return ((self.cross - share * of_class) / self.n).reshape(len(self.mean), -1)


def moments(x: Array, group: NDArray[Any], target: NDArray[Any] | None) -> Moments:
    """The ``Moments`` of rows: x (n, d), group and target (n,)."""
    groups, row = np.unique(group, return_inverse=True)
    targets, column = (
        (np.array([""]), np.zeros(len(x), np.intp))
        if target is None
        else np.unique(target, return_inverse=True)
    )
    shape = (len(groups), len(targets))
    z = np.eye(shape[0] * shape[1])[row * shape[1] + column]
    mean = x.mean(0)
    centred = x - mean
    return Moments(
        groups.tolist(),
        targets.tolist(),
        z.sum(0).reshape(shape),
        mean,
        centred.T @ centred,
        (centred.T @ (z - z.mean(0))).reshape(-1, *shape),
    )


def merged(a: Moments, b: Moments) -> Moments:
    """The moments of both sets of rows (Chan, Golub and LeVeque 1979)."""
    groups = sorted({*a.groups, *b.groups})
    targets = sorted({*a.targets, *b.targets})
    a, b = (_laid_out(part, groups, targets) for part in (a, b))
    n, step = a.n + b.n, b.mean - a.mean
    both = a.n * b.n / n
    moved = np.multiply.outer(step, b.counts / b.n - a.counts / a.n)
    return Moments(
        groups,
        targets,
        a.counts + b.counts,
        a.mean + step * (b.n / n),
        a.scatter + b.scatter + np.outer(step, step) * both,
        a.cross + b.cross + moved * both,
    )


def _laid_out(part: Moments, groups: Sequence[Any], targets: Sequence[Any]) -> Moments:
    """The same with cells for all of these groups and targets, empty ones included."""
    row = np.array([groups.index(g) for g in part.groups])[:, None]
    column = np.array([targets.index(t) for t in part.targets])
    counts = np.zeros((len(groups), len(targets)))
    cross = np.zeros((len(part.mean), *counts.shape))
    counts[row, column] = part.counts
    cross[:, row, column] = part.cross
    return Moments(list(groups), list(targets), counts, part.mean, part.scatter, cross)
