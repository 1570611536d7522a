"""A model in another cohort in plain words: what changed, and what kind of shift it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairthesis.auditing._pairs import BETWEEN, EVERYONE
from fairthesis.auditing._shift import APPEARANCE, NO_SHIFT, PREVALENCE, TOO_FEW, UNNAMED
from fairthesis.auditing._wording import ALPHA, interval_text, label_of, number_text, p_value_text

WORDS = {"mean_score": "mean score"}


def label_in_transfer(metric: str) -> str:
    """A metric in words."""
    return WORDS.get(metric, label_of(metric))


def transfer_sentences(found: Mapping[str, Any]) -> dict[str, list[str]]:
    """What was found, model by model, in sentences; ``found`` is as in ``transfer.json``."""
    return {
        name: [
            *_shift_sentences(name, found),
            *_change_sentences(name, found),
        ]
        for name in found["models"]
    }


def _shift_sentences(model: str, found: Mapping[str, Any]) -> list[str]:
    rows = [row for row in found["shifts"] if row["model"] == model]
    whole, groups = rows[0], rows[1:]
    told = [_shift_of_all(whole)]
    if found["labelled"]:
        told += _against_labels(model, found, whole)
    named: dict[str, list[str]] = {}
    for row in groups:
        named.setdefault(row["verdict"], []).append(f"{row['attribute']} = {row['group']}")
    if named:
        listed = "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in named.items())
        told.append(f"By group: {listed}.")
    if whole["verdict"] == APPEARANCE and PREVALENCE in named:
        told.append(
            "Where prevalence explains the shift of a group, the shift of appearance that all rows "
            "show may be there and not be seen: a group has fewer patients."
        )
    shown = any(row["verdict"] in (APPEARANCE, PREVALENCE, UNNAMED) for row in groups)
    if whole["verdict"] == APPEARANCE and groups and not shown:
        told.append(
            "No group shows a shift of its own: the groups may be mixed differently, or each is "
            "too small for a test."
        )
    return told


def _shift_of_all(row: Mapping[str, Any]) -> str:
    verdict = row["verdict"]
    if verdict == TOO_FEW:
        return (
            f"Too few patients to test for a shift: {row['n_internal']} in-distribution, "
            f"{row['n_external']} in the external cohort."
        )
    if verdict == NO_SHIFT:
        return (
            f"No shift is shown (p {_p(row['p_any'])}). That is no proof that there is none: "
            f"{row['n_internal']} and {row['n_external']} patients were compared."
        )
    estimate = (
        f"{number_text(row['estimated_prevalence'])} (95 % interval "
        f"{interval_text(_ends(row, 'estimated_prevalence'))}), from "
        f"{number_text(row['prevalence'])} in-distribution"
    )
    if verdict == PREVALENCE:
        return (
            f"A change of prevalence would explain the shift: the cohorts differ (p "
            f"{_p(row['p_any'])}), and do not once the in-distribution patients have the estimated "
            f"prevalence of {estimate} (p {_p(row['p_rest'])}). A shift of appearance that moves "
            "scores as a prevalence does, or a small one, is not excluded."
        )
    if verdict == APPEARANCE:
        return (
            f"The shift is one of appearance: the cohorts differ (p {_p(row['p_any'])}), and still "
            f"do at the prevalence that scores would suggest (p {_p(row['p_rest'])}). Whether the "
            "prevalence differs as well cannot be told without labels: the estimate rests on there "
            "being no other shift."
        )
    return (
        f"The cohorts differ (p {_p(row['p_any'])}), and by what cannot be told: the prevalence "
        f"would be {estimate} if nothing else had changed, and with as few patients as that leaves "
        f"(p {_p(row['p_rest'])}; {_p(row['p_same_size'])} for as many of any label) no more is "
        "shown."
    )


def _against_labels(model: str, found: Mapping[str, Any], row: Mapping[str, Any]) -> list[str]:
    known = [
        r for r in _rows(model, found) if r["group"] == EVERYONE and r["metric"] == "prevalence"
    ]
    if not known:
        return []
    told = (
        f"The labels say that the prevalence went from {number_text(known[0]['internal'])} to "
        f"{number_text(known[0]['external'])}"
    )
    if row["estimated_prevalence"] is not None and row["verdict"] != NO_SHIFT:
        told += f"; without them it was put at {number_text(row['estimated_prevalence'])}"
    return [told + "."]


def _change_sentences(model: str, found: Mapping[str, Any]) -> list[str]:
    if not found["labelled"]:
        return ["The external cohort has no labels: how well the model does there is not known."]
    told = []
    rows = [row for row in _rows(model, found) if row["p_holm"] is not None]
    for row in rows:
        if row["p_holm"] <= ALPHA:
            told.append(
                f"{_who(row)}: {label_in_transfer(row['metric'])} "
                f"{'rose' if row['change'] > 0 else 'fell'} from {number_text(row['internal'])} to "
                f"{number_text(row['external'])} (change {number_text(row['change'])}, "
                f"{interval_text(_ends(row, 'change'))}; p {_p(row['p_holm'])})."
            )
    for row in rows:
        main = row["metric"] in ("auroc", "auroc_gap") and row["group"] in (EVERYONE, BETWEEN)
        if main and row["p_holm"] > ALPHA:
            told.append(
                f"{_who(row)}: whether {label_in_transfer(row['metric'])} changed cannot be told: "
                f"{number_text(row['internal'])} and {number_text(row['external'])}; any change "
                f"from {interval_text(_ends(row, 'change'))} is compatible with the data."
            )
    if rows:
        told.append(f"Intervals are of 95 %; p values are corrected for {len(rows)} tests.")
    return told


def _rows(model: str, found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in found["changes"] if row["model"] == model]


def _who(row: Mapping[str, Any]) -> str:
    if row["group"] == BETWEEN:
        return f"Groups of {row['attribute']}"
    return "All rows" if not row["attribute"] else f"{row['attribute']} = {row['group']}"


def _ends(row: Mapping[str, Any], name: str) -> list[float] | None:
    ends = [row[f"{name}_low"], row[f"{name}_high"]]
    return None if None in ends else ends


def _p(p: float | None) -> str:
    text = p_value_text(p)
    return text if text.startswith("<") else f"= {text}"
