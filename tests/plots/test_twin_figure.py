"""The figure of twins shows every run, group and change once, on one scale."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from fairthesis.errors import InputError
from fairthesis.plots import twins

CHANGES = ("sex", "device_removed", "device_added", "disease_removed", "disease_added")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def table(changes=CHANGES, variants=("erm", "mine"), seeds=(0, 1)):
    rows = [
        {"variant": v, "seed": s, "change": c, "attribute": a, "group": g, "measure": m}
        for v in variants
        for s in seeds
        for c in changes
        for a, g in (("all", "all"), ("sex", "F"), ("sex", "M"))
        for m in ("logit", "flips")
    ]
    found = pd.DataFrame(rows).assign(target="opacity")
    found["value"] = np.linspace(0.1, 0.9, len(found))
    return found.assign(ci_low=found["value"] - 0.05, ci_high=found["value"] + 0.05)


def test_every_run_is_a_mark_with_its_interval_in_every_plot():
    rows = table()
    figure = twins(rows)
    panels = [axes for axes in figure.axes if axes.get_title("left")]
    assert [axes.get_title("left") for axes in panels] == [
        "other sex", *(name.replace("_", " ") for name in CHANGES[1:])
    ]  # fmt: skip
    for axes, change in zip(panels, CHANGES, strict=True):
        part = rows[(rows["change"] == change) & (rows["measure"] == "logit")]
        marks = [line for line in axes.lines if line.get_marker() not in ("None", None)]
        shown = np.sort(np.concatenate([line.get_xdata() for line in marks]))
        np.testing.assert_allclose(shown, np.sort(part["value"]))
        ends = np.concatenate([c.get_segments() for c in axes.collections])[:, :, 0]
        np.testing.assert_allclose(np.sort(ends, axis=0), np.sort(part[["ci_low", "ci_high"]], 0))
    limits = {axes.get_xlim() for axes in panels}
    assert len(limits) == 1
    shapes = {line.get_label(): line.get_marker() for line in marks if line.get_label()[0] != "_"}
    assert len(set(shapes.values())) == 2  # not by colour alone


def test_no_two_marks_of_a_group_lie_on_one_line():
    axes = twins(table()).axes[0]
    heights = np.concatenate([line.get_ydata() for line in axes.lines if len(line.get_ydata()) > 2])
    assert len(np.unique(heights.round(6))) == len(heights) == 12
    assert (np.abs(heights - heights.round()) < 0.5).all()


def test_one_run_needs_no_name_and_shares_begin_at_0():
    rows = table(variants=("erm",), seeds=(0,)).drop(columns=["variant", "seed"])
    figure = twins(rows, "flips")
    assert not figure.legends
    assert figure.axes[0].get_xlim()[0] == 0
    assert figure.get_supxlabel() == "share of decisions that flip"


@pytest.mark.parametrize("number", range(1, 6))
def test_any_number_of_changes_has_labelled_scales(number):
    figure = twins(table(CHANGES[:number]))
    panels = [axes for axes in figure.axes if axes.get_title("left")]
    assert len(panels) == number
    labelled = [axes.xaxis.get_major_ticks()[0].label1.get_visible() for axes in panels]
    assert labelled[-min(3, number) :] == [True] * min(3, number)


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (table().drop(columns="ci_low"), {}, "ci_low"),
        (table(), {"measure": "logits"}, "Unknown measure of twins 'logits'"),
        (table(), {"target": "edema"}, "Unknown target 'edema'"),
        (table().iloc[:0], {}, "no twin to draw"),
    ],
)
def test_what_cannot_be_drawn_is_said(given, options, words):
    with pytest.raises(InputError, match=words):
        twins(given, **options)
