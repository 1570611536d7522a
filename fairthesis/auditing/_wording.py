"""An audit in plain words: what was found, and what cannot be concluded from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Metrics and gaps in the words of figures and reports.
LABELS = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "tpr": "true positive rate",
    "fpr": "false positive rate",
    "tnr": "true negative rate",
    "fnr": "false negative rate",
    "ppv": "positive predictive value",
    "npv": "negative predictive value",
    "prevalence": "prevalence",
    "selection_rate": "selection rate",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ece": "ECE (plug-in)",
    "ece_debiased": "calibration error (RMS, debiased)",
    "calibration_intercept": "recalibration line: intercept",
    "calibration_slope": "recalibration line: slope",
    "observed_expected": "observed / expected",
    "calibration_in_the_large": "calibration in the large",
    "underdiagnosis_rate": "underdiagnosis rate",
    "overdiagnosis_rate": "overdiagnosis rate",
    "tpr_at_fpr_0.2": "TPR at an FPR of 0.2",
    "fpr_at_tpr_0.8": "FPR at a TPR of 0.8",
    "smooth_ece": "smooth calibration error (smECE)",
    "integrated_calibration_index": "integrated calibration index (ICI)",
    "net_benefit": "net benefit at the threshold",
    "auroc_gap": "AUROC gap",
    "worst_group_auroc": "worst group's AUROC",
    "equalized_odds_difference": "equalized odds difference",
    "equalized_odds_difference_mean": "equalized odds difference, mean",
    "tpr_difference": "true positive rate difference",
    "fpr_difference": "false positive rate difference",
    "demographic_parity_difference": "demographic parity difference",
    "accuracy_gap": "accuracy gap",
    "ece_gap": "calibration error gap (RMS, debiased)",
    "brier_gap": "Brier score gap",
}
SUMMARISED = {
    "auroc_gap": "auroc",
    "tpr_difference": "tpr",
    "fpr_difference": "fpr",
    "equalized_odds_difference": "",
    "ece_gap": "ece_debiased",
}
# How equal groups are made, in words.
NULL = (
    "Equal groups: for rates and AUROC, groups are exchanged between the patients' cases of one "
    "label, so that a difference in prevalence makes none here. For demographic parity, accuracy, "
    "Brier score and calibration error they are exchanged between all patients: prevalence alone "
    "can make these differ."
)
ALPHA = 0.05


def label_of(metric: str) -> str:
    """A metric or gap in words, as in figures and reports; what is a user's own as it is called.

    >>> label_of("ece_gap"), label_of("my_f1")
    ('calibration error gap (RMS, debiased)', 'my f1')
    """
    return LABELS.get(metric, metric.replace("_", " "))


def number_text(value: float | None) -> str:
    """Three decimals, or a dash where it is not known.

    >>> number_text(0.25), number_text(None)
    ('0.250', '–')
    """
    return "–" if value is None else f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def threshold_text(value: float) -> str:
    """A threshold so that it can be told from 0 and from 1, however near to them it lies.

    >>> threshold_text(0.5), threshold_text(0.0004), threshold_text(0.99987)
    ('0.500', '0.0004', '0.99987')
    """
    three = f"{value:.3f}"
    return three if abs(float(three) - value) < 5e-4 * min(value, 1 - value) else f"{value:.6g}"


def interval_text(ci: list[float] | None) -> str:
    """``low to high``, or nothing where there is none."""
    return "" if ci is None else f"{number_text(ci[0])} to {number_text(ci[1])}"


def p_value_text(p: float | None) -> str:
    """A p value for reading; below 0.001 as such, a dash where it is not known.

    >>> p_value_text(0.0321), p_value_text(0.0002), p_value_text(None)
    ('0.032', '< 0.001', '–')
    """
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def summary_sentences(found: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """What an audit found, in sentences: on the whole (title "") and on each attribute's main gaps.

    ``found`` is the dictionary of ``audit.json`` (``FairnessReport.to_dict``).

    >>> one = {"value": 0.8, "ci": [0.7, 0.9]}
    >>> overall = {"auroc": one, "ece_debiased": {"value": None, "ci": None}}
    >>> summary_sentences({"n_rows": 90, "overall": overall, "disparities": {}})[0][1][0]
    'Over all 90 rows the AUROC is 0.800 (95 % interval 0.700 to 0.900).'
    """
    auroc, error = found["overall"]["auroc"], found["overall"]["ece_debiased"]
    whole = [
        f"Over all {found['n_rows']} rows the AUROC is {number_text(auroc['value'])}"
        f"{_within(auroc)}.",
        "How far scores are from the observed rates is not known: no bin has two cases."
        if error["value"] is None
        else f"Scores differ from the observed rates by {number_text(error['value'])}"
        f"{_within(error)}, root mean square over bins of the score.",
    ]
    decided = found.get("further", {}).get("decision", False)
    if decided:
        accuracy = found["overall"]["accuracy"]
        whole = [
            f"Of all {found['n_rows']} rows a share of {number_text(accuracy['value'])} is decided "
            f"rightly{_within(accuracy)}. Decisions have no AUROC and no calibration."
        ]
    told = [("", whole)]
    for attribute, gaps in found["disparities"].items():
        sentences = [
            _gap_sentence(found, attribute, gaps[name], metric, name)
            for name, metric in SUMMARISED.items()
            if name in gaps and not (decided and metric in ("auroc", "ece_debiased"))
        ]
        told.append((attribute, sentences))
    return told


def _within(estimate: Mapping[str, Any]) -> str:
    ci = estimate["ci"]
    return "" if ci is None else f" (95 % interval {interval_text(ci)})"


def _gap_sentence(
    found: Mapping[str, Any], attribute: str, gap: Mapping[str, Any], metric: str, name: str
) -> str:
    """A gap in words; ``metric`` is what it is the range of, empty where that is not one metric."""
    if gap["value"] is None:
        what = f"gap in {label_of(metric)}" if metric else label_of(name)
        return f"No {what} can be given: too few cases in the groups."
    values = {
        group: members["metrics"][metric]["value"] if metric else None
        for group, members in found["groups"][attribute].items()
    }
    known = {name: value for name, value in values.items() if value is not None}
    # Groups under the floor are not in the gap, so its ends are looked up among the others. Where
    # all are equal none is the lowest.
    ends = [
        f": lowest in \N{LEFT DOUBLE QUOTATION MARK}{low}\N{RIGHT DOUBLE QUOTATION MARK} "
        f"({number_text(known[low])}), highest in \N{LEFT DOUBLE QUOTATION MARK}{high}"
        f"\N{RIGHT DOUBLE QUOTATION MARK} ({number_text(known[high])})"
        for low in known
        for high in known
        if gap["value"] > 0 and abs(known[high] - known[low] - gap["value"]) < 1e-12
    ]
    what = f"{label_of(metric)} differs by" if metric else f"the {label_of(name)} is"
    differs = f"{what} {number_text(gap['value'])}{_within(gap)}"
    among = " among the groups compared" if _left_out(gap, known) else ""
    sentence = f"{differs[0].upper()}{differs[1:]}{among}{ends[0] if ends else ''}."
    pairs = [r for r in _pairs(found, attribute) if r["metric"] == metric]
    if len(pairs) == 1 and pairs[0]["ci"] is not None:
        sentence += f" {_signed(pairs[0])}"
    raw = gap["p_value"]
    if raw is None:
        return sentence
    corrected = gap.get("p_value_corrected", gap.get("p_value_holm", raw))
    tested = sum(g["p_value"] is not None for g in found["disparities"][attribute].values())
    p = f"p {p_value_text(raw)}, corrected for {tested} gaps {p_value_text(corrected)}"
    equal = (
        f"Equal groups of these sizes would show {number_text(gap['null_mean'])} on average, and "
        f"more than {number_text(gap['null_q95'])} in 5 of 100 cases."
    )
    if corrected <= ALPHA:
        surest = min(pairs, key=_corrected_p, default=None) if len(pairs) > 1 else None
        which = "" if surest is None else f", most surely {_both(surest)}"
        return f"{sentence} The groups differ more than chance explains{which} ({p}). {equal}"
    most = (
        ""
        if gap["ci"] is None
        else f" A gap as large as {number_text(gap['ci'][1])} is not excluded."
    )
    return f"{sentence} It cannot be told from chance ({p}). {equal}{most}"


def _pairs(found: Mapping[str, Any], attribute: str) -> list[Mapping[str, Any]]:
    return list(found.get("further", {}).get("pairs", {}).get(attribute, []))


def _corrected_p(pair: Mapping[str, Any]) -> float:
    p = pair["p_value_corrected"]
    return 1.0 if p is None else float(p)


def _both(pair: Mapping[str, Any]) -> str:
    return f"{_quoted(pair['first'])} and {_quoted(pair['second'])}"


def _quoted(name: str) -> str:
    return f"\N{LEFT DOUBLE QUOTATION MARK}{name}\N{RIGHT DOUBLE QUOTATION MARK}"


def _signed(pair: Mapping[str, Any]) -> str:
    return (
        f"{_quoted(pair['first'])} less {_quoted(pair['second'])} is "
        f"{number_text(pair['difference'])} (95 % interval {interval_text(pair['ci'])})."
    )


def _left_out(gap: Mapping[str, Any], known: Mapping[str, float]) -> bool:
    """Whether some group's value is outside the gap: it was too small to be compared."""
    if not known:
        return False
    return max(known.values()) - min(known.values()) > gap["value"] + 1e-12


def limitation_sentences(found: Mapping[str, Any]) -> list[str]:
    """What these numbers do not show, in sentences.

    ``found`` is the dictionary of ``audit.json`` (``FairnessReport.to_dict``).

    >>> found = {"n_patients": None, "threshold": {"rule": "fixed"}, "groups": {}}
    >>> limitation_sentences(found)[0][:40]
    'A gap says that the model works differen'
    """
    told = [
        "A gap says that the model works differently between these groups in these data. It does "
        "not say why: prevalence, disease severity, image acquisition and label quality can differ "
        "between groups as well.",
        "A gap that cannot be told from chance is not shown to be absent. The interval says how "
        "large it may be.",
        "The labels are taken as true. Where they are wrong more often in one group, rates and "
        "calibration are wrong there too.",
        "Nothing here speaks for other hospitals, devices, years or groups than those in the "
        "table.",
    ]
    prevalences = [
        group["metrics"]["prevalence"]["value"]
        for members in found["groups"].values()
        for group in members.values()
        if group["metrics"]["prevalence"]["value"] is not None
    ]
    if prevalences and max(prevalences) > 2 * max(min(prevalences), 1e-9):
        told.append(
            "Prevalence differs more than twofold between groups. Predictive values, selection "
            "rate, accuracy, Brier score and average precision differ for that reason alone."
        )
    if found["n_patients"] is None:
        told.append("Without patient keys the intervals may be too narrow.")
    return told


# What only people can say, asked for in the report (Mitchell et al. 2019, "Model cards"; TRIPOD+AI,
# Collins et al. 2024, BMJ 385).
CARD = (
    "Model, version and date, and how it may be obtained",
    "Intended use, and by whom",
    "Uses that are out of scope",
    "Training data: source, dates, sites, eligibility",
    "Evaluation data: source, dates, sites, eligibility, and how they differ from training data",
    "Reference standard: who labelled, with what, blinded to what",
    "How groups were recorded, and who could not state theirs",
    "How missing data were handled",
    "How the threshold was chosen, and what follows a positive call",
    "Harms that were foreseen, and to whom",
    "Funding, conflicts of interest, ethics approval, and how patients were involved",
    "Decisions taken because of this audit",
    "Who answers for it, and when it is audited again",
)


def model_card(found: Mapping[str, Any]) -> str:
    """The measured part of a model card, as Markdown.

    >>> model_card({"n_rows": 5, "overall": {}, "groups": {}, "disparities": {}, "warnings": []})
    '## Measured\\n\\n5 rows.\\n'
    """
    lines = ["## Measured", "", f"{found['n_rows']} rows."]
    shown = ("auroc", "tpr", "fpr", "ece_debiased")
    for attribute, groups in found["groups"].items():
        heads = [_cell(attribute), *(label_of(m) for m in shown)]
        lines += ["", f"| {' | '.join(heads)} |", f"|---|{'---:|' * len(shown)}"]
        everyone = {"all rows": {"metrics": found["overall"]}}
        for name, group in {**groups, **everyone}.items():
            cells = [
                f"{number_text(group['metrics'][m]['value'])}"
                + (
                    f" ({interval_text(group['metrics'][m]['ci'])})"
                    if group["metrics"][m]["ci"]
                    else ""
                )
                for m in shown
            ]
            lines.append(f"| {_cell(name)} | {' | '.join(cells)} |")
    if found["groups"]:
        told = [sentence for _, sentences in summary_sentences(found) for sentence in sentences]
        lines += ["", *(f"- {_cell(sentence)}" for sentence in [*told, *found["warnings"]])]
        lines += [
            "",
            "## Limits",
            "",
            *(f"- {sentence}" for sentence in limitation_sentences(found)),
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text that stays text within a Markdown table."""
    for mark in "\\|<>*_`[]$":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", " ")
