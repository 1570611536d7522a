"""Tables of millions of rows: whole patients are drawn, and only their rows are read."""

import inspect

import numpy as np
import pandas as pd
import pytest
from support.embeddings import planted, tables

from fairthesis import embeddings, inputs
from fairthesis.cli.probe import command
from fairthesis.embeddings import _leakage as leakage
from fairthesis.embeddings import _sources as sources
from fairthesis.errors import InputError

QUICK = {"names": ["logistic"], "n_boot": 50, "n_shuffles": 2, "attribute": "sex"}


@pytest.fixture
def kept(tmp_path):
    """The same table in memory, as one file of small row groups, and as a folder of shards."""
    vectors, labels = tables(planted)
    whole = tmp_path / "z.parquet"
    vectors.to_parquet(whole, index=False, row_group_size=37)
    shards = tmp_path / "shards"
    for i, rows in enumerate(np.array_split(np.arange(len(vectors)), 3)):
        folder = shards / f"shard-{i + 1}-of-3"
        folder.mkdir(parents=True)
        vectors.iloc[rows].to_parquet(folder / "embeddings.parquet", index=False)
        (folder / "_SUCCESS").write_text("")
    text = tmp_path / "z.csv"
    vectors.to_csv(text, index=False)
    return vectors, labels, (whole, shards, text)


def test_a_file_is_read_as_the_table_is(kept):
    vectors, labels, files = kept
    for most in (10**6, 60):
        expected = leakage.probe(vectors, labels, max_rows=most, **QUICK).table()
        for file in files:
            found = leakage.probe(file, labels, max_rows=most, **QUICK).table()
            pd.testing.assert_frame_equal(found, expected)


def test_a_large_limit_changes_nothing_and_a_small_one_is_told(kept):
    vectors, labels, _ = kept
    whole = leakage.probe(vectors, labels, **QUICK)
    assert "drawn from more rows" not in whole.left_out
    few = leakage.probe(vectors, labels, max_rows=60, **QUICK)
    both = whole.n_fit + whole.n_test
    assert few.left_out["drawn from more rows"] == both - few.n_fit - few.n_test > 0
    assert few.settings["max_rows"] == 60


def test_whole_patients_are_drawn_whatever_the_order_of_rows():
    rng = np.random.default_rng(0)
    keys = pd.DataFrame({"patient_id": [f"p{k}" for k in rng.integers(0, 400, 3000)]})
    part = {f"p{k}": split for k, split in enumerate(rng.choice(["train", "val", "test"], 400))}
    keys["split"] = keys["patient_id"].map(part)
    used = sources.drawn(keys, 300, seed=3)
    for split, own in keys[used].groupby("split"):
        assert 300 <= len(own) <= 300 + keys["patient_id"].value_counts().max()
        others = keys[~used & (keys["split"] == split)]
        assert not set(own["patient_id"]) & set(others["patient_id"])
    assert set(keys["split"][used]) == {"val", "test"}
    turn = rng.permutation(len(keys))
    again = sources.drawn(keys.iloc[turn].reset_index(drop=True), 300, seed=3)
    assert (again == used[turn]).all()
    assert (sources.drawn(keys, 300, seed=4) != used).any()
    assert sources.drawn(keys, None, 0).sum() == keys["split"].isin(["val", "test"]).sum()


def test_every_patient_is_drawn_as_often_as_another():
    keys = pd.DataFrame({"patient_id": np.repeat(np.arange(40).astype(str), 2), "split": "val"})
    often = sum(sources.drawn(keys, 20, seed).astype(int) for seed in range(400)) / 400
    assert np.abs(often - 0.25).max() < 0.09  # four standard errors


def test_rows_that_are_not_asked_for_are_not_held(kept, monkeypatch):
    _, labels, (whole, _, _) = kept
    held = []

    def noted(*given, **options):
        held.append(inputs.read_table(*given, **options))
        return held[-1]

    monkeypatch.setattr(sources, "read_table", noted)
    found = leakage.probe(whole, labels, max_rows=60, **QUICK)
    keys, numbers = held
    assert list(keys.columns) == ["image_id", "patient_id", "split"]
    assert len(numbers) == found.n_fit + found.n_test + sum(
        n for why, n in found.left_out.items() if not why.startswith("drawn")
    )


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_read_table_keeps_the_rows_that_are_asked_for(tmp_path, ending):
    frame = pd.DataFrame({"a": np.arange(100), "b": np.arange(100) % 7})
    file = tmp_path / f"t.{ending}"
    if ending == "parquet":
        frame.to_parquet(file, row_group_size=9)
    else:
        frame.to_csv(file, index=False)
    rows = frame["b"].to_numpy() == 3
    found = inputs.read_table(file, ["a"], rows=rows)["a"].astype(int)
    assert found.tolist() == frame["a"][rows].tolist()
    assert inputs.read_table(file, rows=np.zeros(100, bool)).columns.tolist() == ["a", "b"]
    with pytest.raises(InputError, match="100 rows and 99 were"):
        inputs.read_table(file, rows=rows[:99])
    folder = tmp_path / "parts"
    for i, at in enumerate((0, 60)):
        part = frame.iloc[at : at + 60 if i == 0 else 100]
        (folder / f"k={i}").mkdir(parents=True)
        to = folder / f"k={i}" / file.name
        part.to_parquet(to) if ending == "parquet" else part.to_csv(to, index=False)
    found = inputs.read_table(folder, rows=rows)
    assert found["a"].astype(int).tolist() == frame["a"][rows].tolist()
    assert found["k"].tolist() == [str(int(a >= 60)) for a in frame["a"][rows]]
    for wrong in (np.ones(99, bool), np.ones(101, bool)):
        with pytest.raises(InputError, match="were spoken of"):
            inputs.read_table(folder, rows=wrong)


def test_the_limit_is_checked_and_the_command_has_the_same():
    with pytest.raises(InputError, match="max_rows is 0: expected 1 or more"):
        leakage.probe(*tables(planted), max_rows=0, **QUICK)
    usual = inspect.signature(embeddings.probe).parameters["max_rows"].default
    assert next(p for p in command.params if p.name == "max_rows").default == usual
