"""Pictures of the planted markers: the same image with each of them, and no patient's."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from support.legible import smallest_text

from fairthesis.errors import InputError
from fairthesis.plots import marker_pictures

MARKERS = {
    "synthetic-derm": ["pen-ring", "pen-line", "ruler", "dark-corner", "hair"],
    "synthetic-cxr": ["lead-marker", "ecg-wire", "pacemaker", "burnt-in-text"],
}


@pytest.mark.parametrize("dataset", MARKERS)
def test_each_picture_is_the_first_one_with_a_marker_of_its_own(dataset: str) -> None:
    figure = marker_pictures(dataset, MARKERS[dataset], seed=3)
    assert smallest_text(figure) > 6.5
    pictures = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    assert [axes.get_title("left") for axes in figure.axes] == ["as it was", *MARKERS[dataset]]
    plain, *drawn = pictures
    for one in drawn:
        changed = (one != plain).reshape(*one.shape[:2], -1).any(axis=-1).mean()
        assert 0.001 < changed < 0.7  # something is drawn, and the rest is as it was
    for a in range(len(drawn)):
        assert all((drawn[a] != drawn[b]).any() for b in range(a))
    plt.close(figure)


def test_pictures_of_patients_and_unknown_markers_are_refused() -> None:
    with pytest.raises(InputError, match="Unknown synthetic cohort 'ham10000'"):
        marker_pictures("ham10000", ["pen-ring"])
    with pytest.raises(InputError, match="ring"):
        marker_pictures("synthetic-derm", ["ring"])
