"""What every audit that compares groups asks: compared with whom, by how many permutations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from fairthesis.auditing._wording import ALPHA
from fairthesis.errors import unknown


def reference_groups(
    members: Mapping[str, Mapping[str, Any]], named: Mapping[str, str]
) -> dict[str, str]:
    """The group that others are compared with, by attribute: the named one, or the largest."""
    for attribute, group in named.items():
        if attribute not in members:
            raise unknown("attribute in reference", attribute, list(members))
        if group not in members[attribute]:
            raise unknown(f"{attribute} in reference", group, list(members[attribute]))
    return {
        attribute: named.get(attribute, max(found, key=lambda name: found[name].n))
        for attribute, found in members.items()
    }


def warn_of_permutations(
    p_values: Iterable[Iterable[float]], n_permutations: int, messages: list[str]
) -> None:
    """A warning where too few permutations can find nothing; p values by attribute."""
    tested = max((sum(map(math.isfinite, row)) for row in p_values), default=0)
    least = tested / (n_permutations + 1)  # p is never below 1 / (n + 1); correction raises it
    if least > ALPHA:
        messages.append(
            f"With {n_permutations} permutations and {tested} gaps a corrected p value may not "
            f"get below {min(least, 1):.2f}, so that no gap can be told from chance, however "
            f"large. Take at least {math.ceil(tested / ALPHA)} permutations (--n-permutations)."
        )
