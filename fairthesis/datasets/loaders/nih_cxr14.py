"""NIH ChestX-ray14: 112,120 frontal chest X-rays of 30,805 patients. Layout verified.

Images: PNG, 1024 x 1024, grey (a few hundred with an alpha channel), from the NIH Clinical Center,
1992 to 2015. Labels: 14 findings, mined from the radiology reports by text processing (NIH: more
than 90 % accurate); ``No Finding`` means that none of the 14 was mentioned. Groups: sex, age, view.

Pitfalls: patients have up to 184 images, so split by patient; the official test part has another
mix of findings than the training part; the view (AP: the patient lay) goes with disease and age;
tubes and drains go with the finding that they treat; the 2017 table has ages of up to 414 years,
the 2020 table corrects part of them and some labels, so do not mix the two.

Access: https://nihcc.app.box.com/v/ChestXray-NIHCC, without an account. Licence: no restrictions
on use; the NIH asks for a link to that site, the citation and its name as the provider.

Citation: X. Wang, Y. Peng, L. Lu, Z. Lu, M. Bagheri, R. M. Summers. ChestX-ray8: Hospital-scale
chest X-ray database and benchmarks on weakly-supervised classification and localization of common
thorax diseases. CVPR 2017, 3462-3471.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.data import FRACTIONS, Cohort, split_by_patient
from fairthesis.datasets.loaders._groups import AGE_CUTS
from fairthesis.datasets.loaders._images import Images
from fairthesis.datasets.loaders._release import Release
from fairthesis.datasets.loaders._values import meaning, name_most, published, spelled
from fairthesis.errors import InputError, unknown

TABLES = {"2017": "Data_Entry_2017.csv", "2020": "Data_Entry_2017_v2020.csv"}
NO_FINDING = "no_finding"
FINDINGS = {
    means: label
    for label, means in published("nih-cxr14", "Finding Labels").items()
    if means != NO_FINDING
}
FOLDERS = ("images", *(f"images_{i:03d}/images" for i in range(1, 13)))
COLUMNS = (
    *("Image Index", "Finding Labels", "Patient ID"),
    *("Patient Age", "Patient Gender", "View Position"),
)


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    target: str = "pneumonia",
    edition: int | str | None = None,
    age_cuts: Sequence[int] = AGE_CUTS,
    official_split: bool | None = None,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """The images at hand, with the 14 findings and ``no_finding`` as targets, ``target`` first.

    ``edition`` is ``2017`` or ``2020``; by default the 2020 table where it is there. With
    ``official_split`` (by default: where ``train_val_list.txt`` and ``test_list.txt`` are there)
    the official test part is kept and a validation part is drawn from the rest by patient;
    otherwise patients are dealt out in ``fractions``, stratified by target and sex.
    """
    release = Release(
        "nih-cxr14",
        root,
        holds=f"{TABLES['2020']} or {TABLES['2017']} and images/",
        images="PNG files in images/ or images_001/images to images_012/images",
    )
    if edition is not None and str(edition) not in TABLES:
        raise unknown("edition of nih-cxr14", edition, TABLES)
    targets = release.targets(target, [*FINDINGS, NO_FINDING])
    names = [TABLES[str(edition)]] if edition else [TABLES["2020"], TABLES["2017"]]
    source = release.usable(release.table(names, COLUMNS), "Image Index", "Patient ID")
    source = release.at_hand(source, release.paths(source["Image Index"], FOLDERS, [".png"]))
    images = Images(
        release,
        image_id=source["Image Index"],
        # 2017 writes 00000061, 2020 writes 61
        patient_id=source["Patient ID"].str.lstrip("0"),
        path=source["path"],
    )
    for name, values in _labels(source["Finding Labels"], release.left_out).items():
        images.frame[name] = values
    images.sex_and_age(source["Patient Gender"], source["Patient Age"], age_cuts)
    images.group("view", source["View Position"])
    return images.cohort(
        targets,
        ["sex", "age_group", "view"],
        channels=1,
        seed=seed,
        fractions=fractions,
        split=_official(release.home, images.frame, [target, "sex"], seed, official_split),
    )


def _labels(given: pd.Series, left_out: Counter[str]) -> dict[str, NDArray[np.float64]]:
    """Findings joined by ``|`` as 1 and 0; NaN where no word of the list is a published one.

    Words that are not published are counted by name and passed over. ``No Finding`` beside a
    finding contradicts it: not stated, and counted.
    """
    words = given.str.split("|").explode()
    means = meaning(words, "nih-cxr14", "Finding Labels")
    # as text: a column in which nothing is stated at all has no strings
    blank = words.isna() | words.astype("string").str.strip().eq("").fillna(False).astype(bool)
    strange = spelled(words[means.isna() & ~blank])
    name_most(Counter(strange), "finding '{}' is not in the published list (ignored)", left_out)
    known = means.dropna()
    stated = given.index.isin(known.index)
    values = {}
    for name in (*FINDINGS, NO_FINDING):
        here = given.index.isin(known.index[known == name])
        values[name] = np.where(stated, here.astype(float), np.nan)
    findings = np.any([values[name] == 1 for name in FINDINGS], axis=0)
    both = findings & (values[NO_FINDING] == 1)
    if both.any():
        reason = "'No Finding' stands beside a finding (no_finding set to not stated, image kept)"
        left_out[reason] += int(both.sum())
        values[NO_FINDING] = np.where(both, np.nan, values[NO_FINDING])
    return values


def _official(
    home: Path, frame: pd.DataFrame, strata: Sequence[str], seed: int, wanted: bool | None
) -> NDArray[np.str_] | None:
    """The official test part, and a validation part drawn from the rest; None without the lists."""
    lists = [home / "train_val_list.txt", home / "test_list.txt"]
    there = all(path.is_file() for path in lists)
    if wanted and not there:
        raise InputError(
            f"No {lists[0].name} and {lists[1].name} in {str(home)!r}: expected both for the "
            "official split; leave out official_split to split by patient."
        )
    if not there or wanted is False:
        return None
    held = set(lists[1].read_text(encoding="utf-8").split())
    test = frame["image_id"].isin(held).to_numpy()
    split = np.full(len(frame), "test", dtype="<U5")
    split[~test] = split_by_patient(
        frame[~test], strata=strata, seed=seed, fractions=(0.85, 0.15, 0.0)
    )
    return split
