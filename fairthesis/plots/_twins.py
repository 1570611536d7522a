"""Figure of twins: what one change alone does to the scores of several models, by group."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairthesis.auditing import TWIN_MEASURES
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import require_columns
from fairthesis.plots._figures import CHANCE, literal, style

MARKERS = "osD^vPX*"  # beside the colour: models can be told apart in grey print
ACROSS = 3
NEEDED = ["change", "attribute", "group", "measure", "value", "ci_low", "ci_high"]


def twins(table: pd.DataFrame, measure: str = "logit", target: str | None = None) -> Figure:
    """What each change alone does, by group and model: a plot per change, all on one scale.

    Every run is a mark with its 95 % interval over patients; the seeds of a model lie beside one
    another. A grey line stands where nothing changes.

    Args:
        table: ``TwinReport.effects``, or ``Results.twins`` of an experiment: with a column
            ``variant`` models are told apart, with ``seed`` their runs.
        measure: one of ``auditing.TWIN_MEASURES``.
        target: the target; the first if None.

    Raises:
        InputError: where a column is missing, for another measure or target, and where there is no
            twin.

    >>> from fairthesis.auditing import twin_effects
    >>> pairs = pd.DataFrame({"y_true": [0, 1, 0, 1], "y_score": [0.2, 0.6, 0.4, 0.8]})
    >>> pairs = pairs.assign(sex=["F", "F", "M", "M"], twin_device_removed=0.1)
    >>> figure = twins(twin_effects(pairs, n_boot=0).effects)
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['all', 'F', 'M']
    >>> figure.axes[0].get_title("left"), figure.get_supxlabel()
    ('device removed', 'mean change of the logit, in spreads')
    >>> plt.close("all")
    """
    require_columns(table, NEEDED, "the table of twins")
    if measure not in TWIN_MEASURES:
        raise unknown("measure of twins", measure, TWIN_MEASURES)
    rows = table[table["measure"] == measure]
    rows = rows.assign(variant=rows.get("variant", ""), seed=rows.get("seed", 0))
    if "target" in rows and len(rows):
        names = list(dict.fromkeys(rows["target"]))
        if target is not None and target not in names:
            raise unknown("target", target, names)
        rows = rows[rows["target"] == (names[0] if target is None else target)]
    if rows.empty:
        raise InputError("There is no twin to draw: expected a cohort that has some.")
    changes = list(dict.fromkeys(rows["change"]))
    places = rows[["attribute", "group"]].drop_duplicates().reset_index(drop=True)
    variants = list(dict.fromkeys(rows["variant"]))
    across = min(ACROSS, len(changes))
    down = -(-len(changes) // across)
    tall = 0.5 + max(1.0, (0.2 + 0.14 * len(variants)) * len(places))
    with style():
        figure, grid = plt.subplots(
            down, across, sharex=True, sharey=True, squeeze=False,
            figsize=(1.4 + 2.4 * across, 0.8 + tall * down),
        )  # fmt: skip
        for axes, change in zip(grid.flat, changes, strict=False):
            _panel(axes, rows[rows["change"] == change], places, variants)
            axes.set_title(literal(_title(change)))
        for axes in grid.flat[len(changes) :]:
            axes.set_axis_off()
        for axes in grid.flat[max(0, len(changes) - across) : len(changes)]:
            axes.tick_params(labelbottom=True)  # the lowest of its column, also above a gap
        if measure in ("logit_absolute", "flips"):
            grid[0, 0].set_xlim(left=0)
        figure.supxlabel(TWIN_MEASURES[measure], fontsize=10)
        if len(variants) > 1:
            artists, labels = grid[0, 0].get_legend_handles_labels()
            figure.legend(artists, labels, loc="outside upper center", ncols=min(4, len(variants)))
    return figure


def _title(change: object) -> str:
    name = str(change)
    words = name.replace("_", " ")
    return words if name.endswith(("_removed", "_added")) else f"other {words}"


def _panel(axes: Axes, rows: pd.DataFrame, places: pd.DataFrame, variants: list[Any]) -> None:
    """One change: a line of marks per group, the models of a group above one another."""
    axes.axvline(0, color=CHANCE, zorder=0)
    for k, variant in enumerate(variants):
        part = rows[rows["variant"] == variant]
        seeds = list(dict.fromkeys(part["seed"]))
        color, marker = f"C{k % 8}", MARKERS[k % len(MARKERS)]
        for s, seed in enumerate(seeds):
            own = part[part["seed"] == seed].set_index(["attribute", "group"])
            own = own.reindex(pd.MultiIndex.from_frame(places))
            # a model has its share of the line, and a seed its share of that
            at = 0.8 * ((k + (s + 0.5) / len(seeds)) / len(variants) - 0.5)
            y = np.arange(len(places)) + at
            axes.hlines(y, own["ci_low"], own["ci_high"], color=color, linewidth=1.2)
            label = literal(variant) if s == 0 else None
            axes.plot(own["value"], y, marker, color=color, markersize=4, label=label)
    names = [
        "all" if attribute == "all" else literal(group)
        for attribute, group in places.itertuples(index=False)
    ]
    axes.set_yticks(range(len(places)), names)
    axes.set_ylim(len(places) - 0.45, -0.55)
    for line in range(1, len(places)):
        axes.axhline(line - 0.5, color=CHANCE, linewidth=0.5, zorder=0)
