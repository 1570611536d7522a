"""What every audit that compares groups asks: compared with whom, by how many permutations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fairthesis.auditing._wording import ALPHA
from fairthesis.errors import unknown

SHOWN_FEW = 5  # groups that a warning names


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


def warn_of_floor(
    attribute: str,
    counts: Mapping[str, tuple[int, int]],
    compared: Mapping[str, Sequence[int]],
    floor: int,
    messages: list[str],
    *,
    scored: bool = True,
) -> None:
    """Which groups have too few cases to be compared in what; ``counts``: positives, negatives."""
    names = list(counts)
    asked = ("auroc", "tpr", "fpr", "accuracy") if scored else ("tpr", "fpr", "accuracy")
    few: dict[tuple[str, ...], list[str]] = {}
    for k, (name, (positive, negative)) in enumerate(counts.items()):
        lacking = tuple(m for m in asked if k not in compared[m])
        if lacking:
            has = f"{name} has {positive} positive and {negative} negative cases"
            few.setdefault(lacking, []).append(has)
    what = {"tpr": "true positive rate", "fpr": "false positive rate", "auroc": "AUROC"}
    for lacking, groups in few.items():
        out = "the gaps"
        if "accuracy" not in lacking:
            out += f" in {' and '.join(what[m] for m in lacking)}"
        listed = "; ".join(groups[:SHOWN_FEW])
        more = f" and {len(groups) - SHOWN_FEW} more groups" if len(groups) > SHOWN_FEW else ""
        messages.append(
            f"{attribute} = {listed}{more}: too few of the {floor} that a metric rests on, so "
            f"shown, but left out of {out}."
        )
    for metrics_of, cases in (
        (("tpr", "fpr", "auroc"), f"{floor} positive and {floor} negative cases"),
        (("tpr", "auroc"), f"{floor} positive cases"),
        (("fpr", "auroc"), f"{floor} negative cases"),
    ):
        if all(len(compared[m]) < 2 for m in metrics_of) and len(names) > 1:
            messages.append(
                f"{attribute}: fewer than two groups have {cases}, so no gap is given in what "
                "rests on these. No gap shown does not mean no gap."
            )
            break
