"""A folder of DICOM files -> table -> cohort -> run, and nothing that says who the patients are."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image
from support import dicom
from support.cli import run
from support.dicom import IDENTIFYING, RAMP, write
from support.layouts import LAYOUTS, picture

from fairthesis import data, datasets
from fairthesis.data import dicom_elements
from fairthesis.errors import InputError

SALT = "a long secret of this clinic"
KEYS = [f"MRN-{k:04d}" for k in range(40)]


def folder(root: Path, n: int = 40, **more: Any) -> Path:
    """Films of n patients, two each; the disease is a bright corner."""
    rng = np.random.default_rng(0)
    for k in range(2 * n):
        pixels = rng.integers(0, 1500, (48, 40)).astype(np.uint16)
        sick = k // 2 % 2
        pixels[:16, :16] += 2000 * sick
        header = dicom.dataset(
            pixels, BitsStored=12, PatientID=KEYS[k // 2], PatientSex="FM"[k // 4 % 2],
            PatientAge=f"{30 + k % 65:03d}Y", ViewPosition=("PA", "ap")[k % 2],
            StudyInstanceUID=f"1.2.3.{k // 2}", SOPInstanceUID=f"1.2.3.{k // 2}.{k}",
            BodyPartExamined="CHEST", Manufacturer="Maker", ManufacturerModelName="=Model 3",
            WindowCenter=2000, WindowWidth=4000,
            **IDENTIFYING | {"AccessionNumber": f"ACC-{k // 2}-SECRET"} | more,
        )  # fmt: skip
        block = header.private_block(0x0011, "SECRET MAKER", create=True)
        block.add_new(1, "LO", "PRIVATE-SECRET")
        path = root / f"s{k // 2}" / f"{k}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        header.save_as(path, enforce_file_format=True)
    return root


def private(text: str) -> list[str]:
    words = [*IDENTIFYING.values(), "SECRET", "PRIVATE", "Secretive", *KEYS]
    return [word for word in words if word in text]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("films"))


def test_the_table_has_a_row_per_image_and_no_word_of_who_it_is(films: Path) -> None:
    table, left_out = datasets.dicom_table(films, salt=SALT)
    assert list(table) == list(datasets.DICOM_COLUMNS)
    assert len(table) == 80 and table["patient_id"].nunique() == 40 == table["study_id"].nunique()
    assert table["image_id"].is_unique
    assert private(table.to_csv()) == []
    first = table.set_index("path").loc["s0/1.dcm"]
    assert first[["sex", "age", "age_group", "view", "body_part"]].tolist() == [
        "F", 31.0, "20-39", "AP", "CHEST"]  # fmt: skip
    assert first[["modality", "model", "rows", "columns"]].tolist() == [
        "DX",
        "=Model 3",
        "48",
        "40",
    ]
    assert left_out == {"age above 89 (set to 90, image kept)": 5}
    assert table["age"].max() == 90
    assert datasets.dicom_table(films, keep_ages=True)[0]["age"].max() == 94


def test_keys_are_pseudonyms_by_the_salt(films: Path) -> None:
    table, _ = datasets.dicom_table(films, salt=SALT)
    again, _ = datasets.dicom_table(films, salt=SALT)
    other, _ = datasets.dicom_table(films, salt=SALT + "!")
    drawn, _ = datasets.dicom_table(films)
    raw, _ = datasets.dicom_table(films, keep_ids=True)
    assert table.equals(again)
    expected = hmac.new(SALT.encode(), b"MRN-0000", hashlib.sha256).hexdigest()[:16]
    assert table["patient_id"].iloc[0] == expected == datasets.pseudonym("MRN-0000", SALT)
    columns = [frame["patient_id"] for frame in (table, other, drawn, raw)]
    assert len({column.iloc[0] for column in columns}) == 4
    # Whoever is one patient stays one patient.
    assert len({tuple(pd.factorize(column)[0]) for column in columns}) == 1
    assert set(raw["patient_id"]) == set(KEYS) and raw["study_id"].iloc[0] == "1.2.3.0"
    with pytest.raises(InputError, match="at least 16"):
        datasets.dicom_table(films, salt="short")


@pytest.mark.parametrize(
    ("given", "born", "studied", "expected"),
    [
        ("045Y", None, None, 45.0),
        ("006M", None, None, 0.5),
        ("026W", None, None, 0.5),
        ("010D", None, None, 0.03),
        ("000Y", None, None, 0.0),
        (None, "19800615", "20200614", 39.0),
        (None, "19800615", "20200615", 40.0),
        ("", "19200101", "20200101", 90.0),
        ("045Y", "19000101", "20200101", 45.0),
        (None, "19800615", None, np.nan),
        (None, "1980", "20200101", np.nan),
        (None, "20200101", "20190101", np.nan),
        ("150Y", None, None, np.nan),
        ("45 years", None, None, np.nan),
    ],
)
def test_an_age_is_stated_or_the_years_from_birth_to_study(
    tmp_path: Path, given: str | None, born: str | None, studied: str | None, expected: float
) -> None:
    header = dicom.dataset(RAMP)
    for name, value in (
        ("PatientAge", given), ("PatientBirthDate", born), ("StudyDate", studied)
    ):  # fmt: skip
        if value is not None:
            element = pydicom.DataElement(name, "LO", value)  # held to no form
            element.VR = pydicom.datadict.dictionary_VR(element.tag)
            header.add(element)
    header.save_as(tmp_path / "1.dcm", enforce_file_format=True)
    table, _ = datasets.dicom_table(tmp_path)
    assert table["age"].iloc[0] == pytest.approx(expected, nan_ok=True)
    for value in (born, studied):
        assert value is None or value not in table.to_csv()


def test_what_a_header_does_not_state_is_null(tmp_path: Path) -> None:
    write(tmp_path / "1.dcm", PatientID=None, Modality=None)
    write(tmp_path / "2.dcm", PatientID="", PatientSex="X", Laterality="Q", ViewPosition="")
    write(tmp_path / "3.dcm", PatientSex="o", Laterality="L")
    write(tmp_path / "4.dcm", ImageLaterality="R", Laterality="L")
    table, left_out = datasets.dicom_table(tmp_path)
    assert (
        table.loc[:1, ["patient_id", "sex", "age", "age_group", "view", "laterality"]]
        .isna()
        .all(axis=None)
    )
    assert table["sex"].tolist()[2] == "O"
    assert table["laterality"].tolist()[2:] == ["L", "R"]
    assert left_out == {"sex is none of F, M, O (set to unknown, image kept)": 1}


def test_files_that_are_no_single_image_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "er" / "1")
    write(tmp_path / "frames.dcm", np.zeros((16, 8), np.uint8), Rows=8, NumberOfFrames=2)
    write(tmp_path / "report.dcm", Rows=None, Columns=None, Modality="SR")
    (tmp_path / "._1.dcm").write_bytes(b"of another system")
    picture(tmp_path / "1.png")
    (tmp_path / "gone.dcm").symlink_to(tmp_path / "nowhere")
    table, left_out = datasets.dicom_table(tmp_path)
    assert table["path"].tolist() == ["deep/er/1"]
    assert left_out == {
        "file that cannot be opened": 1,
        "file that is no DICOM": 1,
        "DICOM file of several frames": 1,
        "DICOM file without an image (a report, a plan), or not readable": 2,
    }
    (tmp_path / "empty").mkdir()
    for wrong in ("empty", "nowhere"):
        with pytest.raises(InputError, match="No "):
            datasets.dicom_table(tmp_path / wrong)
    with pytest.raises(InputError, match="one above it"):
        datasets.dicom_table(tmp_path / "deep", root=tmp_path / "empty")
    assert datasets.dicom_table(tmp_path / "deep", root=tmp_path)[0]["path"].tolist() == [
        "deep/er/1"
    ]


def test_only_the_elements_that_are_named_are_read(films: Path) -> None:
    path = films / "s0" / "0.dcm"
    assert dicom_elements(path, ["PatientSex", "ViewPosition", "ImageLaterality"]) == {
        "PatientSex": "F", "ViewPosition": "PA"}  # fmt: skip
    assert dicom_elements(path, ["WindowCenter", "SOPInstanceUID"]) == {
        "WindowCenter": "2000.0", "SOPInstanceUID": "1.2.3.0.0"}  # fmt: skip


LABELS = pd.DataFrame(
    {
        "acc": [f"ACC-{k}-SECRET" for k in range(39)],
        "mrn": KEYS[:39],
        "uid": [f"1.2.3.{k}" for k in range(39)],
        "cancer": [k % 2 for k in range(39)],
        "name": [f"Identifia^{k}" for k in range(39)],
    }
)


@pytest.mark.parametrize(
    "match", [("accession", "acc"), ("patient_id", "mrn"), ("study_id", "uid")]
)
def test_labels_are_joined_by_the_headers_own_keys(films: Path, match: tuple[str, str]) -> None:
    table, left_out = datasets.dicom_table(films, labels=LABELS, match=match, columns=["cancer"])
    k = table["path"].str.extract(r"s(\d+)/")[0].astype(int)
    assert (table["cancer"][k < 39] == k[k < 39] % 2).all()
    assert table["cancer"][k == 39].isna().all()
    assert left_out["no row of labels (not stated, image kept)"] == 2
    assert private(table.to_csv()) == [] and list(table)[-1] == "cancer"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"match": ("name", "name")}, "Unknown key of DICOM files 'name'"),
        ({"match": ("patient_id", "uid")}, "No patient_id of the 80 images"),
        ({"match": ("patient_id", "mrm")}, "Did you mean 'mrn'"),
        ({"columns": ["cancr"]}, "Did you mean 'cancer'"),
        ({"columns": []}, "No column of the labels"),
        ({"labels": pd.concat([LABELS, LABELS])}, "39 rows of the labels repeat a key"),
        ({"labels": LABELS.rename(columns={"cancer": "sex"}), "columns": ["sex"]}, "own: rename"),
    ],
)
def test_labels_that_cannot_be_joined(films: Path, change: dict[str, Any], message: str) -> None:
    options = {"labels": LABELS, "match": ("patient_id", "mrn"), "columns": ["cancer"]} | change
    with pytest.raises(InputError, match=message) as caught:
        datasets.dicom_table(films, **options)
    assert private(str(caught.value)) == []


def test_the_command_writes_what_the_data_set_csv_takes(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "mine"
    home.mkdir()
    (home / "films").symlink_to(films)
    (tmp_path / "salt.txt").write_text(SALT + "\n")
    LABELS.to_csv(tmp_path / "labels.csv", index=False)
    words = ["dicom", home / "films", "--out", home / "images.csv", "--quiet"]
    words += ["--salt-file", tmp_path / "salt.txt", "--labels", tmp_path / "labels.csv"]
    code, out, err = run(capsys, *words, "--match", "accession=acc", "--label", "cancer")
    assert (code, err) == (0, "")
    assert "80 images of 40 patients in 40 studies" in out
    assert "5  age above 89 (set to 90, image kept)" in out
    written = (home / "images.csv").read_text()
    assert private(written + out) == []
    assert "'=Model 3" in written  # no spreadsheet runs it
    cohort = datasets.load(
        "csv", home, table="images.csv", patient="patient_id", targets="cancer",
        attributes="sex,age_group,view", channels=1,
    )  # fmt: skip
    assert len(cohort) == 80 and cohort.groups("view") == ["AP", "PA"]
    assert cohort.frame["patient_id"].isin([datasets.pseudonym(key, SALT) for key in KEYS]).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "elsewhere/images.csv"], "one above it"),
        (["--out", "films/images.xlsx"], ".csv or .parquet"),
        (["--out", "films/images.csv", "--match", "path"], "expected KEY=COLUMN"),
        (["--out", "films/images.csv", "--label", "cancer"], "--labels"),
        (["--out", "films/images.csv", "--salt-file", "films/none.txt"], "none.txt"),
    ],
)
def test_the_command_refuses_in_words_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    words: list[str], message: str,
) -> None:  # fmt: skip
    write(tmp_path / "films" / "1.dcm")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code, _, err = run(capsys, "dicom", "films", "--quiet", *words)
    assert code == 2 and message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_without_pydicom_the_command_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "1.dcm")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    monkeypatch.setitem(sys.modules, "pydicom.pixels", None)
    code, _, err = run(capsys, "dicom", tmp_path, "--out", tmp_path / "t.csv", "--quiet")
    assert code == 2 and "pip install 'fairthesis[dicom]'" in err
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize("name", sorted(set(LAYOUTS)))
def test_every_loader_reads_dicom_and_has_a_window(name: str, tmp_path: Path) -> None:
    root = LAYOUTS[name](tmp_path / "release")
    plain = datasets.load(name, root)
    place = root / plain.frame["path"].iloc[0]
    place.unlink()
    write(place, RAMP, BitsStored=12)
    seen = []
    for window in ("own", "full", "0,100"):
        cohort = datasets.load(name, root, window=window)
        assert cohort.window == window
        images, ok = data.prepared_images(cohort, 64, tmp_path / "cache")
        assert ok.all()
        seen.append(images[0, :, :, 0].astype(float))
    assert (seen[0] == np.round(RAMP / 4095 * 255)).all() and (seen[0] == seen[1]).all()
    assert (seen[2] == np.round(np.clip(RAMP * 2.55, 0, 255))).all()
    assert plain.fingerprint() != cohort.fingerprint()
    with pytest.raises(InputError, match="window"):
        datasets.load(name, root, window="bright")


def test_the_window_of_csv_stands_in_its_file_too(tmp_path: Path) -> None:
    for k in range(6):
        Image.fromarray(RAMP + 7 * k).save(tmp_path / f"{k}.png")
    rows = pd.DataFrame({"path": [f"{k}.png" for k in range(6)], "y": [0, 1] * 3})
    rows.to_csv(tmp_path / "t.csv", index=False)
    text = "table: t.csv\npatient: path\ntargets: y\n"
    found = []
    for line in ("", "window: full\n", "window: [0, 4095]\n", "window: 0,4095\n"):
        (tmp_path / "mine.yml").write_text(text + line)
        found.append(datasets.load("csv", tmp_path, config="mine.yml").window)
    assert found == ["own", "full", "0,4095", "0,4095"]
    typed = datasets.typed_options("csv", {"window": "-1000,400"}, text=True)
    options = {"table": "t.csv", "patient": "path", "targets": "y"} | typed
    assert datasets.load("csv", tmp_path, **options).window == "-1000,400"


def told(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    texts = {path.name: path.read_bytes().decode("latin-1") for path in files}
    return [f"{name}: {word}" for name, text in texts.items() for word in private(text)]


def test_from_a_folder_of_films_to_a_run_and_its_audit(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairthesis.cli import main

    monkeypatch.setenv("FAIRTHESIS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    out.mkdir()
    home = tmp_path / "films"
    home.symlink_to(films.parent)
    LABELS.to_csv(tmp_path / "labels.csv", index=False)
    code, _, _ = run(
        capsys, "dicom", home / films.name, "--out", home / films.name / "images.csv", "--quiet",
        "--labels", tmp_path / "labels.csv", "--match", "patient_id=mrn", "--label", "cancer",
    )  # fmt: skip
    assert code == 0
    options = ["table=images.csv", "patient=patient_id", "targets=cancer", "attributes=sex",
               "channels=1", "window=0,3500"]  # fmt: skip
    words = ["train", "--dataset", "csv", "--data-root", str(home / films.name), "--quiet"]
    words += [word for option in options for word in ("--dataset-option", option)]
    words += ["--backbone", "small", "--size", "16", "--epochs", "1", "--batch-size", "16"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--threads", "1", "--out", str(out / "run")])
    assert not ended.value.code
    config = json.loads((out / "run" / "config.json").read_text())
    assert config["dataset_options"]["window"] == "0,3500"
    assert json.loads((out / "run" / "provenance.json").read_text())["window"] == "0,3500"
    predictions = pd.read_parquet(out / "run" / "predictions.parquet")
    assert predictions["y_score"].notna().all() and set(predictions["sex"]) == {"F", "M"}
    said = capsys.readouterr()
    assert private(said.out + said.err) == []
    assert told(out) == []
    assert told(tmp_path / "cache") == []
    assert private((films / "images.csv").read_text()) == []
    (films / "images.csv").unlink()
