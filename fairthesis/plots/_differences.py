"""Figure of differences that were asked for: each with its interval, and what it tells."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairthesis.errors import InputError
from fairthesis.inputs import require_columns
from fairthesis.plots._figures import CHANCE, COLUMN, SOFT, literal, style

NEEDED = ["difference", "lo", "hi", "verdict"]
ACROSS = 14  # letters of a verdict on one line
TOLD = {"lower": "C0", "higher": "C1"}  # all else is drawn hollow and grey


def differences(
    table: pd.DataFrame,
    labels: Sequence[str],
    panels: str = "number",
    margin: float | None = None,
) -> Figure:
    """A line for each difference: its interval, and whether that tells anything.

    Filled and in colour where the verdict is ``lower`` or ``higher``, hollow and grey where it is
    another one, whose word stands at the right end. Panels have scales of their own.

    Args:
        table: the columns ``difference, lo, hi, verdict``, as of ``study.pooled_contrasts``,
            ``study.contrasts`` or ``study.hypotheses_told``; with ``smallest_change`` a tick on
            either side of 0 shows the smallest change that the design tells.
        labels: the columns that name a line.
        panels: the column that has a panel of its own for each of its values.
        margin: a band from -margin to margin, of changes too small to matter.

    Raises:
        InputError: where a column is missing or there is no line.

    >>> row = {"number": "AUROC gap", "contrast": "hsic − erm", "difference": -0.1}
    >>> told = pd.DataFrame([row | {"lo": -0.14, "hi": -0.06, "verdict": "lower"}])
    >>> figure = differences(told, ["contrast"])
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['hsic − erm']
    >>> figure.axes[0].get_title("left"), [text.get_text() for text in figure.axes[0].texts]
    ('AUROC gap', ['lower'])
    >>> plt.close("all")
    """
    require_columns(table, [*NEEDED, *labels, panels], "the table of differences")
    if table.empty:
        raise InputError("There is no difference to draw: expected one or more rows.")
    parts = [
        (name, part.reset_index(drop=True)) for name, part in table.groupby(panels, sort=False)
    ]
    with style():
        figure, grid = plt.subplots(
            len(parts), 1, squeeze=False,
            figsize=(COLUMN, sum(0.75 + 0.34 * len(part) for _, part in parts)),
            height_ratios=[0.9 + 0.34 * len(part) for _, part in parts],
        )  # fmt: skip
        for axes, (name, part) in zip(grid.flat, parts, strict=True):
            _panel(axes, part, labels, margin)
            axes.set_title(literal(name))
        grid.flat[-1].set_xlabel("difference")
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, labels: Sequence[str], margin: float | None) -> None:
    axes.axvline(0, color=CHANCE, zorder=0)
    if margin is not None:
        axes.axvspan(-margin, margin, color=CHANCE, alpha=0.35, linewidth=0, zorder=0)
    for y, (_, row) in enumerate(rows.iterrows()):
        color = TOLD.get(str(row["verdict"]), SOFT)
        filled = color if row["verdict"] in TOLD else "white"
        axes.hlines(y, row["lo"], row["hi"], color=color)
        axes.plot(row["difference"], y, "o", color=color, markerfacecolor=filled)
        if pd.notna(row.get("smallest_change")):
            ends = [-row["smallest_change"], row["smallest_change"]]
            axes.plot(ends, [y, y], "|", color=SOFT, markersize=7)
        axes.annotate(
            fill(literal(row["verdict"]), ACROSS), (1.01, y), xycoords=("axes fraction", "data"),
            va="center", fontsize=8, color=color,
        )  # fmt: skip
    names = ["\n".join(literal(row[name], 30) for name in labels) for _, row in rows.iterrows()]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(3))
