"""Tables of encoding and use, and of what both embeddings hold, from numbers that are known."""

import itertools

import pandas as pd
import pytest

from fairthesis.errors import InputError
from fairthesis.study import (
    archived_embeddings,
    disentangled_counts,
    disentanglement_sentences,
    disentanglement_table,
    load_archived,
    use_table,
)
from fairthesis.study._archive import BOTH_COLUMNS, USE_COLUMNS

CELLS = list(itertools.product(("disease", "sensitive"), ("disease", "attribute")))
SHOULD = {("disease", "disease"): 0.8, ("sensitive", "attribute"): 0.7}


def results(cells, q95=0.53):
    """Results in which cell -> AUROC of each seed, by a strong and a weak probe."""
    rows = [
        {"variant": "mine", "seed": seed, "embedding": e, "recovered": r, "probe": probe}
        | {"auroc": value - 0.01 * weaker, "shuffled_q95": q95 - 0.01 * weaker, "attribute": "sex"}
        for (e, r), values in cells.items()
        for seed, value in enumerate(values)
        for weaker, probe in enumerate(("mlp", "logistic"))
    ]
    found = load_archived("synthetic-cxr", "quick")
    object.__setattr__(found, "disentanglement", pd.DataFrame(rows, columns=BOTH_COLUMNS))
    return found


def cells(**changes):
    found = {cell: [SHOULD.get(cell, 0.51)] * 2 for cell in CELLS}
    return found | {tuple(name.split("_")): value for name, value in changes.items()}


def test_the_word_is_earned_where_all_four_cells_hold_in_every_seed():
    counts = disentangled_counts(results(cells()))
    assert counts.loc["mine"].tolist() == [2, 2, 2, 2, 2, True]
    assert "*disentangled* is earned" in disentanglement_sentences(results(cells()))
    table = disentanglement_table(results(cells(disease_disease=[0.8, 0.9])))
    assert table.loc["mine", "disease in the disease embedding"] == "0.850 (0.800–0.900)"


@pytest.mark.parametrize(
    "broken",
    [
        {"sensitive_disease": [0.51, 0.6]},  # one seed is enough
        {"disease_attribute": [0.56, 0.51]},
        {"sensitive_attribute": [0.7, 0.54]},
        {"disease_disease": [0.5, 0.8]},
    ],
)
def test_it_is_not_where_one_cell_fails_in_one_seed(broken):
    found = results(cells(**broken))
    row = disentangled_counts(found).loc["mine"]
    assert not row["earned"] and sorted(row.iloc[1:5]) == [1, 2, 2, 2]
    assert "*disentangled* is not earned" in disentanglement_sentences(found)


def test_a_high_floor_takes_up_what_is_above_the_stated_auroc():
    found = results(cells(sensitive_disease=[0.58, 0.58]), q95=0.6)
    assert disentangled_counts(found).loc["mine", "earned"]
    with pytest.raises(InputError, match=r"most is 0\.4"):
        disentangled_counts(found, most=0.4)


def test_the_table_of_use_counts_seeds_whose_interval_is_on_one_side():
    rows = [
        {"variant": "erm", "seed": s, "scope": scope, "metric": "auroc_gap", "kept": 0.2}
        | {"erased": 0.2 + c, "change": c, "ci_low": c - 0.02, "ci_high": c + 0.02}
        | {"random_change": -0.01}
        for s, c in enumerate((-0.1, -0.05, 0.01))
        for scope in ("marginal", "given the target")
    ]
    found = load_archived("synthetic-cxr", "quick")
    object.__setattr__(found, "use", pd.DataFrame(rows, columns=USE_COLUMNS))
    row = use_table(found).loc[("erm", "auroc_gap")]
    assert row.tolist() == [
        "0.200 (0.200–0.200)", "0.153 (0.100–0.210)", "-0.047", "2 of 3", "0 of 3", "-0.010"
    ]  # fmt: skip
    with pytest.raises(InputError, match="Unknown scope 'given'"):
        use_table(found, "given")


def test_nothing_is_shown_where_nothing_was_archived():
    old = load_archived("ham10000", "full")
    for made in (use_table, disentanglement_table, disentangled_counts):
        assert made(old).empty and made(None).empty
    assert "No run has been archived" in disentanglement_sentences(old)
    with pytest.raises(InputError, match=r"keeps no predictions\.parquet"):
        archived_embeddings("ham10000-full", "erm", 0)
    with pytest.raises(InputError, match="holds no run of dann, seed 0"):
        archived_embeddings("synthetic-cxr-quick", "dann", 0)
