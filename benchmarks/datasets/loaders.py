"""Every loader run: on real files where they are at hand, and on small synthetic ones of its form.

    python benchmarks/datasets/loaders.py [--data FOLDER] [--write]

Prints a table of counts; ``--write`` puts it into the book's page on data sets. ``--data`` (else
``$FAIRTHESIS_DATA``, else ``../shared/data``) holds the folders named in ``REAL``. Where only the
real table is at hand, its images are replaced by empty files of the same names: the loader is run
on every row, and no picture is read.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.layouts import LAYOUTS, picture, write_rows  # noqa: E402

from fairthesis import datasets  # noqa: E402
from fairthesis.data import Cohort  # noqa: E402

PAGE = ROOT / "book" / "datasets.md"
START, END = "<!-- loaders: start -->", "<!-- loaders: end -->"
HEAD = ("name", "files", "images", "patients", "left out or changed", "first target", "groups")
REAL = {
    "nih-cxr14": "nih-cxr14-pneumonia-1000",
    "ham10000": "ham10000-one-per-lesion-224",
    "pad-ufes-20": "pad-ufes-20-subset-224",
}
# the real table: its file below --data, the column of the image's name, its ending and folder
TABLES = {
    "nih-cxr14": ("metadata-samples/nih-chestxray14/Data_Entry_2017.csv", 0, "", "images"),
    "ham10000": ("metadata-samples/ham10000/HAM10000_metadata.csv", 1, ".jpg", "images"),
    "pad-ufes-20": ("metadata-samples/pad-ufes-20/metadata.csv", 24, "", "images"),
    "fitzpatrick17k": ("metadata-samples/fitzpatrick17k/fitzpatrick17k.csv", 0, ".jpg", "images"),
}


def row(name: str, files: str, cohort: Cohort) -> list[str]:
    """Counts only: what a loader kept, left out, and found of labels and groups."""
    label = pd.Series(cohort.labels(cohort.targets[0]))
    absent, present = int((label == 0).sum()), int((label == 1).sum())
    stated = f"{cohort.targets[0]}: {present:,} present, {absent:,} absent"
    if label.isna().any():
        stated += f", {int(label.isna().sum()):,} not stated"
    groups = []
    for attribute in cohort.attributes:
        known = cohort.codes(attribute) >= 0
        unknown = f" ({int((~known).sum()):,} unknown)" if not known.all() else ""
        groups.append(f"{attribute} {len(cohort.groups(attribute))}{unknown}")
    left = "; ".join(f"{count:,} {reason}" for reason, count in cohort.left_out.items())
    patients = f"{cohort.frame['patient_id'].nunique():,}"
    return [
        f"`{name}`",
        files,
        f"{len(cohort):,}",
        patients,
        left or "-",
        stated,
        ", ".join(groups),
    ]


def synthetic(name: str, folder: Path) -> Cohort:
    """The loader on synthetic files; the synthetic cohorts are drawn."""
    few = {"setting": "clean", "n_train": 600, "n_val": 200, "n_test": 200}
    if name in ("planted", "folds"):
        return datasets.load(name, of="synthetic-derm", inner=few)
    if name == "select":
        options = {"covariate": "device", "value": "1", "shortcut": 0.5}
        return datasets.load(name, of="synthetic-cxr", inner=few, **options)
    if not datasets.needs_root(name):
        return datasets.load(name, **few)
    if name == "csv":
        rows: list[list[object]] = []
        for i in range(12):
            picture(folder / f"{i}.png", seed=i)
            rows.append([f"{i}.png", f"p{i // 2}", i % 2, "FM"[i // 2 % 2]])
        write_rows(folder / "t.csv", "path,pid,cancer,sex", rows)
        options = {"table": "t.csv", "patient": "pid", "targets": "cancer", "attributes": "sex"}
        return datasets.load("csv", folder, **options)
    if name == "embeddings":
        frame = pd.DataFrame({"image_id": [f"i{k}" for k in range(12)]})
        frame["patient_id"] = [f"p{k // 2}" for k in range(12)]
        frame = frame.assign(cancer=[0, 1] * 6, sex=["F", "F", "M", "M"] * 3, z_0=0.5, z_1=1.5)
        folder.mkdir()
        frame.to_parquet(folder / "embeddings.parquet")
        return datasets.load("embeddings", folder, targets="cancer", attributes="sex")
    return datasets.load(name, LAYOUTS[name](folder))


def whole(name: str, data: Path, folder: Path) -> Cohort:
    """The loader on a real table, with empty files in the place of its images."""
    file, column, ending, place = TABLES[name]
    folder.mkdir()
    shutil.copyfile(data / file, folder / Path(file).name)
    (folder / place).mkdir()
    names = pd.read_csv(data / file, dtype=str, index_col=False).iloc[:, column].dropna()
    for image in names.unique():
        (folder / place / f"{image}{ending}").touch()
    return datasets.load(name, folder)


def rows(data: Path | None) -> Iterator[list[str]]:
    """The table, one row per loader and kind of files."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        for name in datasets.DATASETS:
            if data and name in REAL and (data / REAL[name]).is_dir():
                yield row(name, "real", datasets.load(name, data / REAL[name]))
            if data and name in TABLES and (data / TABLES[name][0]).is_file():
                yield row(name, "real table, empty images", whole(name, data, home / f"{name}-all"))
            drawn = not datasets.needs_root(name)
            yield row(name, "drawn" if drawn else "synthetic", synthetic(name, home / name))


def markdown(data: Path | None) -> str:
    """The table as Markdown."""
    lines = [HEAD, ("---", "---", "--:", "--:", "---", "---", "---"), *rows(data)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    place = os.environ.get("FAIRTHESIS_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(place))
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    given = parser.parse_args()
    text = markdown(given.data)
    print(text)
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(START)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{START}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
