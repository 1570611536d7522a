"""A run is a model: it gives the scores of its own tables, for any choice of its images."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fairthesis import audit, datasets, load_run, metrics
from fairthesis.data import Vectors
from fairthesis.errors import InputError
from fairthesis.storage import DONE, mark_finished
from fairthesis.training import TrainConfig, apply_posthoc, predict, train

FEW = {"n_train": 120, "n_val": 60, "n_test": 50}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run and its cohort, on one thread."""
    at = tmp_path_factory.mktemp("run")
    patch = pytest.MonkeyPatch()
    patch.setenv("FAIRTHESIS_CACHE", str(at / "cache"))
    threads = torch.get_num_threads()
    config = TrainConfig(
        backbone="small", size=16, epochs=2, batch_size=16, dataset_options=FEW, threads=1, seed=3,
        attributes=("sex",), method="adversarial",
        method_options={"warmup_epochs": 0, "ramp_epochs": 1},
    )  # fmt: skip
    yield train(config, at / "run", progress=False), datasets.load("synthetic-cxr", seed=3, **FEW)
    torch.set_num_threads(threads)
    patch.undo()


def edited(folder, to, **changes):
    """A copy of a run with a changed configuration, as finished as the run."""
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    config = json.loads((to / "config.json").read_text()) | changes
    (to / "config.json").write_text(json.dumps(config))
    names = [file.name for file in to.iterdir() if file.name != DONE]
    mark_finished(to, "0a1b", names)
    return to


def test_the_scores_are_those_of_the_runs_own_table(made):
    folder, cohort = made
    run = load_run(folder)
    own = pd.read_parquet(folder / "predictions.parquet")
    scores = run.predict(cohort)
    assert own["image_id"].tolist() == cohort.frame["image_id"].tolist()
    assert np.array_equal(scores[:, 0], own["y_score"].to_numpy(np.float32))
    embeddings = pd.read_parquet(folder / "embeddings.parquet").filter(like="disease_")
    assert np.array_equal(run.embed(cohort), embeddings.to_numpy(np.float32))


def test_an_images_score_does_not_depend_on_the_images_beside_it(made):
    folder, cohort = made
    run = load_run(folder)
    every = run.predict(cohort)
    pixels = cohort.render(np.arange(len(cohort)), 16)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    for rows in ([7], [3, 100, 5], list(range(40, 130))):
        assert np.array_equal(run.predict(images[rows]), every[rows])


def test_the_features_are_what_the_heads_are_given(made):
    folder, cohort = made
    run = load_run(folder)
    features = run.features(cohort)
    with torch.no_grad():
        z = run.model.embed_disease(torch.from_numpy(features)).numpy()
    assert np.allclose(z, run.embed(cohort), atol=1e-5)
    assert np.array_equal(run.features(cohort.take(np.array([7]))), features[[7]])


def test_files_and_arrays_give_what_the_cohort_gives(made, tmp_path):
    folder, cohort = made
    run = load_run(folder)
    pixels = cohort.render(np.arange(5), 16)[..., 0]
    for k, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{k}.png")
    expected = run.predict(cohort)[:5]
    assert np.array_equal(run.predict(tmp_path), expected)
    files = [tmp_path / f"{k}.png" for k in (4, 0)]
    assert np.array_equal(run.predict(files), expected[[4, 0]])
    pd.DataFrame({"path": ["2.png"]}).to_csv(tmp_path / "t.csv", index=False)
    assert np.array_equal(run.predict(tmp_path / "t.csv"), expected[[2]])


def test_the_configuration_is_resolved(made):
    run = load_run(made[0])
    assert run.config["channels"] == 1 and run.config["width"] is None
    assert run.config["targets"] == ["opacity"] and run.targets == ("opacity",)
    assert run.attributes == ("sex",) and run.groups == {"sex": ["F", "M"]}
    assert not run.model.training


def test_the_operating_point_is_that_of_the_validation_part_alone(made):
    folder, _ = made
    run = load_run(folder)
    table = pd.read_parquet(folder / "predictions.parquet")
    held = table[table["split"] == "val"]
    for rule in ("youden", "fpr=0.2"):
        audited = audit(table, groups=["sex"], threshold=rule, n_boot=0, n_permutations=0)
        assert run.operating_point(rule) == audited.threshold
        y, s = held["y_true"].to_numpy(), held["y_score"].to_numpy(np.float64)
        chosen = metrics.choose_threshold(y, s, *metrics.parse_threshold(rule))
        assert run.operating_point(rule) == pytest.approx(chosen, abs=1e-7)
    assert run.operating_point("0.3") == 0.3
    with pytest.raises(InputError, match=r"Unknown target of the run 'opacty'"):
        run.operating_point(target="opacty")


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.rand(2, 3, 16, 16), r"Expected \(n, 1, height, width\).*\(2, 3, 16, 16\)"),
        (np.zeros((4, 12), np.float32), r"\(4, 12\)"),
        (torch.zeros(2, 1, 16, 16, dtype=torch.uint8), "floats from 0 to 1.*uint8"),
        (torch.full((1, 1, 16, 16), float("nan")), "NaN"),
        (torch.zeros(0, 1, 16, 16), "No images"),
        ([], "No image files"),
        ("no/such/folder", "No images at 'no/such/folder'"),
    ],
)
def test_what_the_model_does_not_take_is_refused(made, x, words):
    with pytest.raises(InputError, match=words):
        load_run(made[0]).predict(x)


def test_runs_that_cannot_be_loaded_say_why(made, tmp_path):
    folder, _ = made
    with pytest.raises(InputError, match="No finished run"):
        load_run(tmp_path)
    with pytest.raises(InputError, match=r"does not know \(wings\).*Install that version"):
        load_run(edited(folder, tmp_path / "newer", wings=2))
    with pytest.raises(InputError, match="does not fit the run's configuration"):
        load_run(edited(folder, tmp_path / "wider", hidden_dim=99))
    post = apply_posthoc("leace", folder, tmp_path / "leace")
    with pytest.raises(InputError, match=r"post-hoc method leace from 'run'.*load that run"):
        load_run(post)
    cut = edited(folder, tmp_path / "cut")
    (cut / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(InputError, match="damaged"):
        load_run(cut)
    mark_finished(cut, "0a1b", [f.name for f in cut.iterdir() if f.name != DONE])
    with pytest.raises(InputError, match="cannot be read"):
        load_run(cut)
    (cut / "model.safetensors").unlink()
    mark_finished(cut, "0a1b", [f.name for f in cut.iterdir() if f.name != DONE])
    with pytest.raises(InputError, match="has no weights"):
        load_run(cut)


def test_weights_of_another_shape_are_refused(made, tmp_path):
    other = edited(made[0], tmp_path / "other")
    state = load_file(other / "model.safetensors")
    state["disease_classifier.weight"] = torch.zeros(1, 7)
    save_file(state, other / "model.safetensors")
    mark_finished(other, "0a1b", [f.name for f in other.iterdir() if f.name != DONE])
    with pytest.raises(InputError, match=r"does not fit the run's configuration.*disease_class"):
        load_run(other)


# Predictions as tables.


def test_predict_writes_the_runs_own_tables_again(made, tmp_path):
    folder, cohort = made
    out = predict(load_run(folder), cohort, tmp_path / "out", progress=False)
    for name in ("predictions.parquet", "embeddings.parquet"):
        own = pd.read_parquet(folder / name)
        pd.testing.assert_frame_equal(pd.read_parquet(out / name)[own.columns], own)
    part = predict(load_run(folder), cohort, tmp_path / "test", split="test", progress=False)
    whole = pd.read_parquet(folder / "predictions.parquet").query("split == 'test'")
    found = pd.read_parquet(part / "predictions.parquet")[whole.columns]
    pd.testing.assert_frame_equal(found, whole.reset_index(drop=True))
    origin = json.loads((out / "provenance.json").read_text())
    assert origin["run"] == "run" and origin["images"] == {"train": 120, "val": 60, "test": 50}
    assert str(tmp_path) not in (out / "provenance.json").read_text()


def test_predictions_go_on_where_they_stopped(made, tmp_path, monkeypatch):
    from fairthesis.training import _parts
    from fairthesis.training import _predict as module

    folder, cohort = made
    monkeypatch.setattr(_parts, "PART", 64)
    run, seen = load_run(folder), []
    original = module.embeddings_of

    def stop(*given):
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return original(*given)

    monkeypatch.setattr(module, "embeddings_of", stop)
    with pytest.raises(KeyboardInterrupt):
        predict(run, cohort, tmp_path / "out", progress=False)
    assert not (tmp_path / "out" / DONE).exists()
    predict(run, cohort, tmp_path / "out", progress=False)
    assert len(seen) == 3 + 2  # of four parts two were there, and the third was begun again
    own = pd.read_parquet(folder / "predictions.parquet")
    found = pd.read_parquet(tmp_path / "out" / "predictions.parquet")[own.columns]
    pd.testing.assert_frame_equal(found, own)
    assert not list((tmp_path / "out").glob("part-*"))
    predict(run, cohort, tmp_path / "out", progress=False)
    assert len(seen) == 5
    with pytest.raises(InputError, match=r"another configuration.*--overwrite"):
        predict(run, cohort, tmp_path / "out", split="val", progress=False)


def test_another_cohort_is_checked_before_anything_is_written(made, tmp_path):
    run, out = load_run(made[0]), tmp_path / "out"
    derm = datasets.load("synthetic-derm", n_train=9, n_val=6, n_test=6)
    with pytest.raises(InputError, match=r"colour images.*takes grey images"):
        predict(run, derm, out)
    other = datasets.load("synthetic-cxr", seed=9, **FEW)
    frame = other.frame.rename(columns={"opacity": "shadow"})
    frame["sex"] = frame["sex"].replace({"M": "male"})
    other = type(other)(
        "elsewhere", frame, ("shadow",), ("sex",), 1, render=other.render
    )  # fmt: skip
    with pytest.raises(InputError, match=r"no target opacity.*it has shadow.*THEIRS=opacity"):
        predict(run, other, out)
    with pytest.raises(InputError, match=r"not seen: 'male'; it knows 'F', 'M'"):
        predict(run, other, out, rename={"shadow": "opacity"})
    with pytest.raises(InputError, match="Unknown target or attribute of elsewhere 'shade'"):
        predict(run, other, out, rename={"shade": "opacity"})
    vectors = Vectors(np.zeros((len(frame), 3), np.float32), np.arange(len(frame)), "")
    with pytest.raises(InputError, match="has vectors, and the run takes images"):
        predict(run, type(other)("v", frame, ("shadow",), ("sex",), vectors=vectors), out)
    assert not out.exists()
    options = {"rename": {"shadow": "opacity"}, "new_groups": True, "progress": False}
    found = pd.read_parquet(predict(run, other, out, **options) / "predictions.parquet")
    assert set(found["sex"]) == {"F", "male"} and found["y_true"].notna().all()
