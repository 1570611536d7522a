"""The figure of both embeddings shows every point once in each column, on the same axes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from fairthesis.errors import InputError
from fairthesis.plots import two_embeddings


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def table(n=80):
    rng = np.random.default_rng(0)
    y, sex = rng.integers(0, 2, n), rng.choice(["F", "M"], n)
    found = pd.DataFrame({"y_true": y.astype(float), "sex": sex})
    noise = 0.1 * rng.normal(size=(4, n))
    # The second axis is the wide one: it is drawn across.
    found["disease_000"], found["disease_001"] = noise[0], 9 * y + noise[1]
    found["sensitive_000"], found["sensitive_001"] = 9 * (sex == "M") + noise[2], noise[3]
    return found


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def test_what_an_embedding_holds_parts_its_points():
    rows = table()
    rows.loc[0, "y_true"] = np.nan
    figure = two_embeddings(rows, "sex")
    for k, parted in enumerate((True, False, False, True)):
        found = lines(figure.axes[k])
        assert sum(len(points) for points in found.values()) == len(rows) - 1
        first, second = (points[:, 0] for points in found.values())
        overlap = max(first.min(), second.min()) < min(first.max(), second.max())
        assert overlap != parted
    left, right = (np.concatenate(list(lines(axes).values()))[:, 0] for axes in figure.axes[:2])
    assert sorted(left) == pytest.approx(sorted(right))


def test_at_most_so_many_points_and_errors():
    figure = two_embeddings(table(), "sex", points=30)
    assert sum(len(points) for points in lines(figure.axes[0]).values()) == 30
    with pytest.raises(InputError, match="sensitive embedding of two numbers or more"):
        two_embeddings(table().drop(columns="sensitive_001"), "sex")
    with pytest.raises(InputError, match="age"):
        two_embeddings(table(), "age")
    with pytest.raises(InputError, match="nothing to draw"):
        two_embeddings(table().assign(y_true=np.nan), "sex")
