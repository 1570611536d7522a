"""The groups that a search looks through: all that up to three columns make, each with its rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.errors import InputError
from fairthesis.inputs import (
    PREDICTIONS_TABLE,
    attribute_parts,
    number_column,
    require_columns,
    text_column,
)

MOST_VALUES = 10  # of a column of numbers, up to which its values are groups as they are
MOST_GROUPS = 20_000
Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class Candidates:
    """Groups as sets of cells; a cell is a combination of values that some row has.

    ``inside`` and ``outside`` say of each group (row) and cell (column) whether it belongs to the
    group, or is known not to: a cell whose value is unknown may be neither. ``cell`` is the cell of
    each row of the table, ``alike`` the number of groups left out because they are the very rows of
    a shorter one.
    """

    parts: tuple[tuple[tuple[str, str], ...], ...]
    inside: Masks
    outside: Masks
    cell: NDArray[np.intp]
    alike: int

    @property
    def names(self) -> list[str]:
        return [" and ".join(f"{c}={v}" for c, v in part) for part in self.parts]


def cut_numbers(
    frame: pd.DataFrame, columns: Sequence[str], rows: pd.Index, patient: str | None, bins: int
) -> tuple[pd.DataFrame, dict[str, list[float]]]:
    """Columns of many numbers cut into groups of about as many patients, and the edges of these.

    Edges are quantiles over the patients of ``rows``, each value of a patient once, and belong to
    the group above. A column of text, and one of up to ten numbers, stays as it is.
    """
    edges: dict[str, list[float]] = {}
    for column in columns:
        if len(attribute_parts(frame, column)) > 1:
            raise InputError(
                f"The group {column!r} is an intersection: expected single columns. The search "
                "makes all intersections itself; name the columns one by one."
            )
        require_columns(frame, [column], PREDICTIONS_TABLE)
        try:
            values = number_column(frame, column, PREDICTIONS_TABLE)
        except InputError:  # text
            continue
        known = pd.DataFrame({"value": values}, index=frame.index).loc[rows].dropna()
        if known["value"].nunique() <= MOST_VALUES:
            continue
        if patient is not None:
            known = known.assign(who=text_column(frame[patient]).loc[known.index])
            known = known[known["who"].isna() | ~known.duplicated()]
        share = np.arange(1, bins) / bins
        inner = np.unique(np.quantile(known["value"], share, method="higher"))
        inner = inner[inner > known["value"].min()]
        ends = [f"{edge:.6g}" for edge in inner]
        between = [f"{low} to under {high}" for low, high in pairwise(ends)]
        names = [f"under {ends[0]}", *between, f"{ends[-1]} and over"]
        place = np.searchsorted(inner, values, side="right")
        labels = pd.Series(np.array(names, object)[place], index=frame.index)
        frame = frame.assign(**{column: labels.mask(np.isnan(values))})
        edges[column] = [float(edge) for edge in inner]
    return frame, edges


def candidates(groups: Mapping[str, pd.Categorical], depth: int) -> Candidates:
    """All groups of one value in each of up to ``depth`` columns, shorter ones first."""
    columns = list(groups)
    count = sum(
        math.prod(len(groups[c].categories) for c in chosen)
        for size in range(1, depth + 1)
        for chosen in combinations(columns, size)
    )
    if count > MOST_GROUPS:
        raise InputError(
            f"{len(columns)} columns to a depth of {depth} make {count} groups: expected at most "
            f"{MOST_GROUPS}. Lower the depth, leave out columns, or bring their values together."
        )
    codes = np.stack([groups[c].codes.astype(np.int64) for c in columns], axis=1)
    cells, cell = np.unique(codes, axis=0, return_inverse=True)
    parts, inside, outside = [], [], []
    seen: set[bytes] = set()
    alike = 0
    for size in range(1, depth + 1):
        for chosen in combinations(range(len(columns)), size):
            kinds = [range(len(groups[columns[c]].categories)) for c in chosen]
            for values in product(*kinds):
                own = cells[:, chosen]
                is_in = (own == values).all(axis=1)
                is_out = ((own != values) & (own >= 0)).any(axis=1)
                if not is_in.any() or not is_out.any():
                    continue
                if is_in.tobytes() in seen:
                    alike += 1
                    continue
                seen.add(is_in.tobytes())
                named = (
                    groups[columns[c]].categories[v] for c, v in zip(chosen, values, strict=True)
                )
                parts.append(tuple(zip((columns[c] for c in chosen), map(str, named), strict=True)))
                inside.append(is_in)
                outside.append(is_out)
    return Candidates(
        tuple(parts), np.array(inside), np.array(outside), cell.reshape(-1).astype(np.intp), alike
    )
