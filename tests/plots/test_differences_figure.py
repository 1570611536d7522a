"""The figure of differences: every line where it belongs, told and not told apart."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color
from support.legible import smallest_text

from fairthesis.errors import InputError
from fairthesis.plots import differences

ROWS = pd.DataFrame(
    [
        ["gap", "a − b", "sex", -0.10, -0.14, -0.06, "lower", 0.05],
        ["gap", "$a − b$", "age", 0.01, -0.02, 0.04, "cannot be told", np.nan],
        ["AUROC", "a − b", "all", 0.10, 0.06, 0.14, "higher", 0.05],
    ],
    columns=[
        "number", "contrast", "attribute", "difference", "lo", "hi", "verdict", "smallest_change",
    ],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def test_each_difference_stands_on_its_line() -> None:
    figure = differences(ROWS, ["contrast", "attribute"], margin=0.02)
    gap, auroc = figure.axes
    assert [axes.get_title("left") for axes in figure.axes] == ["gap", "AUROC"]
    names = [text.get_text() for text in gap.get_yticklabels()]
    assert names == ["a − b\nsex", "\\$a − b\\$\nage"]
    ends = [line.get_segments()[0] for line in gap.collections if line.get_segments()]
    assert [(x[0][0], x[1][0], x[0][1]) for x in ends] == [(-0.14, -0.06, 0), (-0.02, 0.04, 1)]
    assert [text.get_text() for text in gap.texts] == ["lower", "cannot be told"]
    low, high = gap.get_ylim()
    assert low > 1 > 0 > high  # the first row is the highest
    assert [text.get_text() for text in auroc.texts] == ["higher"]
    assert smallest_text(figure) > 6.5


def test_what_is_told_is_filled_and_what_is_not_is_hollow() -> None:
    gap, auroc = differences(ROWS, ["contrast"]).axes
    told, untold = [line for line in gap.lines if line.get_marker() == "o"]
    assert same_color(told.get_markerfacecolor(), told.get_color())
    assert same_color(untold.get_markerfacecolor(), "white")
    (raised,) = [line for line in auroc.lines if line.get_marker() == "o"]
    assert not same_color(raised.get_color(), told.get_color())
    ticks = [line.get_xdata().tolist() for line in gap.lines if line.get_marker() == "|"]
    assert ticks == [[-0.05, 0.05]]  # none where it is not known


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="no difference to draw"):
        differences(ROWS[:0], ["contrast"])
    with pytest.raises(InputError, match="verdict"):
        differences(ROWS.drop(columns="verdict"), ["contrast"])
