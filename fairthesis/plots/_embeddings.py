"""Figure of a run's two embeddings: each on its first two axes, by disease and by attribute."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fairthesis.errors import InputError
from fairthesis.inputs import numbered_columns, require_columns
from fairthesis.plots._figures import COLUMN, literal, style

PREFIXES = {"disease embedding": "disease_", "sensitive embedding": "sensitive_"}
SEED = 0  # of which points are drawn, and which lies above which
MARKS = "o^sDv"  # beside the colour, for grey print


def two_embeddings(table: pd.DataFrame, attribute: str, points: int = 600) -> Figure:
    """Both embeddings, a row each, coloured by the disease (left) and by the attribute (right).

    An embedding is shown on its two principal axes of largest variance, the same in both columns.
    What lies in other directions is not seen: the probes' table says what can be recovered.

    Args:
        table: a row per image: ``y_true``, the attribute, and columns ``disease_...`` and
            ``sensitive_...``, as ``study.archived_embeddings`` gives them.
        attribute: a column of the table.
        points: how many images are drawn, at random.

    Raises:
        InputError: where a column is missing, an embedding has fewer than two numbers, or no row
            has a label and a group.

    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame(rng.normal(size=(40, 2)), columns=["disease_0", "disease_1"])
    >>> table[["sensitive_0", "sensitive_1"]] = rng.normal(size=(40, 2))
    >>> table = table.assign(y_true=rng.integers(0, 2, 40), sex=rng.choice(["F", "M"], 40))
    >>> figure = two_embeddings(table, "sex")
    >>> [axes.get_title() for axes in figure.axes[:2]], figure.axes[2].get_ylabel()
    (['by disease', 'by sex'], 'sensitive embedding')
    >>> plt.close("all")
    """
    require_columns(table, ["y_true", attribute], "the table of embeddings")
    rows = table[table["y_true"].notna() & table[attribute].notna()]
    if rows.empty:
        raise InputError(f"No image of the table has a label and a {attribute}: nothing to draw.")
    drawn = np.random.default_rng(SEED).permutation(len(rows))[:points]
    colours = {
        "by disease": rows["y_true"].map({0: "without", 1: "with"}).astype(str),
        f"by {literal(attribute.replace('_', ' '))}": rows[attribute].astype(str),
    }
    with style():
        figure, grid = plt.subplots(2, 2, figsize=(COLUMN, 4.6))
    for line, (name, prefix) in zip(grid, PREFIXES.items(), strict=True):
        plane = _plane(rows, prefix, name)[drawn]
        for axes, values in zip(line, colours.values(), strict=True):
            own = values.to_numpy()[drawn]
            for k, value in enumerate(sorted(set(values))):
                here = own == value
                axes.plot(
                    *plane[here].T,
                    MARKS[k % len(MARKS)],
                    ms=3,
                    alpha=0.5,
                    color=f"C{k % 8}",
                    label=literal(value),
                    mec="none",
                )
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    for axes, title in zip(grid[0], colours, strict=True):
        axes.set_title(title)
        axes.legend(loc="upper right", fontsize=8)
    return figure


def _plane(rows: pd.DataFrame, prefix: str, name: str) -> NDArray[np.float64]:
    """Coordinates on the two axes of largest variance, shape (n, 2)."""
    columns = numbered_columns(rows, prefix)
    if len(columns) < 2:
        raise InputError(
            f"Expected a {name} of two numbers or more, columns {prefix}..., but got "
            f"{len(columns)}. An archive keeps both where its plan has `disentanglement`."
        )
    values = rows[columns].to_numpy(np.float64)
    values = values - values.mean(0)
    axes = np.linalg.eigh(values.T @ values)[1][:, [-1, -2]]
    return np.asarray(values @ axes)
