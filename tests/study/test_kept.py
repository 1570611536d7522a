"""What an archive keeps is enough to compute its intervals and tests anew."""

import copy
import json
from dataclasses import replace

import pandas as pd
import pytest

from fairthesis.errors import InputError
from fairthesis.study import (
    Plan,
    gap_conclusions,
    load_archived,
    load_results,
    provenance_note,
    reaudit,
    run_experiment,
)

BASE = {
    "dataset": "synthetic-cxr",
    "size": 16,
    "dataset_options": {"n_train": 64, "n_val": 64, "n_test": 128},
    "epochs": 1,
    "targets": ["opacity"],
    "attributes": ["sex"],
    "backbone": "small",
    "threads": 1,
    "batch_size": 32,
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    out = tmp_path_factory.mktemp("kept") / "tiny"
    plan = Plan("tiny", "quick", BASE, {"erm": {"method": "erm"}}, (0, 1))
    return out, run_experiment(plan, out, progress=False)


def test_an_audit_from_the_archive_is_that_of_the_runs(archive):
    out, made = archive
    kept = pd.read_parquet(out / "predictions.parquet")
    assert set(kept["split"]) == {"val", "test"} and set(kept["seed"]) == {0, 1}
    vectors = pd.read_parquet(out / "embeddings.parquet")
    assert len(vectors) == len(kept) == 2 * (64 + 128)
    assert any(name.startswith("disease_") for name in vectors.columns)
    for seed, part in kept.groupby("seed"):  # to the bit
        own = pd.read_parquet(out / "runs" / f"erm-{seed}" / "predictions.parquet")
        own = own.set_index("image_id")["y_score"].loc[part["image_id"]]
        assert own.dtype == part["y_score"].dtype
        assert own.to_numpy().tobytes() == part["y_score"].to_numpy().tobytes()
    for run in (out / "runs").glob("*/predictions.parquet"):
        run.unlink()  # the runs are gone: nothing but the archive is read
    assert made.use.empty
    again = reaudit(out)
    assert set(again.use["seed"]) == {0, 1} and set(again.use["variant"]) == {"erm"}
    pd.testing.assert_frame_equal(again.metrics, made.metrics)
    pd.testing.assert_frame_equal(again.disparities, made.disparities)
    assert not again.old_inference and "Old inference" not in provenance_note(again)


def test_an_archive_of_several_commits_names_them_all(archive):
    _, made = archive
    assert provenance_note(made).count("Commit of the runs `") == 1
    described = copy.deepcopy(made.provenance)
    for run, commit in zip(described["runs"], ("a" * 40, "b" * 40), strict=True):
        run["git_commit"] = commit
    told = provenance_note(replace(made, provenance=described | {"note": "On two machines."}))
    assert f"Commits of the runs `{'a' * 12}`, `{'b' * 12}`," in told
    assert told.endswith("`. On two machines.")


def test_an_archive_of_the_old_inference_says_so(archive, tmp_path):
    out, _ = archive
    for file in out.glob("*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    described = json.loads((out / "provenance.json").read_text())
    del described["inference"]
    (tmp_path / "provenance.json").write_text(json.dumps(described))
    old = load_results(tmp_path)
    assert old.old_inference
    assert "Old inference" in provenance_note(old)
    assert "p < 0.05, old inference" in gap_conclusions(load_archived("ham10000", "full"))
    with pytest.raises(InputError, match=r"keeps no predictions\.parquet"):
        reaudit(tmp_path)


def test_archives_whose_runs_are_gone_are_known_as_old():
    assert load_archived("ham10000", "full").old_inference
