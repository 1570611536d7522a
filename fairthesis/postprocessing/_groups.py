"""The groups that something was fitted for, and the rows that it is applied to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fairthesis.errors import InputError
from fairthesis.inputs import check_probabilities, in_order

Array = NDArray[np.float64]


def scores_of(X: ArrayLike) -> Array:
    """Probabilities, shape (n,), of an X of shape (n,) or (n, 1).

    Raises:
        InputError: for another shape, and what is no probability.
    """
    x = np.asarray(X)
    return check_probabilities(x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x, "X")


def names_of(sensitive_features: ArrayLike, n: int) -> NDArray[np.object_]:
    """The group of each row as text, shape (n,).

    Raises:
        InputError: where one is unknown, or there are not n.
    """
    found = np.asarray(sensitive_features, object)
    if found.shape != (n,):
        raise InputError(
            f"sensitive_features has shape {found.shape}: expected a group for each of {n} rows."
        )
    if unknown := int(pd.isna(found).sum()):
        raise InputError(
            f"The group is unknown in {unknown} of {n} rows: leave these out first. What is "
            "fitted by group needs the group wherever it is used."
        )
    return found.astype(str).astype(object)


def codes_of(
    names: NDArray[Any], groups: list[str], column: str = "group", where: str = ""
) -> NDArray[np.intp]:
    """The place of each row's group among ``groups``, shape (n,).

    Raises:
        InputError: it names all groups that are not among them.
    """
    strange = in_order({str(name) for name in names} - set(groups))
    if strange:
        raise InputError(
            f"Unknown {column}{where} {', '.join(map(repr, strange))}: this was fitted for "
            f"{', '.join(groups)}. Leave the rows out, or fit anew on rows of all groups."
        )
    at = {name: k for k, name in enumerate(groups)}
    return np.array([at[str(name)] for name in names], np.intp)
