"""A folder of DICOM files -> the table of its images, without what says who the patients are."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from fairthesis.data import dicom_elements
from fairthesis.datasets._dicom_labels import DICOM_KEYS, MATCHED, with_labels
from fairthesis.datasets.loaders._groups import AGE_CUTS, age_group
from fairthesis.errors import InputError

# Written as they stand, but for the case of DICOM's own words.
_WORDS = {"view": "ViewPosition", "body_part": "BodyPartExamined", "modality": "Modality"}
_NAMES = {"manufacturer": "Manufacturer", "model": "ManufacturerModelName"}
_SIZES = {"rows": "Rows", "columns": "Columns"}
_READ = (
    *MATCHED.values(), *_WORDS.values(), *_NAMES.values(), *_SIZES.values(), "NumberOfFrames",
    "PatientSex", "PatientAge", "PatientBirthDate", "StudyDate", "ImageLaterality", "Laterality",
)  # fmt: skip
#: The columns of the table of a folder of DICOM files, in their order.
DICOM_COLUMNS = (
    "path", *DICOM_KEYS, "sex", "age", "age_group", "view", "body_part", "laterality", "modality",
    *_NAMES, *_SIZES,
)  # fmt: skip
OLDEST = 89  # years: whoever is older is 90 (45 CFR 164.514(b)(2)(i)(C))
SALT = 16  # letters at least: numbers of patients are few, and could all be tried
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}


def pseudonym(key: str, salt: str) -> str:
    """What stands for a key in the table: HMAC-SHA256 of it by the salt, 16 hexadecimal digits.

    Who has the salt can make it again, and find out whose it is by trying all keys; nobody else
    can.

    Args:
        key: a patient's, a study's or an image's key, as the header has it.
        salt: a secret of at least 16 letters.

    Raises:
        InputError: for a shorter salt.

    >>> pseudonym("4711", "a long secret of the clinic")
    'dcac8e4821171bc6'
    """
    if len(salt) < SALT:
        raise InputError(
            f"The salt has {len(salt)} letters: expected at least {SALT}, drawn at random, or "
            "every number of a patient could be tried."
        )
    return hmac.new(salt.encode(), key.encode(), hashlib.sha256).hexdigest()[:16]


def dicom_table(
    folder: str | Path,
    *,
    root: str | Path | None = None,
    salt: str | None = None,
    keep_ids: bool = False,
    keep_ages: bool = False,
    age_cuts: Sequence[int] = AGE_CUTS,
    labels: pd.DataFrame | None = None,
    match: tuple[str, str] = ("path", "path"),
    columns: Sequence[str] = (),
    progress: bool = False,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The images in a folder of DICOM files, as the data set ``csv`` takes them.

    Names, birth dates, addresses, accession numbers, institutions, physicians, other free text and
    private elements never reach the table: only the elements that it is made of are read at all.

    Args:
        folder: where the files are, at any depth; ``.dcm`` or any other name.
        root: what ``path`` is relative to: the folder (the default) or one above it.
        salt: the secret of ``pseudonym``; without it one is drawn and forgotten, so that keys agree
            within the table and with no other.
        keep_ids: write the header's own keys instead.
        keep_ages: write ages above 89 too, which are 90 otherwise.
        age_cuts: where ``age_group`` is cut.
        labels: a table of labels, joined to the images; an image without a row has none.
        match: the key that is compared (``path``, ``patient_id``, ``study_id``, ``image_id`` or
            ``accession``, of the header as it stands) and the labels' column of it.
        columns: the labels' columns that are taken; no other is.
        progress: show a progress bar.

    Returns:
        A row per image, in the order of paths, with ``DICOM_COLUMNS`` and ``columns``: ``sex`` (F,
        M, O), ``age`` in years (``PatientAge``, else from birth to study), ``view``, ``laterality``
        (R, L, B), all null where not stated. And what was left out or changed: reason -> count.
        Files of several frames are left out, and files that hold no image.

    Raises:
        InputError: for a folder that is missing or holds no DICOM image, a salt that is too short,
            labels whose key repeats or matches nothing, and where pydicom is not installed.

    >>> import tempfile
    >>> from pydicom.dataset import Dataset
    >>> header = Dataset()
    >>> header.PatientName, header.PatientID, header.PatientAge = "Doe^Jane", "4711", "093Y"
    >>> header.PatientSex, header.ViewPosition, header.Rows, header.Columns = "F", "PA", 9, 9
    >>> with tempfile.TemporaryDirectory() as name:
    ...     header.save_as(Path(name) / "1.dcm", implicit_vr=False, little_endian=True)
    ...     table, left_out = dicom_table(name)
    >>> table[["path", "sex", "age", "age_group", "view"]].values.tolist(), left_out
    ([['1.dcm', 'F', 90.0, '80+', 'PA']], {'age above 89 (set to 90, image kept)': 1})
    >>> table["patient_id"].iloc[0] == "4711"
    False
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  where a link leads does not matter
    home = folder if root is None else Path(os.path.abspath(root))  # noqa: PTH100
    if not folder.is_dir():
        raise InputError(f"No such folder: {str(folder)!r}. Expected one with DICOM files.")
    if not folder.is_relative_to(home):
        raise InputError(
            f"Paths of {str(folder)!r} cannot be relative to {str(home)!r}: expected that folder, "
            "or one above it."
        )
    key = secrets.token_hex(32) if salt is None else salt
    pseudonym("", key)  # refused before anything is read
    left_out: Counter[str] = Counter()
    found = pd.DataFrame(_headers(folder, home, left_out, progress), dtype=object)
    if len(found) == 0:
        raise InputError(
            f"No DICOM image in {str(folder)!r} ({dict(left_out) or 'it is empty'}): expected "
            "files of one image each."
        )
    table = pd.DataFrame({"path": found["path"]})
    for name, element in DICOM_KEYS.items():
        given = found[element]
        table[name] = given if keep_ids else given.map(
            lambda one: pseudonym(one, key), na_action="ignore"
        )  # fmt: skip
    table["sex"] = _listed(found["PatientSex"], "FMO", "sex", left_out)
    table["age"] = _ages(found, left_out, keep_ages)
    table["age_group"] = age_group(table["age"], age_cuts)
    for name, element in _WORDS.items():
        table[name] = found[element].str.upper()
    side = found["ImageLaterality"].where(found["ImageLaterality"].notna(), found["Laterality"])
    table["laterality"] = _listed(side, "RLB", "laterality", Counter())
    for name, element in (_NAMES | _SIZES).items():
        table[name] = found[element]
    table = table[list(DICOM_COLUMNS)]
    if labels is not None:
        table = with_labels(table, found, labels, match, columns, left_out)
    return table, dict(left_out)


def _headers(
    folder: Path, home: Path, left_out: Counter[str], progress: bool
) -> Iterator[dict[str, str | None]]:
    """The elements that are read, of each file of one image."""
    paths = [
        Path(place) / name for place, _, names in sorted(os.walk(folder)) for name in sorted(names)
    ]
    for path in tqdm(paths, desc="headers", unit="file", disable=not progress):
        try:
            found = dicom_elements(path, _READ)
        except OSError:
            left_out["file that cannot be opened"] += 1
            continue
        if found is None:
            left_out["file that is no DICOM"] += 1
        elif "Rows" not in found or "Columns" not in found:
            left_out["DICOM file without an image (a report, a plan), or not readable"] += 1
        elif found.get("NumberOfFrames", "1").strip("0+ ") not in ("", "1"):
            left_out["DICOM file of several frames"] += 1
        else:
            row: dict[str, str | None] = {name: found.get(name) for name in _READ}
            yield row | {"path": path.relative_to(home).as_posix()}


def _listed(given: pd.Series, known: str, what: str, left_out: Counter[str]) -> pd.Series:
    """One of the letters that are known, else null; what was written instead is not quoted."""
    found = given.str.upper()
    right = found.isin(list(known))
    strange = int((found.notna() & ~right).sum())
    if strange:
        left_out[f"{what} is none of {', '.join(known)} (set to unknown, image kept)"] += strange
    return found.where(right, None)


def _ages(found: pd.DataFrame, left_out: Counter[str], keep: bool) -> pd.Series:
    """Years: ``PatientAge``, else the completed ones from birth to study; NaN where unknown."""
    ages = []
    for row in found[["PatientAge", "PatientBirthDate", "StudyDate"]].itertuples(index=False):
        given = _AGE.fullmatch((row[0] or "").upper())
        if given:
            ages.append(round(int(given[1]) / _PER_YEAR[given[2]], 2))
        else:
            born, studied = _day(row[1]), _day(row[2])
            if born is None or studied is None:
                ages.append(np.nan)
            else:
                before = (studied.month, studied.day) < (born.month, born.day)
                ages.append(float(studied.year - born.year - before))
    age = pd.Series(ages, dtype=float)
    impossible = (age < 0) | (age > 120)
    if impossible.any():
        left_out["age not possible (set to unknown, image kept)"] += int(impossible.sum())
    age = age.mask(impossible)
    if keep or not (age > OLDEST).any():
        return age
    left_out[f"age above {OLDEST} (set to {OLDEST + 1}, image kept)"] += int((age > OLDEST).sum())
    return age.mask(age > OLDEST, OLDEST + 1.0)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat((text or "").replace(".", ""))
    except ValueError:
        return None
