"""The same numbers with the oldest versions that are promised: run by `make lowest` as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairthesis import inputs
from fairthesis.data import Cohort
from fairthesis.errors import InputError
from fairthesis.inputs import read_table
from fairthesis.stats import patient_index


def test_numbers_in_text_are_right_to_the_last_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    drawn = np.concatenate([rng.random(3000), rng.normal(size=3000) * 10.0 ** rng.integers(-9, 9)])
    words = pd.DataFrame({"s": [repr(float(x)) for x in drawn]})
    assert (inputs.number_column(words, "s", "the table") == drawn).all()
    assert (inputs.number_column(words.astype("string"), "s", "the table") == drawn).all()
    odd = words.assign(s=words["s"].str.replace(".", ","))
    assert (inputs.number_column(odd, "s", "the table") == drawn).all()
    words.rename(columns={"s": "z_000"}).to_csv(tmp_path / "e.csv", index=False)
    assert (read_table(tmp_path / "e.csv", numeric="z_[0-9]+")["z_000"] == drawn).all()


def test_a_table_of_many_pieces_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairthesis.inputs._delimited.CELLS", 10)  # pieces of the least size
    frame = pd.DataFrame({"a": range(5000), "b": "x", "c": range(5000)}).astype(str)
    text = frame.to_csv(index=False)
    file = tmp_path / "t.csv"
    file.write_text(text, encoding="utf-8")
    assert read_table(file).astype(object).equals(frame.astype(object))
    assert read_table(file, {"a"})["a"].tolist() == frame["a"].tolist()
    file.write_text(f"{text}1,2,3,4\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"Row 5001 .* more values than the head has names"):
        read_table(file)


def test_images_of_unknown_patients_are_not_one_patients() -> None:
    from fairthesis.training import make_table

    parts = np.repeat(["train", "val", "test"], 6)
    frame = pd.DataFrame({"image_id": [f"i{k}" for k in range(18)], "split": parts})
    frame["patient_id"] = pd.Series(["a", "a", None, None, None, "b"] * 3, dtype=object)
    frame.loc[6:, "patient_id"] = [f"v{k}" for k in range(12)]
    frame = frame.assign(path="x", y=[0.0, 1.0] * 9, sex=["F", "F", "M"] * 6)
    cohort = Cohort("made", frame, ("y",), ("sex",))
    images, readable = np.zeros((18, 4, 4, 1), np.uint8), np.ones(18, bool)
    patients = make_table(cohort, images, readable, ("y",), ("sex",)).patients[:6].tolist()
    assert patients[0] == patients[1]
    assert len(set(patients)) == 5


def test_rows_without_a_key_are_each_of_their_own() -> None:
    keys = inputs.filled(pd.Series(["a", None, None, "a", None], dtype="string"))
    assert keys.nunique() == 4
    assert patient_index(keys).tolist() == [0, 1, 2, 0, 3]
    assert keys.groupby(keys).ngroup().nunique() == 4
