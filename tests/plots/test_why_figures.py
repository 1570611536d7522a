"""Dots with intervals show every value; small pictures show each group and label."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from support.legible import smallest_text

from fairthesis import datasets
from fairthesis.data import Cohort
from fairthesis.errors import InputError
from fairthesis.plots import group_pictures, interval_dots


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def table() -> pd.DataFrame:
    rows = [
        (number, setting, group, value)
        for number in ("AUROC", "flips")
        for setting in ("none", "$same$")
        for group, value in (("F", 0.7), ("_M", 0.8))
    ]
    found = pd.DataFrame(rows, columns=["number", "setting", "group", "value"])
    return found.assign(lo=found["value"] - 0.1, hi=found["value"] + 0.05)


def test_every_value_is_drawn_with_its_interval() -> None:
    figure = interval_dots(table(), series="group")
    assert [axes.get_title("left") for axes in figure.axes] == ["AUROC", "flips"]
    for axes in figure.axes:
        drawn = [x for line in axes.lines for x in np.atleast_1d(line.get_xdata())]
        assert {0.7, 0.8} <= set(drawn)
        ends = {
            tuple(np.round(segment[:, 0], 3))
            for lines in axes.collections
            for segment in lines.get_segments()
        }
        assert ends == {(0.6, 0.75), (0.7, 0.85)}
    assert smallest_text(figure) > 6.5
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(names) == 2 and names[0] == "F" and names[1].endswith("M")


def test_a_scale_can_begin_at_zero() -> None:
    ends = [axes.get_xlim()[0] for axes in interval_dots(table(), from_zero=True).axes]
    assert all(-0.05 < low <= 0 for low in ends)
    assert all(axes.get_xlim()[0] > 0.4 for axes in interval_dots(table()).axes)


def test_hollow_marks_and_unknown_values() -> None:
    few = table().assign(hollow=[True, False] * 4)
    few.loc[1, ["value", "lo", "hi"]] = np.nan
    figure = interval_dots(few, panels="number", rows="setting", series="group")
    faces = {line.get_markerfacecolor() for line in figure.axes[1].lines if len(line.get_xdata())}
    assert "white" in faces
    figure.draw_without_rendering()


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="lo"):
        interval_dots(table().drop(columns="lo"))
    with pytest.raises(InputError, match="no value to draw"):
        interval_dots(table().iloc[:0])
    frame = pd.DataFrame({"image_id": ["1"], "patient_id": ["a"], "split": "test"})
    frame = frame.assign(path="x.png", sex="F", opacity=1.0)
    with pytest.raises(InputError, match="may show patients"):
        group_pictures(Cohort("mine", frame, ("opacity",), ("sex",)))


@pytest.mark.parametrize("name", ["synthetic-cxr", "synthetic-derm"])
def test_two_pictures_of_each_group_and_label(name: str) -> None:
    cohort = datasets.load(name, n_train=400, n_val=1, n_test=1, setting="label-noise")
    figure = group_pictures(cohort)
    assert sum(len(axes.images) for axes in figure.axes) == 8
    assert smallest_text(figure) > 6.5
    wrong = [axes for axes in figure.axes if axes.images and axes.spines["top"].get_linewidth() > 2]
    assert 0 < len(wrong) <= 2  # of the smaller group, one for each label
    train = cohort.frame[cohort.frame["split"] == "train"]
    shares = [
        text.get_text()
        for axes in figure.axes
        for text in axes.texts
        if "of all" in text.get_text()
    ]
    assert sum(int(text.split("%")[0]) for text in shares) == pytest.approx(100, abs=2)
    assert len(shares) == 4 and len(train) == 400


def test_arrows_point_at_the_opacity_and_the_device() -> None:
    cohort = datasets.load("synthetic-cxr", n_train=200, n_val=1, n_test=1)
    figure = group_pictures(cohort, pointed=True)
    arrows = [text for axes in figure.axes for text in axes.texts if hasattr(text, "xy")]
    assert [text.get_text() for text in arrows] == ["opacity", "device"]
    opacity, device = (text.xy for text in arrows)
    assert opacity[1] < device[1]  # a device lies below the lungs
