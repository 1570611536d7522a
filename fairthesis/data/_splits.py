"""Splits in which no patient, and no lesion, is on two sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fairthesis.errors import InputError
from fairthesis.inputs import SPLITS, group_values, require_columns, text_column

#: Shares of the images for train, val and test where a data set has no split of its own.
FRACTIONS = (0.6, 0.2, 0.2)


def connected(frame: pd.DataFrame, keys: Sequence[str]) -> NDArray[np.int64]:
    """The component of each row, shape (n,): rows that share a value of any key are together.

    A patient with two lesions, or a lesion recorded under two patients, joins all their rows. A
    null shares nothing.

    >>> table = pd.DataFrame({"patient": ["a", "a", "b", "c"], "lesion": ["1", "2", "2", None]})
    >>> connected(table, ["patient", "lesion"]).tolist()
    [0, 0, 0, 1]
    """
    require_columns(frame, keys, "the table to split")
    n = len(frame)
    rows, nodes, count = [], [], 0
    for key in keys:
        codes = pd.factorize(frame[key])[0]
        known = np.flatnonzero(codes >= 0)
        rows.append(known)
        nodes.append(codes[known] + n + count)
        count += int(codes.max(initial=-1)) + 1
    # scipy before 1.13 only prints that it cannot take int64 here, and labels every row -9999.
    i, j = np.concatenate(rows).astype(np.int32), np.concatenate(nodes).astype(np.int32)
    graph = coo_array((np.ones(len(i), dtype=np.int8), (i, j)), shape=(n + count, n + count))
    labels = connected_components(graph, directed=False)[1][:n]
    return pd.factorize(labels)[0].astype(np.int64)


def split_by_patient(
    frame: pd.DataFrame,
    keys: Sequence[str] = ("patient_id",),
    strata: Sequence[str] = (),
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> NDArray[np.str_]:
    """``train``, ``val`` or ``test`` for each row, disjoint in every key.

    Whole components (rows that share a value of any key, directly or over others) are dealt out
    within strata, a component counting for the stratum that its rarest row belongs to. Each goes to
    the part that is furthest behind its share of the images. The order of the rows has no
    influence.

    Args:
        frame: one row per image.
        keys: columns whose values no two parts may share, as of patients and lesions; a null shares
            nothing.
        strata: the strata are the combinations of these columns: targets and attributes, or
            intersections ``a*b``, null being a value of its own.
        seed: of the order in which components are dealt.
        fractions: shares of train, val and test, which sum to 1.

    Returns:
        Text of shape (n,).

    Raises:
        InputError: for fractions that are no shares, and for a column that is missing.

    >>> table = pd.DataFrame({"patient_id": list("aabbccdde"), "y": [1, 1, 0, 0, 0, 1, 0, 0, 1]})
    >>> split = split_by_patient(table, strata=["y"])
    >>> int(pd.Series(split).groupby(table["patient_id"]).nunique().max())  # parts of a patient
    1
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(
            "Expected fractions for train, val and test that are 0 or larger and sum to 1, "
            f"but got {fractions!r}."
        )
    return np.array(SPLITS)[_dealt(frame, keys, strata, seed, fractions)]


def folds_by_patient(
    frame: pd.DataFrame,
    keys: Sequence[str] = ("patient_id",),
    strata: Sequence[str] = (),
    *,
    seed: int = 0,
    k: int = 5,
) -> NDArray[np.int64]:
    """The fold of each row, 0 to k - 1, of k nearly equal ones that are disjoint in every key.

    Dealt as by ``split_by_patient``, with k shares of 1 / k: stratified k-fold cross-validation
    with groups of rows that stay together. Another seed deals the same rows anew.

    Args:
        frame: one row per image.
        keys: columns whose values no two folds may share; a null shares nothing.
        strata: columns whose combinations of values are spread evenly over the folds.
        seed: of the order in which patients are dealt.
        k: number of folds, 2 or more.

    Returns:
        Integers of shape (n,).

    Raises:
        InputError: for fewer than two folds, more folds than patients, and a missing column.

    >>> table = pd.DataFrame({"patient_id": list("aabbccdd"), "y": [1, 1, 0, 0, 1, 1, 0, 0]})
    >>> fold = folds_by_patient(table, strata=["y"], k=2)
    >>> table["y"].groupby(fold).sum().tolist()
    [2, 2]
    """
    if k < 2:
        raise InputError(f"Expected 2 folds or more, but got k = {k}.")
    require_columns(frame, keys, "the table to split")
    patients = int(connected(frame, keys).max(initial=-1)) + 1
    if patients < k:
        raise InputError(
            f"{patients} patients (or groups of patients that share a lesion) cannot be dealt into "
            f"{k} folds: expected at least one for each. Use fewer folds."
        )
    return _dealt(frame, keys, strata, seed, (1 / k,) * k)


def _dealt(
    frame: pd.DataFrame,
    keys: Sequence[str],
    strata: Sequence[str],
    seed: int,
    fractions: Sequence[float],
) -> NDArray[np.int64]:
    """The part of each row: an index into ``fractions``, the parts' shares of the images."""
    component = connected(frame, keys)
    total = int(component.max(initial=-1)) + 1
    name = np.full(total, "", dtype=object)
    first = text_column(frame[keys[0]]).fillna("").to_numpy(object)
    order = np.argsort(first, kind="stable")[::-1]
    name[component[order]] = first[order]  # the smallest id of a component is written last
    stratum = _strata(frame, strata)
    frequency = np.bincount(stratum, minlength=stratum.max(initial=0) + 1)
    rarest = np.lexsort((stratum, frequency[stratum]))[::-1]
    of = np.zeros(total, dtype=np.int64)
    of[component[rarest]] = stratum[rarest]
    size = np.bincount(component, minlength=total)

    by_name = np.argsort(name, kind="stable")
    shuffled = by_name[np.random.Generator(np.random.PCG64(seed)).permutation(total)]
    dealt = shuffled[np.argsort(of[shuffled], kind="stable")]
    part = np.zeros(total, dtype=np.int64)
    given, seen = [0] * len(fractions), 0
    for unit in dealt.tolist():
        seen += int(size[unit])
        behind = [share * seen - have for share, have in zip(fractions, given, strict=True)]
        part[unit] = behind.index(max(behind))
        given[part[unit]] += int(size[unit])
    return part[component]


def _strata(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    """The combination of values in each row as an integer that does not depend on row order."""
    code = np.zeros(len(frame), dtype=np.int64)
    for column in columns:
        plain = column in frame.columns
        group = frame[column] if plain else group_values(frame, column, "the table to split")
        values = pd.factorize(text_column(group), sort=True)[0] + 1  # 0 is null, a value of its own
        code = pd.factorize(code * (values.max(initial=0) + 1) + values, sort=True)[0]
    return code
