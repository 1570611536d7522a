"""Tables and files as they come: other encodings, doubled ids, no rows, no pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.layouts import chexpert, ham10000, picture

from fairthesis import data, datasets
from fairthesis.data import Cohort
from fairthesis.errors import InputError

HEADER = "file,pid,cancer,sex\n"
OPTIONS = {"table": "t.csv", "image": "file", "patient": "pid"}
OPTIONS |= {"targets": "cancer", "attributes": "sex"}


def mine(root: Path, text: bytes | None = None, **options: object) -> Cohort:
    """Three pictures and their table, or another one in its place."""
    for name in ("é.png", "b.png", "c.png"):
        picture(root / name)
    plain = (HEADER + "é.png,p1,1,F\nb.png,p2,0,M\nc.png,p3,0,F\n").encode()
    (root / "t.csv").write_bytes(plain if text is None else text)
    return datasets.load("csv", root, **(OPTIONS | options))


TEXT = HEADER + "é.png,p1,1,F\nb.png,p2,0,M\nc.png,p3,0,F\n"


@pytest.mark.parametrize(
    "text",
    [
        TEXT.encode("latin-1"),
        TEXT.encode("utf-8-sig"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r\n").encode("utf-8-sig"),
        TEXT.replace(",", "\t").encode(),
        TEXT.replace(",", ";").encode("utf-16"),
    ],
    ids=["latin-1", "bom", "crlf", "bom and crlf", "tabs", "utf-16"],
)
@pytest.mark.filterwarnings("ignore:t.csv is not UTF-8:fairthesis.inputs.Latin1Warning")
def test_a_table_reads_the_same_however_it_was_saved(text: bytes, tmp_path: Path) -> None:
    cohort = mine(tmp_path, text)
    assert cohort.fingerprint() == mine(tmp_path).fingerprint()
    assert sorted(cohort.frame["image_id"]) == ["b.png", "c.png", "é.png"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is empty"),
        (HEADER.encode(), "no rows"),
        (TEXT.encode("utf-16")[:-1], "begins as utf-16 text and is none"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "bytes that are no text"),
    ],
    ids=["empty", "0 rows", "half of utf-16", "a picture"],
)
def test_what_is_no_table_is_reported(text: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        mine(tmp_path, text)


def test_a_doubled_image_is_kept_once_and_counted(tmp_path: Path) -> None:
    cohort = mine(tmp_path, (TEXT + "b.png,p2,0,M\n").encode())
    assert len(cohort) == 3
    assert cohort.left_out == {"image listed twice": 1}
    root = ham10000(tmp_path / "ham")
    lines = (root / "HAM10000_metadata.csv").read_text().splitlines()
    (root / "HAM10000_metadata.csv").write_text("\n".join([*lines, lines[-1]]))
    assert datasets.load("ham10000", root).left_out["image listed twice"] == 1


def test_a_table_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    root = chexpert(tmp_path / "release")
    picture(tmp_path / "secret.jpg")
    table = pd.read_csv(root / "train.csv", dtype=str)
    table.loc[0, "Path"] = "CheXpert-v1.0-small/train/patient00000/../../../secret.jpg"
    table.to_csv(root / "train.csv", index=False)
    with pytest.raises(InputError, match="leaves the data set's folder"):
        data.prepared_images(datasets.load("chexpert", root), 16, tmp_path / "cache")


def test_a_web_page_with_the_name_of_a_picture_is_named(tmp_path: Path) -> None:
    cohort = mine(tmp_path, (HEADER + "page.jpg,p1,1,F\nb.png,p2,0,M\n").encode(), table="t.csv")
    assert cohort.left_out == {"image file not found": 1}
    (tmp_path / "page.jpg").write_text("<!DOCTYPE html><html><body>404</body></html>")
    cohort = datasets.load("csv", tmp_path, **OPTIONS)
    with pytest.warns(data.UnreadableImageWarning, match=r"page\.jpg.*cannot identify"):
        _, ok = data.prepared_images(cohort, 16, tmp_path / "cache")
    assert ok.sum() == 1


@pytest.mark.parametrize("kind", ["I;16", "CMYK", "P"])
def test_pictures_of_other_kinds_come_through_a_cohort(kind: str, tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
    grey = Image.fromarray(ramp)
    name = "x.tif" if kind == "CMYK" else "x.png"
    if kind == "I;16":
        Image.fromarray(ramp.astype(np.uint16) * 256).save(tmp_path / name)
    else:
        colour = grey.convert("RGB")
        (colour.quantize(64) if kind == "P" else colour.convert(kind)).save(tmp_path / name)
    cohort = mine(tmp_path, f"{HEADER}{name},p1,1,F\n".encode())
    pixels, ok = data.prepared_images(cohort, 32, tmp_path / "cache")
    assert ok.all()
    assert np.abs(pixels[0].astype(int) - ramp[..., None]).mean() < 12


def test_race_is_read_from_the_workbook_as_from_its_copy(tmp_path: Path) -> None:
    root = chexpert(tmp_path / "release")
    copied = datasets.load("chexpert", root)
    table = pd.read_csv(root / "CHEXPERT DEMO.csv", dtype=str)
    table.to_excel(root / "CHEXPERT DEMO.xlsx", index=False)
    (root / "CHEXPERT DEMO.csv").unlink()
    read = datasets.load("chexpert", root)
    assert "race" in read.attributes
    assert read.fingerprint() == copied.fingerprint()
    shutil.copy(root / "train.csv", root / "CHEXPERT DEMO.xlsx")  # read as what it is
    with pytest.raises(InputError, match="Unknown column"):
        datasets.load("chexpert", root)
