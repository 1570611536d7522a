"""An audit of numbers per case in plain words: what was found, and what cannot be concluded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from fairthesis.auditing._outcome_metrics import BETTER
from fairthesis.auditing._outcome_sides import gap_of, worst_of
from fairthesis.auditing._wording import ALPHA, p_value_text

BRIEF = 3  # metrics, beyond which sentences are shorter
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


class Numbers:
    """Numbers of one metric as text, all with the digits that their size asks for.

    >>> write = Numbers([0.8512, 0.9])
    >>> write(0.0312), write.interval([0.8, 0.9]), Numbers([412.5])(3.14159), write(None)
    ('0.031', '0.800 to 0.900', '3.1', '–')
    """

    def __init__(self, values: Iterable[float | None]) -> None:
        largest = max((abs(v) for v in values if v is not None), default=0.0)
        size = math.floor(math.log10(largest)) if largest > 0 else -1
        self.digits = min(max(2 - size if size < 0 else 3 - size, 0), 9)

    def __call__(self, value: float | None) -> str:
        return DASH if value is None else f"{value:.{self.digits}f}".replace("-", MINUS)

    def interval(self, ci: list[float] | None) -> str:
        """``low to high``, or nothing where there is none."""
        return "" if ci is None else f"{self(ci[0])} to {self(ci[1])}"


def numbers_of(found: Mapping[str, Any], metric: str) -> Numbers:
    """How the numbers of a metric are written everywhere in a report."""
    of_groups = (
        group["metrics"][metric]["value"]
        for members in found["groups"].values()
        for group in members.values()
    )
    return Numbers([found["overall"][metric]["value"], *of_groups])


def gap_label(found: Mapping[str, Any], name: str) -> str:
    """``METRIC_gap`` and ``worst_group_METRIC`` in words."""
    for metric, of in found["metrics"].items():
        if name == gap_of(metric):
            return f"gap in {of['words']}"
        if name == worst_of(metric):
            return f"worst group's {of['words']}"
    return name


def outcome_sentences(found: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """What was found, in sentences: on the whole (title "") and by attribute.

    ``found`` is the dictionary of ``audit.json`` (``OutcomesReport.to_dict``).
    """
    whole = []
    for metric, of in found["metrics"].items():
        one, write = found["overall"][metric], numbers_of(found, metric)
        whole.append(
            f"{_capital(of['words'])}: {write(one['value'])}{_within(one, write)} over "
            f"{one['n']} rows; {BETTER[of['better']]}."
        )
    told = [("", whole)]
    for attribute, gaps in found["disparities"].items():
        told.append(
            (attribute, [_sentence(found, attribute, gaps, metric) for metric in found["metrics"]])
        )
    return told


def _sentence(
    found: Mapping[str, Any], attribute: str, gaps: Mapping[str, Any], metric: str
) -> str:
    words, write = found["metrics"][metric]["words"], numbers_of(found, metric)
    gap, worst = gaps[gap_of(metric)], gaps.get(worst_of(metric))
    if gap["value"] is None:
        return f"{_capital(words)}: no gap can be given, too few cases in the groups."
    told = f"{_capital(words)} differs by {write(gap['value'])}{_within(gap, write)}"
    if worst is not None and gap["value"] > 0:
        group = worst["group"]
        value = found["groups"][attribute][group]["metrics"][metric]["value"]
        told += f"; worst is {_quoted(group)} with {write(value)}"
    told += "."
    raw, corrected = gap["p_value"], gap["p_value_corrected"]
    if raw is None:
        return told
    tested = sum(g["p_value"] is not None for g in gaps.values())
    p = f"p {p_value_text(raw)}, corrected for {tested} tests {p_value_text(corrected)}"
    equal = (
        f" Equal groups of these sizes would show {write(gap['null_mean'])} on average, and more "
        f"than {write(gap['null_q95'])} in 5 of 100 cases."
        if len(found["metrics"]) <= BRIEF
        else ""  # it stands in the table
    )
    if corrected <= ALPHA:
        return f"{told} The groups differ more than chance explains ({p}).{equal}"
    most = "" if gap["ci"] is None else f" A gap as large as {write(gap['ci'][1])} is not excluded."
    return f"{told} It cannot be told from chance ({p}).{equal}{most}"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _within(estimate: Mapping[str, Any], write: Numbers) -> str:
    return "" if estimate["ci"] is None else f" (95 % interval {write.interval(estimate['ci'])})"


def _quoted(name: str) -> str:
    return f"\N{LEFT DOUBLE QUOTATION MARK}{name}\N{RIGHT DOUBLE QUOTATION MARK}"


def outcome_limits(found: Mapping[str, Any]) -> list[str]:
    """What these numbers do not show, in sentences; ``found`` as for ``outcome_sentences``."""
    told = [
        "A gap says that the numbers differ between these groups in these data. It does not say "
        "why: severity, size of what is measured, image acquisition and quality of the reference "
        "can differ between groups as well.",
        "A gap that cannot be told from chance is not shown to be absent. The interval says how "
        "large it may be.",
        "The reference is taken as true. Where it is wrong more often in one group, errors are "
        "wrong there too.",
        "Nothing here speaks for other hospitals, devices, years or groups than those in the "
        "table.",
    ]
    if any(one["n_missing"] for one in found["overall"].values()):
        told.append(
            "Rows without a number are left out. Where a number is missing because the model "
            "failed, the groups with most of these look better than they are."
        )
    kinds = {of["kind"] for of in found["metrics"].values()}
    if "r2" in kinds or "kappa" in kinds:
        told.append(
            "R² and kappa depend on how much the truth varies in a group: equal errors give a "
            "lower value where it varies less. Read them beside the mean absolute error."
        )
    if "concordance" in kinds:
        told.append(
            "The concordance index depends on how far a group's times are apart and on how many "
            "are censored, and says nothing of whether predicted risks are too high."
        )
    if found["n_patients"] is None:
        told.append("Without patient keys the intervals may be too narrow.")
    return told
