"""Figures of a cohort and of an experiment: every seed shown, chance beside every gap."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fairthesis.auditing import label_of
from fairthesis.data import Cohort
from fairthesis.errors import InputError, unknown
from fairthesis.plots._figures import CHANCE, COLUMN, literal, style
from fairthesis.study import HEADLINE, Results, group_metrics, headline_numbers

GAPS = ("AUROC gap", "equalized odds difference", "ECE gap")


def image_grid(images: NDArray[np.uint8], titles: Sequence[str], columns: int = 4) -> Figure:
    """A sheet of images, each under its title.

    Args:
        images: uint8 of shape (n, height, width, channels), channels 1 or 3.
        titles: one for each image.
        columns: images in a row.

    Raises:
        InputError: for no image, and where titles and images are not as many.

    >>> figure = image_grid(np.zeros((3, 8, 8, 1), np.uint8), ["a", "b", "c"], columns=2)
    >>> [axes.get_title() for axes in figure.axes]  # the last place stays empty
    ['a', 'b', 'c', '']
    >>> plt.close("all")
    """
    if len(images) != len(titles) or len(images) == 0:
        raise InputError(
            f"Expected a title for every image, but got {len(titles)} titles for {len(images)}."
        )
    rows = -(-len(images) // columns)
    with style():
        figure, grid = plt.subplots(
            rows, columns, figsize=(1.25 * columns, 1.45 * rows), squeeze=False
        )
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, title in zip(grid.flat, images, titles, strict=False):
        axes.imshow(image.squeeze(-1) if image.shape[-1] == 1 else image, vmin=0, vmax=255)
        axes.set_title(literal(title), fontsize=8, loc="center", fontweight="normal")
    return figure


def cohort_examples(
    cohort: Cohort, target: str, attribute: str, size: int = 96, each: int = 2
) -> Figure:
    """The first ``each`` training images of every group without and with the target.

    Only for synthetic cohorts: pictures of patients are shown nowhere.

    Args:
        cohort: a cohort whose images are drawn.
        target: one of its targets.
        attribute: one of its attributes.
        size: the edge in pixels at which they are drawn.
        each: images of each group and label.

    Raises:
        InputError: for a cohort whose images are in files.

    >>> from fairthesis import datasets
    >>> cohort = datasets.load("synthetic-cxr", n_train=60, n_val=2, n_test=2)
    >>> figure = cohort_examples(cohort, "opacity", "sex", size=16, each=1)
    >>> [axes.get_title() for axes in figure.axes]
    ['F, no opacity', 'F, opacity', 'M, no opacity', 'M, opacity']
    >>> plt.close("all")
    """
    if cohort.render is None or cohort.root is not None:  # the latter where a marker is drawn
        raise InputError(f"The pictures of {cohort.name} show patients: expected a synthetic one.")
    frame = cohort.frame
    rows: list[int] = []
    titles: list[str] = []
    for group in cohort.groups(attribute):
        for value, word in ((0, "no "), (1, "")):
            found = (frame["split"] == "train") & (cohort.group_of(attribute) == group)
            chosen = np.flatnonzero((found & (frame[target] == value)).to_numpy())[:each]
            rows += list(chosen)
            titles += [f"{group}, {word}{target}"] * len(chosen)
    return image_grid(cohort.render(np.array(rows), size), titles, columns=2 * each)


def headline_dots(results: Results, numbers: Sequence[str] | None = None) -> Figure:
    """Every seed of every variant as a dot, one plot per number; a bar where chance lies.

    The grey bar is the number's mean when the groups are shuffled over patients. Plots of AUROC
    share one scale, and those of gaps begin at 0.

    Args:
        results: an experiment.
        numbers: names of ``study.HEADLINE``; by default the first four.

    Raises:
        InputError: for another number.

    >>> from fairthesis.study import load_archived
    >>> figure = headline_dots(load_archived("synthetic-cxr", "quick"), ["AUROC", "AUROC gap"])
    >>> [axes.get_title() for axes in figure.axes], float(figure.axes[1].get_ylim()[0])
    (['AUROC', 'AUROC gap'], 0.0)
    >>> plt.close("all")
    """
    table = headline_numbers(results)
    chosen = list(numbers or list(HEADLINE)[:4])
    for number in chosen:
        if number not in HEADLINE:
            raise unknown("headline number", number, HEADLINE)
    variants = list(dict.fromkeys(table["variant"]))
    with style():
        across = min(2, len(chosen))  # on a phone the text of more could not be read
        down = -(-len(chosen) // across)
        figure, grid = plt.subplots(down, across, figsize=(2.3 * across, 2.5 * down), squeeze=False)
    plots = list(grid.flat)[: len(chosen)]
    for axes in list(grid.flat)[len(chosen) :]:
        axes.remove()
    for axes, number in zip(plots, chosen, strict=True):
        part = table[table["number"] == number]
        for place, variant in enumerate(variants):
            rows = part[part["variant"] == variant]
            spread = np.linspace(-0.12, 0.12, len(rows)) if len(rows) > 1 else np.zeros(len(rows))
            axes.plot(place + spread, rows["value"], "o", color=f"C{place}", alpha=0.8)
            if rows["null_mean"].notna().any():
                level = rows["null_mean"].mean()
                axes.plot([place - 0.3, place + 0.3], [level, level], color=CHANCE, lw=5, zorder=0)
        title = number.replace(" difference", "\ndifference").replace("'s ", "'s\n")
        axes.set_title(title, fontsize=9)
        axes.set_xticks(range(len(variants)), [literal(name, 24) for name in variants], rotation=20)
        axes.set_xlim(-0.6, len(variants) - 0.4)
        if number in GAPS:
            axes.set_ylim(bottom=0)
    # Plots of the same scale share it: a small loss must not look like a large one.
    same = [axes for axes, number in zip(plots, chosen, strict=True) if number not in GAPS]
    if same:
        low = min(axes.get_ylim()[0] for axes in same)
        high = max(axes.get_ylim()[1] for axes in same)
        room = 0.06 * (high - low)  # half a dot lies beyond the outermost value
        for axes in same:
            axes.set_ylim(low - room, high + room)
    return figure


def group_change(results: Results, metric: str = "auroc") -> Figure:
    """A metric of every group from variant to variant, mean over seeds, one line per group.

    Args:
        results: an experiment; each attribute has a plot of its own.
        metric: a metric of its table ``metrics``.

    Raises:
        InputError: for a metric that the table does not have.

    >>> from fairthesis.study import load_archived
    >>> figure = group_change(load_archived("synthetic-cxr", "quick"))
    >>> figure.axes[0].get_title(), [text.get_text()[:1] for text in figure.axes[0].texts]
    ('by sex', ['F', 'M'])
    >>> plt.close("all")
    """
    table = group_metrics(results, metric)
    variants = list(dict.fromkeys(table["variant"]))
    attributes = list(dict.fromkeys(table["attribute"]))
    with style():
        figure, grid = plt.subplots(
            len(attributes), 1, figsize=(COLUMN, 2.8 * len(attributes)), squeeze=False
        )
    for axes, attribute in zip(grid[:, 0], attributes, strict=True):
        part = table[table["attribute"] == attribute]
        labels: list[tuple[str, float]] = []
        for group, rows in part.groupby("group"):
            mean = rows.groupby("variant")[["value", "n"]].mean().reindex(variants)
            if mean["value"].isna().all():
                continue
            axes.plot(range(len(variants)), mean["value"], "o-")
            text = f"{literal(group)} (n = {mean['n'].iloc[-1]:.0f})"
            labels.append((text, float(mean["value"].iloc[-1])))
        apart = _apart([value for _, value in labels], 0.07 * np.ptp(axes.get_ylim()))
        for (label, value), height in zip(labels, apart, strict=True):
            axes.annotate(
                label,
                (len(variants) - 1, value),
                xytext=(len(variants) - 0.94, height),
                va="center",
                fontsize=9,
                arrowprops={"arrowstyle": "-", "color": CHANCE, "lw": 0.8},
            )
        axes.set_xticks(range(len(variants)), [literal(name, 24) for name in variants])
        axes.set_xlim(-0.2, len(variants) - 0.4)
        axes.set_ylabel(literal(label_of(metric)))
        axes.set_title(f"by {literal(attribute.replace('_', ' '))}")
    return figure


def probe_aurocs(table: pd.DataFrame) -> Figure:
    """How well each fresh probe recovers the attribute, marginally and given the target.

    A dot with its interval per variant and probe; the grey bar is what the same probe reaches when
    the attribute is shuffled over patients.

    Args:
        table: as ``study.probe_run`` gives it.

    >>> table = pd.DataFrame(
    ...     {
    ...         "variant": ["erm", "adversarial"],
    ...         "source": "encoder",
    ...         "probe": "logistic",
    ...         "scope": "marginal",
    ...         "auroc": [0.8, 0.55],
    ...         "ci_low": [0.75, 0.5],
    ...         "ci_high": [0.85, 0.6],
    ...         "shuffled_mean": 0.5,
    ...     }
    ... )
    >>> figure = probe_aurocs(table)
    >>> figure.axes[0].get_ylabel(), figure.axes[0].get_title(loc="left")
    ('AUROC of the probe', 'marginal')
    >>> plt.close("all")
    """
    rows = table[table["source"] == "encoder"]
    probes, scopes = list(rows["probe"].unique()), list(rows["scope"].unique())
    variants = list(rows["variant"].unique())
    with style():
        figure, grid = plt.subplots(1, len(scopes), figsize=(COLUMN, 3), squeeze=False, sharey=True)
    for axes, scope in zip(grid[0], scopes, strict=True):
        for place, variant in enumerate(variants):
            part = rows[(rows["scope"] == scope) & (rows["variant"] == variant)]
            part = part.set_index("probe").loc[probes]
            x = np.arange(len(probes)) + 0.16 * (place - (len(variants) - 1) / 2)
            spread = np.abs(part[["ci_low", "ci_high"]].to_numpy().T - part["auroc"].to_numpy())
            axes.errorbar(x, part["auroc"], yerr=spread, fmt="o", label=literal(variant))
            axes.hlines(part["shuffled_mean"], x - 0.08, x + 0.08, color=CHANCE, lw=5, zorder=0)
        axes.set_xticks(range(len(probes)), [literal(name, 24) for name in probes], rotation=25)
        axes.set_title(literal(scope), loc="left")
    grid[0, 0].set_ylabel("AUROC of the probe")
    artists, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(artists, labels, loc="outside upper center", ncols=len(variants))
    return figure


def _apart(heights: Sequence[float], least: float) -> list[float]:
    """The heights, each pushed up until it is ``least`` above the one below it.

    >>> _apart([0.5, 0.1, 0.5], 0.1)
    [0.5, 0.1, 0.6]
    """
    out = [0.0] * len(heights)
    below = -np.inf
    for place in np.argsort(heights, kind="stable"):
        below = out[place] = max(heights[place], below + least)
    return out


def over_epochs(
    results: Results, names: Sequence[str], variant: str, ax: Axes | None = None
) -> Axes:
    """The training log of one variant, epoch by epoch: a line per name and seed.

    Args:
        results: an experiment.
        names: names of its table ``curves``, as ``val_auroc`` or ``disease_loss``.
        variant: one of its variants.
        ax: where to draw; by default a new figure.

    >>> from fairthesis.study import load_archived
    >>> ax = over_epochs(load_archived("synthetic-cxr", "quick"), ["val_auroc"], "erm")
    >>> ax.get_xlabel(), len(ax.lines)  # two seeds
    ('epoch', 2)
    >>> plt.close("all")
    """
    with style():
        axes = ax if ax is not None else plt.subplots(figsize=(COLUMN, 2.8))[1]
    rows = results.curves[results.curves["variant"] == variant]
    for number, name in enumerate(names):
        part = rows[rows["name"] == name]
        for place, (_, line) in enumerate(part.groupby("seed")):
            label = literal(name.replace("_", " ")) if place == 0 else None
            axes.plot(line["epoch"] + 1, line["value"], color=f"C{number}", alpha=0.8, label=label)
    axes.set_xlabel("epoch")
    axes.legend(ncols=len(names), loc="upper center", bbox_to_anchor=(0.5, 1.16))
    return axes
