"""Small folders with the layout of official releases, made in a temporary folder."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)


def picture(path: Path, seed: int = 0, mode: str = "L", size: tuple[int, int] = (40, 32)) -> Path:
    """A file of random pixels; its type follows from the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).convert(mode).save(path)
    return path


def write_rows(path: Path, header: str, rows: list[list[object]], bom: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as handle:
        handle.write(header + "\n")
        csv.writer(handle, lineterminator="\n").writerows(rows)
    return path


def nih(root: Path, *, edition: str = "2017", parts: bool = False, bom: bool = False) -> Path:
    """24 images of 12 patients; two images of the table have no file, one age is 412 years."""
    rows: list[list[object]] = []
    findings = ["No Finding", "Pneumonia", "Effusion|Pneumonia", "Pleural_Thickening"]
    ages = ["058Y", "006M", "412Y", "081Y", "019Y", "020Y"]
    if edition == "2020":
        ages = ["58", "0", "41", "81", "19", "20"]
    for patient in range(1, 13):
        for follow in range(2):
            name = f"{patient:08d}_{follow:03d}.png"
            key = f"{patient:08d}" if edition == "2017" else patient
            label = findings[(patient + follow) % 4]
            sex = "FM"[patient % 2]
            age = ages[patient - 1] if patient <= 6 else ages[0]
            rows.append([name, label, follow, key, age, sex, ["PA", "AP"][follow], *[30] * 4])
            if (patient, follow) not in ((12, 1), (11, 1)):
                folder = f"images_{1 + patient % 12:03d}/images" if parts else "images"
                picture(root / folder / name, seed=patient * 2 + follow)
    name = "Data_Entry_2017.csv" if edition == "2017" else "Data_Entry_2017_v2020.csv"
    write_rows(root / name, NIH_HEADER + ("," if edition == "2017" else ""), rows, bom)
    return root


def ham10000(root: Path, *, one_folder: bool = False) -> Path:
    """30 images of 20 lesions; one image without file; sex unknown and age empty in some rows."""
    rows: list[list[object]] = []
    diagnoses = ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    for i in range(30):
        lesion = i if i < 20 else i - 20
        name = f"ISIC_{24306 + i:07d}"
        sex = "unknown" if lesion == 3 else ["female", "male"][lesion % 2]
        age = "" if lesion == 4 else 5.0 * (lesion + 1)
        rows.append([f"HAM_{lesion:07d}", name, diagnoses[lesion % 7], "histo", age, sex, "back"])
        if i != 7:
            folder = "." if one_folder else f"HAM10000_images_part_{1 + i % 2}"
            picture(root / folder / f"{name}.jpg", seed=i, mode="RGB")
    header = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    write_rows(root / "HAM10000_metadata.csv", header, rows)
    return root
