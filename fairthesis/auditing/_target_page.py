"""The audits of several targets as one self-contained HTML page, with a heat map of their gaps.

``render_targets`` turns the dictionary of ``audit.json`` into the page, which is ``targets.html``.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from fairthesis import __version__
from fairthesis.auditing._wording import (
    ALPHA,
    SUMMARISED,
    interval_text,
    label_of,
    number_text,
    p_value_text,
    threshold_text,
)
from fairthesis.metrics import SMALLER_IS_WORSE

OVERALL = ("auroc", "average_precision", "tpr", "fpr", "ppv", "ece_debiased")
# From white to the darkest on which the ink can still be read (contrast 7 to 1).
PALE, DEEP = np.array([255, 255, 255]), np.array([240, 150, 90])
LEAST = 0.2  # a map whose gaps are all small is not drawn in strong colours


def render_targets(found: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> str:
    """The page for ``FairnessReports.to_dict()``, or a read audit.json.

    ``settings`` are those of the audits, the same for all targets.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    text = resources.files("fairthesis.auditing").joinpath("targets.html")
    page = environment.from_string(text.read_text(encoding="utf-8"))
    attributes = list(found["macro"]["disparities"])
    return page.render(
        found=found,
        settings=settings or {},
        facts=_facts(found),
        summary=summary_sentences(found),
        warnings=_warnings(found),
        overall=_overall(found),
        metrics=OVERALL,
        maps=[_map(found, attribute) for attribute in attributes],
        decisions=found.get("decisions"),
        label_of=label_of,
        number=number_text,
        interval=interval_text,
        alpha=ALPHA,
        versions={
            "fairthesis": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pandas": pd.__version__,
        },
    )


def _facts(found: Mapping[str, Any]) -> str:
    """Rows, patients and thresholds of the targets, as ranges where they differ."""
    targets = list(found["targets"].values())
    facts = [f"{_range([t['n_rows'] for t in targets])} rows"]
    if all(t["n_patients"] is not None for t in targets):
        facts.append(f"{_range([t['n_patients'] for t in targets])} patients a target")
    rules = sorted({t["threshold"]["rule"] for t in targets})
    cuts = sorted({t["threshold"]["value"] for t in targets})
    shown = " to ".join(dict.fromkeys((threshold_text(cuts[0]), threshold_text(cuts[-1]))))
    rule = "" if rules == ["fixed"] else f" ({rules[0]}, chosen on the validation part)"
    return ", ".join(facts) + f" · threshold {shown}{rule}"


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def summary_sentences(found: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """What the audits found together, in sentences: on the whole (title ""), and by attribute."""
    # Hard decisions have no AUROC.
    metric = "auroc" if found["macro"]["overall"]["auroc"]["value"] is not None else "accuracy"
    average = found["macro"]["overall"][metric]
    by_target = {
        name: report["overall"][metric]["value"]
        for name, report in found["targets"].items()
        if report["overall"][metric]["value"] is not None
    }
    low, high = (pick(by_target, key=lambda t: by_target[t]) for pick in (min, max))
    whole = [
        f"Over {average['n_targets']} targets the mean {label_of(metric)} is "
        f"{number_text(average['value'])}"
        f"{_within(average)}: lowest for {_named(low)} ({number_text(by_target[low])}), highest "
        f"for {_named(high)} ({number_text(by_target[high])})."
    ]
    if found["failed"]:
        whole.append(f"Could not be audited: {', '.join(map(_named, found['failed']))}.")
    told = [("", whole)]
    for attribute, gaps in found["macro"]["disparities"].items():
        told.append((attribute, _of_attribute(found, attribute, gaps)))
    return told


def _of_attribute(found: Mapping[str, Any], attribute: str, gaps: Mapping[str, Any]) -> list[str]:
    """The mean AUROC gap, and the gaps that are larger than chance explains."""
    decided = found["macro"]["overall"]["auroc"]["value"] is None
    name = "accuracy_gap" if decided else "auroc_gap"
    gap = gaps[name]
    sentences = [
        f"No target has an {label_of(name)}: too few cases in the groups."
        if gap["value"] is None
        else f"The {label_of(name)} is {number_text(gap['value'])} in the mean over "
        f"{gap['n_targets']} targets{_within(gap)}; chance alone would give "
        f"{number_text(gap['null_mean'])}."
    ]
    p_values = found["p_over_targets"][attribute]
    beyond: dict[str, list[str]] = {}
    for name, row in p_values.items():
        for target, p in row.items():
            if p is not None and p <= ALPHA:
                beyond.setdefault(target, []).append(name)
    for target, names in beyond.items():
        own = found["targets"][target]["disparities"][attribute]
        main = [n for n in SUMMARISED if n in names] or names[:1]
        told = [f"{label_of(n)} {number_text(own[n]['value'])}" for n in main]
        others = len(names) - len(main)
        more = f", and {others} other gap{'s' if others > 1 else ''}" if others else ""
        sentences.append(
            f"More than chance explains for {_named(target)}: {', '.join(told)}{more}."
        )
    if not beyond and any(p is not None for row in p_values.values() for p in row.values()):
        sentences.append("No gap can be told from chance. That does not show that there is none.")
    return sentences


def _named(name: str) -> str:
    return f"\N{LEFT DOUBLE QUOTATION MARK}{name}\N{RIGHT DOUBLE QUOTATION MARK}"


def _within(estimate: Mapping[str, Any]) -> str:
    ci = estimate["ci"]
    return "" if ci is None else f" (95 % interval {interval_text(ci)})"


def _warnings(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(targets, warning): each once, with the targets that it is of."""
    told: dict[str, list[str]] = {}
    for name, report in found["targets"].items():
        for warning in report["warnings"]:
            told.setdefault(warning, []).append(name)
    of_all = [("", warning) for warning in found["warnings"]]
    every = len(found["targets"])
    return of_all + [
        ("" if len(names) == every else ", ".join(names), warning)
        for warning, names in told.items()
    ]


def _overall(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table of targets, and of their means."""
    rows = []
    for name, report in found["targets"].items():
        one = report["overall"]
        groups = next(iter(report["groups"].values()))
        prevalence = one["prevalence"]["value"]
        rows.append(
            {
                "name": name,
                "href": f"{found['folders'][name]}/audit.html",
                "n": report["n_rows"],
                "positive": round(prevalence * report["n_rows"]),
                "compared": len(groups),
                "cells": [
                    (number_text(one[m]["value"]), interval_text(one[m]["ci"])) for m in OVERALL
                ],
            }
        )
    means = found["macro"]["overall"]
    cells = [(number_text(means[m]["value"]), interval_text(means[m]["ci"])) for m in OVERALL]
    return [*rows, {"name": "mean over targets", "href": "", "cells": cells}]


def _map(found: Mapping[str, Any], attribute: str) -> dict[str, Any]:
    """The heat map of one attribute: targets by gaps, and their means."""
    means = found["macro"]["disparities"][attribute]
    names = list(means)
    coloured = [name for name in names if name not in SMALLER_IS_WORSE]
    values = [
        gaps[name]["value"]
        for report in found["targets"].values()
        for gaps in [report["disparities"][attribute]]
        for name in coloured
        if gaps[name]["value"] is not None
    ]
    top = max([LEAST, *values])
    rows = []
    for target, report in found["targets"].items():
        cells = []
        for name in names:
            gap = report["disparities"][attribute][name]
            p = found["p_over_targets"][attribute][name][target]
            cells.append(
                {
                    "value": number_text(gap["value"]),
                    "interval": interval_text(gap["ci"]),
                    "p": p_value_text(p),
                    "beyond": p is not None and p <= ALPHA,
                    "colour": _colour(gap["value"], top) if name in coloured else "",
                }
            )
        href = f"{found['folders'][target]}/audit.html"
        rows.append({"name": target, "href": href, "cells": cells})
    steps = [round(top * k / 4, 3) for k in range(5)]
    return {
        "attribute": attribute,
        "names": names,
        "rows": rows,
        "means": [
            {
                "value": number_text(means[name]["value"]),
                "interval": interval_text(means[name]["ci"]),
                "chance": number_text(means[name]["null_mean"]),
                "n": means[name]["n_targets"],
            }
            for name in names
        ],
        "legend": [(number_text(step), _colour(step, top)) for step in steps],
    }


def _colour(value: float | None, top: float) -> str:
    """A cell's colour, from white at 0 to the deepest at ``top``; none where it is not known."""
    if value is None:
        return ""
    share = min(max(value / top, 0.0), 1.0)
    red, green, blue = (PALE + share * (DEEP - PALE)).round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"
