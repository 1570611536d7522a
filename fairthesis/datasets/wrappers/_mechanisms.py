"""Which images are to get a marker: a probability for each target and group, by mechanism."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.data import Cohort
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import shown_value

Table = Mapping[str, Sequence[float]]

#: Setting of ``planted`` -> the mechanisms that it plants; what it leaves out is off. ``shortcut``,
#: ``shortcut_minority`` and ``underrepresentation`` are those of ``Mechanisms``.
PLANS: dict[str, dict[str, float]] = {
    # With the target in the larger group, against it in the smaller one: a model that goes by the
    # marker is better than it can be in the one and worse in the other.
    "reversed": {"shortcut": 0.7},
    # With the target in the larger group, by chance in the smaller one: the commonest in practice.
    "one-group": {"shortcut": 0.7, "shortcut_minority": 0.0},
    # With the target in both groups alike: no gap, equalized odds difference or probe sees it.
    "same": {"shortcut": 0.7, "shortcut_minority": 0.7},
    # It marks the smaller group, whatever the target: the group is plainly visible, and no more.
    "marks-group": {"group_mark": 0.7},
    # By chance everywhere: what a method costs where there is nothing to mend.
    "none": {},
    # As the reference setting of the synthetic cohorts: reversed, stronger in the smaller group, of
    # which few are left in the training part.
    "reference": {"shortcut": 0.73, "shortcut_minority": -0.9, "underrepresentation": 0.5},
}


def values_of(setting: str, known: Iterable[str], **given: float | None) -> dict[str, float]:
    """The mechanisms of a setting, those that are ``given`` in their place.

    Where only ``shortcut`` is given, that of the smaller group keeps its proportion to it.

    >>> values_of("same", PLANS, shortcut=0.5, group_mark=None)
    {'shortcut': 0.5, 'shortcut_minority': 0.5}
    """
    if setting not in known:
        raise unknown("setting", setting, known)
    found = dict(PLANS[setting])
    own = {name: value for name, value in given.items() if value is not None}
    if "shortcut" in own and {"shortcut", "shortcut_minority"} <= set(found):
        found["shortcut_minority"] *= own["shortcut"] / found["shortcut"]
    found |= own
    for name, value in found.items():
        low, high = (0, 0.98) if name == "underrepresentation" else (-1, 1)
        if isinstance(value, bool) or not low <= value <= high:
            raise InputError(f"Expected {name} to be from {low} to {high}, but got {value!r}.")
    return found


@dataclass(frozen=True)
class Sides:
    """Where each image of a cohort stands.

    Attributes:
        target: 1, 0 or NaN (not stated), shape (n,).
        group: the group, null where unknown, shape (n,).
        small: whether it is one of the smaller side, shape (n,).
        names: the groups of the smaller side.
    """

    target: NDArray[np.float32]
    group: pd.Series
    small: NDArray[np.bool_]
    names: tuple[str, ...]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which images have both a target and a group."""
        return ~np.isnan(self.target) & self.group.notna().to_numpy()


def sides(
    cohort: Cohort,
    target: str | None,
    attribute: str | None,
    minority: str | Sequence[str] | None,
) -> Sides:
    """The target and the two sides of an attribute; the smaller is the rarest group by default."""
    target, attribute = target or cohort.targets[0], attribute or cohort.attributes[0]
    labels, group = cohort.labels(target), cohort.group_of(attribute)
    stated = ~np.isnan(labels)
    counts = group[stated].value_counts().sort_index()
    if len(counts) < 2:
        raise InputError(
            f"The attribute {attribute} of {cohort.name} has {len(counts)} groups with a stated "
            f"{target}: expected two or more."
        )
    if minority is None:
        names = [str(counts.idxmin())]
    elif isinstance(minority, str):  # several as a,b, unless that is a group's own name
        whole = minority in counts.index
        names = [minority] if whole else [part.strip() for part in minority.split(",")]
    else:
        names = list(minority)
    for name in names:
        if name not in counts.index:
            raise unknown(f"group of {attribute}", name, counts.index)
    if not names or set(names) == set(counts.index):
        raise InputError(
            f"Expected minority to be some of the groups of {attribute}, not all and not none of "
            f"{', '.join(map(str, counts.index))}, but got {shown_value(minority)}."
        )
    return Sides(labels, group, group.isin(names).to_numpy(bool), tuple(names))


def probabilities_of(
    where: Sides, values: Mapping[str, float], table: Table | None
) -> NDArray[np.float64]:
    """P(marker) of each image whose target and group are known, NaN of the others, shape (n,).

    Without a table it is 1/2 + (2 y - 1) s / 2 + (2 a - 1) m / 2 for target y, a = 1 in the smaller
    group, its shortcut s and the group mark m.

    Raises:
        InputError: for a table that lacks a group, and what is no probability.
    """
    y = where.target.astype(np.float64)
    if table is not None:
        found = np.full(len(y), np.nan)
        groups = sorted(where.group[where.known].unique())
        for name in table:
            if name not in groups:
                raise unknown("group in probabilities", name, groups)
        for name in groups:
            pair = list(table.get(name, ()))
            if len(pair) != 2 or not all(0 <= p <= 1 for p in pair):
                raise InputError(
                    f"Expected probabilities of {name!r} to be two numbers from 0 to 1 (without "
                    f"and with the target), but got {shown_value(pair)}."
                )
            here = (where.group == name).to_numpy(bool) & where.known
            found[here] = np.array(pair)[y[here].astype(int)]
        return found
    strong, mark = values.get("shortcut", 0.0), values.get("group_mark", 0.0)
    weak = values.get("shortcut_minority", -strong)
    if max(abs(strong), abs(weak)) + abs(mark) > 1 + 1e-12:
        raise InputError(
            f"Expected shortcut and group_mark to be at most 1 together, but got {strong:g} "
            f"(minority {weak:g}) and {mark:g}."
        )
    shortcut = np.where(where.small, weak, strong)
    p = (1 + (2 * y - 1) * shortcut + (2.0 * where.small - 1) * mark) / 2
    return np.where(where.known, np.clip(p, 0, 1), np.nan)
