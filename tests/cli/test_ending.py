"""How a command ends that cannot go on: interrupted, refused by the system, or short of memory."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

import fairthesis
from fairthesis import cli
from fairthesis.cli import _ending

TRAIN = ["train", "--dataset", "synthetic-cxr", "--backbone", "small", "--size", "16"]
TRAIN += ["--epochs", "1000", "--dataset-option", "n_train=200", "--dataset-option", "n_val=100"]
TRAIN += ["--dataset-option", "n_test=100", "--batch-size", "64", "--threads", "1", "--quiet"]


def ended(monkeypatch: Any, capsys: Any, error: BaseException, *words: str) -> tuple[int, str]:
    """Exit code and message where ``words`` of the command line end with ``error``."""

    @click.command(context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1)
    def command(rest: tuple[str, ...]) -> None:
        raise error

    monkeypatch.setattr(cli._LazyGroup, "get_command", lambda *_: command)
    with pytest.raises(SystemExit) as end:
        cli.main(list(words))
    return int(end.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--out", "x"), "The same command goes on from here"),
        (("experiment", "run", "ham10000"), "The same command goes on from here"),
        (("datasets", "prepare", "ddi"), "The same command goes on from here"),
        (("datasets", "describe", "ddi"), "Give the same command again"),
        (("chapter", "x.ipynb"), "The executed notebook was not written"),
        (("audit", "x.csv"), "Give the same command again"),
    ],
)
def test_an_interrupt_says_how_to_go_on(
    words: tuple[str, ...], said: str, monkeypatch: Any, capsys: Any
) -> None:
    for error, code in ((KeyboardInterrupt(), 130), (_ending.Terminated(), 143)):
        got, message = ended(monkeypatch, capsys, error, *words)
        assert got == code and said in message and "Aborted" not in message
        assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a/b"), "'a/b': No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), "'a': Permission denied. Choose"),
        (OSError(errno.EMFILE, "Too many open files", "a"), "ulimit -n"),
        (OSError("Couldn't deserialize thrift"), "Couldn't deserialize thrift. The system"),
        (OSError(errno.EXDEV, "Invalid link", "a", None, "b"), "'a' -> 'b': Invalid link"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 1 TB"), "not enough memory"),
        (ImportError("x.so: failed to map segment from shared object"), "not enough memory"),
        (ImportError("x.so: Cannot allocate memory"), "not enough memory"),
    ],
)
def test_what_the_system_refuses_is_one_message(
    error: Exception, words: str, monkeypatch: Any, capsys: Any
) -> None:
    code, message = ended(monkeypatch, capsys, error, "audit")
    assert code == 2 and words in message and message.count("\n") == 1


def test_faults_of_our_own_keep_their_traceback(monkeypatch: Any, capsys: Any) -> None:
    for error in (
        RuntimeError("shapes differ"),
        ImportError("no name x"),
        ModuleNotFoundError("no x", name="x"),
    ):
        with pytest.raises(type(error)):
            ended(monkeypatch, capsys, error, "audit")


@pytest.mark.needs("torch")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_training_in_words(number: int, code: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fairthesis", *TRAIN, "--out", str(tmp_path / "run")]
    # A job that runs in the background of a script is born deaf to SIGINT.
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for _ in range(600):
        if (tmp_path / "run" / "state.pt").exists():
            break
        time.sleep(0.1)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert said == "fairthesis: stopped. The same command goes on from here.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["--help"], ["datasets", "list"]])
def test_output_without_a_place_is_one_message(words: list[str]) -> None:
    command = [sys.executable, "-m", "fairthesis", *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2 and "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_closed_pipe_is_quiet() -> None:
    command = [sys.executable, "-m", "fairthesis", "datasets", "list"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.stderr == ""


def test_the_public_names_are_listed() -> None:
    assert set(fairthesis.__all__) <= set(dir(fairthesis))


def test_a_verification_of_nothing_is_refused(tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["verify", "--results", str(tmp_path)])
    assert end.value.code == 2 and "nothing was verified" in capsys.readouterr().err
