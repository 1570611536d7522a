"""Figures of the chapters on motivation: numbers with intervals, and small pictures by group."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import MaxNLocator

from fairthesis.data import Cohort
from fairthesis.datasets import Drawing, twin, twin_changes
from fairthesis.errors import InputError
from fairthesis.inputs import require_columns
from fairthesis.plots._figures import CHANCE, COLUMN, SOFT, _sheet, literal, style
from fairthesis.plots._gallery import PIXELS, WORDS, WRONG, _picture, examples_of

NEEDED = ["value", "lo", "hi"]
MARKERS = "osD^vPX*"  # beside the colour: series can be told apart in grey print
POINTED = {"disease_removed": "{target}", "device_removed": "device"}


def interval_dots(
    table: pd.DataFrame,
    rows: str = "setting",
    panels: str = "number",
    series: str | None = None,
    from_zero: bool = False,
) -> Figure:
    """Values with their intervals: a panel above another for each number, a line for each row.

    Made for a narrow page: one column of panels, each with a scale of its own and no text beside
    the names of its lines and its title. A value that is not known leaves its line empty.

    Args:
        table: the columns ``value, lo, hi``, and those named below; with a column ``hollow`` of
            truth values, marks are hollow where it is true.
        rows: the column that names a line; panels may have different lines.
        panels: the column that names a panel.
        series: the column whose values are told apart by colour and mark within a line.
        from_zero: whether every scale reaches down to 0.

    Raises:
        InputError: where a column is missing or there is no row.

    >>> row = {"number": "AUROC", "setting": "none", "value": 0.8, "lo": 0.7, "hi": 0.9}
    >>> figure = interval_dots(pd.DataFrame([row, row | {"setting": "same"}]))
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['none', 'same']
    >>> figure.axes[0].get_title("left")
    'AUROC'
    >>> plt.close("all")
    """
    named = [rows, panels, *([series] if series else [])]
    require_columns(table, [*NEEDED, *named], "the table of values")
    if table.empty:
        raise InputError("There is no value to draw: expected one or more rows.")
    kinds = list(dict.fromkeys(table[series])) if series else [None]
    parts = list(table.groupby(panels, sort=False))
    line = 0.22 + 0.085 * (len(kinds) - 1)
    lines = [part[rows].nunique() for _, part in parts]
    across = 2 if len(kinds) == 4 else 3
    legend = 0.25 * -(-len(kinds) // across) if series else 0.0
    with style():
        figure, grid = plt.subplots(
            len(parts), 1, squeeze=False,
            figsize=(COLUMN, legend + sum(0.75 + line * n for n in lines)),
            height_ratios=[0.75 + line * n for n in lines],
        )  # fmt: skip
        for axes, (name, part) in zip(grid.flat, parts, strict=True):
            _lines(axes, part, rows, series, kinds)
            axes.set_title(literal(name))
            if from_zero:
                low, high = axes.get_xlim()
                axes.set_xlim(left=min(low, -0.02 * high))
        if series:
            artists, labels = grid[0, 0].get_legend_handles_labels()
            figure.legend(artists, labels, loc="outside upper left", ncols=across)
    return figure


def _lines(
    axes: Axes, part: pd.DataFrame, rows: str, series: str | None, kinds: list[object]
) -> None:
    names = list(dict.fromkeys(part[rows]))
    for k, kind in enumerate(kinds):
        own = part[part[series] == kind] if series else part
        middle = 0.7 * ((k + 0.5) / len(kinds) - 0.5)
        y = own[rows].map({name: at for at, name in enumerate(names)}) + middle
        axes.hlines(y, own["lo"], own["hi"], color=f"C{k}", linewidth=1.4)
        hollow = own["hollow"].astype(bool) if "hollow" in own else pd.Series(False, own.index)
        label = literal(kind) if series else None
        for few, fill in ((False, f"C{k}"), (True, "white")):
            here = hollow == few
            axes.plot(
                own.loc[here, "value"], y[here], MARKERS[k % len(MARKERS)], color=f"C{k}",
                markerfacecolor=fill, markersize=5, label=None if few else label,
            )  # fmt: skip
    for at in range(1, len(names)):
        axes.axhline(at - 0.5, color=CHANCE, linewidth=0.5, zorder=0)
    axes.set_yticks(range(len(names)), [literal(name) for name in names])
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


def group_pictures(cohort: Cohort, pointed: bool = False) -> Figure:
    """Two pictures of each group and label of a synthetic cohort, without and with the device.

    A small form of ``image_sheet`` for a narrow page, without twins: groups from top to bottom,
    labels from left to right. Above each pair stands which share of the training images it is, and
    how many of them carry the device. An orange frame marks a picture whose recorded label is
    wrong.

    Args:
        cohort: a synthetic cohort.
        pointed: whether arrows show the disease and the device, in the first picture that has both.

    Raises:
        InputError: where the pictures may show patients.

    >>> from fairthesis import datasets
    >>> cohort = datasets.load("synthetic-cxr", n_train=80, n_val=1, n_test=1)
    >>> figure = group_pictures(cohort, pointed=True)
    >>> words = [text.get_text() for axes in figure.axes for text in axes.texts]
    >>> words[0], words[4:6]
    ('M, no opacity', ['opacity', 'device'])
    >>> plt.close("all")
    """
    if not isinstance(cohort.render, Drawing):
        raise InputError(
            f"The pictures of {cohort.name} may show patients: expected a synthetic cohort."
        )
    frame, target = cohort.frame, cohort.targets[0]
    train = frame[frame["split"] == "train"]
    edge, gap, heading = (COLUMN - 0.12) / 4, 0.12, 0.48
    subgroups = examples_of(cohort)
    down = len(subgroups) // 2
    with style():
        figure = _sheet(COLUMN, down * (heading + edge))
        grid = GridSpec(
            2 * down, 5, figure=figure, left=0, right=1, top=1, bottom=0, wspace=0, hspace=0,
            width_ratios=[edge, edge, gap, edge, edge], height_ratios=[heading, edge] * down,
        )  # fmt: skip
        for place, (group, label, rows) in enumerate(subgroups):
            line, column = 2 * (place // 2), 3 * (place % 2)
            part = train[(train[cohort.render.group] == group) & (train[target] == label)]
            head = figure.add_subplot(grid[line, column : column + 2])
            head.set_axis_off()
            word = f"{group}, {WORDS.get(target, (f'no {target}', target))[int(label)]}"
            device = part["device"].mean() if len(part) else 0.0
            text = f"{len(part) / len(train):.0%} of all; {device:.0%} with device"
            head.text(0.02, 0.68, literal(word), fontsize=11, fontweight="bold", va="center")
            head.text(0.02, 0.24, text, fontsize=9.5, color=SOFT, va="center")
            for k, row in enumerate(rows):
                axes = figure.add_subplot(grid[line + 1, column + k])
                wrong = bool(frame[target].iloc[row] != frame[f"clean_{target}"].iloc[row])
                _picture(axes, cohort.render(np.array([row]), PIXELS)[0], wrong)
                if pointed and place == 1 and k == 1:
                    _arrows(axes, cohort, int(row))
    return figure


def _arrows(axes: Axes, cohort: Cohort, row: int) -> None:
    """Arrows to where the picture differs from its twins without the disease and the device."""
    one = np.array([row])
    assert cohort.render is not None
    drawn = cohort.render(one, PIXELS)[0].astype(float).mean(-1)
    for change, words in POINTED.items():
        if change not in twin_changes(cohort) or not twin_changes(cohort)[change].applies[row]:
            continue
        other = twin(cohort, one, change).render
        assert other is not None
        seen = np.abs(drawn - other(np.array([0]), PIXELS)[0].astype(float).mean(-1))
        at = np.unravel_index(int(seen.argmax()), seen.shape)
        place = (0.5, 0.86)
        if change == "device_removed":
            place = (0.68 if at[1] < PIXELS / 2 else 0.32, 0.12)
        axes.annotate(
            words.format(target=cohort.targets[0]), (float(at[1]), float(at[0])),
            xytext=place, textcoords="axes fraction", fontsize=9.5, fontweight="bold",
            color="white", ha="center", va="center",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "#1b1f24", "edgecolor": "none"},
            arrowprops={"arrowstyle": "->", "color": WRONG, "linewidth": 1.8},
        )  # fmt: skip
