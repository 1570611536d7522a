"""Files on disk: synced before they are named, whole or not at all, refused in words."""

import errno
import os
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fairthesis.errors import InputError
from fairthesis.provenance import used_test_labels
from fairthesis.storage._files import (
    check_writable,
    clear_partials,
    is_partial,
    write_atomically,
    write_together,
)
from fairthesis.storage._locks import BusyError, hold_folder
from fairthesis.storage._manifest import (
    RUN,
    damage_in_words,
    mark_finished,
    same_run,
    warn_of_damage,
)

PLACES = {
    "below a file": lambda home: home / "file" / "x",
    "no such system folder": lambda home: Path("/proc/nothing"),
    "a name too long": lambda home: home / ("n" * 256),
    "a long name on the way": lambda home: home / ("é" * 200) / "x",
}


def text(words):
    return lambda to: to.write_text(words)


@pytest.fixture
def home(tmp_path):
    (tmp_path / "file").write_text("x")
    return tmp_path


def test_content_is_on_the_disk_before_it_has_its_name_and_the_name_after(tmp_path, monkeypatch):
    order = []
    for name in ("fsync", "replace", "open"):
        real = getattr(os, name)

        def noted(*a, _name=name, _real=real, **k):
            order.append(_name)
            return _real(*a, **k)

        monkeypatch.setattr(os, name, noted)
    write_atomically(tmp_path / "a.txt", text("x"))
    assert [name for name in order if name != "open"] == ["fsync", "replace", "fsync"]
    order.clear()
    write_together(tmp_path, {n: text(n) for n in ("b", "c", "last")}, last="last")
    assert [name for name in order if name != "open"][:4] == ["fsync"] * 4  # files, then the folder
    assert order.count("replace") == 3


@pytest.mark.parametrize("place", PLACES)
def test_what_cannot_be_written_is_reported_before_and_during_the_work(place, home):
    where = PLACES[place](home)
    before = sorted(home.rglob("*"))
    for check in (
        lambda: check_writable(where),
        lambda: check_writable(where / "x.csv", a_file=True),
        lambda: write_atomically(where / "x.csv", text("x")),
        lambda: write_together(where, {"a": text("a")}, last="a"),
    ):
        with pytest.raises(InputError, match="Cannot write '"):
            check()
    assert sorted(home.rglob("*")) == before


def test_a_place_that_can_be_written_is_left_as_it_was(home):
    check_writable(home / "deep" / "er")
    check_writable(home / "deep" / "x.csv", a_file=True)
    check_writable(home / "file", a_file=True)
    assert [path.name for path in home.iterdir()] == ["file"]
    with pytest.raises(InputError, match="is a file: expected a directory"):
        check_writable(home / "file")
    with pytest.raises(InputError, match="is a folder: expected the name of a file"):
        check_writable(home, a_file=True)
    with pytest.raises(InputError, match="no regular file"):
        write_atomically(home, text("x"))


def test_the_longest_names_are_written(home):
    name = "n" * 251 + ".csv"
    write_atomically(home / name, text("x"))
    assert (home / name).read_text() == "x"


def test_a_full_disk_costs_no_older_file_and_leaves_none(home):
    def full(to):
        to.write_text("half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_together(home, {"a": text("old a"), "b": text("old b")}, last="a")
    with pytest.raises(InputError, match=r"No space left on device\. Free some space"):
        write_together(home, {"a": full, "b": text("new b")}, last="a")
    with pytest.raises(InputError, match="No space left"):
        write_atomically(home / "a", full)
    assert {path.name: path.read_text() for path in home.iterdir()} == {
        "file": "x",
        "a": "old a",
        "b": "old b",
    }


@pytest.mark.skipif(not hasattr(os, "statvfs"), reason="the system does not tell")
def test_a_disk_that_may_only_be_read_is_called_so(home, monkeypatch):
    told = os.statvfs(home)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="Permission denied"):
        check_writable(home / "new")
    read_only = types.SimpleNamespace(f_flag=told.f_flag | os.ST_RDONLY)
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)
    with pytest.raises(InputError, match="Read-only file system"):
        check_writable(home / "new")


def test_too_few_open_files_are_no_reason_to_choose_another_place(home):
    def opening(to):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(to))

    with pytest.raises(InputError, match=r"Too many open files\. Raise the limit"):
        write_atomically(home / "a", opening)


def test_an_error_about_another_file_is_not_called_one_of_the_output(home, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("other") / "nothing.csv"
    with pytest.raises(FileNotFoundError):
        write_atomically(home / "a", lambda to: elsewhere.read_text())
    assert not (home / "a").exists()


def test_files_of_one_report_replace_an_older_one_and_leave_the_users(home):
    write_together(home, {n: text("old") for n in ("a.json", "b.csv", "sub/c.csv")}, last="a.json")
    (home / "notes.csv").write_text("mine")
    write_together(home, {"a.json": text("new")}, last="a.json", stale=("b.csv", "sub/*.csv"))
    files = {str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()}
    assert files == {"a.json", "notes.csv", "file"}
    assert (home / "a.json").read_text() == "new"


def test_what_a_killed_process_left_is_cleared_and_a_living_ones_is_not(home):
    dead = home / ".a-0123abcd.partial.csv"
    dead.write_text("half")
    aside = home / ".run-0123abcd.partial"
    aside.mkdir()
    (aside / "DONE").touch()
    for mine in (".a-notes.csv", ".config-settings.json"):
        (home / mine).write_text("mine")

    def alive(to):
        to.write_text("x")
        clear_partials(home)
        assert to.exists()

    write_atomically(home / "a.csv", alive)
    names = {"file", "a.csv", ".a-notes.csv", ".config-settings.json"}
    assert {path.name for path in home.iterdir()} == names


def test_a_file_has_the_rights_that_the_user_asked_for(home):
    old = os.umask(0o027)
    try:
        write_atomically(home / "a", text("x"))
    finally:
        os.umask(old)
    assert (home / "a").stat().st_mode & 0o777 == 0o640


def test_a_folder_is_one_commands_and_then_the_nexts(home):
    with (
        hold_folder(home),
        pytest.raises(BusyError, match="Another command is at work"),
        hold_folder(home),
    ):
        pass
    with hold_folder(home):
        assert [path.name for path in home.iterdir()] == ["file"]


def test_a_disk_that_locks_no_folders_has_a_file_locked(home, monkeypatch):
    from fairthesis.storage import _locks as locks

    real = locks._locked
    folders = [home.stat().st_ino]
    monkeypatch.setattr(
        locks, "_locked", lambda fd: None if os.fstat(fd).st_ino in folders else real(fd)
    )
    with hold_folder(home):
        assert (home / locks._FILE).exists() and is_partial(locks._FILE)
        clear_partials(home)
        with pytest.raises(BusyError), hold_folder(home):
            pass
    assert [path.name for path in home.iterdir()] == ["file"]
    (home / locks._FILE).touch()  # left by a killed one: in nobody's way
    with hold_folder(home):
        pass
    assert [path.name for path in home.iterdir()] == ["file"]


def test_every_change_of_a_sealed_file_is_found(home):
    content = {"a.bin": b"\x00\x01\x02\x03" * 8, "b.json": b'{"x": [1, 2.5], "seconds": 3.25}'}
    for name, data in content.items():
        (home / name).write_bytes(data)
    mark_finished(home, "fingerprint", list(content))
    assert damage_in_words(home) is None
    (home / "b.json").write_bytes(content["b.json"].replace(b"3.25", b"4.75"))
    assert damage_in_words(home) is None  # times do not count
    (home / "b.json").write_bytes(content["b.json"])
    for name in (*content, "DONE"):
        data = (home / name).read_bytes()
        for place in range(len(data)):
            for bit in (1, 64):
                changed = bytearray(data)
                changed[place] ^= bit
                (home / name).write_bytes(changed)
                timed = name == "b.json" and b"seconds" in changed and place >= 27
                assert damage_in_words(home) is not None or timed, (name, place, bit)
        for less in (b"", data[: len(data) // 2], data + b"x"):
            (home / name).write_bytes(less)
            assert damage_in_words(home) is not None
        (home / name).unlink()
        assert damage_in_words(home) is not None
        (home / name).write_bytes(data)
    assert damage_in_words(home) is None


def test_where_a_run_reads_and_computes_is_not_what_it_computes():
    config = {"seed": 0, "data_root": "data", "device": "cpu", "threads": 1}
    assert same_run(config, config | {"data_root": "/data/", "device": "cuda", "threads": 4})
    assert not same_run(config, config | {"seed": 1})
    child = {"posthoc": "leace", "parent": {"run": "erm-0", "config": config}}
    moved = {"posthoc": "leace", "parent": {"run": "erm-0", "config": config | {"data_root": "x"}}}
    assert same_run(child, moved)
    moved["parent"]["config"]["seed"] = 1
    assert not same_run(child, moved)


def test_the_table_half_works_where_there_is_neither_fcntl_nor_resource(tmp_path):
    code = """
import sys
import types
sys.modules["fcntl"] = sys.modules["resource"] = None
import numpy as np, pandas as pd
from fairthesis import audit
from fairthesis.provenance import peak_memory_mb
y = np.arange(200) % 2
table = pd.DataFrame({"y_true": y, "y_score": 0.5, "sex": np.where(np.arange(200) < 100, "f", "m")})
for _ in range(2):
    audit(table, groups=["sex"], n_boot=5, n_permutations=5).write(sys.argv[1])
print(peak_memory_mb())
"""
    words = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    assert (tmp_path / "out" / "audit.html").is_file()


def test_a_table_that_was_changed_in_a_finished_run_is_reported(tmp_path):
    for name in RUN:
        (tmp_path / name).write_text("[1, 2]")
    warn_of_damage(tmp_path / "predictions.parquet")  # unfinished
    mark_finished(tmp_path, "fingerprint", RUN)
    warn_of_damage(tmp_path / "predictions.parquet")
    warn_of_damage(tmp_path / "other.csv")
    (tmp_path / "predictions.parquet").write_text("[1, 3]")
    warn_of_damage(tmp_path / "embeddings.parquet")
    with pytest.warns(UserWarning, match="is not what the run wrote"):
        warn_of_damage(tmp_path / "predictions.parquet")


def test_a_provenance_that_cannot_be_read_says_nothing_of_test_labels(tmp_path):
    for words in (b"", b'{"uses_test_lab', b"\xff", b"[1]"):
        (tmp_path / "provenance.json").write_bytes(words)
        assert not used_test_labels(tmp_path)


def test_processes_that_begin_together_do_not_stand_in_each_others_way(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for turn in range(50):
            home = tmp_path / str(turn) / "runs"
            looks = [pool.submit(check_writable, home / f"erm-{i}") for i in range(8)]
            assert [look.result() for look in looks] == [None] * 8
    assert list(tmp_path.iterdir()) == []
