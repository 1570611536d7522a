"""Erasers of rows that stay on disk are those of rows in memory."""

import numpy as np
import pandas as pd
import pytest
from support.embeddings import shifted

from fairthesis.data import Vectors
from fairthesis.embeddings import (
    KernelEraser,
    Leace,
    MeanDifferences,
    Splince,
    choose_directions,
    fit_eraser,
    measure_erasure,
)


def on_disk(x):
    """The rows of ``x`` behind an index, as a file of other rows besides has them."""
    turn = np.random.default_rng(1).permutation(len(x))
    return Vectors(x[turn].astype(np.float32), np.argsort(turn), "")


@pytest.mark.parametrize("size", [7, 10**6])
@pytest.mark.parametrize("kind", [Leace, Splince, MeanDifferences, KernelEraser])
def test_an_eraser_fitted_by_parts_is_the_same(kind, size, monkeypatch):
    whole, labels = shifted()
    monkeypatch.setattr("fairthesis.embeddings._fit_eraser.PART", size)
    x = whole.filter(like="z_").to_numpy(np.float32)
    rows = np.flatnonzero(whole["split"] != "test")
    given = {"target": labels["y_true"].to_numpy(float)} if kind is Splince else {}
    plain = kind().fit(
        x[rows].astype(float), labels["sex"][rows], **{k: v[rows] for k, v in given.items()}
    )
    parts = fit_eraser(kind(), on_disk(x), labels["sex"].to_numpy(), rows, **given)
    assert np.allclose(parts.projection_, plain.projection_, atol=1e-9)
    assert np.allclose(parts.mean_, plain.mean_) and parts.rank_ == plain.rank_
    again = fit_eraser(parts, on_disk(x), labels["sex"].to_numpy(), rows, **given)
    assert np.allclose(again.projection_, plain.projection_, atol=1e-9)  # not the rows twice


def test_what_is_measured_and_chosen_on_disk_is_the_same():
    whole, labels = shifted()
    x = whole.filter(like="z_").to_numpy(np.float32)
    about = (labels["sex"].to_numpy(), whole["patient_id"].to_numpy())
    options = {"probes": ["logistic"], "n_boot": 20, "n_shuffles": 1}
    plain = measure_erasure(Leace(), x, *about, **options).table()
    parts = measure_erasure(Leace(), on_disk(x), *about, **options).table()
    pd.testing.assert_frame_equal(parts, plain, atol=1e-6)
    assert choose_directions(Leace(), on_disk(x), *about) == choose_directions(Leace(), x, *about)
