from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from fairthesis import datasets
from fairthesis.cli import main
from fairthesis.datasets.fetching._fetch import SOURCES, download_steps, fetch
from fairthesis.errors import InputError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a server on this machine, and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    server.server_close()
    thread.join()


def archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in members.items():
            made.writestr(name, data)
    return out.getvalue()


def test_files_are_fetched_checked_unpacked_and_kept(
    served: tuple[str, Path], tmp_path: Path
) -> None:
    address, folder = served
    (folder / "t.csv").write_bytes(b"a,b\n1,2\n")
    (folder / "i.zip").write_bytes(archive({"images/a.png": b"x"}))
    digest = hashlib.sha256(b"a,b\n1,2\n").hexdigest()
    sources = {"made": {"t.csv": (f"{address}/t.csv", digest), "i.zip": (f"{address}/i.zip", None)}}
    out = tmp_path / "out"
    paths = fetch("made", out, sources=sources)
    assert [path.name for path in paths] == ["t.csv", "i.zip"]
    assert (out / "images" / "a.png").read_bytes() == b"x"
    (folder / "t.csv").unlink()
    (folder / "i.zip").unlink()
    assert fetch("made", out, sources=sources) == paths  # nothing is asked of the server again


def test_another_file_than_expected_is_refused(served: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = served
    (folder / "t.csv").write_bytes(b"other")
    sources = {"made": {"t.csv": (f"{address}/t.csv", "0" * 64)}}
    with pytest.raises(InputError, match="not the file that was expected"):
        fetch("made", tmp_path / "out", sources=sources)
    assert not (tmp_path / "out" / "t.csv").exists()


def test_a_file_that_is_not_there_is_named(served: tuple[str, Path], tmp_path: Path) -> None:
    sources = {"made": {"t.csv": (f"{served[0]}/none.csv", None)}}
    with pytest.raises(InputError, match=r"Cannot download .*none\.csv"):
        fetch("made", tmp_path / "out", sources=sources)


def test_members_that_leave_the_folder_are_refused(
    served: tuple[str, Path], tmp_path: Path
) -> None:
    address, folder = served
    (folder / "i.zip").write_bytes(archive({"../evil.txt": b"x"}))
    with pytest.raises(InputError, match="leaves the folder"):
        fetch("made", tmp_path / "out", sources={"made": {"i.zip": (f"{address}/i.zip", None)}})
    assert not (tmp_path / "evil.txt").exists()


def test_data_sets_behind_an_application_say_where_to_look() -> None:
    with pytest.raises(InputError, match="describe"):
        fetch("chexpert", "nowhere")
    assert "chexpert" not in SOURCES


def test_archives_in_an_archive_are_unpacked_beside_it(
    served: tuple[str, Path], tmp_path: Path
) -> None:
    address, folder = served
    inner = archive({"imgs_part_1/a.png": b"x"})
    outer = {"metadata.csv": b"img_id\n", "images/imgs_part_1.zip": inner}
    (folder / "i.zip").write_bytes(archive(outer))
    fetch("made", tmp_path / "out", sources={"made": {"i.zip": (f"{address}/i.zip", None)}})
    assert (tmp_path / "out" / "images" / "imgs_part_1" / "a.png").read_bytes() == b"x"
    bad = {"x/../../evil.txt": b"x"}
    (folder / "j.zip").write_bytes(archive({"images/k.zip": archive(bad)}))
    with pytest.raises(InputError, match="leaves the folder"):
        fetch("made", tmp_path / "out", sources={"made": {"j.zip": (f"{address}/j.zip", None)}})


def test_what_may_be_fetched_is_a_data_set_and_the_others_have_steps() -> None:
    assert set(SOURCES) <= set(datasets.DATASETS)
    assert {"ham10000", "pad-ufes-20", "nih-cxr14"} <= set(SOURCES)
    assert len(SOURCES["nih-cxr14"]) == 12
    rest = {name for name in datasets.DATASETS if datasets.needs_root(name)} - set(SOURCES)
    for name in rest - {"csv", "embeddings"}:
        said = download_steps(name)
        assert "https://" in said and "Licence:" in said
        assert f"describe {name} --data-root" in said


def test_the_command_prints_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    for name, code, words in (
        ("chexpert", 1, "by registration"),
        ("synthetic-cxr", 2, "Nothing is to be fetched"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["datasets", "fetch", name, "--out", "nowhere"])
        assert end.value.code == code
        said = capsys.readouterr()
        assert words in said.out + said.err
    assert not Path("nowhere").exists()


class Broken(Quiet):
    """Sends ranges; the first answer to each request from the start breaks off half way."""

    asked: ClassVar[list[str | None]] = []
    tag = '"one"'
    breaks = True

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.asked.append(asked)
        data = (Path(self.directory) / self.path[1:]).read_bytes()
        goes_on = asked is not None and self.headers.get("If-Range") == self.tag
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and goes_on else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if goes_on else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", self.tag)
        self.end_headers()
        stop = len(data) // 2 if type(self).breaks else len(data)
        self.wfile.write(data[start:stop])
        self.close_connection = True


@pytest.mark.parametrize("changed", [False, True], ids=["same file", "another file by then"])
def test_a_download_that_broke_off_goes_on(
    changed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broken, "asked", [])
    data = bytes(range(256)) * 40_000
    (tmp_path / "big.bin").write_bytes(data)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Broken, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}/big.bin"
    sources = {"made": {"big.bin": (address, None)}}
    out = tmp_path / "out"
    try:
        with pytest.raises(InputError, match="Cannot download"):
            fetch("made", out, sources=sources)
        assert not (out / "big.bin").exists()
        half = (out / ".big.bin.part").stat().st_size
        assert 1 << 20 <= half <= len(data) // 2
        monkeypatch.setattr(Broken, "breaks", False)
        if changed:  # halves of two versions are never joined
            data = data[::-1]
            (tmp_path / "big.bin").write_bytes(data)
            monkeypatch.setattr(Broken, "tag", '"two"')
        [path] = fetch("made", out, sources=sources)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert path.read_bytes() == data
    assert Broken.asked == [None, f"bytes={half}-"]
    assert sorted(p.name for p in out.iterdir()) == ["big.bin", "big.bin.sha256"]


def test_a_part_that_is_too_long_is_fetched_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broken, "breaks", False)
    (tmp_path / "t.bin").write_bytes(b"0123456789")
    out = tmp_path / "out"
    out.mkdir()
    (out / ".t.bin.part").write_bytes(b"x" * 20)
    (out / ".t.bin.tag").write_text(Broken.tag)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Broken, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}/t.bin"
        [path] = fetch("made", out, sources={"made": {"t.bin": (address, None)}})
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert path.read_bytes() == b"0123456789"


class Answers(Quiet):
    """Gives the next of ``answers`` (bytes, type or None) at each request; the last one again."""

    answers: ClassVar[list[tuple[bytes, str | None]]] = []
    asked = 0

    def do_GET(self) -> None:
        body, kind = self.answers[min(type(self).asked, len(self.answers) - 1)]
        type(self).asked += 1
        self.send_response(200)
        if kind:
            self.send_header("Content-Type", kind)
        self.end_headers()  # no length: a cut is not told by it
        self.wfile.write(body)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Start a server with these answers; gives its address."""
    servers = []

    def start(*answers: tuple[bytes, str | None]) -> str:
        monkeypatch.setattr(Answers, "answers", list(answers))
        monkeypatch.setattr(Answers, "asked", 0)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def tarred(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


SIGN_IN = b"\n <!DOCTYPE html><html><body>Please sign in</body></html>"
NOISE = bytes(range(256)) * 400
GOOD = {
    "a.zip": archive({"x.png": NOISE}),
    "a.tar.gz": tarred({"x.png": NOISE}),
    "a.tgz": tarred({"x.png": NOISE}),
    "a.csv": b"a,b\n1,2\n",
    "a.tab": "\ufeffa\tb\n1\t2\n".encode("utf-16"),
}
BAD: list[tuple[str, bytes, str | None]] = [
    *((name, SIGN_IN, kind) for name in GOOD for kind in (None, "text/html", "application/zip")),
    *((name, b"", None) for name in GOOD),
    *((name, b"Please sign in", "text/html; charset=utf-8") for name in GOOD),
    *((name, GOOD["a.csv"], None) for name in ("a.zip", "a.tar.gz", "a.tgz")),
    *((name, GOOD["a.zip"], None) for name in ("a.csv", "a.tar.gz")),
    *((name, GOOD[name][: len(GOOD[name]) // 2], None) for name in ("a.zip", "a.tar.gz", "a.tgz")),
    ("a.csv", b'{"status":"ERROR","message":"login"}', "application/json"),
    ("a.csv", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", None),
    ("a.csv", SIGN_IN.decode().encode("utf-16"), None),
]


@pytest.mark.parametrize(("name", "body", "kind"), BAD)
def test_what_is_not_what_its_name_says_is_not_kept(
    name: str,
    body: bytes,
    kind: str | None,
    answering: Callable[..., str],
    tmp_path: Path,
) -> None:
    """A sign-in page was kept for ever, with its checksum."""
    address = answering((body, kind), (GOOD[name], None))
    sources = {"made": {name: (f"{address}/{name}", None)}}
    out = tmp_path / "out"
    with pytest.raises(InputError):
        fetch("made", out, sources=sources)
    assert [p.name for p in out.iterdir() if p.suffix != ".png"] == []
    [path] = fetch("made", out, sources=sources)
    assert path.read_bytes() == GOOD[name]
    if not name.endswith((".csv", ".tab")):
        assert (out / "x.png").read_bytes() == NOISE
    assert Answers.asked == 2
    assert fetch("made", out, sources=sources) == [path]
    assert Answers.asked == 2


def test_a_page_that_an_earlier_release_kept_is_fetched_again(
    answering: Callable[..., str], tmp_path: Path
) -> None:
    address = answering((GOOD["a.zip"], None))
    (tmp_path / "a.zip").write_bytes(SIGN_IN)
    (tmp_path / "a.zip.sha256").write_text(hashlib.sha256(SIGN_IN).hexdigest() + "\n")
    sources = {"made": {"a.zip": (f"{address}/a.zip", None)}}
    [path] = fetch("made", tmp_path, sources=sources)
    assert path.read_bytes() == GOOD["a.zip"]


def test_a_file_that_was_laid_there_is_never_removed(
    answering: Callable[..., str], tmp_path: Path
) -> None:
    address = answering((GOOD["a.tar.gz"], None))
    sources = {"made": {"a.tar.gz": (f"{address}/a.tar.gz", None)}}
    for mine in (SIGN_IN, GOOD["a.tar.gz"][:200]):
        (tmp_path / "a.tar.gz").write_bytes(mine)
        for _ in range(2):
            with pytest.raises(InputError):
                fetch("made", tmp_path, sources=sources)
        assert (tmp_path / "a.tar.gz").read_bytes() == mine
    assert Answers.asked == 0


def test_an_archive_replaces_no_other_download(
    answering: Callable[..., str], tmp_path: Path
) -> None:
    address = answering((GOOD["a.csv"], None), (archive({"A.csv": b"evil"}), None))
    names = ("a.csv", "i.zip")
    sources = {"made": {name: (f"{address}/{name}", None) for name in names}}
    with pytest.raises(InputError, match="replace a downloaded file"):
        fetch("made", tmp_path, sources=sources)
    assert (tmp_path / "a.csv").read_bytes() == GOOD["a.csv"]


def test_an_archive_that_is_fetched_anew_is_unpacked_anew(
    answering: Callable[..., str], tmp_path: Path
) -> None:
    """Of the same length, so that its mark looks right."""
    address = answering((archive({"x": b"old"}), None), (archive({"x": b"new"}), None))
    sources = {"made": {"a.zip": (f"{address}/a.zip", None)}}
    fetch("made", tmp_path, sources=sources)
    for name in ("a.zip", "a.zip.sha256"):
        (tmp_path / name).unlink()
    fetch("made", tmp_path, sources=sources)
    assert (tmp_path / "x").read_bytes() == b"new"
