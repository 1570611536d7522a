"""Every group of an experiment, also those too small for a gap, and the gap over fixed groups."""

from __future__ import annotations

import math

import pandas as pd

from fairthesis.study._across_cohorts import seed_interval, test_train_ratio
from fairthesis.study._archive import Results
from fairthesis.study._summaries import FLOOR, group_metrics


def every_group(
    results: Results, variant: str = "adversarial", base: str = "erm", metric: str = "auroc"
) -> pd.DataFrame:
    """A metric of every group under two methods, however small the group is.

    Args:
        results: an experiment.
        variant: the method.
        base: what it is compared with.
        metric: a metric of the table ``metrics``.

    Returns:
        Indexed by attribute and group: the ``fewest cases`` of either label in a seed, ``counts
        in`` how many of the seeds a gap has the group (30 of either label), the mean over seeds
        under ``base`` and ``variant``, and the paired ``change`` with Student's 95 % interval over
        seeds (``lo``, ``hi``; NaN from fewer than two).

    >>> from fairthesis.study import load_archived
    >>> table = every_group(load_archived("ham10000", "full"))
    >>> table.loc[("age_group", "80+"), "counts in"], int(table["fewest cases"].max())
    ('4 of 5', 96)
    """
    table = group_metrics(results, metric)
    table = table[table["variant"].isin([base, variant])]
    shared, rows = test_train_ratio(results), {}
    for key, part in table.groupby(["attribute", "group"], sort=True):
        cases = part.groupby("seed")[["n_positive", "n_negative"]].min().min(axis=1)
        runs = part.pivot(index="seed", columns="variant", values="value")
        runs = runs.reindex(columns=[base, variant])
        mean, lo, hi = seed_interval((runs[variant] - runs[base]).tolist(), shared=shared)
        rows[key] = {
            "fewest cases": int(cases.min()),
            "counts in": f"{(cases >= FLOOR).sum()} of {len(cases)}",
            base: runs[base].mean(),
            variant: runs[variant].mean(),
            "change": mean,
            "lo": lo,
            "hi": hi,
        }
    out = pd.DataFrame.from_dict(rows, orient="index")
    out.index = pd.MultiIndex.from_tuples(out.index, names=["attribute", "group"])
    return out


def fixed_group_gaps(results: Results, metric: str = "auroc", floor: int = FLOOR) -> str:
    """The gap of each variant over the same groups in every seed, in words.

    A gap that takes the groups with enough cases seed by seed is a mean over different sets of
    groups where one of them has enough in some seeds only. Both fixed sets are told: the groups
    that count in every seed, and those that count in at least one.

    Args:
        results: an experiment.
        metric: a metric of the table ``metrics``.
        floor: cases of either label that a group needs to count.

    Returns:
        A list in Markdown, one line per attribute and variant (of plain training and the
        adversarial encoder).

    >>> from fairthesis.study import load_archived
    >>> print(fixed_group_gaps(load_archived("synthetic-cxr", "quick")).splitlines()[0])
    - by sex, `erm`: 0.210 over the same groups in every seed (F, M).
    """
    table = group_metrics(results, metric)
    table = table[table["variant"].isin(["erm", "adversarial"])]
    lines = []
    for attribute, part in table.groupby("attribute", sort=False):
        cases = part.groupby(["group", "seed"])[["n_positive", "n_negative"]].min().min(axis=1)
        enough = (cases >= floor).groupby("group")
        always = sorted(enough.all()[lambda kept: kept].index)
        once = sorted(enough.any()[lambda kept: kept].index)
        for variant, runs in part.groupby("variant", sort=False):
            values = runs.pivot(index="seed", columns="group", values="value")
            said = f"- by {str(attribute).replace('_', ' ')}, `{variant}`: "
            said += f"{_gap(values, always)} over the same groups in every seed"
            said += f" ({', '.join(map(str, always)) or 'none'})"
            if once != always:
                more = ", ".join(str(group) for group in once if group not in always)
                said += f", {_gap(values, once)} with {more}, too small in some seeds"
            lines.append(said + ".")
    return "\n".join(lines)


def _gap(values: pd.DataFrame, groups: list[str]) -> str:
    """Mean over seeds of highest less lowest; in words where there are fewer than two groups."""
    if len(groups) < 2:
        return "no gap"
    part = values[groups]
    mean = float((part.max(axis=1) - part.min(axis=1)).mean())
    return "not known" if math.isnan(mean) else f"{mean:.3f}"
