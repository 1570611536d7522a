"""Figures: a table in, matplotlib Axes out, in the package's one style.

Each function takes tidy tables as ``FairnessReport.tables()`` or ``metrics.roc_curve`` gives them,
draws into ``ax`` (a new figure where none is given) and returns the Axes, so that a notebook can
go on.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairthesis.auditing import label_of
from fairthesis.inputs import require_columns
from fairthesis.stats import Ranks

CHANCE = "#c9d1da"
SOFT = "#57606a"
COLUMN = 4.6  # inches: the width of a figure whose text of 8 points can be read on a phone


@contextmanager
def style() -> Iterator[None]:
    """The package's matplotlib style, for the length of a ``with`` block."""
    source = resources.files("fairthesis.plots").joinpath("style.mplstyle")
    with resources.as_file(source) as path, plt.style.context(path):
        yield


def use_style() -> None:
    """Set the package's matplotlib style for the session; a notebook calls this once.

    Its colours can be told apart by colour-blind readers and in grey print.

    >>> with plt.rc_context():  # here for one block only
    ...     use_style()
    ...     plt.rcParams["axes.spines.top"], plt.rcParams["axes.prop_cycle"].by_key()["color"][0]
    (False, '#0072b2')
    """
    with resources.as_file(resources.files("fairthesis.plots").joinpath("style.mplstyle")) as path:
        plt.style.use(path)
    # A notebook's backend registers itself with the first figure; inside a `with style()` block
    # that would be undone at the block's end, and later figures would not be shown.
    plt.switch_backend(plt.get_backend())


def _sheet(width: float, height: float) -> Figure:
    """A figure whose Axes stay where they are put: without a layout engine, now and later.

    With ``layout="none"`` the style's engine would come back with the first ``savefig`` that crops,
    and the next picture of the same figure would be another one.
    """
    figure = plt.figure(figsize=(width, height))
    figure.set_layout_engine("none")
    return figure


def literal(name: object, longest: int = 48) -> str:
    """A name as a figure's text shows it, letter for letter, on one line.

    Names of groups, attributes, variants and data sets come from users' tables, and matplotlib
    reads meaning into some: what stands between two dollar signs is set as a formula, or is a
    traceback, and a label that begins with ``_`` is left out of legends. A character that cannot
    be drawn is shown as U+FFFD; of a long name the middle is left out.

    >>> print(literal("$50k-$100k"), literal("a  name"), literal("long " * 20, 16))
    \\$50k-\\$100k a name long lon…ng long
    """
    odd = ("Cc", "Cs", "Cn", "Co")  # control characters, halves of characters, unassigned
    text = " ".join(str(name).split())
    text = "".join("\ufffd" if unicodedata.category(one) in odd else one for one in text)
    if len(text) > longest:
        half = (longest - 1) // 2
        text = f"{text[: longest - 1 - half]}…{text[-half:]}"
    text = text.replace("$", r"\$")
    return f"\u200b{text}" if text.startswith("_") else text or "(no name)"


def _axes(ax: Axes | None, **figure: Any) -> Axes:
    if ax is not None:
        return ax
    with style():
        return plt.subplots(**figure)[1]


def _legend_above(ax: Axes) -> None:
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, columnspacing=1)


def forest(groups: pd.DataFrame, metric: str = "auroc", ax: Axes | None = None) -> Axes:
    """A metric of each group with its interval, groups top down.

    Args:
        groups: the columns ``attribute, group, n, metric, value, ci_low, ci_high`` of
            ``FairnessReport.tables()["groups"]``.
        metric: one of its metrics.
        ax: where to draw; by default a new figure.

    Raises:
        InputError: where a column is missing.

    >>> table = pd.DataFrame(
    ...     {
    ...         "attribute": "sex",
    ...         "group": ["F", "M"],
    ...         "n": [120, 80],
    ...         "metric": "auroc",
    ...         "value": [0.81, 0.9],
    ...         "ci_low": [0.7, 0.82],
    ...         "ci_high": [0.88, 0.96],
    ...     }
    ... )
    >>> ax = forest(table)
    >>> [label.get_text() for label in ax.get_yticklabels()], ax.get_xlabel()
    (['F (n = 120)', 'M (n = 80)'], 'AUROC')
    >>> plt.close("all")
    """
    require_columns(groups, ["attribute", "group", "n", "metric", "value", "ci_low"], "groups")
    rows = groups[groups["metric"] == metric].reset_index(drop=True)
    ax = _axes(ax, figsize=(COLUMN, 1.1 + 0.3 * len(rows)))
    for k, attribute in enumerate(rows["attribute"].unique()):
        part = rows[rows["attribute"] == attribute]
        ax.hlines(part.index, part["ci_low"], part["ci_high"], color=f"C{k}")
        ax.plot(part["value"], part.index, "o", color=f"C{k}", label=literal(attribute, 24))
    counted = zip(rows["group"], rows["n"], strict=True)
    ax.set_yticks(rows.index, [f"{literal(group, 24)} (n = {n})" for group, n in counted])
    ax.invert_yaxis()
    ax.set_xlabel(literal(label_of(metric)))
    if rows["attribute"].nunique() > 1:
        _legend_above(ax)
    return ax


def gaps(disparities: pd.DataFrame, attribute: str, ax: Axes | None = None) -> Axes:
    """The gaps of one attribute with their intervals, before the range that chance gives.

    The grey bar ends at the 95 % point under permutation. The worst group's AUROC, which is no gap,
    is left out.

    Args:
        disparities: ``FairnessReport.tables()["disparities"]``.
        attribute: the attribute whose gaps are drawn.
        ax: where to draw; by default a new figure.

    Raises:
        InputError: where a column is missing.

    >>> row = {"attribute": "sex", "name": "auroc_gap", "value": 0.09}
    >>> table = pd.DataFrame([row | {"ci_low": 0.03, "ci_high": 0.15, "null_q95": 0.05}])
    >>> ax = gaps(table, "sex")
    >>> ax.get_xlabel(), [label.get_text() for label in ax.get_yticklabels()]
    ('difference between groups of sex', ['AUROC gap'])
    >>> plt.close("all")
    """
    require_columns(disparities, ["attribute", "name", "value", "null_q95"], "disparities")
    mine = (disparities["attribute"] == attribute) & (disparities["name"] != "worst_group_auroc")
    rows = disparities[mine].reset_index(drop=True)
    ax = _axes(ax, figsize=(COLUMN, 1.1 + 0.3 * len(rows)))
    ax.barh(rows.index, rows["null_q95"], color=CHANCE, height=0.7, label="chance (95 % point)")
    ax.hlines(rows.index, rows["ci_low"], rows["ci_high"], color="C0")
    ax.plot(rows["value"], rows.index, "o", color="C0", label="observed, 95 % interval")
    ax.set_yticks(rows.index, [literal(label_of(name)) for name in rows["name"]])
    ax.invert_yaxis()
    ax.set_xlim(left=0)
    ax.locator_params(axis="x", nbins=4)
    ax.set_xlabel(f"difference between groups of {literal(attribute)}")
    _legend_above(ax)
    return ax


def roc_by_group(curves: Mapping[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """ROC curves by name, with the diagonal that chance gives.

    Args:
        curves: name (of a group, for instance) -> the columns ``fpr, tpr`` of
            ``metrics.roc_curve``.
        ax: where to draw; by default a new figure.

    >>> from fairthesis.metrics import roc_curve
    >>> curves = {"F": roc_curve([0, 1, 1], [0.2, 0.1, 0.7]), "M": roc_curve([0, 1], [0.2, 0.7])}
    >>> ax = roc_by_group(curves)
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('false positive rate', ['F', 'M'])
    >>> plt.close("all")
    """
    ax = _axes(ax, figsize=(4.2, 4.0))
    ax.plot([0, 1], [0, 1], "--", color=SOFT, linewidth=0.8)
    for name, curve in curves.items():
        ax.plot(curve["fpr"], curve["tpr"], label=literal(name))
    ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1))
    ax.set_aspect("equal")
    ax.legend(loc="lower right")
    return ax


def reliability_by_group(curves: Mapping[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Reliability curves by name, with the diagonal of perfect calibration.

    Args:
        curves: name (of a group, for instance) -> a table of ``metrics.reliability_curve``.
        ax: where to draw; by default a new figure.

    >>> from fairthesis.metrics import reliability_curve
    >>> ax = reliability_by_group({"all": reliability_curve([0, 1, 1, 0], [0.2, 0.7, 0.9, 0.6])})
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('mean score', 'observed rate')
    >>> plt.close("all")
    """
    ax = _axes(ax, figsize=(4.2, 4.0))
    ax.plot([0, 1], [0, 1], "--", color=SOFT, linewidth=0.8)
    for k, (name, curve) in enumerate(curves.items()):
        ax.vlines(curve["score"], curve["low"], curve["high"], color=f"C{k}", linewidth=0.8)
        line: dict[str, Any] = {"color": f"C{k}", "markersize": 3.5, "label": literal(name)}
        ax.plot(curve["score"], curve["rate"], "o-", **line)
    ax.set(xlabel="mean score", ylabel="observed rate", xlim=(0, 1), ylim=(0, 1))
    ax.set_aspect("equal")
    ax.legend(loc="upper left")
    return ax


def trade_off(
    runs: pd.DataFrame, x: str = "auroc_gap", y: str = "auroc", ax: Axes | None = None
) -> Axes:
    """Runs of several methods: one faint point a seed, one mean a method.

    Args:
        runs: a row per run with the columns ``method``, ``x`` and ``y``.
        x: the column across, by default the gap.
        y: the column upwards.
        ax: where to draw; by default a new figure.

    Raises:
        InputError: where a column is missing.

    >>> runs = pd.DataFrame({"method": "erm", "auroc_gap": [0.2, 0.1], "auroc": [0.9, 0.8]})
    >>> ax = trade_off(runs)
    >>> ax.get_xlabel(), [round(float(at[0]), 2) for at in ax.lines[1].get_data()]
    ('AUROC gap', [0.15, 0.85])
    >>> plt.close("all")
    """
    require_columns(runs, ["method", x, y], "runs")
    ax = _axes(ax, figsize=(5.2, 4.0))
    for k, (name, part) in enumerate(runs.groupby("method", sort=True)):
        ax.plot(part[x], part[y], "o", color=f"C{k}", alpha=0.35, markersize=4)
        mean: dict[str, Any] = {"color": f"C{k}", "markersize": 7, "label": literal(name)}
        ax.plot(part[x].mean(), part[y].mean(), "D", **mean)
    ax.set(xlabel=literal(label_of(x)), ylabel=literal(label_of(y)))
    ax.legend(loc="best")
    return ax


def curves_over_epochs(
    log: pd.DataFrame, columns: Mapping[str, str], ax: Axes | None = None
) -> Axes:
    """Columns of a training log over ``epoch``.

    Args:
        log: a run's ``log.jsonl`` as a table: ``epoch`` and the columns to draw.
        columns: column -> its label.
        ax: where to draw; by default a new figure.

    Raises:
        InputError: where a column is missing.

    >>> log = pd.DataFrame({"epoch": [0, 1, 2], "val_auroc": [0.7, 0.8, 0.82]})
    >>> ax = curves_over_epochs(log, {"val_auroc": "AUROC, validation"})
    >>> ax.get_xlabel(), ax.get_legend().get_texts()[0].get_text()
    ('epoch', 'AUROC, validation')
    >>> plt.close("all")
    """
    require_columns(log, ["epoch", *columns], "log")
    ax = _axes(ax)
    for column, label in columns.items():
        ax.plot(log["epoch"], log[column], label=literal(label))
    ax.set_xlabel("epoch")
    ax.legend(loc="best")
    return ax


def critical_difference(ranks: Ranks, ax: Axes | None = None) -> Axes:
    """Critical-difference diagram: mean ranks on a line, best left; a bar joins what may be equal.

    Two methods under one bar do not differ at the level of ``ranks`` (Demšar, *Statistical
    Comparisons of Classifiers over Multiple Data Sets*, JMLR 2006).

    Args:
        ranks: as ``stats.friedman_nemenyi`` or ``study.rank_methods`` gives them.
        ax: where to draw; by default a new figure.

    >>> from fairthesis.stats import friedman_nemenyi
    >>> values = {"a": [0.9, 0.8, 0.7], "b": [0.8, 0.7, 0.6], "c": [0.7, 0.6, 0.5]}
    >>> ax = critical_difference(friedman_nemenyi(pd.DataFrame(values)))
    >>> [text.get_text() for text in ax.texts][-3:]
    ['a (1.00)', 'b (2.00)', 'c (3.00)']
    >>> plt.close("all")
    """
    names, k = list(ranks.mean.index), len(ranks.mean)
    left = -(-k // 2)
    bars = ranks.cliques()
    step, below = 0.32, 0.25 + 0.13 * len(bars)
    ax = _axes(ax, figsize=(6.4 if k <= 12 else 7.6, 0.68 * (0.75 + below + step * left)))
    ax.set(xlim=(1.0, float(k)), ylim=(-below - step * left, 0.75))
    ax.plot([1, k], [0, 0], color="black", lw=1, clip_on=False)
    # Names of 20 methods and more take most of the width: not every rank has room for its number.
    for tick in range(1, k + 1) if k <= 12 else [1, *range(5, k - 1, 5), k]:
        ax.plot([tick, tick], [0, 0.1], color="black", lw=1, clip_on=False)
        ax.text(tick, 0.16, str(tick), ha="center", va="bottom", fontsize=9)
    width = ranks.critical_difference
    ax.plot([1, 1 + width], [0.52, 0.52], "|-", color=SOFT, lw=1.5, clip_on=False)
    told = f"CD = {width:.2f}, {ranks.n} data sets, level {ranks.alpha:g}"
    if width < (k - 1) / 2:
        ax.text(1 + width + 0.03 * (k - 1), 0.52, told, va="center", fontsize=9, color=SOFT)
    else:  # no room beside the line
        ax.text(1, 0.62, told, va="bottom", fontsize=9, color=SOFT)
    for place, name in enumerate(names):
        rank = float(ranks.mean[name])
        row = place if place < left else k - 1 - place
        height = -below - step * row
        # The better half is named at the left, the worse half at the right, lines never cross.
        edge, side = (1 - 0.04 * (k - 1), "right") if place < left else (k + 0.04 * (k - 1), "left")
        ax.plot([rank, rank, edge], [0, height, height], color=SOFT, lw=1, clip_on=False)
        ax.plot(rank, 0, "o", color="C0", markersize=5, clip_on=False)
        gap = -0.02 * (k - 1) if side == "right" else 0.02 * (k - 1)
        text = f"{literal(name)} ({rank:.2f})"
        ax.text(edge + gap, height, text, ha=side, va="center", fontsize=9)
    for row, members in enumerate(bars):
        ends = [float(ranks.mean[members[0]]), float(ranks.mean[members[-1]])]
        height = -0.16 - 0.13 * row
        ax.plot(ends, [height, height], color="black", lw=4, solid_capstyle="butt", clip_on=False)
    ax.set_axis_off()
    return ax
