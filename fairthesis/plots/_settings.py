"""Figure of many settings: where a method helps, does nothing, or harms."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fairthesis.errors import InputError
from fairthesis.inputs import require_columns
from fairthesis.plots._figures import CHANCE, SOFT, literal, style

# Blue helps and orange harms, darker where it is unmixed; the word stands in every cell as well.
COLOURS = {
    "helps": "#9ecae1",
    "helps, at a price": "#d6e8f3",
    "nothing": "#eef1f4",
    "cannot be told": "#ffffff",
    "levels down": "#fde0c5",
    "harms": "#f6b48f",
}
NEEDED = ["outcome", "gap before", "gap after"]


def outcome_map(maps: Mapping[str, pd.DataFrame]) -> Figure:
    """A cell for each setting and column: the outcome in words, and the gap before and after.

    Args:
        maps: the column's title -> a table as of ``study.settings_map``, indexed by setting;
            settings that a column lacks are left empty.

    Raises:
        InputError: where there is no table or a column of it is missing.

    >>> row = {"outcome": "helps", "gap before": 0.17, "gap after": 0.02}
    >>> figure = outcome_map({"sex": pd.DataFrame([row], index=["reversed"])})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['helps', '.170 → .020']
    >>> plt.close("all")
    """
    if not maps:
        raise InputError("There is no setting to draw: expected a table for each column.")
    for title, table in maps.items():
        require_columns(table, NEEDED, f"the map of {title}")
    settings = list(dict.fromkeys(name for table in maps.values() for name in table.index))
    with style():
        size = (1.0 + 0.9 * len(maps), 0.5 + 0.5 * max(1, len(settings)))
        figure, axes = plt.subplots(figsize=size)
        for across, table in enumerate(maps.values()):
            for down, setting in enumerate(settings):
                if setting in table.index:
                    _cell(axes, across, down, table.loc[setting])
        axes.set(xlim=(0, len(maps)), ylim=(len(settings), 0))
        axes.set_xticks(
            [x + 0.5 for x in range(len(maps))], [fill(literal(title), 14) for title in maps]
        )
        axes.set_yticks([y + 0.5 for y in range(len(settings))], [*map(literal, settings)])
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.tick_params(axis="x", labelsize=9)
        axes.grid(False)
        for side in axes.spines.values():
            side.set_visible(False)
    return figure


def _cell(axes: Axes, across: int, down: int, row: pd.Series) -> None:
    told = str(row["outcome"])
    axes.add_patch(
        Rectangle(
            (across + 0.02, down + 0.04), 0.96, 0.92,
            facecolor=COLOURS.get(told, "#ffffff"), edgecolor=CHANCE, linewidth=0.8,
        )
    )  # fmt: skip
    # A cell is narrow, so that four fit on a phone.
    words = "\n".join(fill(part, 10) for part in told.replace(", ", ",\n").split("\n"))
    axes.text(
        across + 0.5, down + 0.37, words,
        ha="center", va="center", fontsize=8, linespacing=0.95,
    )  # fmt: skip
    ends = [f"{row[name]:.3f}".removeprefix("0") for name in ("gap before", "gap after")]
    axes.text(
        across + 0.5, down + 0.79, " → ".join(ends),
        ha="center", va="center", fontsize=7.5, color=SOFT,
    )  # fmt: skip
