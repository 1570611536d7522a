"""Nothing private in what is shared: no folder, user, host or patient key where it need not be."""

from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.layouts import picture
from support.predictions import table

import fairthesis
from fairthesis.cli import main
from fairthesis.training import TrainConfig, apply_posthoc, train

HOME = "jane.doe-of-st-marys"
KEY = "MRN-4711-"
# The two tables of a run hold patient and image keys: a probe and a paired test need them.
KEYED = ("predictions.parquet", "embeddings.parquet")


def told(folder: Path, words: list[str], without: tuple[str, ...] = ()) -> list[str]:
    """Which files below a folder hold which of the words, in their bytes or their name."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        content = path.read_bytes() if path.is_file() and name not in without else b""
        found += [f"{name}: {w}" for w in words if w in name or w.encode() in content]
    return found


def machine() -> list[str]:
    """Names of this user and host, where they are no ordinary words."""
    return [n for n in (getpass.getuser(), platform.node()) if len(n) > 5 and n != "runner"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("private") / HOME
    (home / "data").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for k in range(120):
        picture(home / "data" / f"{k}.png", seed=k)
        rows.append((f"{k}.png", f"{KEY}{k}", int(rng.integers(2)), "FM"[k % 2]))
    pd.DataFrame(rows, columns=["path", "pid", "cancer", "sex"]).to_csv(
        home / "data" / "t.csv", index=False
    )
    columns = {"table": "t.csv", "patient": "pid", "targets": "cancer", "attributes": "sex"}
    config = TrainConfig(
        dataset="csv", data_root=str(home / "data"), dataset_options=columns, backbone="small",
        size=16, epochs=1, batch_size=16, threads=1,
    )  # fmt: skip
    out = tmp_path_factory.mktemp("runs") / "run"
    train(config, out, progress=False)
    assert train(config, out, progress=False) == out  # it knows itself again
    return out


def test_a_run_names_no_folder_and_no_patient_but_in_its_tables(run):
    assert told(run, [HOME, str(Path.home() / "x")[:-1], *machine()]) == []
    assert told(run, [KEY], without=KEYED) == []
    assert KEY.encode() in (run / "predictions.parquet").read_bytes()  # the search can find it
    assert json.loads((run / "config.json").read_text())["data_root"] is None


def test_a_post_hoc_run_neither(run, tmp_path):
    apply_posthoc("leace", run, tmp_path / "out")
    assert told(tmp_path / "out", [HOME, *machine()]) == []
    assert told(tmp_path / "out", [KEY], without=KEYED) == []


def test_reports_name_no_folder_and_no_patient(tmp_path):
    home = tmp_path / HOME
    home.mkdir()
    frame = table(300)
    frame["patient_id"] = KEY + frame["patient_id"]
    frame["image_id"] = KEY + frame["image_id"].astype(str)
    frame.to_csv(home / "first.csv", index=False)
    frame.assign(y_score=frame["y_score"] ** 2).to_csv(home / "second.csv", index=False)
    rng = np.random.default_rng(0)
    keys = frame[["image_id", "patient_id", "split"]].drop_duplicates("image_id")
    keys.assign(disease_0=rng.normal(size=len(keys))).to_csv(home / "e.csv", index=False)
    quick = ["--n-boot", "20", "--quiet"]
    for name, command in {
        "audit": ["audit", "first.csv", "--patient", "patient_id", "--n-permutations", "20"],
        "compare": ["compare", "first.csv", "second.csv"],
        "probe": ["probe", "e.csv", "--labels", "first.csv", "--attribute", "sex",
                  "--probe", "logistic", "--n-shuffles", "1"],
    }.items():  # fmt: skip
        words = [str(home / w) if w.endswith(".csv") else w for w in command]
        group = [] if name == "probe" else ["--group", "sex"]
        with pytest.raises(SystemExit) as ended:
            main([*words, *group, *quick, "--out", str(tmp_path / name)])
        assert ended.value.code == 0
        assert told(tmp_path / name, [HOME, KEY, *machine()]) == []


def test_small_groups_are_not_in_the_explorer_and_it_can_be_left_out():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"y_true": np.arange(400) % 2, "p": np.arange(400)})
    frame["y_score"] = np.clip(0.4 * frame["y_true"] + 0.6 * rng.random(400), 0, 1)
    frame["site"] = np.where(frame["p"] < 9, "rare", np.where(frame["p"] % 3, "A", "B"))
    report = fairthesis.audit(frame, groups=["site"], patient="p", n_boot=0, n_permutations=0)
    page = report.to_html()
    line = next(line for line in page.splitlines() if line.startswith("const counts ="))
    counts = json.loads(line.removeprefix("const counts =").rstrip(" ;"))["a0"]
    sizes = [g["tp"][0] + g["fp"][0] for g in counts]
    assert sizes == [report.groups["site"]["A"].n, report.groups["site"]["B"].n, 0]
    assert "single rows can be read back" in page
    without = report.to_html(explorer=False)
    assert "const counts" not in without and "What another threshold" not in without
    # No dot of the reliability figure stands for fewer than ten cases.
    assert all(f": {n} cases, mean" not in page for n in range(1, 10))
