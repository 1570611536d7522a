"""What the markers of the data set ``planted`` look like, on images that a program drew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from fairthesis import datasets
from fairthesis.datasets import twin
from fairthesis.errors import unknown
from fairthesis.plots._figures import literal, style
from fairthesis.plots._gallery import PIXELS, TITLES, _picture

COLUMNS, WIDE = 3, 3.7  # a page of a phone


def marker_pictures(dataset: str, markers: Sequence[str], *, seed: int = 0) -> Figure:
    """One synthetic image as it was drawn, and with each of these markers.

    Args:
        dataset: a synthetic cohort, whose first image is shown.
        markers: of the data set ``planted``, as ``pen-ring`` or ``lead-marker``.
        seed: of the cohort.

    Raises:
        InputError: for another data set, whose pictures may show patients, and an unknown marker.

    >>> figure = marker_pictures("synthetic-derm", ["pen-ring", "hair"])
    >>> [axes.get_title("left") for axes in figure.axes]
    ['as it was', 'pen-ring', 'hair']
    >>> plt.close("all")
    """
    if dataset not in TITLES:  # pictures of patients are shown nowhere
        raise unknown("synthetic cohort", dataset, TITLES)
    few: dict[str, Any] = {"n_train": 40, "n_val": 8, "n_test": 8}
    plain = datasets.load(dataset, seed=seed, **few)
    assert plain.render is not None
    one = np.array([0])
    pictures = {"as it was": plain.render(one, PIXELS)[0]}
    for marker in markers:
        cohort = datasets.load("planted", of=dataset, inner=few, marker=marker, seed=seed)
        render = cohort.render
        has = bool((cohort.frame["marker"] == "with").iloc[0])
        if not has:
            render = twin(cohort, one, "marker_added").render
        assert render is not None
        pictures[marker] = render(one if has else np.array([0]), PIXELS)[0]
    down = -(-len(pictures) // COLUMNS)
    with style():
        figure, grid = plt.subplots(
            down, COLUMNS, squeeze=False, figsize=(WIDE, down * (WIDE / COLUMNS + 0.3))
        )
        for axes in grid.flat[len(pictures) :]:
            axes.remove()
        for axes, (name, pixels) in zip(grid.flat, pictures.items(), strict=False):
            _picture(axes, pixels, wrong=False)
            axes.set_title(literal(name), fontsize=10)
    return figure
