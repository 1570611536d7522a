"""Figures show every run: counted, not looked at (that is done by eye)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from fairthesis import datasets
from fairthesis.errors import InputError
from fairthesis.plots._experiment import (
    cohort_examples,
    group_change,
    headline_dots,
    image_grid,
    over_epochs,
    probe_aurocs,
)
from fairthesis.study import headline_numbers, load_results


@pytest.fixture(scope="module")
def results():
    return load_results(ROOT / "results" / "synthetic-cxr-quick")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_headlines_show_a_dot_per_run_and_one_scale_for_auroc(results):
    figure = headline_dots(results)
    table = headline_numbers(results)
    for axes, number in zip(figure.axes, dict.fromkeys(table["number"]), strict=False):
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        shown = np.sort(np.concatenate([dot.get_ydata() for dot in dots]))
        expected = np.sort(table.loc[table["number"] == number, "value"])
        np.testing.assert_allclose(shown, expected)
    assert figure.axes[0].get_ylim() == figure.axes[3].get_ylim()
    assert figure.axes[1].get_ylim()[0] == 0
    with pytest.raises(InputError, match="Unknown headline number"):
        headline_dots(results, ["AUC"])


def test_group_change_has_a_line_per_group(results):
    axes = group_change(results).axes[0]
    assert len(axes.lines) == 2
    assert {text.get_text()[0] for text in axes.texts} == {"F", "M"}


def test_over_epochs_has_a_line_per_name_and_seed(results):
    axes = over_epochs(results, ["val_auroc", "critic_loss"], "adversarial")
    assert len(axes.lines) == 4


def test_examples_are_drawn_only_for_synthetic_cohorts(tmp_path):
    cohort = datasets.load("synthetic-cxr", n_train=60, n_val=20, n_test=20)
    figure = cohort_examples(cohort, "opacity", "sex", size=32, each=2)
    assert len([axes for axes in figure.axes if axes.images]) == 8
    object.__setattr__(cohort, "render", None)
    with pytest.raises(InputError, match="show patients"):
        cohort_examples(cohort, "opacity", "sex")


def test_titles_and_pictures_are_as_many():
    with pytest.raises(InputError, match="2 titles for 1"):
        image_grid(np.zeros((1, 8, 8, 1), np.uint8), ["a", "b"])


def test_leakage_shows_a_dot_per_variant_and_probe():
    rows = [
        {"source": "encoder", "probe": p, "scope": s, "variant": v, "auroc": 0.6, "ci_low": 0.5,
         "ci_high": 0.7, "shuffled_mean": 0.5}
        for p in ("logistic", "mlp") for s in ("marginal", "given the target") for v in "ab"
    ]  # fmt: skip
    figure = probe_aurocs(pd.DataFrame(rows))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["marginal", "given the target"]
    for axes in figure.axes:
        assert len(axes.containers) == 2
        assert all(len(container.lines[0].get_xdata()) == 2 for container in axes.containers)
