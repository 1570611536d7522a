"""A table of any length is erased piece by piece, whole or not at all."""

import numpy as np
import pandas as pd
import pytest

from fairthesis.embeddings import Leace
from fairthesis.errors import InputError
from fairthesis.postprocessing import erase_file


def written(tmp_path, n=600, d=8):
    rng = np.random.default_rng(0)
    names = [f"z_{k}" for k in range(d)]
    x = rng.normal(size=(n, d)).astype(np.float32)
    frame = pd.DataFrame(x, columns=names).assign(image_id=[f"i{k}" for k in range(n)])
    frame = frame[[*frame.columns[::-1]]]  # columns in another order than the eraser's
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=70)
    eraser = Leace().fit(x, rng.integers(0, 2, n))
    return frame, eraser, {"prefix": "z_", "columns": names}


def test_a_long_table_is_erased_piece_by_piece(tmp_path, monkeypatch):
    frame, eraser, about = written(tmp_path)
    seen, plain = [], Leace.transform

    def counted(self, rows):
        seen.append(len(rows))
        return plain(self, rows)

    monkeypatch.setattr("fairthesis.postprocessing._erasing.CELLS", 8 * 25)
    monkeypatch.setattr(Leace, "transform", counted)
    assert erase_file(eraser, about, tmp_path / "t.parquet", tmp_path / "out.parquet") == 600
    assert max(seen) <= 25 and sum(seen) == 600
    found = pd.read_parquet(tmp_path / "out.parquet")
    expected = plain(eraser, frame[about["columns"]].to_numpy()).astype(np.float32)
    assert list(found) == list(frame) and (found.dtypes == frame.dtypes).all()
    np.testing.assert_array_equal(found[about["columns"]], expected)
    assert found["image_id"].equals(frame["image_id"])
    # A CSV is read whole, and gives the same numbers.
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert erase_file(eraser, about, tmp_path / "t.csv", tmp_path / "out.csv") == 600
    np.testing.assert_allclose(
        pd.read_csv(tmp_path / "out.csv")[about["columns"]], expected, atol=1e-6
    )


def test_a_hole_in_the_last_piece_leaves_nothing_behind(tmp_path, monkeypatch):
    frame, eraser, about = written(tmp_path)
    frame.loc[599, "z_3"] = np.nan
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=70)
    monkeypatch.setattr("fairthesis.postprocessing._erasing.CELLS", 8 * 25)
    with pytest.raises(InputError, match="not finite"):
        erase_file(eraser, about, tmp_path / "t.parquet", tmp_path / "out.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]
