"""Names of groups, attributes, variants and data sets are shown as they are, in every figure."""

from __future__ import annotations

import dataclasses
import html
import inspect
import io
import json
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import QUICK
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from support.legible import smallest_text

from fairthesis.data import Cohort
from fairthesis.datasets import load
from fairthesis.plots import _archive as archive
from fairthesis.plots import _embeddings as embedding_figures
from fairthesis.plots import _experiment as experiment
from fairthesis.plots import _figures as figures
from fairthesis.plots import _gallery as gallery
from fairthesis.plots import _twins as twin_figures
from fairthesis.stats import Ranks
from fairthesis.study import Results, load_results

NAMES = [
    *(
        r"$\frac{$",
        "$0-$50k",
        r"\$5 and $6",
        "_hidden",
        "two\nlines",
        "a\tb",
        "\ud800 half",
        "\x07",
    ),
    *("", " ", "100 % {x} #&<>'\"", "\\", "x" * 500, "^_^", "{", "%s"),
]
TWO = ("$0-$50k", r"_$\frac{$")  # of a figure: two that are kept apart


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def cohort(*names: str) -> Cohort:
    """A synthetic cohort whose name, target, attribute and groups are ``names``."""
    first, second = names
    frame = pd.DataFrame({"image_id": list("abcd"), "patient_id": list("abcd"), "split": "train"})
    frame[first], frame[second] = [0.0, 1.0, 0.0, 1.0], [first, first, second, second]
    return Cohort(first, frame, (first,), (second,), 1, None, lambda r, s: _grey(len(r), s))


def _grey(n: int, size: int) -> np.ndarray:
    return np.zeros((n, size, size, 1), dtype=np.uint8)


def results(*names: str) -> Results:
    """The archived quick experiment, its variants, groups and attribute renamed to ``names``."""
    old = load_results(QUICK)
    words = dict(zip([*dict.fromkeys(old.metrics["variant"])], names, strict=False))
    words |= {"F": names[0], "M": names[1], "sex": names[1]}
    tables = {
        name: getattr(old, name).replace(dict.fromkeys(("variant", "group", "attribute"), words))
        for name in ("metrics", "disparities", "curves", "leakage")
    }
    text = json.loads(json.dumps(dict(old.provenance)))
    text["experiment"]["profile"] = names[0]
    return dataclasses.replace(old, provenance=text, **tables)


def probes(*names: str) -> pd.DataFrame:
    numbers = {"auroc": 0.6, "ci_low": 0.5, "ci_high": 0.7, "shuffled_mean": 0.5}
    rows = [
        {"source": "encoder", "probe": p, "scope": s, "variant": v, **numbers}
        for p in names
        for s in names
        for v in names
    ]
    return pd.DataFrame(rows)


def groups_table(*names: str) -> pd.DataFrame:
    table = pd.DataFrame({"attribute": names, "group": names, "n": 5, "metric": names[0]})
    return table.assign(value=0.5, ci_low=0.4, ci_high=0.6)


def gaps_table(*names: str) -> pd.DataFrame:
    table = pd.DataFrame({"attribute": names[0], "name": names, "value": 0.1, "null_q95": 0.2})
    return table.assign(ci_low=0.0, ci_high=0.3)


def log(*names: str) -> pd.DataFrame:
    rows = [(v, 0, e, name, 0.5) for v in names for name in names for e in range(2)]
    return pd.DataFrame(rows, columns=["variant", "seed", "epoch", "name", "value"])


def twins_table(*names: str) -> pd.DataFrame:
    rows = [
        {"variant": v, "change": names[0], "attribute": names[1], "group": g, "value": 0.1}
        for v in names
        for g in names
    ]
    return pd.DataFrame(rows).assign(target="", measure="logit", ci_low=0.0, ci_high=0.2)


CURVE = pd.DataFrame({"fpr": [0, 1], "tpr": [0, 1], "score": [0, 1], "rate": [0, 1]})
CURVE = CURVE.assign(low=0.0, high=1.0)
# Every figure there is, drawn with two names.
FIGURES: dict[str, Callable[[str, str], Axes | Figure]] = {
    "_figures.forest": lambda a, b: figures.forest(groups_table(a, b), a),
    "_figures.gaps": lambda a, b: figures.gaps(gaps_table(a, b), a),
    "_figures.roc_by_group": lambda a, b: figures.roc_by_group({a: CURVE, b: CURVE}),
    "_figures.reliability_by_group": lambda a, b: figures.reliability_by_group(
        {a: CURVE, b: CURVE}
    ),
    "_figures.trade_off": lambda a, b: figures.trade_off(
        pd.DataFrame({"method": [a, b], a: [0.1, 0.2], b: [0.8, 0.9]}), a, b
    ),
    "_figures.curves_over_epochs": lambda a, b: figures.curves_over_epochs(
        pd.DataFrame({"epoch": [0, 1], a: [1, 0], b: [0, 1]}), {a: a, b: b}
    ),
    "_figures.critical_difference": lambda a, b: figures.critical_difference(
        Ranks(pd.Series({a: 1.2, b: 1.8}), 5, 1.0, 0.5, 0.4, 0.05)
    ),
    "_experiment.image_grid": lambda a, b: experiment.image_grid(_grey(2, 8), [a, b]),
    "_experiment.cohort_examples": lambda a, b: experiment.cohort_examples(
        cohort(a, b), a, b, 8, 1
    ),
    "_experiment.headline_dots": lambda a, b: experiment.headline_dots(results(a, b)),
    "_experiment.group_change": lambda a, b: experiment.group_change(results(a, b)),
    "_experiment.probe_aurocs": lambda a, b: experiment.probe_aurocs(probes(a, b)),
    "_experiment.over_epochs": lambda a, b: experiment.over_epochs(
        dataclasses.replace(results(a, b), curves=log(a, b)), [a, b], a
    ),
    "_archive.pareto": lambda a, b: archive.pareto({a: results(a, b), b: results(a, b)}),
    "_archive.adversary_and_probe": lambda a, b: archive.adversary_and_probe(results(a, b), [a, b]),
    "_archive.all_variants": lambda a, b: archive.all_variants(results(a, b), a),
    "_gallery.image_sheet": lambda a, b: gallery.image_sheet(
        "synthetic-cxr", "clean"
    ),  # has no name of users'
    "_gallery.bands": lambda a, b: gallery.bands([_renamed(a, b)]),
    "_twins.twins": lambda a, b: twin_figures.twins(twins_table(a, b)),
    "_embeddings.two_embeddings": lambda a, b: embedding_figures.two_embeddings(
        embeddings_table(a, b), b
    ),
    "_gallery.group_counts": lambda a, b: gallery.group_counts(cohort(a, b)),
}


def embeddings_table(group: str, attribute: str) -> pd.DataFrame:
    """Both embeddings of a few images of two groups, one named ``group``."""
    names = [f"{kind}_{k}" for kind in ("disease", "sensitive") for k in (0, 1)]
    found = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 4)), columns=names)
    return found.assign(y_true=[0.0, 1.0] * 10, **{attribute: [group] * 10 + ["other"] * 10})


def _renamed(a: str, b: str) -> Cohort:
    made = load("synthetic-cxr", n_train=60, n_val=1, n_test=1)
    return dataclasses.replace(made, name=a)


def drawn(what: Axes | Figure) -> str:
    """The text of a figure as a reader of its SVG file sees it; drawn as PNG, too."""
    figure = what.figure if isinstance(what, Axes) else what
    figure.savefig(io.BytesIO(), format="png")
    file = io.StringIO()
    figure.savefig(file, format="svg")
    return html.unescape(file.getvalue())


def test_every_figure_is_among_them() -> None:
    def of(module: ModuleType) -> set[str]:
        return {
            f"{module.__name__.split('.')[-1]}.{name}"
            for name, value in vars(module).items()
            if inspect.isfunction(value)
            and not name.startswith("_")
            and value.__module__ == module.__name__
            and value.__annotations__.get("return") in ("Axes", "Figure")
        }

    drawing = (figures, embedding_figures, experiment, archive, gallery, twin_figures)
    assert set(FIGURES) == set().union(*map(of, drawing))


@pytest.mark.parametrize("name", FIGURES)
def test_names_with_dollar_signs_and_underscores_are_shown_letter_for_letter(name: str) -> None:
    text = drawn(FIGURES[name](*TWO))
    if name != "_gallery.image_sheet":
        assert TWO[0] in text
    if name not in ("_gallery.image_sheet", "_gallery.bands", "_experiment.over_epochs"):
        # where the second name is an attribute, underscores are blanks, as in all names of columns
        assert TWO[1] in text or TWO[1].replace("_", " ").strip() in text


@pytest.mark.parametrize("name", FIGURES)
def test_text_can_be_read_on_a_phone(name: str) -> None:
    least = 5.5 if name.startswith("_gallery") else 6.5  # sheets are wide, and say so
    assert smallest_text(FIGURES[name]("a", "b")) > least


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "_gallery.image_sheet"])
def test_empty_and_endless_names_are_drawn(name: str) -> None:
    drawn(FIGURES[name]("", "two\nlines " * 99))


@pytest.mark.parametrize("odd", NAMES)
def test_no_name_is_too_odd_to_be_drawn(odd: str) -> None:
    axes = figures.roc_by_group({odd: CURVE, f"{odd}{odd}": CURVE})
    axes.set(title=figures.literal(odd), xlabel=figures.literal(odd))
    axes.set_xticks([0], [figures.literal(odd)])
    legend = axes.get_legend()
    assert legend is not None and len(legend.get_texts()) == len({odd, odd * 2})
    assert "Traceback" not in drawn(axes)


def test_a_legend_keeps_names_that_begin_with_an_underscore() -> None:
    axes = figures.roc_by_group({"_a": CURVE, "b": CURVE, "": CURVE})
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text().strip("\u200b") for text in legend.get_texts()] == [
        *("_a", "b", "(no name)")
    ]


def test_long_names_keep_both_ends_apart() -> None:
    one, other = figures.literal("x" * 99 + "a"), figures.literal("x" * 99 + "b")
    assert len(one) == len(other) == 48
    assert one != other
    assert figures.literal("sex * age_group") == "sex * age_group"
    assert figures.literal(3.5) == "3.5"


def test_the_names_themselves_are_not_changed() -> None:
    table: Any = gallery.count_table(cohort(*TWO), TWO[0], TWO[1])
    assert table.index.tolist() == sorted(TWO)
