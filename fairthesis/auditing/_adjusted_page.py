"""What an audit adjusted for other columns says: as a table, in sentences, and on the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import resources
from typing import Any, Protocol

import jinja2
from markupsafe import Markup

from fairthesis.auditing._wording import interval_text, label_of, number_text

NOT_WHY = (
    "Adjusted: as if every group had the same mix of these columns, that of all compared groups "
    "together (direct standardisation). What is left after it goes with something else than this "
    "mix; what is gone goes with the mix, which need not be its cause. Do not adjust for what the "
    "model or the disease itself brings about, such as severity: that hides what should be seen."
)


class Valued(Protocol):
    """A value with its interval, as ``Estimate``."""

    @property
    def value(self) -> float:
        """The value; NaN where it is not known."""

    @property
    def ci(self) -> tuple[float, float] | None:
        """Its interval, or None."""


def known(value: float) -> float | None:
    """For JSON: None where it is not finite."""
    return float(value) if math.isfinite(value) else None


def estimate_dict(one: Valued) -> dict[str, Any]:
    """An estimate as ``audit.json`` holds it."""
    ends = one.ci if math.isfinite(one.value) else None
    return {"value": known(one.value), "ci": None if ends is None else list(map(float, ends))}


def adjusted_rows(adjusted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of ``adjusted.csv``: by attribute, metric and group; the gap has no group."""
    rows = []
    for attribute, found in adjusted.items():
        parts: list[tuple[str, Mapping[str, Any]]] = [("", found["gaps"])]
        parts = [*found["groups"].items(), *parts]
        for name, of in parts:
            for metric, both in of.items():
                row: dict[str, Any] = {
                    "attribute": attribute,
                    "by": ", ".join(found["by"]),
                    "group": name,
                    "metric": metric,
                }
                for kind in ("crude", "adjusted"):
                    low, high = both[kind]["ci"] or (None, None)
                    row |= {
                        kind: both[kind]["value"],
                        f"{kind}_ci_low": low,
                        f"{kind}_ci_high": high,
                    }
                cases, support = both.get("effective_cases"), found["support"][metric]
                rows.append(row | {"effective_cases": cases, "support": support})
    return rows


def adjusted_sentences(found: Mapping[str, Any]) -> list[str]:
    """What is left of each gap, in sentences that do not say why.

    >>> crude, left = {"value": 0.2, "ci": [0.1, 0.3]}, {"value": 0.01, "ci": [0.0, 0.1]}
    >>> gaps = {"tpr": {"crude": crude, "adjusted": left}}
    >>> print(*adjusted_sentences({"by": ["age"], "gaps": gaps, "support": {"tpr": 1.0}}))
    True positive rate: a gap of 0.200 (0.100 to 0.300); 0.010 (0.000 to 0.100) is left after \
adjusting for age; the first is above 0, and what is left cannot be told from 0.
    """
    told = []
    by = ", ".join(found["by"])
    for metric in ("auroc", "tpr", "fpr"):
        both = found["gaps"].get(metric)
        if both is None or both["crude"]["value"] is None:
            continue
        name = label_of(metric)
        start = f"{name[0].upper()}{name[1:]}: a gap of {_text(both['crude'])}"
        if both["adjusted"]["value"] is None:
            told.append(f"{start}; it could not be adjusted for {by}.")
            continue
        support = found["support"][metric]
        part = "" if support == 1 else f" in {math.floor(1000 * support) / 10:g} % of the cases"
        left = f"{_text(both['adjusted'])} is left after adjusting for {by}"
        told.append(f"{start}; {left}{part}{_verdict(both)}.")
    return told


def _text(one: Mapping[str, Any]) -> str:
    ends = interval_text(one["ci"])
    return number_text(one["value"]) + (f" ({ends})" if ends else "")


def _verdict(both: Mapping[str, Any]) -> str:
    crude, left = (None if both[k]["ci"] is None else both[k]["ci"][0] for k in both)
    if crude is None or left is None:
        return ""
    if left > 0:
        return "; both are above 0" if crude > 0 else "; only what is left is above 0"
    if crude > 0:
        return "; the first is above 0, and what is left cannot be told from 0"
    return "; neither can be told from 0"


def adjusted_block(environment: jinja2.Environment, found: Mapping[str, Any]) -> Markup:
    """The page's part on what is adjusted; empty where nothing is."""
    adjusted = found.get("further", {}).get("adjusted")
    if not adjusted:
        return Markup()
    text = (
        resources.files("fairthesis.auditing").joinpath("adjusted.html").read_text(encoding="utf-8")
    )
    attributes = [
        {
            "name": attribute,
            "by": ", ".join(of["by"]),
            "cuts": {
                name: ", ".join(f"{cut:g}" for cut in cuts) for name, cuts in of["cuts"].items()
            },
            "strata": of["strata"],
            "sentences": adjusted_sentences(of),
            "metrics": [_metric(of, metric) for metric in of["gaps"] if _shown(of, metric)],
        }
        for attribute, of in adjusted.items()
    ]
    return Markup(environment.from_string(text).render(attributes=attributes, note=NOT_WHY))


def _shown(found: Mapping[str, Any], metric: str) -> bool:
    return found["gaps"][metric]["crude"]["value"] is not None


def _metric(found: Mapping[str, Any], metric: str) -> dict[str, Any]:
    def cells(both: Mapping[str, Any]) -> list[tuple[str, str]]:
        return [
            (number_text(both[kind]["value"]), interval_text(both[kind]["ci"]))
            for kind in ("crude", "adjusted")
        ]

    support = found["support"][metric]
    return {
        "label": label_of(metric),
        "support": "" if support in (None, 1) else f"{math.floor(1000 * support) / 10:g} %",
        "groups": [
            {
                "name": name,
                "cells": cells(of[metric]),
                "cases": _count(of[metric]["effective_cases"]),
            }
            for name, of in found["groups"].items()
            if metric in of
        ],
        "gap": cells(found["gaps"][metric]),
    }


def _count(cases: float | None) -> str:
    return "\N{EN DASH}" if cases is None else f"{cases:,.0f}"
