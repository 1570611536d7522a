"""The cache gives the pixels that the files hold now, whole, or it makes them again."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.images import files, made_old

from fairthesis import datasets
from fairthesis.data import _image_cache as image_cache
from fairthesis.data import _image_files as image_files
from fairthesis.data import _pixel_file as pixel_file
from fairthesis.data._cohort import Cohort
from fairthesis.data._image_cache import DamagedCacheWarning, OutsideFolderWarning, cache_folder
from fairthesis.data._images import UnreadableImageWarning, images_fingerprint, prepared_images
from fairthesis.errors import InputError

N = 40


def folder_of(root: Path, seed: int = 0) -> Cohort:
    """``N`` bitmaps of one length, whatever their pixels."""
    from PIL import Image

    root.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(N):
        one = Image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8))
        one.save(root / f"{i}.bmp")
    return files(root, [f"{i}.bmp" for i in range(N)], channels=3)


def drawn() -> Cohort:
    return datasets.load("synthetic-cxr", n_train=N, n_val=5, n_test=5)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every image that is decoded."""
    calls: list[int] = []
    plain = image_files.decode_open
    monkeypatch.setattr(image_files, "decode_open", lambda *a: (calls.append(1), plain(*a))[1])
    return calls


def pixels(cohort: Cohort, cache: Path) -> np.ndarray:
    got, ok = prepared_images(cohort, 16, cache)
    assert ok.all()
    return np.array(got)


def array_of(cohort: Cohort, cache: Path) -> Path:
    [path] = cache_folder(cohort, 16, cache).glob("images*.npy")
    return path


def test_same_table_and_lengths_with_other_pixels_is_another_content(tmp_path: Path) -> None:
    a, b = folder_of(tmp_path / "a", 1), folder_of(tmp_path / "b", 2)
    cache = tmp_path / "cache"
    assert a.fingerprint() == b.fingerprint()
    first, second = pixels(a, cache), pixels(b, cache)
    assert (first != second).any(axis=(1, 2, 3)).all()
    assert (pixels(b, tmp_path / "fresh") == second).all()
    assert (pixels(a, cache) == first).all()
    assert images_fingerprint(a, 16, cache) != images_fingerprint(b, 16, cache)


@pytest.mark.parametrize("how", ["written", "with its times", "renamed over it"])
def test_pixels_changed_in_place_are_seen_whatever_the_times_say(
    tmp_path: Path, how: str, decoded: list[int]
) -> None:
    cohort, cache = folder_of(tmp_path / "a", 1), tmp_path / "cache"
    folder_of(tmp_path / "b", 2)
    made_old(tmp_path)
    before, told = pixels(cohort, cache), images_fingerprint(cohort, 16, cache)
    path = tmp_path / "a" / "7.bmp"
    kept = path.stat()
    if how == "renamed over it":
        (tmp_path / "b" / "7.bmp").rename(path)
    else:
        path.write_bytes((tmp_path / "b" / "7.bmp").read_bytes())
    if how != "written":
        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    decoded.clear()
    after = pixels(cohort, cache)
    assert np.flatnonzero((after != before).any(axis=(1, 2, 3))).tolist() == [7]
    assert len(decoded) == 1  # the others are taken over
    assert (pixels(cohort, tmp_path / "fresh") == after).all()
    assert images_fingerprint(cohort, 16, cache) != told
    array_of(cohort, cache)  # the array of what nobody has any more is gone


def test_files_that_were_only_touched_or_moved_are_not_decoded(
    tmp_path: Path, decoded: list[int]
) -> None:
    cohort, cache = folder_of(tmp_path / "a"), tmp_path / "cache"
    made_old(tmp_path)
    before, told = pixels(cohort, cache), images_fingerprint(cohort, 16, cache)
    decoded.clear()
    for path in (tmp_path / "a").iterdir():
        path.touch()
    assert (pixels(cohort, cache) == before).all()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copy = files(tmp_path / "b", list(cohort.frame["path"]), channels=3)
    assert (pixels(copy, cache) == before).all()
    assert images_fingerprint(copy, 16, cache) == told
    assert not decoded
    array_of(cohort, cache)  # one array for both


def test_unchanged_files_are_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort, cache = folder_of(tmp_path / "a"), tmp_path / "cache"
    made_old(tmp_path)
    before = pixels(cohort, cache)
    monkeypatch.setattr(image_files, "open_file", None)
    assert (pixels(cohort, cache) == before).all()


def test_a_fingerprint_holds_table_and_pixels_and_no_size(tmp_path: Path) -> None:
    cohort = folder_of(tmp_path / "a")
    told = images_fingerprint(cohort, 16, tmp_path / "cache")
    assert told == images_fingerprint(cohort, 24, tmp_path / "cache")
    assert told != cohort.fingerprint()
    cohort.frame.loc[0, "y"] = 1.0
    assert told != images_fingerprint(cohort, 16, tmp_path / "cache")
    assert images_fingerprint(drawn(), 16, tmp_path / "none") == drawn().fingerprint()
    assert not (tmp_path / "none").exists()


def flip(data: bytearray, at: int) -> None:
    data[at] ^= 4


RECORD = image_files.RECORD.itemsize
# What happens to an array's bytes -> which of them.
DAMAGE: dict[str, Callable[[bytearray], None]] = {
    "a bit of a pixel": lambda data: flip(data, 128 + 16 * 16 + 5),
    "pixels all zero": lambda data: data.__setitem__(slice(128, 8000), bytes(8000 - 128)),
    "everything zero": lambda data: data.__setitem__(slice(None), bytes(len(data))),
    "a bit of the header": lambda data: flip(data, 60),
    "a bit of a state": lambda data: flip(data, len(data) - 3 * RECORD),
    "a bit of a checksum": lambda data: flip(data, len(data) - 3 * RECORD + 2),
    "records in other places": lambda data: data.__setitem__(
        slice(-2 * RECORD, None), data[-RECORD:] + data[-2 * RECORD : -RECORD]
    ),
    "cut": lambda data: data.__delitem__(slice(len(data) // 2, None)),
    "cut to nothing": lambda data: data.clear(),
}


@pytest.mark.parametrize("kind", [folder_of, lambda root: drawn()], ids=["files", "drawn"])
@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_damaged_is_made_again_with_a_word(tmp_path: Path, what: str, kind: Any) -> None:
    cohort, cache = kind(tmp_path / "a"), tmp_path / "cache"
    before = pixels(cohort, cache)
    path = array_of(cohort, cache)
    data = bytearray(path.read_bytes())
    DAMAGE[what](data)
    path.write_bytes(data)
    with pytest.warns(DamagedCacheWarning, match="made again"):
        again = pixels(cohort, cache)
    assert (again == before).all()
    assert (pixels(cohort, cache) == before).all()  # and nothing more is said


def test_only_the_damaged_image_is_decoded_again(tmp_path: Path, decoded: list[int]) -> None:
    cohort, cache = folder_of(tmp_path / "a"), tmp_path / "cache"
    pixels(cohort, cache)
    path = array_of(cohort, cache)
    data = bytearray(path.read_bytes())
    flip(data, 128 + 5 * 16 * 16 * 3)
    path.write_bytes(data)
    decoded.clear()
    with pytest.warns(DamagedCacheWarning, match="1 of 40"):
        pixels(cohort, cache)
    assert len(decoded) == 1


def test_a_damaged_index_costs_a_reading_and_no_decoding(
    tmp_path: Path, decoded: list[int]
) -> None:
    cohort, cache = folder_of(tmp_path / "a"), tmp_path / "cache"
    before = pixels(cohort, cache)
    [index] = cache_folder(cohort, 16, cache).glob("files-*.bin")
    decoded.clear()
    for damage in ("a bit of a checksum", "everything zero", "cut"):
        data = bytearray(index.read_bytes())
        DAMAGE[damage](data)
        index.write_bytes(data)
        assert (pixels(cohort, cache) == before).all()
    index.unlink()
    assert (pixels(cohort, cache) == before).all()
    assert not decoded


def test_reasons_that_got_lost_are_found_again(tmp_path: Path) -> None:
    cohort, cache = folder_of(tmp_path / "a"), tmp_path / "cache"
    (tmp_path / "a" / "3.bmp").write_bytes(b"BM")
    for _ in range(2):
        with pytest.warns(UnreadableImageWarning, match=r"1 of 40.*3\.bmp"):
            prepared_images(cohort, 16, cache)
        [table] = cache_folder(cohort, 16, cache).glob("unreadable*.csv")
        table.unlink()


def test_a_cache_of_files_is_private_unless_its_folder_is_shared(tmp_path: Path) -> None:
    cohort, cache = folder_of(tmp_path / "a"), tmp_path / "cache"
    (tmp_path / "a" / "3.bmp").write_bytes(b"BM")

    def modes() -> set[int]:
        return {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}

    home = cache_folder(cohort, 16, cache)
    with pytest.warns(UnreadableImageWarning):
        prepared_images(cohort, 16, cache)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert modes() == {0o600}
    shutil.rmtree(home)
    home.mkdir()
    home.chmod(0o2770)  # a group's
    with pytest.warns(UnreadableImageWarning):
        prepared_images(cohort, 16, cache)
    assert modes() == {0o660}


def test_a_finished_cache_that_may_only_be_read_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, cache = folder_of(tmp_path / "a"), tmp_path / "cache"
    before = pixels(cohort, cache)

    def refused(*args: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(image_cache, "alone", refused)
    monkeypatch.setattr(image_files, "write_atomically", refused)
    assert (pixels(cohort, cache) == before).all()
    with pytest.raises(InputError, match=r"Cannot write .*Permission denied.*cache"):
        prepared_images(cohort, 24, cache)


@pytest.mark.parametrize("where", ["file", "file/below", "/proc/none"])
def test_a_place_that_cannot_be_written_is_reported_before_the_work(
    tmp_path: Path, where: str, decoded: list[int]
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="Choose another folder"):
        prepared_images(folder_of(tmp_path / "a"), 16, tmp_path / where)
    assert not decoded


def test_a_disk_that_fills_is_reported_and_the_same_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[int]
) -> None:
    cohort, cache = folder_of(tmp_path / "a"), tmp_path / "cache"
    made_old(tmp_path)
    plain = pixel_file.PixelFile.write

    def full(self: Any, first: int, *rest: Any) -> None:
        if first >= 16:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(self, first, *rest)

    monkeypatch.setattr(pixel_file.PixelFile, "write", full)
    with pytest.raises(InputError, match="The disk is full"):
        prepared_images(cohort, 16, cache)
    monkeypatch.setattr(pixel_file.PixelFile, "write", plain)
    expected = pixels(cohort, tmp_path / "fresh")
    decoded.clear()
    [part] = cache.glob("*/partial.npy")
    left = pixel_file.PixelFile(part, (N, 16, 16, 3)).length - part.stat().st_blocks * 512
    assert 0 < left < N * 768
    for room in (left - 1, left):  # what is left to write has to fit, not the whole
        free = type("Usage", (), {"free": room})
        monkeypatch.setattr(pixel_file.shutil, "disk_usage", lambda path, free=free: free)
        if room < left:
            with pytest.raises(InputError, match="B are free"):
                prepared_images(cohort, 16, cache)
    assert (pixels(cohort, cache) == expected).all()
    assert len(decoded) == N - 16


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    import subprocess
    import sys
    import time

    code = "import sys, time, pathlib; from fairthesis.data._pixel_file import alone\n"
    code += "with alone(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        process.kill()
    begun = time.monotonic()
    with pixel_file.alone(tmp_path):
        assert time.monotonic() - begun < 5


def test_links_out_of_the_folder_are_reported_and_those_within_are_not(tmp_path: Path) -> None:
    folder_of(tmp_path / "away")
    root = tmp_path / "root"
    (root / "own").mkdir(parents=True)
    shutil.copy(tmp_path / "away" / "0.bmp", root / "own")
    (root / "inside").symlink_to("own")
    (root / "1.bmp").symlink_to("own/0.bmp")
    (root / "other").symlink_to(tmp_path / "root")
    within = files(root, ["own/0.bmp", "inside/0.bmp", "1.bmp", "other/own/0.bmp"], channels=3)
    pixels(within, tmp_path / "cache")  # warnings are errors
    (root / "2.bmp").symlink_to(tmp_path / "away" / "2.bmp")
    (root / "folder").symlink_to(tmp_path / "away")
    led = files(root, ["own/0.bmp", "2.bmp", "folder/3.bmp"], channels=3)
    with pytest.warns(OutsideFolderWarning, match=r"2 images of made .*2\.bmp' is in .*away"):
        pixels(led, tmp_path / "cache")


def test_a_user_without_a_home_is_told_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("FAIRTHESIS_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(InputError, match="FAIRTHESIS_CACHE"):
        prepared_images(folder_of(tmp_path / "a"), 16)
