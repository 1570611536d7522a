"""Archives that nobody vouches for: what is refused, what is bounded, and what is written."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from support.archives import Entry, links, make, tar, zipped

from fairthesis.datasets.fetching import _archives
from fairthesis.datasets.fetching._unpacking import BrokenArchiveError, unpack
from fairthesis.errors import InputError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "/evil", "a/../../evil", "..\\evil", "C:\\evil", "c:evil", "\\evil"),
        *("a/..", "x" * 300, "a/" * 700 + "b", "a\nb", "a\x1bb"),
    ],
)
def test_a_name_that_leaves_the_folder_or_is_none_is_refused(
    kind: str, name: str, out: Path
) -> None:
    path = make(kind, out.parent, [("good.txt", b"x"), (name, b"evil")])
    with pytest.raises(InputError, match=r"leaves the folder|over-long|control characters"):
        unpack(path, out)
    assert everything(out) == {}
    assert not list(out.parent.rglob("*evil*"))


@pytest.mark.parametrize("kind", ["zip", "tar", "hard"])
@pytest.mark.parametrize(
    ("target", "said"),
    [
        *((t, "leaves the folder") for t in ("/etc/passwd", "../secret", "b/../../secret")),
        ("../" * 50 + "etc/passwd", "leaves the folder"),
        ("none.txt", "no file of it"),
        (".", "no file of it"),
        ("folder", "no file of it"),
    ],
)
def test_a_link_out_of_the_folder_or_to_no_file_is_refused(
    kind: str, target: str, said: str, out: Path
) -> None:
    (out.parent / "secret").write_text("secret")
    entries = [("folder/x", b"x"), links(kind, "link", target), ("link/y", b"y")]
    with pytest.raises(InputError, match=said):
        unpack(make(kind, out.parent, entries), out)
    assert everything(out) == {}


@pytest.mark.parametrize("kind", ["zip", "tar", "hard"])
def test_no_member_goes_through_a_link(kind: str, out: Path) -> None:
    """The way of CVE-2025-4517: links to links, over names so long that resolving them gives up."""
    deep = "/".join(["d" * 240] * 3)
    for entries in (
        [("a/x", b"x"), links(kind, "b", "a/x"), links(kind, "c", "b")],
        [("a/x", b"x"), links(kind, "b", "a/x"), ("b/../../evil", b"evil")],
        [("a/x", b"x"), links(kind, "b", "a/x"), ("b", b"over the link")],
        [("a/x", b"x"), links(kind, "b", "a/x"), ("b/evil", b"under the link")],
        [(f"{deep}/x", b"x"), links(kind, "l", deep), ("l/evil", b"evil")],
        [links(kind, "l", f"{deep}/" + "../" * 8), ("l/evil", b"evil")],
    ):
        with pytest.raises(InputError, match=r"is not unpacked|Nothing of it is unpacked"):
            unpack(make(kind, out.parent, entries), out)
        assert everything(out) == {}
    assert not list(out.parent.rglob("*evil*"))


@pytest.mark.parametrize("kind", ["zip", "tar", "hard"])
def test_a_link_to_a_file_of_the_archive_becomes_a_copy(kind: str, out: Path) -> None:
    target = "a/x" if kind == "hard" else "../a/x"
    unpack(make(kind, out.parent, [("a/x", b"data"), links(kind, "b/y", target)]), out)
    assert everything(out) == {"a/x": b"data", "b/y": b"data"}
    assert not (out / "b" / "y").is_symlink()
    assert (out / "b" / "y").stat().st_nlink == 1


@pytest.mark.parametrize("what", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"])
def test_devices_and_pipes_are_refused(what: bytes, out: Path) -> None:
    path = tar(out.parent / "a.tar.gz", [("dev", (what, ""))])
    with pytest.raises(InputError, match="special file"):
        unpack(path, out)
    with pytest.raises(InputError, match="special file"):
        unpack(zipped(out.parent / "a.zip", [("pipe", (stat.S_IFIFO | 0o600, b""))]), out)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["A.png", "a.PNG"], "one file on many disks"),
        (["é.png", "e\u0301.png"], "one file on many disks"),
        (["x/a", "./x/a"], "twice"),
        (["a", "a/b"], "as a file and as a folder"),
        (["A", "a/b"], "as a file and as a folder"),
        (["t.csv"], "replace a downloaded file"),
        (["T.CSV.sha256"], "replace a downloaded file"),
    ],
)
def test_two_members_are_never_one_file(kind: str, names: list[str], said: str, out: Path) -> None:
    path = make(kind, out.parent, [(name, name.encode()) for name in names])
    with pytest.raises(InputError, match=said):
        unpack(path, out, frozenset({"t.csv", "t.csv.sha256"}))
    assert everything(out) == {}


def bomb(inner: bytes = bytes(3 << 20), times: int = 60) -> list[Entry]:
    return [(f"{i}.bin", inner) for i in range(times)]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_fills_the_disk_is_refused_before_it_is_written(
    kind: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(kind, out.parent, bomb())
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match="fill a disk"):
        unpack(path, out)
    monkeypatch.setattr(_archives, "MAX_RATIO", 10**9)
    monkeypatch.setattr(_archives, "MAX_BYTES", 10 << 20)
    with pytest.raises(InputError, match="GB unpacked"):
        unpack(path, out)
    monkeypatch.setattr(_archives, "MAX_BYTES", 10**12)
    monkeypatch.setattr(_archives, "MAX_MEMBERS", 50)
    with pytest.raises(InputError, match="more than 50 members"):
        unpack(path, out)
    monkeypatch.setattr(_archives, "MAX_MEMBERS", 100)
    monkeypatch.setattr(_archives.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 9))
    with pytest.raises(InputError, match="are free at"):
        unpack(path, out)
    assert everything(out) == {}


def test_archives_in_archives_share_the_bound_and_end(out: Path, tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", bomb(times=20)).read_bytes()
    path = zipped(tmp_path / "outer.zip", [(f"{i}/i.zip", inner) for i in range(9)])
    with pytest.raises(InputError, match="fill a disk"):
        unpack(path, out)
    assert sum(map(len, everything(out).values())) < 200e6
    shutil.rmtree(out)
    out.mkdir()
    data = b"end"
    for depth in range(5):
        data = zipped(tmp_path / "next.zip", [(f"{depth}.zip", data)]).read_bytes()
    with pytest.raises(InputError, match="archives in archives"):
        unpack(zipped(tmp_path / "deep.zip", [("x.zip", data)]), out)
    mac = zipped(tmp_path / "mac.zip", [("__MACOSX/._i.zip", b"no zip"), ("a", b"a")])
    unpack(mac, out)
    assert (out / "a").read_bytes() == b"a"


def test_a_header_that_takes_all_memory_is_refused(out: Path, tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 5 << 30
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))
    with pytest.raises(InputError, match="header of"):
        unpack(path, out)


def encrypted(path: Path) -> Path:
    data = bytearray(zipped(path, [("a", b"a")]).read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    return path


def test_an_encrypted_member_is_refused_in_words(out: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="encrypted"):
        unpack(encrypted(tmp_path / "a.zip"), out)


@pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
@pytest.mark.parametrize("kind", ["zip", "tar", "plain"])
def test_a_damaged_archive_is_reported(damage: str, kind: str, out: Path, tmp_path: Path) -> None:
    entries: list[Entry] = [("a", os.urandom(50_000)), ("b", b"b" * 50_000)]
    path = (
        tar(tmp_path / "a.tar", entries, packed=False)
        if kind == "plain"
        else make(kind, tmp_path, entries)
    )
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        if kind == "plain":
            return  # a tar has no checksum of its contents
        data[30_000] ^= 1
    path.write_bytes(b"hello" if damage == "other" else data[:40_000] if damage == "cut" else data)
    with pytest.raises(BrokenArchiveError, match="cannot be unpacked"):
        unpack(path, out)
    assert not (tmp_path / f"{path.name}.unpacked").exists()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_killed_unpacking_is_made_good_by_the_next_call(
    kind: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at each replacement and in the middle of each file: no file is there by half."""
    entries: list[Entry] = [(f"f{i % 2}/{i}", bytes([65 + i]) * 3000) for i in range(4)]
    path = make(kind, out.parent, entries)
    whole = dict(entries)
    copy, calls = shutil.copyfileobj, 0

    def killed(source: Any, to: Any, length: int = 0) -> None:
        nonlocal calls
        calls += 1
        if calls % 2:
            to.write(source.read(1000))
            to.flush()
            raise KeyboardInterrupt
        copy(source, to, length)

    monkeypatch.setattr(_archives.shutil, "copyfileobj", killed)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            unpack(path, out)
        for name, data in everything(out).items():
            assert data == whole[name]
        assert not path.with_name(f"{path.name}.unpacked").exists()
    monkeypatch.setattr(_archives.shutil, "copyfileobj", copy)
    for folder in ("f0", "f1"):  # what a hard kill leaves
        (out / folder).mkdir(exist_ok=True)
        (out / folder / ".unpacking.part").write_bytes(b"half")
    unpack(path, out)
    assert everything(out) == whole
    (out / "f0" / "0").unlink()
    unpack(path, out)  # it is unpacked once
    assert not (out / "f0" / "0").exists()
    make(kind, out.parent, [*entries, ("more", b"x")])
    unpack(path, out)  # another archive by now
    assert everything(out) == {**whole, "more": b"x"}


def test_an_empty_mark_of_an_earlier_release_still_counts(out: Path) -> None:
    path = zipped(out.parent / "a.zip", [("a", b"a")])
    path.with_name("a.zip.unpacked").touch()
    unpack(path, out)
    assert everything(out) == {}


def test_what_is_plain_is_unpacked_with_folders_and_odd_names(out: Path) -> None:
    names = ["images/a.png", "./images/b.png", "images/sub dir/ü#$(x).png", "w\\c.png"]
    for kind in ("zip", "tar"):
        unpack(make(kind, out.parent, [(name, name.encode()) for name in names]), out)
        assert set(everything(out)) == {
            "images/a.png", "images/b.png", "images/sub dir/ü#$(x).png", "w/c.png",
        }  # fmt: skip
    assert stat.S_IMODE((out / "images" / "a.png").stat().st_mode) & 0o111 == 0
