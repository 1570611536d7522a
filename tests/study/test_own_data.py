"""The chapters on real images, by plain papermill, on a small cohort that is made here."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image

from fairthesis.errors import InputError
from fairthesis.study import plan

OPTIONS = "table: images.csv\nimage: file\npatient: patient_id\ntargets: cancer\nattributes: sex\n"


def cohort(folder, n):
    rng = np.random.default_rng(0)
    folder.mkdir()
    sick, sex = rng.random(n) < 0.5, rng.choice(["f", "m"], n)
    for i in range(n):
        grey = rng.normal(100 + 40 * sick[i], 30, (16, 16)).clip(0, 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{i}.png")
    table = {"file": [f"{i}.png" for i in range(n)], "patient_id": [f"p{i // 2}" for i in range(n)]}
    table |= {"cancer": sick.astype(int), "sex": sex}
    pd.DataFrame(table).to_csv(folder / "images.csv", index=False)
    (folder / "cohort.yml").write_text(OPTIONS)
    return folder


@pytest.mark.needs("torch")
@pytest.mark.parametrize("chapter", ["chest_xray", "skin_lesions"])
def test_a_chapter_runs_on_ones_own_images(chapter, tmp_path):
    given = {"dataset": "csv", "data_root": cohort(tmp_path / "mine", 120), "profile": "quick"}
    given["out_dir"] = tmp_path / "runs"
    words = [word for name, value in given.items() for word in ("-p", name, str(value))]
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", "-k", "python3", "--cwd", str(ROOT), *words]
    notebook = ROOT / "notebooks" / f"{chapter}.ipynb"
    done = subprocess.run([*command, str(notebook), str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "computed in csv-quick" in json.dumps(json.loads(out.read_text()))
    made = {path.parent.name for path in (tmp_path / "runs" / "csv-quick" / "runs").glob("*/DONE")}
    assert made == {f"{method}-0" for method in ("erm", "reweighted", "hsic", "adversarial")}


def test_what_is_missing_is_asked_for(tmp_path):
    with pytest.raises(InputError, match=r"Expected cohort\.yml in .*targets: cancer"):
        plan("csv", "quick", tmp_path)
    with pytest.raises(InputError, match="Unknown data set with an experiment 'csv'"):
        plan("csv", "quick")
    with pytest.raises(InputError, match="Unknown profile of embeddings 'grid'"):
        plan("embeddings", "grid", tmp_path)
