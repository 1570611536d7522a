"""The 2 x 2 table of two embeddings, where what each holds is known."""

import numpy as np
import pytest
from support.embeddings import tables

from fairthesis.embeddings import disentanglement
from fairthesis.errors import InputError

OPTIONS = {"attribute": "sex", "names": ["logistic"], "n_boot": 0}


def both(disease, sensitive, n=1500, groups=("f", "m")):
    """Tables in which column 0 of each embedding is a function of group code and label."""

    def plant(code, y, rng):
        # Label and group go together, so that only what is given the other counts.
        y = (rng.random(len(code)) < np.where(code == 0, 0.3, 0.7)).astype(int)
        noise = 0.3 * rng.normal(size=(2, len(code)))
        return {0: disease(code, y) + noise[0], 1: sensitive(code, y) + noise[1], "y": y}

    embedded, labels = tables(plant, n=n, d=2, groups=groups)
    return embedded.rename(columns={"disease_001": "sensitive_000"}), labels


def cells(found):
    return found.table().set_index(["embedding", "recovered"])["auroc"]


def test_embeddings_that_hold_their_own_alone():
    found = cells(disentanglement(*both(lambda a, y: y, lambda a, y: a), **OPTIONS))
    assert found["disease", "disease"] > 0.95 and found["sensitive", "attribute"] > 0.95
    assert abs(found["disease", "attribute"] - 0.5) < 0.06
    assert abs(found["sensitive", "disease"] - 0.5) < 0.06


def test_a_sensitive_embedding_that_holds_the_disease_shows_it():
    found = cells(disentanglement(*both(lambda a, y: y, lambda a, y: a + 2 * y), **OPTIONS))
    assert found["sensitive", "disease"] > 0.95 and abs(found["disease", "attribute"] - 0.5) < 0.06


def test_three_groups_floors_and_intervals():
    embedded, labels = both(lambda a, y: y, lambda a, y: a, n=1800, groups=("a", "b", "c"))
    options = OPTIONS | {"n_boot": 50, "n_shuffles": 20}
    table = disentanglement(embedded, labels, **options).table()
    off = table[(table["embedding"] == "disease") == (table["recovered"] == "attribute")]
    assert (off["auroc"] <= off["shuffled_q95"] + 0.03).all()
    assert (table["ci_low"] < table["auroc"]).all() and (table["auroc"] < table["ci_high"]).all()
    assert abs(table["shuffled_mean"] - 0.5).max() < 0.03


def test_the_train_part_is_not_read():
    embedded, labels = both(lambda a, y: y, lambda a, y: a)
    first = cells(disentanglement(embedded, labels, **OPTIONS))
    train = embedded["split"] == "train"
    embedded.loc[train, ["disease_000", "sensitive_000"]] = 99.0
    assert cells(disentanglement(embedded, labels, **OPTIONS)).equals(first)


def test_errors():
    embedded, labels = both(lambda a, y: y, lambda a, y: a, n=60)
    with pytest.raises(InputError, match="n_shuffles is -1"):
        disentanglement(embedded, labels, **OPTIONS, n_shuffles=-1)
    with pytest.raises(InputError, match="In no group are there 10 fitting cases of every label"):
        disentanglement(embedded, labels, **OPTIONS)
    embedded, labels = both(lambda a, y: y, lambda a, y: a, n=600)
    with pytest.raises(InputError, match=r"sensitive_.+"):
        disentanglement(embedded.drop(columns="sensitive_000"), labels, **OPTIONS)
