"""Figures draw what the tables say, in the package's style, without a display."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from support.predictions import run, table

from fairthesis import metrics
from fairthesis.plots._figures import (
    curves_over_epochs,
    forest,
    gaps,
    reliability_by_group,
    roc_by_group,
    style,
    trade_off,
)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def tables():
    return run(table(), groups=["sex", "age_group"]).tables()


def test_forest_and_gaps(tables):
    ax = forest(tables["groups"], "tpr")
    assert len(ax.get_yticklabels()) == 5
    assert ax.get_xlabel() == "true positive rate"
    ax = gaps(tables["disparities"], "sex")
    assert len(ax.get_yticklabels()) == 9
    ax.figure.canvas.draw()


def test_curves():
    frame = table()
    parts = {g: metrics.roc_curve(p["y_true"], p["y_score"]) for g, p in frame.groupby("sex")}
    assert len(roc_by_group(parts).lines) == 3
    parts = {
        g: metrics.reliability_curve(p["y_true"], p["y_score"]) for g, p in frame.groupby("sex")
    }
    assert len(reliability_by_group(parts).lines) == 3


def test_runs_and_logs_and_given_axes():
    runs = pd.DataFrame(
        {"method": ["erm", "erm", "x"], "auroc_gap": [0.1, 0.2, 0.1], "auroc": [0.8, 0.9, 0.7]}
    )
    _, ax = plt.subplots()
    assert trade_off(runs, ax=ax) is ax
    log = pd.DataFrame({"epoch": [0, 1], "loss": [1.0, 0.5]})
    assert curves_over_epochs(log, {"loss": "training loss"}).get_xlabel() == "epoch"
    with pytest.raises(ValueError, match="Did you mean 'loss'"):
        curves_over_epochs(log, {"los": ""})


def test_the_style_is_left_as_it_was():
    before = plt.rcParams["axes.titlelocation"]
    curves_over_epochs(pd.DataFrame({"epoch": [0, 1], "loss": [1, 0]}), {"loss": "loss"})
    assert plt.rcParams["axes.titlelocation"] == before
    with style():
        assert plt.rcParams["axes.titlelocation"] == "left"
