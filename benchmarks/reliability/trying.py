"""How a fault is tried: a command in a process of its own, what it said and what it left."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAIRTHESIS = (sys.executable, "-m", "fairthesis")
SECONDS = 240.0  # after which a command hangs


@dataclass(frozen=True)
class Row:
    """A fault that was tried, or could not be tried here (``as_expected`` is None)."""

    fault: str
    command: str
    expected: str
    happened: str
    as_expected: bool | None

    def line(self) -> str:
        """The row of the table in Markdown."""
        word = {True: "yes", False: "**no**", None: "not tried"}[self.as_expected]
        cells = (self.fault, self.command, self.expected, self.happened, word)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative: the signal), and what it wrote."""

    code: int
    said: str
    printed: str
    folder: Path

    @property
    def message(self) -> str:
        """The first line that it said, short, in the form for the table."""
        lines = [line for line in self.said.splitlines() if line.strip()]
        ours = [line for line in lines if line.startswith("fairthesis: ")]
        if self.in_words or not lines:
            ours += [line for line in lines if line.startswith("Error: ")]  # click's own
            line = (ours or lines or [""])[0].removeprefix("fairthesis: ").removeprefix("Error: ")
        else:
            line = f"traceback: {lines[-1]}"
        line = re.sub(r"(?<=')/\S*/(?=[^/']*')", "", line.replace(f"{self.folder}{os.sep}", ""))
        line = line if len(line) <= 150 else f"{line[:147]}..."
        return f"exit {self.code}" + (f": {escaped(line)}" if line else "")

    @property
    def in_words(self) -> bool:
        """Whether nothing that it said is a traceback."""
        return "Traceback" not in self.said and "Fatal Python error" not in self.said

    def refused(self, words: str = "") -> bool:
        """Whether it ended with exit code 2 and a message that holds ``words``."""
        return self.code == 2 and self.in_words and words in self.said and self.said.strip() != ""


def escaped(text: str) -> str:
    """Text of a message as it is, inside a table of Markdown and HTML."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return re.sub(r"([\\`*_$<>{}\[\]~])", r"\\\1", text)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a command: its caches and home lie in ``folder``."""
    own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HOME": str(folder / "home")}
    own |= {"FAIRTHESIS_CACHE": str(folder / "cache"), "PYTHONWARNINGS": "default"}
    own |= {"MPLCONFIGDIR": str(home() / "matplotlib")}
    return os.environ | own | more


def limits(**most: int) -> Callable[[], None]:
    """What a new process calls before it begins: ``AS``, ``FSIZE`` or ``NOFILE`` to a number."""

    def limit() -> None:
        for name, value in most.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))

    return limit


def start(
    folder: Path,
    words: Sequence[str | Path],
    *,
    before: Sequence[str] = (),
    limit: Callable[[], None] | None = None,
    program: Sequence[str] = FAIRTHESIS,
    **more: str,
) -> subprocess.Popen[str]:
    """``fairthesis WORDS`` in an interpreter of its own, with ``more`` in its environment."""
    return subprocess.Popen(
        [*before, *program, *map(str, words)],
        cwd=folder,
        env=environment(folder, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="backslashreplace",
        preexec_fn=limit,
    )


def end(process: subprocess.Popen[str], folder: Path) -> Ended:
    """Wait for a command; one that hangs is killed."""
    try:
        printed, said = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        printed, said = process.communicate()
    return Ended(process.returncode, said, printed, folder)


def call(folder: Path, *words: str | Path, **how: object) -> Ended:
    """``fairthesis WORDS`` in ``folder``, to its end; ``how`` is as for ``start``.

    Where nothing else is asked for the process is a fork of this one, which has imported all.
    """
    if how:
        return end(start(folder, words, **how), folder)  # type: ignore[arg-type]
    _ready(words[0] in ("train", "predict", "export"))
    (folder.parent / "said").mkdir(exist_ok=True)
    texts = [folder.parent / "said" / name for name in ("out", "err")]
    child = os.fork()
    if child == 0:
        _run(folder, [str(word) for word in words], texts)
    until = time.monotonic() + SECONDS
    while (found := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    printed, said = (text.read_text(encoding="utf-8", errors="backslashreplace") for text in texts)
    shutil.rmtree(folder.parent / "said")
    return Ended(os.waitstatus_to_exitcode(found[1]), said, printed, folder)


@functools.cache
def _ready(training: bool) -> None:
    """Import once what each fork would."""
    import matplotlib
    import pyarrow.parquet  # noqa: F401

    from fairthesis import auditing, data, datasets

    matplotlib.use("Agg")
    rooms = [auditing, data, datasets]
    if training:
        import torch
        import torch._dynamo

        from fairthesis import training as room

        torch.set_num_threads(1)
        rooms.append(room)
    for room in rooms:
        [getattr(room, name) for name in room.__all__]


def _run(folder: Path, words: list[str], texts: list[Path]) -> None:
    """In the fork: the command line with its output in files, and the end of the process."""
    code: object = 1
    try:
        for number, text in enumerate(texts, 1):
            os.dup2(os.open(text, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = (os.fdopen(k, "w", encoding="utf-8") for k in (1, 2))
        os.chdir(folder)
        os.environ.update(environment(folder))
        sys.argv = ["fairthesis", *words]
        warnings.resetwarnings()
        from fairthesis.cli import main

        main()
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def wait_for(process: subprocess.Popen[str], path: Path) -> None:
    """Until a file is there, or the process has ended."""
    until = time.monotonic() + SECONDS
    while not path.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)


def heard() -> None:
    """What a new process calls so that it hears SIGINT, which one in the background does not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def home() -> Path:
    """A folder for what several faults share; it goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextlib.contextmanager
def mounted(at: Path, *words: str) -> Iterator[bool]:
    """A mount at ``at`` for the length of a block; False where this process may not mount."""
    at.mkdir(exist_ok=True)
    if not (shutil.which("umount") and succeeds("mount", *words, at)):
        yield False
        return
    try:
        yield True
    finally:
        succeeds("umount", "-l", at)


def succeeds(*words: str | Path) -> bool:
    """Whether a program of the system is there and ends without an error."""
    there = shutil.which(words[0]) is not None
    return there and subprocess.run(words, capture_output=True, check=False).returncode == 0
