"""Several models on the same images: paired changes from the first, corrected; levelling down."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairthesis import metrics, stats
from fairthesis.auditing._comparing import warn_of_floor
from fairthesis.auditing._gaps import AttributeGaps
from fairthesis.auditing._levelling import Levelling
from fairthesis.auditing._pairs import changes_of, paired_rows
from fairthesis.auditing._weights import relative, with_weights
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import (
    as_frame,
    attribute_parts,
    filled,
    group_values,
    is_empty,
    key_column,
    label_column,
    probability_column,
    require_columns,
    row_labels,
    row_scores,
    rows_of_part,
    rows_of_split,
    rows_of_target,
)
from fairthesis.metrics import DISPARITIES
from fairthesis.storage import table_writer, text_writer, without_formulas, write_together

# What is tested, and corrected for together; everything else is in the table without a correction.
TESTED = (
    *("auroc", "tpr", "fpr", "brier"),
    *("auroc_gap", "worst_group_auroc", "equalized_odds_difference"),
)
LEVELLED = ("auroc", "tpr", "tnr")


@dataclass(frozen=True)
class Comparison:
    """Models against a reference on the same images, as ``compare`` gives it.

    ``n_images`` and ``n_patients`` count what is compared: a label, the reference's score and
    that of at least one other model are known.
    ``changes`` has a row per model, group and metric: ``reference, other, change, ci_low,
    ci_high, p_value`` and, for the tested ones, ``p_holm`` and ``p_bh``. ``levelling`` has a row
    per model and metric, as ``Levelling`` (bounds in ``best_ci_low`` and so on), between the groups
    that are in the gaps; it is empty where fewer than two of them have the metric. ``thresholds``
    holds each model's.

    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"image_id": range(400), "patient_id": range(400)})
    >>> table["sex"], table["y_true"] = ["f", "m"] * 200, rng.integers(0, 2, 400)
    >>> first = table.assign(y_score=rng.random(400))
    >>> other = table.assign(y_score=rng.random(400) / 2 + table["y_true"] / 2)
    >>> found = compare({"first": first, "other": other}, group="sex", n_boot=100)
    >>> found.reference, found.n_images, sorted(found.thresholds)
    ('first', 400, ['first', 'other'])
    """

    reference: str
    group: str
    n_images: int
    n_patients: int
    thresholds: dict[str, float]
    changes: pd.DataFrame
    levelling: pd.DataFrame
    warnings: tuple[str, ...]
    settings: dict[str, Any]

    def write(self, out: str | Path) -> list[Path]:
        """Write ``comparison.json``, ``changes.csv``, ``levelling.csv``; return their paths."""
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
        changes, levelling = without_formulas(self.changes), without_formulas(self.levelling)
        files = {
            "comparison.json": text_writer(text),
            "changes.csv": table_writer(changes, "changes.csv"),
            "levelling.csv": table_writer(levelling, "levelling.csv"),
        }
        write_together(Path(out), files, last="comparison.json")
        return [Path(out) / name for name in files]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes null."""
        tables = {
            name: json.loads(getattr(self, name).to_json(orient="records", double_precision=15))
            for name in ("changes", "levelling")
        }
        plain = {
            key: getattr(self, key)
            for key in ("reference", "group", "n_images", "n_patients", "thresholds", "settings")
        }
        return {"schema": "fairthesis.comparison/1", **plain, **tables} | {
            "warnings": list(self.warnings)
        }


def compare(
    models: Mapping[str, pd.DataFrame],
    *,
    group: str,
    patient: str = "patient_id",
    key: Sequence[str] = ("image_id",),
    label: str = "y_true",
    score: str = "y_score",
    split: str | None = None,
    target: str | None = None,
    threshold: float | str = 0.5,
    tested: Sequence[str] = TESTED,
    n_boot: int = 2000,
    seed: int = 0,
    floor: int = 30,
    weight: str | None = None,
) -> Comparison:
    """Compare all other ``models`` with the first one, on the same images.

    A threshold rule (``fpr=0.2``) is applied to each model's own rows with ``split == "val"``.
    p values of the ``tested`` metrics are corrected together, over models, groups and metrics,
    by Holm (the chance of any false claim) and by Benjamini and Hochberg (the share of them).
    With ``n_boot=0`` there are no intervals and no p values. ``weight`` is a column of weights of
    the reference's table, and where a rule chooses thresholds of each: a case counts as so many.

    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"image_id": range(400), "sex": ["f", "m"] * 200})
    >>> table["patient_id"] = table["image_id"]
    >>> table["y_true"] = rng.integers(0, 2, 400)
    >>> good = table.assign(y_score=(table["y_true"] + rng.random(400)) / 2)
    >>> poor = table.assign(y_score=rng.random(400))
    >>> found = compare({"good": good, "poor": poor}, group="sex", n_boot=50)
    >>> bool((found.changes.query("metric == 'auroc'")["ci_high"] < 0).all())
    True
    """
    if len(models) < 2:
        raise InputError("Expected at least two models to compare, but got one.")
    for name, number in (("n_boot", n_boot), ("seed", seed)):
        if number < 0:
            raise InputError(f"{name} is {number}: expected 0 or more.")
    known = [*metrics.METRICS, *DISPARITIES]
    if not tested:
        raise InputError("No metric is to be tested: expected at least one in `tested`.")
    for metric in tested:
        if metric not in known:
            raise unknown("metric", metric, known)
    rule = metrics.parse_threshold(threshold)[0] != "fixed"
    parts = {}
    for name, given in models.items():
        frame = as_frame(given, name)
        needed = [*key, label, score, patient, *attribute_parts(frame, group)]
        parts[name] = _prepare(
            frame, name, needed, split, target, threshold, label, score, weight if rule else None
        )
    reference, *others = parts
    first, cut = parts[reference]
    groups = _groups(group_values(first, group, "the predictions table"), group)
    warnings = _not_stated(first, reference, (label, score))
    cases = first[first[label].notna() & first[score].notna()]
    if weight is not None:
        require_columns(first, [weight], reference)
        cases = with_weights(cases, weight, warnings, reference)
        relative(cases, weight, warnings)
    stated = len(cases)
    tables, levels, compared = [], [], set[int]()
    for other in others:
        try:
            rows = paired_rows(
                first,
                parts[other][0],
                group=group,
                key=key,
                label=label,
                score=score,
                patient=patient,
                weight=weight,
            )
            cuts = (cut, parts[other][1])
            with stats.progress_of_all(n_boot, f"{reference} and {other}"):
                changes, levelled, between = changes_of(rows, cuts, n_boot, seed, floor, LEVELLED)
        except InputError as error:
            raise InputError(f"{reference} and {other}: {error}") from error
        tables.append(changes.assign(model=other)[["model", *changes.columns]])
        compared |= set(rows.index)
        if len(rows) < stated:
            warnings.append(
                f"{stated - len(rows)} of {stated} cases have no {score} of {other} and are left "
                "out of its comparison."
            )
        about = f"{other}: " if len(rows) < stated else ""
        warnings += [about + text for text in _small(between, groups, group, floor)]
        # A group too small for the gaps has no say in how they changed.
        levels += [_level(other, metric, level) for metric, level in levelled.items()]
    changes = _corrected(pd.concat(tables, ignore_index=True), tested)
    levelling = pd.DataFrame(levels)
    return Comparison(
        reference=reference,
        group=group,
        n_images=len(compared),
        n_patients=filled(key_column(first, patient, reference)).iloc[sorted(compared)].nunique(),
        thresholds={name: cut for name, (_, cut) in parts.items()},
        changes=changes,
        levelling=levelling,
        warnings=(*dict.fromkeys(warnings), *_unknown(levelling, group)),
        settings={
            **{"label": label, "score": score, "patient": patient, "split": split},
            **{"target": target, "threshold": threshold, "tested": list(tested)},
            **{"n_boot": n_boot, "seed": seed, "floor": floor},
            **({"weight": weight} if weight else {}),
        },
    )


def _prepare(
    frame: pd.DataFrame,
    name: str,
    needed: list[str],
    split: str | None,
    target: str | None,
    threshold: float | str,
    label: str,
    score: str,
    weight: str | None,
) -> tuple[pd.DataFrame, float]:
    """The rows of one model that are compared, and its threshold."""
    require_columns(frame, needed, name)
    used = (label, score)
    frame, _ = rows_of_target(frame, target, used)
    rows, _ = rows_of_split(frame, split, used)
    if is_empty(rows[score]).all():
        raise InputError(
            f"{score} of {name} is empty in all {len(rows)} compared rows: expected probabilities "
            "from 0 to 1. Is this the right column?"
        )
    if is_empty(rows[label]).all():
        raise InputError(f"{label} of {name} is empty in all {len(rows)} compared rows.")
    y = label_column(rows, label, name)
    rows = rows.assign(**{label: y, score: probability_column(rows, score, name)})
    row_labels(rows[~np.isnan(y)], label, what=name)
    rule, rate = metrics.parse_threshold(threshold)
    if rule == "fixed":
        return rows, float(rate if rate is not None else 0.5)
    held = rows_of_part(frame, "val")
    if held.empty:
        raise InputError(
            f"The threshold rule {threshold!r} is applied to rows with split == 'val', and {name} "
            "has none: give a number such as 0.5."
        )
    held = held[~(is_empty(held[label]) | is_empty(held[score]))]
    if weight is not None:
        require_columns(held, [weight], name)
        held = with_weights(held, weight, [], name)
    y, s = row_labels(held, label, both=False, what=name), row_scores(held, score, name)
    w = relative(held, weight, [])
    return rows, metrics.choose_threshold(y, s, rule, rate, w)


def _groups(groups: pd.Series, group: str) -> list[str]:
    found = sorted(groups.dropna().unique())
    if len(found) < 2:
        raise InputError(
            f"{group} has {len(found)} value in the compared rows: expected at least two groups."
        )
    return found


def _not_stated(rows: pd.DataFrame, name: str, columns: Sequence[str]) -> list[str]:
    """A warning for each column of the reference that is empty in some row."""
    missing = {column: int(rows[column].isna().sum()) for column in columns}
    return [
        f"{count} of {len(rows)} rows of {name} have no {column} and are left out."
        for column, count in missing.items()
        if count
    ]


def _small(between: AttributeGaps, groups: list[str], group: str, floor: int) -> list[str]:
    """A warning of groups that are kept out of gaps, and for each that has no case to compare."""
    counts = {n: (g.n_positive, g.n_negative) for n, g in between.found.items()}
    warnings = [
        f"{group} = {name} has no case with a label and both scores: not shown."
        for name in groups
        if name not in counts
    ]
    warn_of_floor(group, counts, between.compared, floor, warnings)
    return warnings


def _level(model: str, metric: str, level: Levelling | None) -> dict[str, object]:
    """A row of ``Comparison.levelling``: empty where fewer than two groups have the metric."""
    row: dict[str, object] = {"model": model, "metric": metric}
    for field in fields(Levelling):
        value = None if level is None else getattr(level, field.name)
        if field.name.endswith("_ci"):
            low, high = value if isinstance(value, tuple) else (None, None)
            row |= {f"{field.name}_low": low, f"{field.name}_high": high}
        else:
            row[field.name] = value
    return row


def _unknown(levelling: pd.DataFrame, group: str) -> list[str]:
    """A warning for each model of which it is not known whether it levelled down."""
    lacking = levelling[levelling["best"].isna()].groupby("model", sort=False)["metric"]
    return [
        f"{model}: fewer than two of the compared groups of {group} have a known "
        f"{', '.join(names)}, so levelling is not reported there."
        for model, names in lacking
    ]


def _corrected(changes: pd.DataFrame, tested: Sequence[str]) -> pd.DataFrame:
    """With columns ``p_holm`` and ``p_bh`` over all tested rows with a p value."""
    family = changes["metric"].isin(list(tested)) & changes["p_value"].notna()
    p = [float(value) for value in changes.loc[family, "p_value"]]
    for column, correct in (
        ("p_holm", stats.holm),
        ("p_bh", stats.benjamini_hochberg),
    ):
        changes[column] = np.nan
        changes.loc[family, column] = correct(p)
    return changes
