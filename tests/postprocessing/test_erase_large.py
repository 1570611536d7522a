"""Tables of which the numbers stay on disk are erased as those in memory are."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.embeddings import shifted

from fairthesis import cli
from fairthesis.data import Vectors
from fairthesis.embeddings import ERASERS
from fairthesis.errors import InputError
from fairthesis.inputs import parquet_files
from fairthesis.postprocessing import _erasing as erasing
from fairthesis.postprocessing import erasure_rows, load_fitted


def run(*argv):
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in argv])
    return ended.value.code


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A folder of shards as ``embed --shard`` leaves it, the same table whole, and labels."""
    whole, labels = shifted()
    whole.to_parquet(tmp_path / "whole.parquet", index=False)
    shards = tmp_path / "shards"
    for i, part in enumerate(np.array_split(np.arange(len(whole)), 3)):
        at = shards / f"shard-{i + 1}-of-3"
        at.mkdir(parents=True)
        whole.iloc[part].to_parquet(at / "embeddings.parquet", index=False)
        for name in ("DONE", "config.json", "provenance.json"):
            (at / name).write_text("{}")
    labels.to_parquet(tmp_path / "labels.parquet", index=False)
    monkeypatch.setenv("FAIRTHESIS_CACHE", str(tmp_path / "cache"))
    return whole, labels, tmp_path


def test_rows_on_disk_are_those_of_the_table(made, monkeypatch):
    whole, labels, folder = made
    expected = erasure_rows(whole, labels, group="sex", prefix="z_")
    monkeypatch.setattr(erasing, "MANY", 100)
    found = erasure_rows(folder / "shards", labels, group="sex", prefix="z_")
    assert isinstance(found.x, Vectors) and isinstance(expected.x, np.ndarray)
    assert np.array_equal(found.x[np.arange(len(found.x))], expected.x.astype(np.float32))
    for name in ("group", "patient", "target"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))
    differ = {k for k in expected.about if expected.about[k] != found.about[k]}
    assert differ == {"fingerprint"}
    other = erasure_rows(folder / "whole.parquet", labels, group="sex", prefix="z_")
    assert other.about["columns"] == expected.about["columns"]


@pytest.mark.parametrize("method", list(ERASERS))
def test_the_command_takes_a_folder_of_shards(method, made, monkeypatch, capsys):
    whole, _, folder = made
    fit = ("--labels", folder / "labels.parquet", "--group", "sex", "--prefix", "z_", "--method")
    fit += (method, "--probe", "logistic", "--n-boot", 10, "--n-shuffles", 1, "--out")
    assert run("erase", "fit", folder / "whole.parquet", *fit, folder / "a") == 0
    monkeypatch.setattr(erasing, "MANY", 100)
    assert run("erase", "fit", folder / "shards", *fit, folder / "b") == 0
    first, second = (load_fitted(folder / name) for name in "ab")
    assert np.allclose(first.projection_, second.projection_, atol=1e-6)
    told = capsys.readouterr().out
    assert told.count("On new patients (eraser") == 2
    for source in ("whole.parquet", "shards"):
        assert (
            run(
                "erase",
                "apply",
                folder / "a",
                folder / source,
                "--out",
                folder / f"{source}.out.parquet",
            )
            == 0
        )
    assert "600 rows written" in capsys.readouterr().out
    one, parts = (
        pd.read_parquet(folder / f"{name}.out.parquet") for name in ("whole.parquet", "shards")
    )
    pd.testing.assert_frame_equal(one, parts)
    assert one["image_id"].tolist() == whole["image_id"].tolist()


def test_parts_that_differ_are_refused_and_nothing_is_written(made, capsys):
    _, _, folder = made
    fit = ("--labels", folder / "labels.parquet", "--group", "sex", "--prefix", "z_")
    fit += ("--probe", "logistic", "--n-boot", 0, "--n-shuffles", 0, "--out", folder / "a")
    assert run("erase", "fit", folder / "whole.parquet", *fit) == 0
    odd = folder / "shards" / "shard-2-of-3" / "embeddings.parquet"
    table = pq.read_table(odd)
    pq.write_table(table.set_column(1, "patient_id", pa.array(range(len(table)))), odd)
    out = folder / "o.parquet"
    assert run("erase", "apply", folder / "a", folder / "shards", "--out", out) == 2
    assert "The parts of" in capsys.readouterr().err and not out.exists()


def test_parquet_files_are_those_that_a_table_is_read_from(made):
    _, _, folder = made
    assert [f.parent.name for f in parquet_files(folder / "shards")] == [
        f"shard-{i}-of-3" for i in (1, 2, 3)
    ]
    assert parquet_files(folder / "whole.parquet") == [folder / "whole.parquet"]
    (folder / "t.csv").write_text("a\n1\n")
    assert parquet_files(folder / "t.csv") == []
    with pytest.raises(InputError, match="No file"):
        parquet_files(folder / "none")
    hive = folder / "hive" / "sex=F"
    hive.mkdir(parents=True)
    pd.DataFrame({"a": [1]}).to_parquet(hive / "p.parquet")
    assert parquet_files(folder / "hive") == []


def test_the_card_says_the_same_of_rows_on_disk(made, monkeypatch):
    _, _, folder = made
    monkeypatch.setattr(erasing, "MANY", 100)
    fit = ("--labels", folder / "labels.parquet", "--group", "sex", "--prefix", "z_", "--probe")
    fit += ("logistic", "--n-boot", 0, "--n-shuffles", 0, "--out", folder / "a")
    assert run("erase", "fit", folder / "shards", *fit) == 0
    about = json.loads((folder / "a" / "fitted.json").read_text())["fitted_on"]
    assert (about["n_rows"], about["n_patients"], about["n_left_out"]) == (400, 200, 200)
    assert about["columns"] == [f"z_{k}" for k in range(12)]
