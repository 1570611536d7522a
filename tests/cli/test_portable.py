"""Commands run where the system is another one: no Unix modules, other encodings, worker pools."""

from __future__ import annotations

import ast
import os
import pickle
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

import fairthesis
from fairthesis import datasets
from fairthesis.auditing import compare
from fairthesis.data import Cohort
from fairthesis.embeddings import probe

# What Python has on Linux and not on Windows, as far as other packages do without it.
WINDOWS = """
import os, signal, sys
for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in ("fork", "forkpty", "getuid", "geteuid", "sched_getaffinity", "fchmod", "killpg",
             "posix_fallocate", "posix_fadvise", "statvfs", "chown", "getpgid", "O_NONBLOCK",
             "O_NOFOLLOW", "O_CLOEXEC", "O_DIRECTORY"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGALRM", "SIGPIPE"):
    if hasattr(signal, name):
        delattr(signal, name)
from fairthesis.cli import main
main()
"""


def tables(n: int = 240) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)
    row = np.arange(n)
    keys = {"image_id": [f"i{k}" for k in row], "patient_id": [f"p{k // 2}" for k in row]}
    keys |= {"split": np.where(row // 2 % 2, "val", "test")}
    labels = {"target": "effusion", "y_true": row % 2, "y_score": rng.random(n).round(3)}
    sex = rng.choice(["F", "M"], n)
    numbers = {f"disease_{k:03}": rng.normal(size=n) for k in range(3)}
    return pd.DataFrame({**keys, **labels, "sex": sex}), pd.DataFrame({**keys, **numbers})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("portable")
    predictions, embeddings = tables()
    predictions.to_csv(folder / "a.csv", index=False)
    predictions.assign(y_score=predictions["y_score"] / 2).to_csv(folder / "b.csv", index=False)
    named = predictions.assign(sex=predictions["sex"].map({"F": "女", "M": "男"}))
    named.to_csv(folder / "named.csv", index=False, encoding="utf-8")
    embeddings.to_parquet(folder / "e.parquet", index=False)
    return folder


def run(home: Path, code: str, *words: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=home,
        env=os.environ | env,
        capture_output=True,
        check=False,
    )
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, said
    assert "Traceback" not in said
    return done.stdout.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "words",
    [
        "audit a.csv --group sex --patient patient_id --n-boot 20 --out w-audit",
        "audit a.csv --group sex --patient patient_id --metric mean:y_score:lower --n-boot 20 "
        "--out w-outcomes",
        "compare a.csv b.csv --group sex --patient patient_id --n-boot 20 --out w-compare",
        "probe e.parquet --labels a.csv --attribute sex --probe logistic --n-boot 5 "
        "--n-shuffles 1 --out w-probe",
        "postprocess a.csv --group sex --method level_up --out w-after.csv",
        "power a.csv --group sex --patient patient_id",
        "search a.csv --group sex --patient patient_id --n-permutations 19 "
        "--confirm 0 --minimum 10 --out w-search",
        "datasets list",
        "datasets describe synthetic-cxr",
        pytest.param("experiment list", marks=pytest.mark.needs("torch")),  # names of methods
    ],
    ids=lambda words: " ".join(words.split()[:2]),
)
def test_commands_need_nothing_that_windows_lacks(home: Path, words: str) -> None:
    run(home, WINDOWS, *words.split(), PYTHONIOENCODING="cp1252", PYTHONUTF8="0")


def test_names_that_the_screen_has_no_letters_for_are_printed_all_the_same(home: Path) -> None:
    words = "audit named.csv --group sex --patient patient_id --n-boot 20 --out named"
    code = "from fairthesis.cli import main; main()"
    assert "?" in run(home, code, *words.split(), PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    assert "女" in (home / "named" / "groups.csv").read_text(encoding="utf-8")


def without_encoding(file: Path) -> list[str]:
    """Calls that read or write text in the encoding of whatever machine they run on."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or any(k.arg == "encoding" for k in node.keywords):
            continue
        func = node.func
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        owner = ast.unparse(func.value) if isinstance(func, ast.Attribute) else ""
        if name in ("read_text", "write_text") and owner:
            found.append(f"{file.name}:{node.lineno}")
        if name in ("open", "fdopen") and owner not in ("os", "gzip", "Image", "self.zip"):
            words = [
                n.value
                for a in (*node.args, *node.keywords)
                for n in ast.walk(a)
                if isinstance(n, ast.Constant) and isinstance(n.value, str)
            ]
            if not any(re.fullmatch("[rwax+]+b[+]?", word) for word in words):
                found.append(f"{file.name}:{node.lineno}")
    return found


def test_every_text_file_is_read_and_written_as_utf_8() -> None:
    files = [*(ROOT / "fairthesis").rglob("*.py"), *(ROOT / "workflow").glob("*.py")]
    assert [place for file in files for place in without_encoding(file)] == []


def test_the_check_of_encodings_finds_what_it_is_for(tmp_path: Path) -> None:
    file = tmp_path / "made.py"
    text = 'p.read_text()\np.open("w")\nopen(p)\nopen(p, "rb")\np.read_text(encoding="utf-8")\n'
    file.write_text(text, encoding="utf-8")
    assert without_encoding(file) == ["made.py:1", "made.py:2", "made.py:3"]


def results() -> dict[str, object]:
    """One of each result that a study keeps or has made by a pool of workers."""
    predictions, embeddings = tables()
    other = predictions.assign(y_score=predictions["y_score"] / 2)
    found: dict[str, object] = {
        "audit": fairthesis.audit(predictions, groups=["sex"], patient="patient_id", n_boot=20),
        "comparison": compare({"a": predictions, "b": other}, group="sex", n_boot=20),
        "leakage": probe(
            embeddings, predictions, attribute="sex", names=["logistic"], n_boot=5, n_shuffles=1
        ),
        "error": fairthesis.InputError("a value"),
    }
    return found | {name: datasets.load(name) for name in ("synthetic-cxr", "synthetic-derm")}


@pytest.mark.filterwarnings("ignore")
def test_results_go_through_pickle() -> None:
    for name, result in results().items():
        again = pickle.loads(pickle.dumps(result))
        assert type(again) is type(result), name
        assert str(again) == str(result)


def test_the_audit_itself_goes_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(fairthesis.audit)) is fairthesis.audit


def drawn(cohort: Cohort, rows: list[int]) -> bytes:
    assert cohort.render is not None
    return cohort.render(np.array(rows, dtype=np.intp), 16).tobytes()


def test_a_worker_draws_the_images_of_a_cohort() -> None:
    cohort = datasets.load("synthetic-cxr")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = pool.submit(drawn, cohort, [0, 5]).result()
    assert there == drawn(cohort, [0, 5])
