"""Labels, scores and weights as arrays, or words on what is wrong with them.

The public functions on arrays take nothing else: a label that is not known counts for neither
class, a score that is not known has no rank, and arrays of two lengths are no cases.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis.errors import InputError
from fairthesis.inputs._columns import ROUNDING, shortest

Array = NDArray[np.float64]


def _numbers(values: ArrayLike, name: str, expected: str) -> Array:
    """One row of numbers, shape (n,); NaN only where the caller allows it."""
    try:
        found = np.asarray(values)
        if found.dtype.kind not in "fiub":
            found = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} cannot be read as numbers ({error}): expected {expected}."
        ) from error
    if found.ndim != 1:
        raise InputError(f"{name} has shape {found.shape}: expected one row of {expected}.")
    return shortest(found)


def check_binary(values: ArrayLike, name: str = "y_true") -> NDArray[np.bool_]:
    """Labels or decisions as booleans, shape (n,).

    Args:
        values: 0 and 1 of any numeric type, or booleans, shape (n,).
        name: What the values are called in a message.

    Raises:
        InputError: Anything else is there, NaN for instance: leave out what is not stated.

    >>> check_binary([0, 1.0]).tolist()
    [False, True]
    >>> check_binary([1, 2])
    Traceback (most recent call last):
    ...
    fairthesis.errors.InputError: y_true holds 2: expected 0 and 1; map other codes to these first.
    """
    expected = "0 and 1"
    found = np.asarray(values)
    if found.dtype.kind == "b" and found.ndim == 1:
        return found
    found = _numbers(values, name, expected)
    wrong = ~((found == 0) | (found == 1))
    if wrong.any():
        bad = found[wrong][0]
        hint = (
            "leave out cases that are not stated" if np.isnan(bad) else "map other codes to these"
        )
        raise InputError(f"{name} holds {bad:g}: expected {expected}; {hint} first.")
    return found > 0


def check_scores(values: ArrayLike, name: str = "y_score") -> Array:
    """Scores as float64, shape (n,); any number but NaN.

    Args:
        values: Numbers, shape (n,). Those of 32 or 16 bits are taken at their shortest decimal
            digits; see ``shortest``.
        name: What the values are called in a message.

    Raises:
        InputError: A score is NaN, or cannot be read as a number.

    >>> check_scores(np.array([0.7, -3], np.float32)).tolist()
    [0.7, -3.0]
    """
    found = _numbers(values, name, "scores")
    if np.isnan(found).any():
        raise InputError(
            f"{name} holds {int(np.isnan(found).sum())} NaN: expected a score for every case. "
            "Leave out cases without one first."
        )
    return found


def check_probabilities(values: ArrayLike, name: str = "y_score") -> Array:
    """Scores from 0 to 1, as float64 of shape (n,).

    Args:
        values: Numbers, shape (n,); what lies outside by less than a millionth is rounding, and is
            cut off.
        name: What the values are called in a message.

    Raises:
        InputError: A score is NaN, no number, or further outside; logits are.

    >>> check_probabilities([0.5, 1 + 1e-9]).tolist()
    [0.5, 1.0]
    """
    found = check_scores(values, name)
    wrong = (found < -ROUNDING) | (found > 1 + ROUNDING)
    if wrong.any():
        raise InputError(
            f"{name} holds {float(found[wrong][0])!r}: expected probabilities from 0 to 1. If "
            "these are logits, apply the logistic function 1 / (1 + exp(-x)) first."
        )
    return np.clip(found, 0.0, 1.0)


def check_weights(values: ArrayLike | None, n: int, name: str = "weight") -> NDArray[Any]:
    """Weights of ``n`` cases as floats.

    Args:
        values: Finite numbers of 0 or more, shape (..., n), or None.
        n: Number of cases.
        name: What the values are called in a message.

    Returns:
        Shape (..., n), float32 where they are given so; n ones if None.

    Raises:
        InputError: The last axis is not of n, or a weight is negative, infinite or NaN.

    >>> check_weights(None, 3).tolist(), check_weights([[1, 0, 2]], 3).shape
    ([1.0, 1.0, 1.0], (1, 3))
    """
    if values is None:
        return np.ones(n)
    found = np.asarray(values)
    if found.dtype.kind != "f":
        found = np.asarray(values, np.float64)
    if found.ndim == 0 or found.shape[-1] != n:
        raise InputError(
            f"{name} has shape {found.shape}: expected (..., {n}), a weight for each of the cases."
        )
    if not (found >= 0).all() or not np.isfinite(found).all():
        bad = found[~((found >= 0) & np.isfinite(found))].flat[0]
        raise InputError(f"{name} holds {bad:g}: expected numbers of 0 or more.")
    return found


def check_cases(
    y_true: ArrayLike, y_score: ArrayLike, *, probability: bool = False
) -> tuple[NDArray[np.bool_], Array]:
    """Labels and scores of the same cases, both of shape (n,).

    Args:
        y_true: Labels; see ``check_binary``.
        y_score: Scores; see ``check_scores``.
        probability: Whether scores must be from 0 to 1; see ``check_probabilities``.

    Raises:
        InputError: Labels or scores cannot be used, or differ in length.

    >>> y, s = check_cases([0, 1], [0.2, 0.7])
    >>> y.tolist(), s.tolist()
    ([False, True], [0.2, 0.7])
    """
    y = check_binary(y_true)
    s = check_probabilities(y_score) if probability else check_scores(y_score)
    check_same_length(y, s)
    return y, s


def check_same_length(first: NDArray[Any], second: NDArray[Any], name: str = "y_score") -> None:
    """Refuse two arrays that cannot be of the same cases.

    Args:
        first: Values of the cases.
        second: Other values, which ``name`` calls in a message.
        name: What the second ones are called.

    Raises:
        InputError: Their lengths differ.

    >>> check_same_length(np.zeros(3), np.zeros(2))
    Traceback (most recent call last):
    ...
    fairthesis.errors.InputError: y_score has 2 values for 3 cases: expected one for each.
    """
    if len(first) != len(second):
        raise InputError(
            f"{name} has {len(second)} values for {len(first)} cases: expected one for each."
        )
