"""Figure of several runs' embeddings, each in the plane that tells disease and groups apart."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fairthesis.embeddings import mean_differences
from fairthesis.errors import InputError
from fairthesis.inputs import numbered_columns, require_columns
from fairthesis.plots._figures import COLUMN, literal, style

SEED = 0  # of which points are drawn
MARKS = "o^sDv"  # beside the colour, for grey print


def embedding_planes(
    tables: Mapping[str, pd.DataFrame],
    attribute: str,
    points: int = 500,
    prefix: str = "disease_",
) -> Figure:
    """Embeddings, a row for each, coloured by the disease (left) and by the attribute (right).

    Across runs the direction between the means of the two classes of the disease, upwards the one
    at right angles to it in which the groups' means differ most within the classes. Both are
    estimated on the validation rows; drawn are test rows. On the right a line joins each group's
    mean without the disease and its mean with it: lines that lie on each other are groups that a
    straight cut within a class does not tell apart in this plane.

    Args:
        tables: name -> a row per image, as ``study.archived_embeddings`` gives them: ``split``,
            ``y_true``, the attribute and columns that begin with ``prefix``.
        attribute: a column of the tables.
        points: how many test images are drawn, at random.
        prefix: ``disease_`` or ``sensitive_``.

    Raises:
        InputError: where a column is missing, an embedding has fewer than two numbers, or a part
            lacks a class or a second group.

    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame(rng.normal(size=(80, 3)), columns=["disease_0", "disease_1", "x"])
    >>> table = table.assign(split=["val", "test"] * 40, y_true=rng.integers(0, 2, 80))
    >>> figure = embedding_planes({"erm": table.assign(sex=rng.choice(["F", "M"], 80))}, "sex")
    >>> [axes.get_title() for axes in figure.axes], figure.axes[0].get_ylabel()
    (['by disease', 'by sex'], 'erm')
    >>> plt.close("all")
    """
    with style():
        figure, grid = plt.subplots(
            len(tables), 2, figsize=(COLUMN, 0.5 + 2.2 * len(tables)), squeeze=False
        )
    titles = ("by disease", f"by {literal(attribute.replace('_', ' '))}")
    for line, (name, table) in zip(grid, tables.items(), strict=True):
        plane, test = _plane(table, attribute, prefix, name)
        drawn = np.random.default_rng(SEED).permutation(len(test))[:points]
        disease = np.where(test["y_true"] > 0, "with", "without")
        group = test[attribute].astype(str).to_numpy()
        for axes, values in zip(line, (disease, group), strict=True):
            for k, value in enumerate(sorted(set(values))):
                here = drawn[values[drawn] == value]
                mark, color = MARKS[k % len(MARKS)], f"C{k % 8}"
                axes.plot(
                    *plane[here].T, mark, ms=2.5, alpha=0.45, color=color, label=value, mec="none"
                )
            axes.set(xticks=[], yticks=[])
        for k, value in enumerate(sorted(set(group))):
            ends = [plane[(group == value) & (disease == d)].mean(0) for d in ("without", "with")]
            mark = f"{MARKS[k % len(MARKS)]}-"
            line[1].plot(*np.transpose(ends), mark, ms=7, lw=2, color=f"C{k % 8}", mec="black")
        line[0].set_ylabel(literal(name, 26))
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title)
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, [literal(text) for text in labels], loc="best", markerscale=2)
    return figure


def _plane(
    table: pd.DataFrame, attribute: str, prefix: str, name: str
) -> tuple[NDArray[np.float64], pd.DataFrame]:
    """Coordinates (n, 2) of the test rows with a label and a group, and these rows."""
    require_columns(table, ["split", "y_true", attribute], f"the table {name}")
    columns = numbered_columns(table, prefix)
    if len(columns) < 2:
        raise InputError(
            f"Expected columns {prefix}... of two numbers or more in the table {name}, but got "
            f"{len(columns)}."
        )
    rows = table[table["y_true"].notna() & table[attribute].notna()]
    val, test = (rows[rows["split"] == part] for part in ("val", "test"))
    for part, split in ((val, "val"), (test, "test")):
        if part["y_true"].nunique() < 2 or part[attribute].nunique() < 2:
            raise InputError(f"The {split} part of the table {name} lacks a class or a group.")
    x, y = val[columns].to_numpy(np.float64), val["y_true"].to_numpy(np.float64)
    across = x[y == 1].mean(0) - x[y == 0].mean(0)
    across /= max(float(np.linalg.norm(across)), 1e-12)
    apart = mean_differences(x, val[attribute].to_numpy(object), y[:, None])
    apart = apart - np.outer(apart @ across, across)
    up = np.linalg.svd(apart, full_matrices=False)[2][0]
    values = test[columns].to_numpy(np.float64) - x.mean(0)
    return values @ np.stack([across, up], axis=1), test
