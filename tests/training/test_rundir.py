"""The run directory: believed after a look, held by one command, never removed without asking."""

import json
import random
import shutil
import signal
import sys
import threading
import warnings
from dataclasses import replace

import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from support.cohorts import planted_cohort
from support.killing import content

from fairthesis import datasets, study
from fairthesis.cli import cli as main
from fairthesis.errors import InputError
from fairthesis.storage import hold_folder
from fairthesis.study import Plan
from fairthesis.training._config import TrainConfig
from fairthesis.training._posthoc import apply_posthoc
from fairthesis.training._train import train

SMALL = TrainConfig(
    backbone="small",
    size=16,
    epochs=3,
    batch_size=64,
    disease_dim=8,
    sensitive_dim=4,
    threads=1,
)
module = sys.modules["fairthesis.training._train"]


def run(out, config=SMALL, **more):
    return train(config, out, cohort=planted_cohort(200), progress=False, **more)


class StoppedError(Exception):
    pass


def stopped(out, config=SMALL, before_epoch=2):
    """A run that was stopped before an epoch."""
    real = module._epoch

    def stops(*arguments):
        if arguments[3] == before_epoch:
            raise StoppedError
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(module, "_epoch", stops)
        run(out, config)
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    return stopped(tmp_path_factory.mktemp("half") / "run")


def damaged(file, how):
    data = bytearray(file.read_bytes())
    if how == "flipped":
        rng = random.Random(len(data))
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    changed = {"flipped": data, "cut": data[: len(data) // 2], "empty": b"", "longer": data + b"x"}
    file.unlink() if how == "removed" else file.write_bytes(changed[how])


@pytest.mark.parametrize(
    ("name", "how"),
    [
        *(("DONE", how) for how in ("flipped", "cut", "empty", "longer", "removed")),
        *(("predictions.parquet", how) for how in ("flipped", "cut", "empty", "removed")),
        *(("log.jsonl", "cut"), ("provenance.json", "flipped"), ("provenance.json", "empty")),
        *(("embeddings.parquet", "flipped"), ("model.safetensors", "longer")),
    ],
)
def test_a_damaged_run_is_reported_and_made_again(name, how, whole, tmp_path):
    out = shutil.copytree(whole, tmp_path / "run")
    (out / "notes.txt").write_text("mine")
    damaged(out / name, how)
    if (name, how) == ("DONE", "removed"):
        run(out)
    else:
        with pytest.warns(UserWarning, match=f"is damaged: {name} .* It is made again"):
            run(out)
    assert (out / "notes.txt").read_text() == "mine"
    (out / "notes.txt").unlink()
    assert content(out) == content(whole)


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "removed"])
def test_a_run_without_its_configuration_is_refused_or_replaced_when_asked(how, whole, tmp_path):
    out = shutil.copytree(whole, tmp_path / "run")
    damaged(out / "config.json", how)
    before = content(out) if how == "removed" else None
    with pytest.raises(InputError, match=r"holds (another|no) run"):
        run(out)
    if how == "removed":  # a folder that holds no run is never touched
        assert content(out) == before
    else:
        run(out, overwrite=True)
        assert content(out) == content(whole)


def test_a_configuration_of_nothing_is_written_anew(whole, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").touch()  # a power cut's, of a version that did not sync
    assert content(run(tmp_path / "run")) == content(whole)
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / ".config-abc_1234.json").touch()  # a kill's
    run(tmp_path / "older")
    (tmp_path / "older" / ".config-abc_1234.json").unlink()
    assert content(tmp_path / "older") == content(whole)


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "longer"])
def test_a_damaged_state_is_reported_and_the_run_begins_anew(how, half, whole, tmp_path):
    out = shutil.copytree(half, tmp_path / "run")
    damaged(out / "state.pt", how)
    with pytest.warns(UserWarning, match="checksum is wrong.*begins anew"):
        run(out)
    assert content(out) == content(whole)


def test_a_state_is_gone_on_from_and_a_finished_runs_is_removed(half, whole, tmp_path, monkeypatch):
    out = shutil.copytree(half, tmp_path / "run")
    (out / "config.json").write_text((out / "config.json").read_text().replace("null", "null "))
    epochs = []
    real = module._epoch
    monkeypatch.setattr(module, "_epoch", lambda *a: (epochs.append(a[3]), real(*a))[1])
    run(out)
    assert epochs == [2] and content(out) == content(whole)
    shutil.copy(half / "state.pt", out)  # killed after DONE, before the state was removed
    run(out)
    assert epochs == [2] and content(out) == content(whole)


def test_a_run_goes_on_with_the_threads_that_it_began_with(half, whole, tmp_path):
    out = shutil.copytree(half, tmp_path / "run")
    try:
        with pytest.warns(UserWarning, match="goes on with 1 threads, as it began, not 2"):
            run(out, replace(SMALL, threads=2))
        assert torch.get_num_threads() == 1
        assert content(out) == content(whole)  # the configuration too
        with pytest.warns(UserWarning, match="computed with 1 threads, not 2: it is left"):
            run(out, replace(SMALL, threads=2))
        assert content(out) == content(whole)
    finally:
        torch.set_num_threads(1)
    assert json.loads((out / "provenance.json").read_text())["threads"] == 1


def test_a_second_command_in_a_folder_is_refused_and_the_first_ends_whole(whole, tmp_path):
    out, trains, tried = tmp_path / "run", threading.Event(), threading.Event()
    real = module._epoch

    def waits(*arguments):
        trains.set()
        assert tried.wait(60)
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_epoch", waits)
        first = threading.Thread(target=run, args=(out,))
        first.start()
        try:
            assert trains.wait(60)
            for config, more in ((SMALL, {}), (replace(SMALL, seed=1), {"overwrite": True})):
                with pytest.raises(InputError, match="Another command is at work in"):
                    run(out, config, **more)
        finally:
            tried.set()
            first.join()
    assert content(out) == content(whole)
    with hold_folder(out):
        run(out)  # a finished run can be used while another command looks at it


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_is_removed_while_it_trains_ends_in_words(again, whole, tmp_path):
    out, real = tmp_path / "run", module._epoch

    def removes(*arguments):
        if arguments[3] == 1:
            out.rename(tmp_path / "gone")
            if again:
                out.mkdir()
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_epoch", removes)
        with pytest.raises(InputError, match="was removed or replaced while the run was made"):
            run(out)
    assert not out.exists() or not any(out.iterdir())
    assert content(run(out)) == content(whole)


WILD = {
    "batch norm": {"disease_norm": "batch", "learning_rate": 1e20},
    "batch norm, averaged": {"disease_norm": "batch", "learning_rate": 1e20, "averaging": "swad"},
    "moving average": {"disease_norm": "batch", "learning_rate": 1e20, "averaging": "ema"},
    "whitening": {"learning_rate": 1e6},
}


@pytest.mark.parametrize("name", WILD)
def test_a_run_that_diverges_ends_in_words_and_stays_unfinished(name, tmp_path):
    config = replace(SMALL, **WILD[name])
    said = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflows on the way
        for _ in range(2):  # and says the same when it is resumed
            with pytest.raises(
                InputError, match=r"diverged in epoch \d of 3: .*learning_rate"
            ) as e:
                run(tmp_path / "run", config)
            said.append(str(e.value))
    assert said[0] == said[1]
    assert not (tmp_path / "run" / "DONE").exists()
    log = tmp_path / "run" / "log.jsonl"
    assert not log.exists() or "NaN" not in log.read_text()


def test_the_last_good_state_is_kept_where_a_later_epoch_diverges(tmp_path, monkeypatch):
    real = module._epoch

    def diverges(config, method, *more):
        if more[1] == 2:
            with torch.no_grad():
                next(method.parameters()).fill_(float("nan"))
        return real(config, method, *more)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_epoch", diverges)
        with pytest.raises(InputError, match=r"epoch 3 of 3: .*The state after epoch 2 is kept"):
            run(tmp_path / "run")
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2
    with monkeypatch.context() as patch:
        epochs = []
        patch.setattr(
            module, "_epoch", lambda *arguments: (epochs.append(arguments[3]), real(*arguments))[1]
        )
        run(tmp_path / "run")
        assert epochs == [2]


def test_a_run_of_other_code_is_kept_until_asked(whole, tmp_path, monkeypatch):
    out = shutil.copytree(whole, tmp_path / "run")
    monkeypatch.setattr("fairthesis.provenance.code_fingerprint", lambda *a: "other")
    with pytest.raises(InputError, match=r"other: code_fingerprint.*--overwrite"):
        run(out)
    assert content(out) == content(whole)
    run(out, overwrite=True)
    assert json.loads((out / "provenance.json").read_text())["code_fingerprint"] == "other"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_in_a_mount_is_replaced_file_by_file(whole, tmp_path, monkeypatch):
    from pathlib import Path

    out = shutil.copytree(whole, tmp_path / "run")
    (out / "audit").mkdir()
    real = Path.rename
    refuse = lambda self, to: real(self, to) if self != out else Path("/x/y").mkdir()  # noqa: E731
    monkeypatch.setattr(Path, "rename", refuse)
    other = run(out, replace(SMALL, epochs=1), overwrite=True)
    assert json.loads((other / "config.json").read_text())["epochs"] == 1
    assert not (out / "audit").exists()


def test_a_post_hoc_run_believes_no_damaged_parent_and_mends_itself(whole, tmp_path):
    parent = shutil.copytree(whole, tmp_path / "parent")
    out = apply_posthoc("leace", parent, tmp_path / "run")
    made = content(out)
    damaged(out / "embeddings.parquet", "flipped")
    with pytest.warns(UserWarning, match=r"embeddings\.parquet was changed. It is made again"):
        apply_posthoc("leace", parent, out)
    assert content(out) == made
    damaged(parent / "predictions.parquet", "flipped")
    with pytest.raises(InputError, match=r"is damaged: predictions\.parquet was changed"):
        apply_posthoc("leace", parent, tmp_path / "other")


BASE = {"backbone": "small", "size": 16, "epochs": 1, "batch_size": 60, "threads": 1}
BASE |= {"dataset": "synthetic-cxr"}
BASE |= {"dataset_options": {"n_train": 120, "n_val": 80, "n_test": 120}}
PLAN = Plan(
    "synthetic-cxr",
    "quick",
    BASE,
    {"erm": {"method": "erm"}, "leace": {"posthoc": "leace", "of": "erm"}},
    (0,),
    "0.5",
    20,
    20,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    study.run_experiment(PLAN, folder, progress=False)
    return folder


@pytest.mark.parametrize("root", ["data", "./data", "data/", "/somewhere/data"])
def test_an_experiment_with_the_data_elsewhere_uses_what_is_finished(folder, root, monkeypatch):
    real = datasets.load  # drawn, from whatever root
    monkeypatch.setattr(datasets, "load", lambda name, root, **more: real(name, None, **more))
    before = content(folder), (folder / "runs/erm-0/DONE").stat().st_mtime_ns
    moved = replace(PLAN, base=BASE | {"data_root": root})
    for variant in PLAN.variants:
        study.train_run(moved, variant, 0, folder, progress=False)
    assert (content(folder), (folder / "runs/erm-0/DONE").stat().st_mtime_ns) == before


def test_an_experiment_removes_no_finished_run_unless_asked(folder, tmp_path):
    out = shutil.copytree(folder, tmp_path / "e")
    other = replace(PLAN, base=BASE | {"learning_rate": 0.002})
    with pytest.raises(InputError, match=r"erm-0.*other: learning_rate.*--overwrite"):
        study.run_experiment(other, out, progress=False)
    assert content(out) == content(folder)
    study.run_experiment(other, out, progress=False, overwrite=True)
    described = json.loads((out / "runs/leace-0/config.json").read_text())
    assert described["parent"]["config"]["learning_rate"] == 0.002


def test_shards_are_one_experiment(folder, tmp_path, monkeypatch):
    out = shutil.copytree(folder, tmp_path / "e")
    plan, said = replace(PLAN, seeds=(0, 1)), []
    assert study.run_shard(plan, out, (1, 2), progress=False, say=said.append) == 2
    assert [line.split(": ")[1] for line in said] == ["erm, seed 0", "leace, seed 0"]
    assert content(out) == content(folder)  # which were finished
    monkeypatch.setattr(study, "plan", lambda *asked: plan)
    command = ["experiment", "run", "synthetic-cxr", "--out", str(out), "--quiet", "--shard"]
    early = CliRunner().invoke(main, [*command, "1/2"])
    assert (
        early.output == f"{out}: shard 1 of 2 is finished; 2 of 4 runs are still to come "
        "from others.\n"
    )
    before = (out / "metrics.csv").read_bytes()
    last = CliRunner().invoke(main, [*command, "2/2"])
    assert last.exit_code == 0 and "metrics.csv" in last.output
    assert study.load_results(out).metrics["seed"].unique().tolist() == [0, 1]
    assert before != (out / "metrics.csv").read_bytes()
    for wrong in ("0/2", "3/2"):
        found = CliRunner().invoke(main, [*command, wrong])
        assert found.exit_code == 2 and f"from 1 to n, but got {wrong}" in found.output


def test_tables_are_gathered_from_whole_audits_of_these_predictions_only(folder, tmp_path):
    out = shutil.copytree(folder, tmp_path / "e")
    file = out / "runs/erm-0/audit/opacity/audit.json"
    assert file.is_file()
    damaged(file, "cut")
    with pytest.raises(InputError, match=r"erm-0 has no whole audit.*audit\.json was cut"):
        study.collect(PLAN, out)
    study.audit_run(PLAN, "erm", 0, out)
    study.collect(PLAN, out)
    assert content(out) == content(folder)
    table = out / "runs/erm-0/predictions.parquet"
    frame = pd.read_parquet(table)
    frame.assign(y_score=0.5).to_parquet(table)
    with pytest.raises(InputError, match=r"damaged: predictions\.parquet was changed"):
        study.collect(PLAN, out)
    with pytest.raises(InputError, match=r"damaged: predictions\.parquet was changed"):
        study.audit_run(PLAN, "erm", 0, out)


@pytest.mark.parametrize("at", range(4))
def test_an_interrupt_while_the_state_is_written_is_one(tmp_path, monkeypatch, at):
    from fairthesis.training import _checkpoints as checkpoints

    written = checkpoints._Hashing.write
    calls = []

    def write(self, data):
        calls.append(1)
        if len(calls) == at + 1:
            signal.raise_signal(signal.SIGINT)
        return written(self, data)

    monkeypatch.setattr(checkpoints._Hashing, "write", write)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            checkpoints._write_sealed({"x": torch.ones(3)}, tmp_path / "state.pt")
    finally:
        signal.signal(signal.SIGINT, handler)
    saved, fault = checkpoints._read_sealed(tmp_path / "state.pt", torch.device("cpu"))
    assert not fault and saved["x"].sum() == 3
