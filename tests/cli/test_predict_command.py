"""``fairthesis predict`` and what follows it: another table at the run's operating point."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairthesis import cli, datasets
from fairthesis.training import TrainConfig, train

FEW = {"n_train": 120, "n_val": 60, "n_test": 50}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    at = tmp_path_factory.mktemp("run")
    patch = pytest.MonkeyPatch()
    patch.setenv("FAIRTHESIS_CACHE", str(at / "cache"))
    config = TrainConfig(
        backbone="small", size=16, epochs=1, batch_size=16, dataset_options=FEW, attributes=("sex",)
    )
    yield train(config, at / "run", progress=False)
    patch.undo()


def command(*arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return ended.value.code or 0


def test_its_own_data_then_an_audit_at_its_own_point(run, tmp_path, capsys):
    assert command("predict", run, "--split", "test", "--out", tmp_path / "out", "--quiet") == 0
    said = capsys.readouterr().out
    assert "--threshold-from" in said and "--group sex" in said
    found = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    own = pd.read_parquet(run / "predictions.parquet").query("split == 'test'")
    np.testing.assert_allclose(found["y_score"], own["y_score"], atol=1e-6)
    arguments = ["audit", tmp_path / "out" / "predictions.parquet", "--group", "sex"]
    arguments += ["--patient", "patient_id", "--threshold-from", run, "--n-boot", "20"]
    arguments += ["--n-permutations", "20", "--out", tmp_path / "audit"]
    assert command(*arguments) == 0
    assert "youden, chosen on split = val of run" in capsys.readouterr().out


def test_a_folder_of_images_and_a_table_of_them(run, tmp_path, capsys):
    cohort = datasets.load("synthetic-cxr", **FEW)
    images = tmp_path / "images"
    (images / "deep").mkdir(parents=True)
    for k, pixels in enumerate(cohort.render(np.arange(4), 16)[..., 0]):
        Image.fromarray(pixels).save(images / "deep" / f"{k}.png")
    assert command("predict", run, "--images", images, "--out", tmp_path / "a", "--quiet") == 0
    found = pd.read_parquet(tmp_path / "a" / "predictions.parquet")
    assert found["image_id"].tolist() == [f"deep/{k}.png" for k in range(4)]
    assert found["y_true"].isna().all() and found["y_score"].between(0, 1).all()
    table = pd.DataFrame({"file": found["image_id"], "patient_id": [1, 1, 2, 2]})
    table = table.assign(opacity=[0, 1, None, 1], sex=["F", "F", "M", "M"])
    table.to_csv(images / "list.csv", index=False)
    listed = ("--images", images / "list.csv", "--out", tmp_path / "b", "--quiet")
    assert command("predict", run, *listed) == 0
    again = pd.read_parquet(tmp_path / "b" / "predictions.parquet")
    assert again["y_score"].tolist() == found["y_score"].tolist()
    assert again["patient_id"].tolist() == ["1", "1", "2", "2"]
    assert again["y_true"].isna().tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--images", "a", "--embeddings", "b"], "--images and --embeddings are given"),
        (["--images", "nowhere"], "No images at 'nowhere'"),
        (["--embeddings", "nowhere.parquet"], "No vectors at"),
        (["--dataset", "synthetic-derm"], "takes grey images"),
        (["--dataset", "synthetic-crx"], "Did you mean 'synthetic-cxr'"),
        (["--split", "tset"], "tset"),
        (["--rename", "shade=opacity"], "shade"),
    ],
)
def test_what_cannot_be_predicted_is_said_and_nothing_is_written(
    run, arguments, words, tmp_path, capsys
):
    assert command("predict", run, *arguments, "--out", tmp_path / "out", "--quiet") == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
