"""An audit as one self-contained HTML page: no request is made, and it prints.

``render`` turns the dictionary of ``audit.json`` into the page; with the rows at hand it adds
curves and the threshold explorer. Numbers are laid out here, the page is ``report.html``.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from fairthesis import __version__
from fairthesis.auditing._adjusted_page import adjusted_block
from fairthesis.auditing._forests import forest, gap_rows
from fairthesis.auditing._funnel import FUNNELS, funnel
from fairthesis.auditing._group_curves import curves_of
from fairthesis.auditing._page_parts import (
    PREVALENCES,
    about,
    confusion,
    decision_curves,
    predictive_values,
    score_densities,
)
from fairthesis.auditing._row_warnings import FEW
from fairthesis.auditing._rows import AuditedRows
from fairthesis.auditing._weighted_page import weighted_page
from fairthesis.auditing._wording import (
    ALPHA,
    CARD,
    NULL,
    interval_text,
    label_of,
    limitation_sentences,
    model_card,
    number_text,
    p_value_text,
    summary_sentences,
    threshold_text,
)
from fairthesis.metrics import METRICS, THRESHOLDS

FOREST = ("auroc", "tpr", "fpr", "ece_debiased")
TABLE = ("auroc", "average_precision", "tpr", "fpr", "ppv", "npv", "accuracy", "selection_rate")
CALIBRATION = (
    "prevalence",
    "ece_debiased",
    "ece",
    "calibration_intercept",
    "calibration_slope",
    "brier",
    "log_loss",
)
RULE = ("tpr", "fpr", "ppv", "npv", "accuracy", "selection_rate")
MANY = 20  # groups, beyond which curves by group cannot be told apart
# Okabe and Ito's colours, without the yellow that is lost on paper.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#b8860b", "#000000", "#8c564b")
DASHES = ("", "5 3", "1.5 2.5", "7 2 1.5 2")


def render(
    found: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
    chance: Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]] | None = None,
    data: AuditedRows | None = None,
    explorer: bool = True,
) -> str:
    """The page for an audit's dictionary (``FairnessReport.to_dict()``, or a read audit.json).

    ``chance`` holds the range of each group's metrics under permutation; ``data`` the rows.
    From the threshold ``explorer`` a row's group, label and score (to 0.01) can be read back: it
    and the curves leave out groups of fewer than ``FEW`` patients, and it can be left out.
    """
    settings = settings or {}
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = _template(environment, "report.html")
    additional = found.get("further")
    start = min(max(float(found["threshold"]["value"]), 0.0), 1.0)
    cuts = np.unique(np.append(THRESHOLDS, start))  # the audit's own is a step of the explorer
    floor = settings.get("floor", 0)
    hide = bool(settings.get("small_cells"))
    explorer = explorer and not hide  # counts by threshold are small ones somewhere
    attributes = [
        _attribute(found, name, (chance or {}).get(name, {}), floor, data, cuts, k, hide)
        for k, name in enumerate(found["groups"])
    ]
    return page.render(
        found=found,
        settings=settings,
        attributes=attributes,
        summary=summary_sentences(found),
        limits=limitation_sentences(found),
        null=NULL,
        setting=_setting,
        about=about(found, settings),
        prevalences=PREVALENCES,
        rule=RULE,
        overall=[_cells(found["overall"], [*TABLE, *CALIBRATION, *_own(found)])],
        additional=list(additional["overall"]) if additional else [],
        additional_overall=_cells(additional["overall"], list(additional["overall"]))
        if additional
        else {},
        card=Markup(
            _template(environment, "card.html").render(asked=CARD, measured=model_card(found))
        ),
        adjusted=adjusted_block(environment, found),
        label_of=label_of,
        own=_own(found),
        table=TABLE,
        calibration=CALIBRATION,
        number=number_text,
        threshold=threshold_text,
        interval=interval_text,
        p_value=p_value_text,
        explorer={a["id"]: a["counts"] for a in attributes if a["counts"]} if explorer else {},
        few=FEW,
        start=start,
        cuts=[float(f"{cut:.6g}") for cut in cuts],
        versions={
            "fairthesis": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pandas": pd.__version__,
        },
    )


def _setting(value: Any) -> str:
    """A setting in words: lists and mappings without their brackets."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {one}" for key, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _own(found: Mapping[str, Any]) -> list[str]:
    """The metrics that are not built in (``audit(extra_metrics=...)``)."""
    return [name for name in found["overall"] if name not in METRICS]


def _template(environment: jinja2.Environment, name: str) -> jinja2.Template:
    text = resources.files("fairthesis.auditing").joinpath(name).read_text(encoding="utf-8")
    return environment.from_string(text)


def _cells(metrics: Mapping[str, Any], names: list[str]) -> dict[str, tuple[str, str]]:
    return {
        name: (number_text(metrics[name]["value"]), interval_text(metrics[name]["ci"]))
        for name in names
    }


def _attribute(
    found: Mapping[str, Any],
    attribute: str,
    chance: Mapping[str, Mapping[str, tuple[float, float]]],
    floor: int,
    data: AuditedRows | None,
    cuts: NDArray[np.float64],
    place: int,
    hide: bool = False,
) -> dict[str, Any]:
    groups = [
        {
            "name": name,
            "colour": COLOURS[k % len(COLOURS)],
            "dash": DASHES[k // len(COLOURS) % len(DASHES)],
            "small": min(group["n_positive"], group["n_negative"]) < floor,
            "lacks": _lacking(group, floor),
            "effective": _effective(found, attribute, name),
            "few": (group["n_patients"] or group["n"]) < FEW,
            **{key: group[key] for key in ("n", "n_patients", "n_positive", "n_negative")},
            "cells": _cells(group["metrics"], [*TABLE, *CALIBRATION, *_own(found)]),
        }
        for k, (name, group) in enumerate(found["groups"][attribute].items())
    ]
    many = len(groups) > MANY
    own = found["groups"][attribute]
    page: dict[str, Any] = {
        "name": attribute,
        "many": many,
        "funnels": [f for m in FUNNELS if many and (f := funnel(found["overall"], own, m))],
        "id": f"a{place}",
        "groups": groups,
        "forests": [forest(found, attribute, metric, groups, chance) for metric in FOREST],
        "more_forests": [
            forest(found, attribute, metric, groups, chance)
            for metric in found["overall"]
            if metric not in FOREST
        ],
        **_additional(found.get("further"), attribute),
        "confusion": {g["name"]: confusion(own[g["name"]], hide) for g in groups},
        "predictive": {g["name"]: predictive_values(own[g["name"]]) for g in groups},
        "decision": None,
        "densities": [],
        "gaps": gap_rows(found["disparities"][attribute]),
        "pairs": _pairs(found, attribute),
        "rule": _of_rule(found, attribute),
        "tested": sum(g["p_value"] is not None for g in found["disparities"][attribute].values()),
        "roc": [],
        "reliability": [],
        "counts": [],
    }
    if data is not None and attribute in data.groups and not many:
        codes = data.groups[attribute].codes
        curves = [curves_of(data, codes == k, bool(g["few"]), cuts) for k, g in enumerate(groups)]
        page |= {name: [one[name] for one in curves] for name in ("roc", "reliability", "counts")}
        page["decision"] = decision_curves(page["counts"], groups, cuts)
        page["densities"] = score_densities(data.y, data.s, data.groups[attribute].codes, groups)
    if found.get("further", {}).get("weight"):
        page |= weighted_page(data, attribute, groups, own, cuts, many, hide)
    return page


def _lacking(group: Mapping[str, Any], floor: int) -> str:
    """In which metrics a group is too small to be compared, in words."""
    if group["n"] < floor:
        return "not compared"
    few = [kind for kind in ("positive", "negative") if group[f"n_{kind}"] < floor]
    rates = {"positive": "true positive rate", "negative": "false positive rate"}
    return f"not compared in AUROC, {', '.join(rates[kind] for kind in few)}" if few else ""


def _effective(found: Mapping[str, Any], attribute: str, name: str) -> str:
    number = found.get("further", {}).get("effective_patients", {}).get(attribute, {}).get(name)
    return "\N{EN DASH}" if number is None else f"{number:,.0f}"


def _of_rule(found: Mapping[str, Any], attribute: str) -> list[dict[str, Any]]:
    """Rates at the threshold with their intervals where the rule chooses it anew."""
    rule = found.get("further", {}).get("rule")
    if rule is None:
        return []
    rows = [
        (name, group["metrics"], rule["groups"][attribute][name])
        for name, group in found["groups"][attribute].items()
    ]
    rows.append(("all rows", found["overall"], rule["overall"]))
    return [
        {
            "name": name,
            "cells": [(number_text(own[m]["value"]), interval_text(ends[m])) for m in RULE],
        }
        for name, own, ends in rows
    ]


def _pairs(found: Mapping[str, Any], attribute: str) -> list[dict[str, Any]]:
    """The table of pairs by metric: those of the gaps' metrics first."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for pair in found.get("further", {}).get("pairs", {}).get(attribute, []):
        p = pair["p_value_corrected"]
        rows.setdefault(pair["metric"], []).append(
            {
                "who": f"{pair['first']} \N{MINUS SIGN} {pair['second']}",
                "difference": number_text(pair["difference"]),
                "ci": interval_text(pair["ci"]),
                "ci_simultaneous": interval_text(pair["ci_simultaneous"]),
                "ratio": number_text(pair["ratio"]),
                "ratio_ci": interval_text(pair["ratio_ci"]),
                "p": p_value_text(pair["p_value"]),
                "p_corrected": p_value_text(p),
                "beyond": p is not None and p <= ALPHA,
            }
        )
    return [{"label": label_of(metric), "rows": found} for metric, found in rows.items()]


def _additional(additional: Mapping[str, Any] | None, attribute: str) -> dict[str, Any]:
    """The metrics beyond the fixed list by group, and xAUC of every pair of groups."""
    if not additional:
        return {"additional": [], "crossed": []}
    rows = additional["groups"][attribute]
    crossed = additional["cross_auroc"][attribute]
    ends = additional.get("cross_auroc_ci", {}).get(attribute, {})  # older files have none
    return {
        "additional": [
            {"name": name, "cells": _cells(own, list(own))} for name, own in rows.items()
        ],
        "crossed": [
            {
                "name": name,
                "cells": [
                    (number_text(v), interval_text(ends.get(name, {}).get(other)))
                    for other, v in row.items()
                ],
            }
            for name, row in crossed.items()
        ],
    }
