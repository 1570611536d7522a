"""Sums of patients' values by group, of several permutations of the groups in one pass.

A patient's groups in several permutations are the digits of one number, their code. Values are
summed by code, once for all of these permutations, and the sums of codes by each digit: a table of
a few hundred codes is small beside a million rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairthesis.stats._clusters import Assignment

Array = NDArray[np.float64]
Index = NDArray[np.intp]
TABLE = 2**16  # sums held for a pass: 512 kB, which a core's cache holds
ROWS = 2_000_000  # places held at a time: 16 MB
MOST_KINDS = 256


def summed_by_group(
    groups: Assignment,
    patient: Index | None,
    kind: Index,
    n_kinds: int,
    columns: Sequence[Array | None],
) -> list[Array]:
    """Sums of each column over the cells of each group and kind, in every replicate.

    Args:
        groups: An assignment in which every patient has one group.
        patient: Patient of each cell, shape (cells,); all patients in their order if None.
        kind: Kind of each cell, numbered from 0, shape (cells,).
        n_kinds: Number of kinds.
        columns: Value of each cell, shape (cells,); None counts the cells.

    Returns:
        For each column, shape (replicates, groups, kinds).

    >>> sex = np.array([[0, 0, 1], [1, 0, 0]])
    >>> twice = Assignment(None, np.arange(3), 2, sex)
    >>> [found] = summed_by_group(twice, None, np.zeros(3, int), 1, [np.array([1.0, 2, 4])])
    >>> found[..., 0].tolist()
    [[3.0, 4.0], [6.0, 1.0]]
    """
    assert groups.own is not None
    k, R, cells = groups.n_groups, groups.replicates, len(kind)
    digits = _digits(k, R, n_kinds, cells)
    n_codes = k**digits
    codes = groups.codes(digits)
    base = kind * n_codes
    step = max(1, ROWS // max(cells, 1))
    tables: list[list[Array]] = [[] for _ in columns]
    for first in range(0, len(codes), step):
        some = codes[first : first + step]
        # Of cells in the order of patients the places are close to each other.
        at = some + base if patient is None else np.take(some, patient, axis=1, mode="clip") + base
        if len(some) > 1:
            at += np.arange(0, len(some) * n_kinds * n_codes, n_kinds * n_codes)[:, None]
        size = len(some) * n_kinds * n_codes
        for table, column in zip(tables, columns, strict=True):
            values = column if column is None or len(some) == 1 else np.tile(column, len(some))
            found = np.bincount(at.ravel(), values, size)
            table.append(np.asarray(found, np.float64).reshape(len(some), n_kinds, n_codes))
    # Whether the digit of a code is a group: (codes, digits groups).
    digit = np.arange(n_codes)[:, None] // k ** np.arange(digits) % k
    holds = (digit[:, :, None] == np.arange(k)).reshape(n_codes, digits * k).astype(np.float64)
    return [_of_digits(np.concatenate(table), holds, digits, k)[:R] for table in tables]


def _of_digits(table: Array, holds: Array, digits: int, k: int) -> Array:
    """Sums by code, (passes, kinds, codes), to sums by group, (passes digits, groups, kinds)."""
    found = table @ holds
    passes, kinds = found.shape[:2]
    turned = found.reshape(passes, kinds, digits, k).transpose(0, 2, 3, 1)
    return np.asarray(turned.reshape(passes * digits, k, kinds))


def _digits(k: int, replicates: int, n_kinds: int, cells: int) -> int:
    """How many replicates share a pass: as many as the table of their codes allows."""
    most = max(1, min(TABLE, cells // 2) // max(n_kinds, 1))
    digits = 1
    while digits < replicates and k > 1 and k ** (digits + 1) <= most:
        digits += 1
    passes = -(-replicates // digits)
    return -(-replicates // passes)


def kinds(values: Array) -> tuple[Array, Index]:
    """The different values, and which of them each is; by counting where they are whole numbers.

    >>> kinds(np.array([3.0, 1.0, 3.0]))
    (array([1., 3.]), array([1, 0, 1]))
    """
    most = float(values.max(initial=0))
    if float(values.min(initial=0)) >= 0 and most <= 4 * len(values) + 64:
        whole = values.astype(np.intp)
        if (whole == values).all():
            unique, place = compact(whole)
            return unique.astype(np.float64), place
    unique_values, inverse = np.unique(values, return_inverse=True)
    return unique_values, inverse.ravel()


def compact(numbers: NDArray[np.integer]) -> tuple[Index, Index]:
    """The different whole numbers of 0 or more, and the place of each among them.

    What ``np.unique(numbers, return_inverse=True)`` gives, by counting in the place of sorting.

    >>> compact(np.array([7, 2, 7]))
    (array([2, 7]), array([1, 0, 1]))
    """
    if len(numbers) and int(numbers.max()) > 64 + 32 * len(numbers):  # more memory than sorting
        unique, place = np.unique(numbers, return_inverse=True)
        return unique.astype(np.intp), place.ravel()
    there = np.bincount(numbers) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[numbers]
