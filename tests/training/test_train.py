"""The run directory: complete, resumable bit for bit, and refused with a clear message."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from support.cohorts import planted_cohort

from fairthesis import datasets
from fairthesis.auditing import audit
from fairthesis.embeddings import join_labels
from fairthesis.errors import InputError
from fairthesis.inputs import check_predictions
from fairthesis.training._config import TrainConfig
from fairthesis.training._train import train

SMALL = TrainConfig(
    dataset="synthetic-cxr",
    backbone="small",
    size=24,
    epochs=4,
    batch_size=64,
    disease_dim=16,
    sensitive_dim=8,
    threads=1,
)
# Critics start again every other step, so that a resumed run needs torch's random state.
OURS = replace(
    SMALL,
    method="adversarial",
    method_options={"warmup_epochs": 1, "ramp_epochs": 1, "reset_every": 2},
)


def run(config, out, cohort=None, **more):
    return train(config, out, cohort=cohort or planted_cohort(300), progress=False, **more)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(OURS, tmp_path_factory.mktemp("run") / "a")


def same_tables(a, b):
    for name in ("predictions", "embeddings"):
        pd.testing.assert_frame_equal(
            pd.read_parquet(a / f"{name}.parquet"), pd.read_parquet(b / f"{name}.parquet")
        )


def test_run_directory_holds_what_the_contract_says(finished):
    names = {file.name for file in finished.iterdir()}
    assert names == {
        "config.json",
        "provenance.json",
        "log.jsonl",
        "model.safetensors",
        "predictions.parquet",
        "embeddings.parquet",
        "DONE",
    }
    origin = json.loads((finished / "provenance.json").read_text())
    for key in ("git_commit", "packages", "seed", "data_fingerprint", "device", "wall_seconds"):
        assert key in origin
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3]
    config = json.loads((finished / "config.json").read_text())
    assert TrainConfig(**config) == OURS


def test_predictions_have_a_row_per_image_and_target_and_null_for_unknown(tmp_path):
    cohort = planted_cohort(400, missing=0.2)
    config = replace(SMALL, targets=("disease", "other"), epochs=1)
    frame = check_predictions(
        pd.read_parquet(run(config, tmp_path / "r", cohort) / "predictions.parquet")
    )
    assert list(frame.columns) == [
        "image_id",
        "patient_id",
        "split",
        "target",
        "y_true",
        "y_score",
        "site",
    ]
    assert len(frame) == 2 * len(cohort)
    merged = frame[frame["target"] == "disease"].merge(cohort.frame, on="image_id")
    assert merged["disease"].isna().sum() > 0
    assert merged["y_true"].isna().equals(merged["disease"].isna())
    assert merged["site_x"].isna().equals(merged["site_y"].isna())


def test_saved_weights_give_the_saved_scores(finished):
    from fairthesis.models import FairEncoder

    model = FairEncoder(
        "small", channels=1, disease_dim=16, sensitive_dim=8, disease_norm="whitening"
    )
    model.load_state_dict(load_file(finished / "model.safetensors"))
    model.eval()
    cohort = planted_cohort(300)
    pixels = torch.from_numpy(cohort.render(np.arange(40), 24)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        z, s = model(pixels)
        scores = torch.sigmoid(model.disease_logits(z))[:, 0].numpy()
    frame = pd.read_parquet(finished / "predictions.parquet")
    np.testing.assert_allclose(frame["y_score"][:40], scores, atol=1e-5)
    stored = pd.read_parquet(finished / "embeddings.parquet")
    columns = [c for c in stored if c.startswith("disease_")]
    np.testing.assert_allclose(stored[columns][:40], z.numpy(), atol=1e-4)
    assert sum(c.startswith("sensitive_") for c in stored) == s.shape[1]


def test_same_seed_gives_the_same_numbers(finished, tmp_path):
    same_tables(finished, run(OURS, tmp_path / "b"))


def test_weight_zero_run_is_the_erm_run(tmp_path):
    zero = replace(OURS, method_options={"adversary_weight": 0.0})
    same_tables(run(SMALL, tmp_path / "erm"), run(zero, tmp_path / "zero"))


def test_a_run_killed_between_epochs_ends_as_if_it_had_not(finished, tmp_path, monkeypatch):
    from fairthesis.training import _train as module

    real, calls = module._epoch, []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(module, "_epoch", dies)
    with pytest.raises(KeyboardInterrupt):
        run(OURS, tmp_path / "k")
    assert not (tmp_path / "k" / "DONE").exists()
    assert not (tmp_path / "k" / "predictions.parquet").exists()
    monkeypatch.setattr(module, "_epoch", real)
    resumed = run(OURS, tmp_path / "k")
    same_tables(finished, resumed)
    assert not (resumed / "state.pt").exists()
    assert len((resumed / "log.jsonl").read_text().splitlines()) == 4


def test_a_process_killed_at_any_moment_can_be_resumed(finished, tmp_path):
    code = textwrap.dedent(
        f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from test_train import OURS, run
        run(OURS, {str(tmp_path / "r")!r})
        """
    )
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code])
    for _ in range(600):
        if (tmp_path / "r" / "state.pt").exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    same_tables(finished, run(OURS, tmp_path / "r"))


def test_finished_run_is_left_as_it_is(finished):
    before = (finished / "predictions.parquet").stat().st_mtime_ns
    run(OURS, finished)
    assert (finished / "predictions.parquet").stat().st_mtime_ns == before


def test_another_run_in_the_folder_is_refused_or_replaced(tmp_path):
    one = replace(SMALL, epochs=1)
    run(one, tmp_path / "r")
    with pytest.raises(InputError, match="another configuration"):
        run(replace(one, seed=1), tmp_path / "r")
    with pytest.raises(InputError, match="another configuration"):
        run(one, tmp_path / "r", planted_cohort(310))
    run(replace(one, seed=1), tmp_path / "r", overwrite=True)
    assert json.loads((tmp_path / "r" / "config.json").read_text())["seed"] == 1


def test_a_folder_that_holds_no_run_is_never_touched(tmp_path):
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(InputError, match="holds no run"):
        run(SMALL, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.docx").read_text() == "years of work"


def one_class(part):
    cohort = planted_cohort(300)
    cohort.frame.loc[cohort.frame["split"] == part, "disease"] = 1.0
    return cohort


def one_group():
    cohort = planted_cohort(300)
    cohort.frame["site"] = "site-0"
    return cohort


def no_split(part):
    cohort = planted_cohort(300)
    return replace(cohort, frame=cohort.frame[cohort.frame["split"] != part].reset_index(drop=True))


@pytest.mark.parametrize(
    ("cohort", "changes", "words"),
    [
        (one_class("train"), {}, "Target 'disease' has only 1 among the 180 train images"),
        (one_class("val"), {}, "Target 'disease' has only 1 among the 60 val images"),
        (one_group(), {}, "Attribute 'site' has only 'site-0'"),
        (no_split("test"), {}, "The test part of planted"),
        (None, {"targets": ("diseas",)}, "Unknown target of planted"),
        (None, {"attributes": ("sites",)}, "Unknown attribute of planted"),
        (None, {"device": "quantum"}, "Device 'quantum' cannot be used"),
        (
            None,
            {"method": "adversarial", "epochs": 3, "method_options": {"warmup_epochs": 3}},
            "expected more epochs than that",
        ),
        (None, {"disease_dim": 60}, "has 52 images, too few to whiten 60 directions"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_before_anything_is_written(
    cohort, changes, words, tmp_path
):
    with pytest.raises(InputError) as error:
        run(replace(SMALL, **changes), tmp_path / "r", cohort)
    assert words in str(error.value)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "emr"}, "Unknown method 'emr': expected one of erm, balanced"),
        ({"dataset": "nih"}, "Unknown dataset 'nih'"),
        ({"selection": "best"}, "Unknown selection 'best'"),
        ({"input_norm": "grey"}, "Unknown input_norm 'grey'"),
        ({"disease_norm": "layer"}, "Unknown disease_norm 'layer'"),
        ({"precision": "half"}, "Unknown precision 'half'"),
        ({"augmentation": "heavy"}, "Unknown augmentation 'heavy'"),
        ({"epochs": 0}, "epochs to be a whole number of 1 or larger, but got 0"),
        ({"learning_rate": -1.0}, "learning_rate to be a number above 0, but got -1.0"),
        ({"classifier_rate": 0.0}, "classifier_rate to be a number above 0, but got 0.0"),
        ({"method_options": {"wieght": 1}}, "Unknown option of method erm 'wieght'"),
        (
            {"method": "adversarial", "method_options": {"critic_steps": "five"}},
            "critic_steps to be a whole number, but got 'five'",
        ),
        (
            {"method": "adversarial", "method_options": {"critic_steps": 2.5}},
            "critic_steps to be a whole number, but got 2.5",
        ),
        (
            {"method": "adversarial", "method_options": {"critic_steps": float("nan")}},
            "critic_steps to be a whole number, but got nan",
        ),
    ],
)
def test_bad_configuration_is_named(changes, words):
    with pytest.raises(InputError) as error:
        replace(SMALL, **changes)
    assert words in str(error.value)


def test_a_whole_number_may_be_written_with_a_point():
    more = {"epochs": 9, "method_options": {"critic_steps": 3.0}}
    options = replace(SMALL, method="adversarial", **more).options()
    assert options.critic_steps == 3 and isinstance(options.critic_steps, int)


def test_only_the_training_part_is_trained_on_and_nothing_is_chosen_on_the_test_part(tmp_path):
    config = replace(SMALL, epochs=3)
    plain = run(config, tmp_path / "a")
    swapped = planted_cohort(300)
    test = swapped.frame["split"] == "test"
    swapped.frame.loc[test, "disease"] = 1 - swapped.frame.loc[test, "disease"]
    other = run(config, tmp_path / "b", swapped)
    a, b = (pd.read_parquet(p / "predictions.parquet")["y_score"] for p in (plain, other))
    pd.testing.assert_series_equal(a, b)


def test_the_synthetic_cohort_trains_from_the_command_line(tmp_path, capsys):
    from fairthesis.cli import main

    words = ["train", "--dataset", "synthetic-cxr", "--backbone", "small", "--size", "24"]
    words += ["--epochs", "1", "--threads", "1", "--quiet"]
    for size in ("n_train=200", "n_val=80", "n_test=80"):
        words += ["--dataset-option", size]
    with pytest.raises(SystemExit) as end:
        main([*words, "--out", str(tmp_path / "r")])
    assert end.value.code == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "epoch 1 of 1 kept" in said and "fairthesis audit" in said
    assert (tmp_path / "r" / "DONE").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--dataset chexper", "Unknown dataset 'chexper'"),
        ("--dataset nih-cxr14 --data-root /nowhere", "/nowhere"),
        ("--dataset nih-cxr14", "--data-root"),
        ("--method-option weight", "Cannot read --method-option 'weight'"),
        ("--config nowhere.yml", "No such file: 'nowhere.yml'"),
        ("--epochs many", "'many' is not a valid integer"),
        ("--target pneumothorax", "Unknown target of synthetic-cxr 'pneumothorax'"),
        ("--attribute height", "Unknown attribute of synthetic-cxr 'height'"),
        ("--dataset-option colour=red", "Unknown option of synthetic-cxr 'colour'"),
    ],
)
def test_bad_words_on_the_command_line_end_with_one_message(words, message, tmp_path, capsys):
    from fairthesis.cli import main

    with pytest.raises(SystemExit) as end:
        main(["train", "--quiet", *words.split(), "--out", str(tmp_path / "r")])
    assert end.value.code == 2
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "r").exists()


def test_loading_is_by_name():
    assert "synthetic-cxr" in datasets.DATASETS


def test_an_intersection_is_trained_on_and_audited(tmp_path):
    cohort = datasets.load("synthetic-cxr", setting="clean", n_train=500, n_val=200, n_test=200)
    frame = cohort.frame.copy()
    frame.loc[:9, "age_group"] = None
    cohort = replace(cohort, frame=frame)
    config = replace(OURS, attributes=("sex*age_group",), epochs=3)
    out = run(config, tmp_path / "run", cohort)
    groups = json.loads((out / "provenance.json").read_text())["groups"]["sex*age_group"]
    assert groups == cohort.groups("sex*age_group") == sorted(groups)
    assert len(groups) == 2 * len(cohort.groups("age_group"))
    predictions = check_predictions(pd.read_parquet(out / "predictions.parquet"))
    assert list(predictions.columns[6:]) == ["sex*age_group", "sex", "age_group"]
    assert predictions["sex*age_group"].isna().sum() == 10
    same = (predictions["sex"] + " * " + predictions["age_group"])[10:]
    assert (predictions["sex*age_group"][10:] == same).all()
    settings = {"patient": "patient_id", "n_boot": 20, "n_permutations": 20}
    named = audit(predictions, groups=["sex*age_group"], **settings).to_dict()
    made = predictions.drop(columns="sex*age_group")  # the audit's own, from the parts
    assert audit(made, groups=["sex*age_group"], **settings).to_dict() == named
    embedded = pd.read_parquet(out / "embeddings.parquet")
    for table in (predictions, made):
        rows = join_labels(embedded, table, "sex*age_group", None, "disease_")
        assert rows[2] == groups
    with pytest.raises(InputError, match=r"attribute of .* 'race'"):
        run(replace(OURS, attributes=("sex*race",)), tmp_path / "other", cohort)
    assert not (tmp_path / "other").exists()


def test_the_weight_on_the_command_line_is_the_methods_own_strength(tmp_path, capsys):
    from fairthesis.cli import main

    words = ["train", "--quiet", "--out", str(tmp_path / "r"), "--adversary-weight", "-3"]
    for method, said in (
        ("dann", "Expected weight to be 0 or larger, but got -3.0"),
        ("adversarial", "Expected adversary_weight to be 0 or larger, but got -3.0"),
        ("groupdro", "Method groupdro has no weight that --adversary-weight could set"),
    ):
        with pytest.raises(SystemExit) as end:
            main([*words, "--method", method])
        assert end.value.code == 2
        assert said in capsys.readouterr().err


def test_the_command_says_which_epochs_were_averaged_and_that_test_labels_were_used(
    tmp_path, capsys
):
    from fairthesis.cli import main

    words = ["train", "--dataset", "synthetic-cxr", "--backbone", "small", "--size", "24"]
    words += ["--epochs", "2", "--threads", "1", "--quiet"]
    for size in ("n_train=200", "n_val=80", "n_test=80"):
        words += ["--dataset-option", size]
    with pytest.raises(SystemExit) as end:
        main([*words, "--averaging", "swad", "--out", str(tmp_path / "swad")])
    assert end.value.code == 0
    assert "the average over epochs 2 to 2 of 2 kept" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="TEST LABELS"), pytest.raises(SystemExit) as end:
        main([*words, "--selection", "oracle", "--out", str(tmp_path / "oracle")])
    assert end.value.code == 0
