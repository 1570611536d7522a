"""Variants of an experiment side by side: what was gained, what was lost, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fairthesis.auditing import label_of
from fairthesis.errors import unknown
from fairthesis.study._archive import Results, of_attribute
from fairthesis.study._twins import most_flipped, twin_table

FLOOR = 30  # positives and negatives that a group needs to enter a gap, as in an audit
#: What the thesis reports, in its order: title of the number -> (table of ``Results``, its name).
HEADLINE = {
    "AUROC": ("metrics", "auroc"),
    "AUROC gap": ("disparities", "auroc_gap"),
    "equalized odds difference": ("disparities", "equalized_odds_difference"),
    "worst group's AUROC": ("disparities", "worst_group_auroc"),
    "ECE gap": ("disparities", "ece_gap"),
}


def headline_numbers(results: Results) -> pd.DataFrame:
    """The thesis's numbers of every run.

    Returns:
        The columns ``variant, seed, attribute`` (``all`` for AUROC), ``number`` (of ``HEADLINE``),
        ``value`` and ``null_mean``: the mean of the same number when the groups are shuffled over
        patients, the part of a gap that chance alone makes. It is null for what has no chance
        level.

    >>> from fairthesis.study import load_archived
    >>> table = headline_numbers(load_archived("synthetic-cxr", "quick"))
    >>> table.groupby(["number", "variant"])["value"].mean().round(2)["AUROC gap"].to_dict()
    {'adversarial': 0.01, 'erm': 0.21}
    """
    parts = []
    for title, (table, name) in HEADLINE.items():
        if table == "metrics":
            overall = results.metrics["group"].isna() & (results.metrics["metric"] == name)
            rows = results.metrics[overall]
            part = rows[["variant", "seed", "value"]].assign(
                attribute="all", null_mean=float("nan")
            )
        else:
            rows = results.disparities[results.disparities["name"] == name]
            part = rows[["variant", "seed", "attribute", "value", "null_mean"]]
        parts.append(part.assign(number=title))
    columns = ["variant", "seed", "attribute", "number", "value", "null_mean"]
    return pd.concat(parts, ignore_index=True)[columns]


def summary_table(results: Results) -> pd.DataFrame:
    """Mean over seeds of every headline number, its range, and its chance level.

    Returns:
        Text, indexed by number and attribute: one column per variant, its mean over seeds and in
        brackets the lowest and the highest seed (``0.842 (0.838–0.846)``, no confidence interval),
        and one per variant of what chance makes: the mean over its runs of the number's mean under
        shuffled groups. Where the cohort has twins, the last rows are the shares of decisions that
        each change flips.

    >>> from fairthesis.study import load_archived
    >>> table = summary_table(load_archived("synthetic-cxr", "quick"))
    >>> table.loc[("AUROC gap", "sex")].tolist()
    ['0.210 (0.200–0.220)', '0.013 (0.007–0.018)', '0.015', '0.011']
    """
    table = headline_numbers(results)
    keys = ["number", "attribute", "variant"]
    spread = table.groupby(keys, sort=False)["value"].agg(["mean", "min", "max", "count"])
    text = spread.apply(
        lambda s: (
            "not known"
            if s["count"] == 0
            else f"{s['mean']:.3f}"
            + (f" ({s['min']:.3f}–{s['max']:.3f})" if s["count"] > 1 else "")
        ),
        axis=1,
    )
    variants = list(dict.fromkeys(table["variant"]))
    chance = table.groupby(keys)["null_mean"].mean().unstack("variant")[variants]
    chance = chance.map(lambda v: "" if pd.isna(v) else f"{v:.3f}")
    out = text.unstack("variant")[variants].join(chance.rename(columns="by chance: {}".format))
    out = out.reindex(list(HEADLINE), level="number").rename_axis(columns=None)
    flips = twin_table(results)
    if flips.empty:
        return out
    rows = [(f"decisions flipped: {change}", "all") for change in flips]
    flips = flips.reindex(variants).astype(object).fillna("not known").T
    flips.index = pd.MultiIndex.from_tuples(rows, names=out.index.names)
    return pd.concat([out, flips.reindex(columns=out.columns, fill_value="")])


def group_metrics(results: Results, metric: str = "auroc") -> pd.DataFrame:
    """A metric of every group and run.

    Args:
        results: an experiment.
        metric: a metric of its table ``metrics``.

    Returns:
        The columns ``variant, seed, target, attribute, group, value, lo, hi``, and the counts of
        test images ``n``, ``n_positive`` and ``n_negative``.

    Raises:
        InputError: for a metric that the table does not have.

    >>> from fairthesis.study import load_archived
    >>> table = group_metrics(load_archived("synthetic-cxr", "quick"))
    >>> table.groupby(["variant", "group"])["value"].mean().round(2)["erm"].to_dict()
    {'F': 0.72, 'M': 0.93}
    """
    known = results.metrics["metric"].unique()
    if metric not in known:
        raise unknown("metric", metric, known)
    rows = results.metrics[results.metrics["group"].notna()]
    keys = ["variant", "seed", "target", "attribute", "group"]
    names = ["n", "n_positive", "n_negative"]
    counts = rows[rows["metric"].isin(names)].pivot(index=keys, columns="metric", values="value")
    table = rows.query("metric == @metric")[[*keys, "value", "lo", "hi"]]
    return table.join(counts[names], on=keys)


def group_levelling(
    results: Results, metric: str = "auroc", baseline: str = "erm", floor: int = FLOOR
) -> pd.DataFrame:
    """What each group gained or lost against plain training, and whether it was levelled down.

    ``levelled_down`` is true for a variant and attribute whose gap shrank because the group that
    was best fell by more than the group that was worst rose; gap, best and worst are taken in each
    seed over the groups that are large enough, and averaged.

    Args:
        results: an experiment.
        metric: a metric of which higher is better.
        baseline: the variant that is compared with.
        floor: positives and negatives that a group needs.

    Returns:
        The columns ``variant, attribute, group``, means over seeds ``baseline`` and ``value``,
        ``change`` (paired) and ``levelled_down``.

    Raises:
        InputError: for an unknown metric or baseline.

    >>> from fairthesis.study import load_archived
    >>> table = group_levelling(load_archived("synthetic-cxr", "quick"))
    >>> table.set_index("group")["change"].round(2).to_dict(), bool(table["levelled_down"].any())
    ({'F': 0.13, 'M': -0.07}, False)
    """
    table = group_metrics(results, metric)
    if baseline not in set(table["variant"]):
        raise unknown("baseline variant", baseline, table["variant"].unique())
    keys = ["seed", "target", "attribute", "group"]
    base = table[table["variant"] == baseline].set_index(keys)["value"].rename("baseline")
    rows = table[table["variant"] != baseline].join(base, on=keys)
    rows = rows.assign(change=rows["value"] - rows["baseline"])
    places = ["variant", "attribute", "group"]
    mean = rows.groupby(places, sort=False)[["baseline", "value", "change"]].mean().reset_index()
    mean["levelled_down"] = False
    large = rows[(rows["n_positive"] >= floor) & (rows["n_negative"] >= floor)].dropna()
    for (variant, attribute), part in large.groupby(["variant", "attribute"]):
        moves = []
        for _, seed in part.groupby(["seed", "target"]):
            before, after = seed["baseline"].to_numpy(float), seed["value"].to_numpy(float)
            best, worst = before.argmax(), before.argmin()
            fell, rose = before[best] - after[best], after[worst] - before[worst]
            moves.append((np.ptp(before) - np.ptp(after), fell, rose))
        shrank, fell, rose = np.mean(moves, axis=0)
        here = (mean["variant"] == variant) & (mean["attribute"] == attribute)
        mean.loc[here, "levelled_down"] = bool(shrank > 0 and fell > max(rose, 0))
    return mean


def levelling_table(results: Results, metric: str = "auroc", floor: int = FLOOR) -> pd.DataFrame:
    """``group_levelling`` in a row per attribute and variant.

    Args:
        results: an experiment.
        metric: a metric of which higher is better.
        floor: positives and negatives that a group needs in every seed.

    Returns:
        A column per group, with plain training's mean in its name, that holds the change; and
        ``levelled_down``.

    Raises:
        InputError: for an unknown metric.

    >>> from fairthesis.study import load_archived
    >>> table = levelling_table(load_archived("synthetic-cxr", "quick"))
    >>> table.round(2).to_dict("records")
    [{'F (0.721)': 0.13, 'M (0.931)': -0.07, 'levelled_down': False}]
    """
    table, counts = group_levelling(results, metric, floor=floor), group_metrics(results, metric)
    least = counts.groupby(["attribute", "group"])[["n_positive", "n_negative"]].min().min(axis=1)
    table = table.join(least.rename("least"), on=["attribute", "group"]).query("least >= @floor")
    named = [f"{g} ({b:.3f})" for g, b in zip(table.group, table.baseline, strict=True)]
    wide = table.assign(group=named).pivot_table(
        index=["attribute", "variant"], columns="group", values="change", sort=False
    )
    down = table.groupby(["attribute", "variant"], sort=False)["levelled_down"].any()
    return wide.assign(levelled_down=down)


def gap_conclusions(results: Results, name: str = "auroc_gap", level: float = 0.05) -> str:
    """What the permutation tests allow to conclude of a gap, in a sentence for each attribute.

    For each variant: the gap's mean over seeds, its mean by chance, and in how many of the seeds
    it is larger than chance; then the AUROC that was gained or lost.

    Args:
        results: an experiment.
        name: a gap of its table ``disparities``.
        level: of the permutation test, in each seed.

    Returns:
        A list in Markdown.

    Raises:
        InputError: for an unknown gap.

    >>> from fairthesis.study import load_archived
    >>> text = gap_conclusions(load_archived("synthetic-cxr", "quick"))
    >>> [line.rpartition(" in ")[2] for line in text.splitlines()]  # larger than chance
    ['2 of 2 seeds.', '0 of 2 seeds.']
    """
    known = results.disparities["name"].unique()
    if name not in known:
        raise unknown("disparity", name, known)
    rows = results.disparities[results.disparities["name"] == name]
    overall = results.metrics[
        results.metrics["group"].isna() & (results.metrics["metric"] == "auroc")
    ]
    auroc = overall.groupby("variant", sort=False)["value"].mean()
    label, lines = label_of(name), []
    old = ", old inference" if results.old_inference else ""
    for (attribute, variant), part in rows.groupby(["attribute", "variant"], sort=False):
        value, chance = part["value"].mean(), part["null_mean"].mean()
        beyond, tested = int((part["p_value"] < level).sum()), int(part["p_value"].notna().sum())
        said = (
            f"no {label} can be computed: fewer than two groups are large enough"
            if pd.isna(value)
            else f"a mean {label} of {value:.3f} where chance alone gives "
            f"{chance:.3f}; larger than chance (p < {level:g}{old}) in {beyond} of {tested} seeds"
        )
        by = str(attribute).replace("_", " ")
        lines.append(f"- `{variant}`, by {by}: AUROC {auroc.loc[str(variant)]:.3f}, {said}.")
    return "\n".join(lines)


OLD = (
    " **Old inference:** the runs' predictions are gone, so intervals, chance levels and p values "
    "of gaps here are still percentiles of a largest difference and plain permutation. Such "
    "intervals do not hold small gaps, and such tests err where groups differ in prevalence or in "
    "images per patient. Values, and tests over seeds, are not touched by this."
)


def provenance_note(results: Results) -> str:
    """Where the results came from, in one paragraph of Markdown.

    The commits are those of the runs, all of them where an archive mixes several; a ``note`` of
    ``provenance.json`` stands at the end.

    >>> from fairthesis.study import load_archived
    >>> print(provenance_note(load_archived("synthetic-cxr", "quick")).partition(". ")[0])
    **Where these numbers come from:** archived in results/synthetic-cxr-quick
    """
    described = results.provenance
    asked, packages = described["experiment"], described["packages"]
    runs = described["runs"]
    images = runs[0]["images"]
    minutes = sum(run["wall_seconds"] for run in runs) / 60
    commits = dict.fromkeys(run.get("git_commit") or "an installed package" for run in runs)
    shown = ", ".join(f"`{commit[:12]}`" for commit in commits)
    return (
        f"**Where these numbers come from:** {results.source}. Data set `{asked['dataset']}`, "
        f"profile `{asked['profile']}`: {len(asked['variants'])} variants × {len(asked['seeds'])} "
        f"seeds, backbone `{asked['base']['backbone']}` at {asked['base']['size']} pixels, "
        f"{asked['base']['epochs']} epochs; the first seed trains on {images['train']:,} images, "
        f"validates on {images['val']:,} and tests on {images['test']:,}. Training took "
        f"{minutes:.0f} minutes in all. {'Commits' if len(commits) > 1 else 'Commit'} of the runs "
        f"{shown}, torch {packages['torch']}, data fingerprint of the first seed "
        f"`{runs[0]['data_fingerprint']}`."
        f"{' ' + described['note'] if 'note' in described else ''}"
        f"{OLD if results.old_inference else ''}"
    )


def adversaries_and_probes(results: Results | None) -> pd.DataFrame:
    """AUROC of each method's own adversary at the last epoch, beside the best fresh probe.

    Args:
        results: an experiment; None gives an empty table.

    Returns:
        A row per variant that trains an adversary (or critics), means over seeds of the AUROC for
        the
        attribute: the adversary's is of training batches, the probe's is given the target and on
        test patients. Sorted by the probe.

    >>> from fairthesis.study import load_archived
    >>> table = adversaries_and_probes(load_archived("synthetic-cxr-methods"))
    >>> (table.loc["laftr"] > 0.6).tolist()  # its adversary is fooled, a fresh probe is not
    [False, True]
    """
    names = ["own adversary, last epoch", "best fresh probe given the target"]
    if results is None:
        return pd.DataFrame(columns=names)
    own = results.curves[results.curves["name"].isin(["adversary_auroc", "critic_auroc"])]
    last = own.sort_values("epoch").groupby(["variant", "seed"], sort=False)["value"].last()
    read = ablation_table(results).set_index(["variant", "seed"])["best probe given the target"]
    table = pd.concat([last, read], axis=1, keys=names).dropna()
    return table.groupby("variant").mean().sort_values(names[1])


def ablation_table(results: Results | None, attribute: str | None = None) -> pd.DataFrame:
    """One row per variant and seed: the headline numbers and the best fresh probe.

    Args:
        results: an experiment; None gives an empty table.
        attribute: the one that is probed; each run's first if None.

    Returns:
        ``variant, seed, AUROC, AUROC gap, equalized odds difference, worst group's AUROC`` and
        ``best probe given the target`` (its AUROC; NaN where nothing was probed). Where the cohort
        has twins also ``most decisions flipped``: the largest share of decisions that a change of
        anything but the disease flips.

    >>> from fairthesis.study import load_archived
    >>> table = ablation_table(load_archived("synthetic-cxr", "quick"))
    >>> table[["variant", "seed", "AUROC"]].round(2).values.tolist()[:2]
    [['erm', 0, 0.88], ['erm', 1, 0.89]]
    """
    numbers = ["AUROC", "AUROC gap", "equalized odds difference", "worst group's AUROC"]
    if results is None:
        return pd.DataFrame(columns=["variant", "seed", *numbers])
    wide = headline_numbers(results).pivot_table(
        index=["variant", "seed"], columns="number", values="value", aggfunc="mean", sort=False
    )
    read = of_attribute(results.leakage, attribute)
    read = read[(read["source"] == "encoder") & (read["scope"] == "given the target")]
    best = read.groupby(["variant", "seed"])["auroc"].max().rename("best probe given the target")
    found = wide[numbers].join(best)
    if len(results.twins):
        found = found.join(most_flipped(results))
    return found.reset_index()


def changed_settings(results: Results | None) -> pd.DataFrame:
    """What each variant but the oracle changes in the experiment's base, a row per variant.

    Args:
        results: an experiment; None gives an empty table.

    >>> from fairthesis.study import load_profile
    >>> table = changed_settings(load_profile("synthetic-cxr-ablation", "full"))
    >>> table.loc["weight_3"].tolist()
    ['adversary_weight = 3']
    """
    asked = results.provenance["experiment"]["variants"] if results else {}

    def listed(changes: Mapping[str, Any]) -> str:
        flat = {k: v for k, v in changes.items() if k != "method_options"}
        flat |= changes.get("method_options", {})
        return ", ".join(f"{k} = {v}" for k, v in flat.items()) or "nothing"

    said = {name: listed(changes) for name, changes in asked.items() if name != "oracle"}
    return pd.DataFrame({"changed in the default": said}, dtype=str)
