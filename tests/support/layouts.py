"""Small folders with the layout of official releases, written to a temporary folder."""

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


def pad_ufes_20(root: Path) -> Path:
    """12 images of 8 patients; the type and the sex are missing together; one lesion is shared."""
    rows: list[list[object]] = []
    header = "patient_id,lesion_id,age,gender,fitspatrick,diagnostic,img_id,biopsed"
    for i in range(12):
        name = f"PAT_{i % 8}_{i}.png"
        known = i % 3 != 0
        lesion = 5 if i in (0, 1) else 100 + i
        diagnosis = ["BCC", "SCC", "MEL", "ACK", "NEV", "SEK"][i % 6]
        about = ["MALE", f"{1 + i % 6}.0"] if known else ["", ""]
        rows.append([f"PAT_{i % 8}", lesion, 30 + 5 * i, *about, diagnosis, name, known])
        picture(root / "images" / name, seed=i, mode="RGB")
    write_rows(root / "metadata.csv", header, rows)
    return root


def isic2019(root: Path) -> Path:
    names = [f"ISIC_{i:07d}" for i in range(16)]
    kinds = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"]
    truth: list[list[object]] = [
        [n, *(float(i % 8 == k) for k in range(8)), 0.0] for i, n in enumerate(names)
    ]
    about: list[list[object]] = [
        [
            n,
            "" if i == 2 else 55.0,
            "torso",
            "" if i % 4 else f"BCN_{i // 8}",
            ["male", "female", ""][i % 3],
        ]
        for i, n in enumerate(names)
    ]
    header = "image," + ",".join(kinds) + ",UNK"
    write_rows(root / "ISIC_2019_Training_GroundTruth.csv", header, truth)
    header = "image,age_approx,anatom_site_general,lesion_id,sex"
    write_rows(root / "ISIC_2019_Training_Metadata.csv", header, about)
    for i, name in enumerate(names):
        picture(root / "ISIC_2019_Training_Input" / f"{name}.jpg", seed=i, mode="RGB")
    return root


def isic2020(root: Path) -> Path:
    header = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
    header += "benign_malignant,target"
    rows: list[list[object]] = []
    for i in range(12):
        kind = "malignant" if i % 4 == 0 else "benign"
        sex = ["male", "female", ""][i % 3]
        row = [
            f"ISIC_{i:07d}",
            f"IP_{i // 2}",
            sex,
            45.0,
            "torso",
            "unknown",
            kind,
            int(i % 4 == 0),
        ]
        rows.append(row)
        picture(root / "train" / f"ISIC_{i:07d}.jpg", seed=i, mode="RGB")
    write_rows(root / "train.csv", header, rows)
    return root


def fitzpatrick17k(root: Path) -> Path:
    header = "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,"
    header += "three_partition_label,qc,url,url_alphanum"
    kinds = ["malignant", "benign", "non-neoplastic"]
    rows: list[list[object]] = []
    for i in range(14):
        name = f"{i:032x}"
        scale = [-1, 1, 2, 3, 4, 5, 6][i % 7]
        rows.append([name, scale, scale, "psoriasis", "inflammatory", kinds[i % 3], "", "", ""])
        picture(root / "images" / f"{name}.jpg", seed=i, mode="RGB")
    write_rows(root / "fitzpatrick17k.csv", header, rows)
    return root


def ddi(root: Path) -> Path:
    rows: list[list[object]] = []
    for i in range(9):
        rows.append([i, f"{i:06d}.png", ["12", "34", "56"][i % 3], bool(i % 2), "nevus"])
        picture(root / f"{i:06d}.png", seed=i, mode="RGB")
    write_rows(root / "ddi_metadata.csv", "DDI_ID,DDI_file,skin_tone,malignant,disease", rows)
    return root


FINDINGS = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,"
    "Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,"
    "Support Devices"
)


def chexpert(root: Path) -> Path:
    """10 frontal images and a lateral one of 6 patients; effusion is 1, 0, -1, empty in turn."""
    header = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{FINDINGS}"
    rows: list[list[object]] = []
    for i in range(11):
        side = "Lateral" if i == 10 else "Frontal"
        path = f"train/patient{i % 6:05d}/study{i}/view1_{side.lower()}.jpg"
        labels: list[object] = [""] * 14
        labels[10] = ["1.0", "0.0", "-1.0", ""][i % 4]
        sex = ["Female", "Male", "Unknown"][i % 3]
        rows.append([f"CheXpert-v1.0-small/{path}", sex, 60, side, "AP", *labels])
        picture(root / path, seed=i)
    write_rows(root / "train.csv", header, rows)
    races = ["White, non-Hispanic", "Black or African American", "Asian", "Unknown", ""]
    people: list[list[object]] = [
        [f"patient{i:05d}", "Female", 60, races[i % 5], ""] for i in range(6)
    ]
    header = "PATIENT,GENDER,AGE_AT_CXR,PRIMARY_RACE,ETHNICITY"
    write_rows(root / "CHEXPERT DEMO.csv", header, people)
    return root


def mimic_cxr_jpg(root: Path) -> Path:
    """8 studies of 4 patients, one frontal image each and a lateral one in the first."""
    rows: list[list[object]] = []
    labels: list[list[object]] = []
    for i in range(8):
        subject, study = 10000000 + i // 2, 50000000 + i
        for view in ("AP", "LATERAL") if i == 0 else ("PA",):
            name = f"image-{i}-{view}"
            rows.append([name, subject, study, "CHEST", view])
            where = root / "files" / "p10" / f"p{subject}" / f"s{study}"
            picture(where / f"{name}.jpg", seed=i)
        row: list[object] = [""] * 14
        row[9] = ["1.0", "0.0", "-1.0", ""][i % 4]
        labels.append([subject, study, *row])
    header = "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition"
    write_rows(root / "mimic-cxr-2.0.0-metadata.csv", header, rows)
    header = "subject_id,study_id," + ",".join(sorted(FINDINGS.split(",")))
    write_rows(root / "mimic-cxr-2.0.0-chexpert.csv", header, labels)
    people: list[list[object]] = [[10000000 + i, "MF"[i % 2], 50 + 10 * i] for i in range(4)]
    write_rows(root / "patients.csv", "subject_id,gender,anchor_age", people)
    stays: list[list[object]] = [
        [10000000, "WHITE", "Medicare"],
        [10000000, "UNKNOWN", "Other"],
        [10000000, "WHITE - BRAZILIAN", "Medicare"],
        [10000001, "BLACK/AFRICAN AMERICAN", "Medicaid"],
        [10000002, "HISPANIC/LATINO - DOMINICAN", "Other"],
    ]
    write_rows(root / "admissions.csv", "subject_id,race,insurance", stays)
    return root


def padchest(root: Path) -> Path:
    header = (
        "ImageID,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,Projection,Labels"
    )
    labels = ["['normal']", "['pneumonia', 'pleural effusion']", "[]", ""]
    rows: list[list[object]] = []
    for i in range(10):
        view = ["PA", "AP_horizontal", "L"][i % 3]
        rows.append(
            [
                f"{i}.png",
                "20140305",
                f"S{i}",
                f"P{i // 2}",
                "1950.0",
                "MF"[i % 2],
                view,
                labels[i % 4],
            ]
        )
        picture(root / str(i % 3) / f"{i}.png", seed=i)
    write_rows(root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", header, rows)
    return root


LAYOUTS = {
    "nih-cxr14": nih,
    "ham10000": ham10000,
    "pad-ufes-20": pad_ufes_20,
    "isic2019": isic2019,
    "isic2020": isic2020,
    "fitzpatrick17k": fitzpatrick17k,
    "ddi": ddi,
    "chexpert": chexpert,
    "mimic-cxr-jpg": mimic_cxr_jpg,
    "padchest": padchest,
}
