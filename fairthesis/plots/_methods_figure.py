"""Figure of many methods by one number: a row each, sorted, with its interval over seeds."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from fairthesis.errors import unknown
from fairthesis.plots._figures import CHANCE, COLUMN, SOFT, literal, style
from fairthesis.study import HEADLINE, Results, best_probes, headline_intervals

PROBE = "best probe given the target"
LARGER = ("AUROC", "worst group's AUROC")  # of which more is better
ENDS = ("erm", "oracle")


def methods_forest(
    results: Results | None, number: str = "AUROC gap", baseline: str = "erm"
) -> Axes:
    """Every method of an experiment by one number, the best at the top.

    A dot is the mean over seeds, its line the 95 % interval over seeds (Student), as of
    ``study.headline_intervals``. The baseline and the oracle are drawn hollow; the grey line is
    the baseline's mean.

    Args:
        results: an experiment; for None the figure is empty and says so.
        number: one of ``study.HEADLINE``, or ``best probe given the target``.
        baseline: the variant of the line.

    Raises:
        InputError: for another number.

    >>> from fairthesis.study import load_archived
    >>> axes = methods_forest(load_archived("synthetic-cxr-methods"), "AUROC gap")
    >>> [label.get_text() for label in axes.get_yticklabels()][:2], axes.get_xlabel()
    (['oracle', 'adversarial'], 'AUROC gap')
    >>> [text.get_text() for text in methods_forest(None).texts]
    ['not archived: nothing to show']
    >>> plt.close("all")
    """
    if number not in (*HEADLINE, PROBE):
        raise unknown("number", number, (*HEADLINE, PROBE))
    rows = _intervals(results, number)
    with style():
        _, axes = plt.subplots(figsize=(COLUMN, 0.9 + 0.23 * max(len(rows), 2)))
    if rows.empty:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "not archived: nothing to show", ha="center", va="center", color=SOFT)
        return axes
    if baseline in rows.index:
        axes.axvline(float(rows["mean"][baseline]), color=CHANCE, lw=1.2, zorder=0)
    for place, (name, row) in enumerate(rows.iterrows()):
        end = name in ENDS
        axes.hlines(place, row["lo"], row["hi"], color=SOFT if end else "C0", lw=1.4)
        face = "white" if end else "C0"
        axes.plot(row["mean"], place, "o", ms=5, color=SOFT if end else "C0", mfc=face)
    axes.set_yticks(range(len(rows)), [literal(name, 26) for name in rows.index])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    if number not in LARGER and number != PROBE:
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
    axes.grid(axis="y", lw=0.4)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(literal(PROBE.replace("probe", "probe's AUROC") if number == PROBE else number))
    return axes


def _intervals(results: Results | None, number: str) -> pd.DataFrame:
    """``mean, lo, hi`` of each variant, the best first."""
    if results is None:
        return pd.DataFrame(columns=["mean", "lo", "hi"])
    if number == PROBE:
        table = best_probes({"": results}).droplevel("cohort").rename(columns={"auroc": "mean"})
    else:
        table = headline_intervals({"": results})
        table = table[table["number"] == number].set_index("variant")
    table = table[["mean", "lo", "hi"]].astype(float).dropna(subset=["mean"])
    return table.sort_values("mean", ascending=number not in LARGER, kind="stable")
