"""Tables of vectors: every kind of file gives the same numbers and keys; bad ones are refused."""

import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from fairthesis.data import Vectors, read_vectors
from fairthesis.data import _read_vectors as module
from fairthesis.errors import InputError

N, WIDTH = 50, 12
X = np.random.default_rng(0).normal(size=(N, WIDTH)).astype(np.float32)
KEYS = [f"image {k}" for k in range(N)]


def columns(x=X):
    # Not in the order of their numbers, which is what counts.
    order = np.random.default_rng(1).permutation(x.shape[1])
    return {f"z_{k}": x[:, k] for k in order}


def parquet(folder, x=X, keys=KEYS, name="v.parquet", **more):
    pd.DataFrame({"image_id": keys, **columns(x), **more}).to_parquet(folder / name, index=False)
    return folder / name


def lists(folder):
    table = pa.table({"image_id": KEYS, "z": pa.array(list(X), pa.list_(pa.float32()))})
    pq.write_table(table, folder / "lists.parquet")
    return folder / "lists.parquet"


def fixed_lists(folder):
    kind = pa.list_(pa.float32(), WIDTH)
    table = pa.table({"image_id": KEYS, "z": pa.array(X.tolist(), kind)})
    pq.write_table(table, folder / "fixed.parquet", row_group_size=7)
    return folder / "fixed.parquet"


def npy(folder, x=X):
    np.save(folder / "x.npy", x)
    (folder / "x.ids.txt").write_text("\n".join(KEYS))
    return folder / "x.npy"


def half(folder):
    return npy(folder, X.astype(np.float64))


def npz(folder):
    np.savez(folder / "x.npz", embeddings=X, ids=np.array(KEYS))
    return folder / "x.npz"


def safetensors(folder):
    save_file({"x": X}, folder / "x.safetensors")
    pd.DataFrame({"image_id": KEYS}).to_csv(folder / "x.csv", index=False)
    return folder / "x.safetensors"


def csv(folder):
    pd.DataFrame({"image_id": KEYS, **columns()}).to_csv(folder / "v.csv", index=False)
    return folder / "v.csv"


def shards(folder):
    (folder / "shards").mkdir()
    for k, rows in enumerate(np.array_split(np.arange(N), 3)):
        parquet(folder / "shards", X[rows], [KEYS[r] for r in rows], f"part-{k}.parquet")
    return folder / "shards"


KINDS = [parquet, lists, fixed_lists, npy, half, npz, safetensors, csv, shards]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_vectors(kind, tmp_path):
    source = kind(tmp_path)
    for _ in range(2):  # converted, then read from the cache
        table = read_vectors(source, cache_dir=tmp_path / "cache")
        assert table.frame["image_id"].tolist() == KEYS
        np.testing.assert_allclose(table.array, X, rtol=1e-6)
        assert table.array.dtype == np.float32
    places = table.places(pd.Series(["image 7", "none", "image 0"]))
    assert places.tolist() == [7, -1, 0]
    vectors = table.vectors(places[[0, 2]])
    np.testing.assert_allclose(vectors[np.array([1, 0])], X[[0, 7]], rtol=1e-6)


def test_plain_float32_arrays_are_read_where_they_lie(tmp_path):
    read_vectors(npy(tmp_path), cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_other_columns_stay_and_a_changed_file_is_read_anew(tmp_path):
    source = parquet(tmp_path, patient_id=[f"p{k // 2}" for k in range(N)])
    before = read_vectors(source, cache_dir=tmp_path / "cache")
    assert before.frame["patient_id"].iloc[2] == "p1"
    parquet(tmp_path, X + 1, patient_id="p")
    after = read_vectors(source, cache_dir=tmp_path / "cache")
    assert after.digest != before.digest
    np.testing.assert_allclose(after.array, X + 1, rtol=1e-5)


def test_a_killed_conversion_leaves_nothing_that_is_taken_for_whole(tmp_path, monkeypatch):
    source = parquet(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(module, "write_table", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            read_vectors(source, cache_dir=tmp_path / "cache")
    table = read_vectors(source, cache_dir=tmp_path / "cache")
    np.testing.assert_allclose(table.array, X, rtol=1e-6)


def not_finite(folder):
    x = X.copy()
    x[3, 2] = np.nan
    return parquet(folder, x), "'image 3'.*NaN"


def infinite(folder):
    x = X.copy()
    x[0, 0] = np.inf
    return npy(folder, x), "'image 0'.*infinite"


def doubled(folder):
    return parquet(folder, keys=[*KEYS[:-1], KEYS[0]]), "'image 0' appears 2 times"


def keyless(folder):
    return parquet(folder, keys=[None, *KEYS[1:]]), "1 vectors.*have no image_id"


def no_keys(folder):
    np.save(folder / "bare.npy", X)
    return folder / "bare.npy", "'bare.npy' has no keys"


def short(folder):
    npy(folder)
    (folder / "x.ids.txt").write_text("\n".join(KEYS[:9]))
    return folder / "x.npy", "50 vectors and 'x.ids.txt' has 9 keys"


def labels_alone(folder):
    frame = pd.DataFrame({"image_id": KEYS, "cancer": 1})
    frame.to_parquet(folder / "labels.parquet")
    return folder / "labels.parquet", "numbered columns"


def two_kinds(folder):
    return parquet(folder, **{f"s_{k}": X[:, k] for k in range(3)}), "s_, z_.*prefix"


def widths(folder):
    (folder / "shards").mkdir()
    parquet(folder / "shards", X[:20], KEYS[:20], "a.parquet")
    parquet(folder / "shards", X[20:, :9], KEYS[20:], "b.parquet")
    return folder / "shards", "has 9 numbers and others have 12"


def ragged(folder):
    table = pa.table({"image_id": ["a", "b"], "z": [[1.0], [1.0, 2.0]]})
    pq.write_table(table, folder / "r.parquet")
    return folder / "r.parquet", "1 to 2 numbers"


def nothing(folder):
    return folder / "gone.parquet", "No vectors at"


def mixed(folder):
    (folder / "m").mkdir()
    parquet(folder / "m")
    np.save(folder / "m" / "x.npy", X)
    return folder / "m", "one kind"


def text(folder):
    parquet(folder)
    pd.DataFrame({"image_id": ["a"], "z_0": ["high"], "z_1": ["low"]}).to_csv(
        folder / "t.csv", index=False
    )
    return folder / "t.csv", "'a'.*text"


def pickled(folder):
    np.save(folder / "p.npy", np.array([{}], object), allow_pickle=True)
    return folder / "p.npy", "cannot be read as an array"


def cut(folder):
    file = npz(folder)
    file.write_bytes(file.read_bytes()[:-40])
    return file, "cannot be read as arrays"


def changed(folder):
    file = npz(folder)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1  # its checksum is then wrong
    file.write_bytes(content)
    return file, "cannot be read as arrays: Bad CRC"


def no_array(folder):
    with zipfile.ZipFile(npz(folder), "a") as file:
        file.writestr("note", b"of no array")
    return folder / "x.npz", "'note' of 'x.npz' is no array"


def no_letters(folder):
    ids = np.full(len(X), "a")
    ids.view(np.uint32)[0] = 0x7FFFFFFF
    np.savez(folder / "x.npz", embeddings=X, ids=ids)
    return folder / "x.npz", "'ids' of 'x.npz' holds numbers that are no letters"


def half_a_letter(folder):
    np.savez(folder / "x.npz", embeddings=X, ids=np.array(["\ud800"] * len(X)))
    return folder / "x.npz", "no letters"


def emptied(folder):
    (folder / "p.npy").write_bytes(b"")
    return folder / "p.npy", "cannot be read as an array"


BAD = [not_finite, infinite, doubled, keyless, no_keys, short, labels_alone, two_kinds, widths]
BAD += [ragged, nothing, mixed, text, pickled, cut, changed, no_array, no_letters, emptied]
BAD += [half_a_letter]


@pytest.mark.parametrize("make", BAD)
def test_what_is_no_table_of_vectors_is_refused_in_words(make, tmp_path):
    source, words = make(tmp_path)
    with pytest.raises(InputError, match=words):
        read_vectors(source, cache_dir=tmp_path / "cache")
    left = [p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert not [name for name in left if name.endswith(".partial")]


def test_a_prefix_chooses_among_several(tmp_path):
    source = parquet(tmp_path, **{f"s_{k}": X[:, k] for k in range(3)})
    assert read_vectors(source, prefix="s_", cache_dir=tmp_path).array.shape == (N, 3)
    with pytest.raises(InputError, match=r"Unknown prefix.*'q_'"):
        read_vectors(source, prefix="q_", cache_dir=tmp_path)


def test_moments_are_those_of_the_rows():
    x = np.random.default_rng(2).normal(1000, 1, (20_000, 3)).astype(np.float32)
    x[:, 1] = 7.0
    rows = np.random.default_rng(3).permutation(20_000)[:15_000]
    mean, deviation = Vectors(x, np.arange(20_000), "").moments(rows)
    np.testing.assert_allclose(mean, x[rows].mean(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(deviation[[0, 2]], x[rows].std(0, dtype=np.float64)[[0, 2]], 1e-3)
    assert deviation[1] == 1
