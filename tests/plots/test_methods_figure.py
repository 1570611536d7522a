"""Figures of methods and of embeddings: what is drawn is what the tables say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from support.legible import smallest_text

from fairthesis import plots, study
from fairthesis.errors import InputError


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("number", "first_is_largest"),
    [("AUROC", True), ("AUROC gap", False), ("best probe given the target", False)],
)
def test_methods_are_sorted_and_drawn_at_their_means(number, first_is_largest):
    results = study.load_archived("synthetic-cxr-methods")
    axes = plots.methods_forest(results, number)
    names = [label.get_text() for label in axes.get_yticklabels()]
    dots = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o"]
    assert smallest_text(axes) > 6.5
    assert len(names) == len(dots) == results.metrics["variant"].nunique()
    assert dots == sorted(dots, reverse=first_is_largest)
    if number in study.HEADLINE:
        table = study.headline_numbers(results).query("number == @number")
        means = table.groupby("variant")["value"].mean()
        assert np.allclose(means[names].to_numpy(), dots)
    low, high = axes.get_xlim()
    spans = [path.vertices[:, 0] for one in axes.collections for path in one.get_paths()]
    assert low <= np.nanmin(spans) and np.nanmax(spans) <= high  # no interval is cut


def test_an_unknown_number_is_refused():
    with pytest.raises(InputError, match="Unknown number 'gap'"):
        plots.methods_forest(None, "gap")


def planes(flip: bool) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"split": ["val", "test"] * 400, "y_true": rng.integers(0, 2, 800)})
    table["sex"] = rng.choice(["F", "M"], 800)
    side = np.where(table["sex"] == "F", 1, -1) * np.where((table["y_true"] > 0) & flip, -1, 1)
    z = rng.normal(size=(800, 4)) + np.c_[4 * table["y_true"], 4 * side, side * 0, side * 0]
    return table.join(pd.DataFrame(z, columns=[f"disease_{k}" for k in range(4)]))


@pytest.mark.parametrize("flip", [False, True])
def test_groups_that_differ_within_the_classes_are_seen(flip):
    figure = plots.embedding_planes({"a": planes(flip)}, "sex")
    means = [line.get_xydata() for line in figure.axes[1].lines if line.get_linewidth() == 2]
    apart = means[0][:, 1] - means[1][:, 1]  # without, with
    assert (np.abs(apart) > 6).all()
    assert (np.sign(apart[0]) != np.sign(apart[1])) == flip


def test_a_table_without_a_part_is_refused():
    table = planes(False).query("split == 'test'")
    with pytest.raises(InputError, match="val part of the table a"):
        plots.embedding_planes({"a": table}, "sex")
