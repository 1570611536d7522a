"""Figures over many cohorts and variants: trade-offs, probes beside adversaries, ablations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from fairthesis.plots._figures import CHANCE, COLUMN, SOFT, literal, style
from fairthesis.study import Results, headline_intervals, headline_numbers
from fairthesis.study import ablation_table as of_ablation

CROWD = 8  # methods in a plot, above which not each is drawn with its seeds
ENDS = ("erm", "adversarial", "oracle")
MARKS = "Ds^vPX*"  # eight colours, then the next form
OTHERS = "other methods"
CHANGED = "#0072b2"
REFERENCE = "#d55e00"


def pareto(found: Mapping[str, Results], x: str = "equalized odds difference") -> Figure:
    """AUROC against a gap, one plot per cohort: upper left is better.

    A cross is a method's mean with its intervals over seeds, small dots are the seeds; a line joins
    the methods that no other beats in both means. Where a cohort has more than eight methods, the
    encoder, its two ends and the methods on the line are drawn so; of the others the mean, in grey.

    Args:
        found: cohort -> its results, as ``study.load_all`` gives them.
        x: the gap, one of ``study.HEADLINE``.

    >>> from fairthesis.study import load_archived
    >>> figure = pareto({"synthetic-cxr": load_archived("synthetic-cxr", "quick")}, "AUROC gap")
    >>> figure.axes[0].get_title(), figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('synthetic-cxr (quick)', 'AUROC gap', 'AUROC')
    >>> plt.close("all")
    """
    table = headline_intervals(found)
    numbers = ["cohort", "number", "variant"]
    means = table.groupby(numbers)[["mean", "lo", "hi"]].mean().reset_index()
    names = list(dict.fromkeys(table["variant"]))
    columns = min(2, len(found))
    rows = -(-len(found) // columns)
    with style():
        figure, grid = plt.subplots(
            rows, columns, figsize=(COLUMN, 1.4 * rows + 0.85), squeeze=False
        )
    for axes in grid.flat[len(found) :]:
        axes.set_axis_off()
    handles: dict[str, Artist] = {}
    for axes, (cohort, results) in zip(grid.flat, found.items(), strict=False):
        seeds = headline_numbers(results).pivot_table(
            index=["variant", "seed"], columns="number", values="value", aggfunc="mean"
        )
        own = means[means["cohort"] == cohort].set_index("variant")
        gap, auroc = (own[own["number"] == name] for name in (x, "AUROC"))
        profile = results.provenance["experiment"]["profile"]
        title = f"{literal(cohort)} ({literal(profile)})"
        axes.set_title(title, fontsize=9 if len(title) < 22 else 7.5)
        if gap["mean"].isna().all():
            axes.text(0.5, 0.5, "too few cases for a gap", ha="center", transform=axes.transAxes)
            axes.set(xticks=[], yticks=[])
            continue
        variants = list(dict.fromkeys(results.metrics["variant"]))
        front = _front(gap["mean"], auroc["mean"].reindex(gap.index))
        whole = {*ENDS, *front[2]} if len(variants) > CROWD else {*variants}
        for variant in sorted(variants, key=lambda name: name in whole):  # those in front last
            across, up = (of.loc[variant, ["mean", "lo", "hi"]].to_list() for of in (gap, auroc))
            if variant not in whole:
                [handles[OTHERS]] = axes.plot(across[0], up[0], MARKS[0], ms=4, color=CHANCE)
                continue
            place = names.index(variant)
            color, mark = f"C{place % 8}", MARKS[place // 8 % len(MARKS)]
            [handles[variant]] = axes.plot(across[0], up[0], mark, ms=6, color=color)
            dots = seeds.loc[variant]
            axes.plot(dots[x], dots["AUROC"], "o", ms=3, alpha=0.35, color=color)
            axes.hlines(up[0], across[1], across[2], color=color, lw=1.2)
            axes.vlines(across[0], up[1], up[2], color=color, lw=1.2)
        axes.plot(front[0], front[1], color=SOFT, lw=0.8, ls="--", zorder=0)
        axes.set_xlim(left=0)
        axes.locator_params(nbins=5)
    for axes in grid[:, 0]:
        axes.set_ylabel("AUROC")
    for axes in grid.flat[max(0, len(found) - columns) : len(found)]:
        axes.set_xlabel(literal(x))
    listed = [name for name in (*names, OTHERS) if name in handles]
    artists, labels = [handles[name] for name in listed], [literal(name) for name in listed]
    figure.legend(
        artists, labels, loc="outside upper center", ncols=4, fontsize=7, columnspacing=0.8,
        handletextpad=0.1, handlelength=1.4,
    )  # fmt: skip
    return figure


def _front(gap: pd.Series, auroc: pd.Series) -> tuple[list[float], list[float], list[str]]:
    """The methods that no other beats in both, from the smallest gap up: gap, AUROC, name.

    >>> _front(pd.Series({"a": 0.1, "b": 0.2, "c": 0.3}), pd.Series({"a": 0.8, "b": 0.7, "c": 0.9}))
    ([0.1, 0.3], [0.8, 0.9], ['a', 'c'])
    """
    kept: tuple[list[float], list[float], list[str]] = ([], [], [])
    for place in np.argsort(gap.to_numpy(), kind="stable"):
        value = float(auroc.iloc[place])
        if not np.isnan(value) and (not kept[1] or value > kept[1][-1]):
            kept[0].append(float(gap.iloc[place]))
            kept[1].append(value)
            kept[2].append(str(gap.index[place]))
    return kept


def adversary_and_probe(
    results: Results, variants: Sequence[str] = ("literal", "alternating", "adversarial")
) -> Figure:
    """AUROC of the adversary met in training, epoch by epoch, beside that of a fresh probe.

    Plain training's fresh probe is the dashed line of every plot.

    Args:
        results: an experiment whose training logs hold ``adversary_auroc`` or ``critic_auroc`` and
            ``val_leakage`` (that of ``selection: min_leakage``); a line that is not there is left
            out.
        variants: one plot each.

    >>> from fairthesis.study import load_archived
    >>> figure = adversary_and_probe(load_archived("synthetic-cxr-methods"), ["alternating"])
    >>> figure.axes[0].get_title(), figure.axes[0].get_ylabel()
    ('alternating', 'AUROC for the attribute')
    >>> plt.close("all")
    """
    own = {"adversary_auroc", "critic_auroc"}
    with style():
        figure, grid = plt.subplots(
            1, len(variants), figsize=(1 + 2.1 * len(variants), 3.2), squeeze=False, sharey=True
        )
    table = results.curves
    plain = table[(table["variant"] == "erm") & (table["name"] == "val_leakage")]
    for axes, variant in zip(grid[0], variants, strict=True):
        rows = table[table["variant"] == variant]
        drawn = (
            (plain, SOFT, "--", "fresh probe, plain training"),
            (rows[rows["name"] == "val_leakage"], "C1", "-", "fresh probe"),
            (rows[rows["name"].isin(own)], "C0", "-", "adversary met in training"),
        )
        for part, color, line, label in drawn:
            for place, (_, one) in enumerate(part.groupby("seed")):
                told = label if place == 0 else None
                axes.plot(one["epoch"] + 1, one["value"], line, color=color, label=told)
        axes.axhline(0.5, color=CHANCE, lw=0.8)
        axes.set(title=literal(variant), xlabel="epoch", ylim=(min(0.35, axes.get_ylim()[0]), 1.0))
        axes.locator_params(axis="x", integer=True)
    grid[0, 0].set_ylabel("AUROC for the attribute")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def all_variants(results: Results | None, baseline: str = "erm") -> Figure:
    """Every variant's numbers side by side: a dot per seed, a line at the baseline's mean.

    Args:
        results: an experiment; for None the figure is empty and says so: no number stands in for
            one that is not there.
        baseline: the variant of the line.

    >>> from fairthesis.study import load_archived
    >>> figure = all_variants(load_archived("synthetic-cxr", "quick"))
    >>> [axes.get_title() for axes in figure.axes][:2]
    ['AUROC', 'AUROC gap']
    >>> [text.get_text() for text in all_variants(None).axes[0].texts]
    ['not archived: nothing to show']
    >>> plt.close("all")
    """
    if results is None:
        with style():
            figure, axes = plt.subplots(figsize=(6.4, 1.2))
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "not archived: nothing to show", ha="center", va="center", color=SOFT)
        return figure
    table = of_ablation(results)
    numbers = ["AUROC", "AUROC gap", "equalized odds difference", "best probe given the target"]
    numbers = [name for name in numbers if table[name].notna().any()]
    variants = list(dict.fromkeys(table["variant"]))
    down = -(-len(numbers) // 2)
    with style():  # two beside each other: four could not be read on a phone
        size = (COLUMN, down * (0.23 * len(variants) + 0.6))
        figure, grid = plt.subplots(down, 2, figsize=size, sharey=True, squeeze=False)
    for axes in grid.flat[len(numbers) :]:
        axes.remove()
    for axes, number in zip(grid.flat, numbers, strict=False):
        level = table.loc[table["variant"] == baseline, number].mean()
        axes.axvline(level, color=CHANCE, lw=1)
        for place, variant in enumerate(variants):
            values = table.loc[table["variant"] == variant, number]
            color = REFERENCE if variant in ("erm", "oracle") else CHANGED
            axes.plot(values, [place] * len(values), "o", color=color, ms=4, alpha=0.6)
            axes.plot([values.mean()], [place], "|", color=color, ms=11, mew=2)
        title = number.replace(" difference", "\ndifference").replace(" given", "\ngiven")
        axes.set_title(title, fontsize=9)
        axes.grid(axis="y")
        axes.locator_params(axis="x", nbins=4)
    grid[0, 0].set_yticks(range(len(variants)), [*map(literal, variants)])
    grid[0, 0].invert_yaxis()
    return figure
