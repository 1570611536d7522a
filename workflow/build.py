"""Drive the workflow and say, a line per step, what runs: ``python workflow/build.py``."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TextIO

from reaper import end, there

ROOT = Path(__file__).parent.parent
PROFILES = ROOT / "workflow" / "profiles"
REAPER = ROOT / "workflow" / "reaper.py"
ENDING = 60  # seconds that the steps of a killed build have to end
# What is shown beside the steps: what the workflow, the commands and Python have to say.
SAID = (
    r"left out: |archived: |failed: |log: |fairthesis: |Error: |\S*(Warning|Error|Exception)\b.*:"
)


def profile_folder(name: str) -> Path:
    """The folder of a profile: one of the workflow's, or anybody's own."""
    known = sorted(path.name for path in PROFILES.iterdir())
    if name in known:
        return PROFILES / name
    own = Path(name).expanduser()
    if (own / "config.yaml").is_file():
        return own.absolute()
    raise ValueError(
        f"ON is {name!r}: expected one of {', '.join(known)}, or a folder that has a config.yaml, "
        "as theirs have"
    )


def held(path: Path) -> TextIO | None:
    """The lock of a folder's builds; None where another process has it, which is said.

    Snakemake's own lock would outlive a killed build; this one goes with the process.
    """
    lock = path.open("a+", encoding="utf-8")
    until = time.monotonic() + ENDING
    waiting = False
    while not locked(lock):
        lock.seek(0)
        owner = lock.read().strip()
        if owner.isdecimal() and not there(int(owner)) and time.monotonic() < until:
            if not waiting:
                print("Waiting until the steps of a build that was killed have ended.", flush=True)
            waiting = True
            time.sleep(0.5)
            continue
        who = f" (process {owner})" if owner else ""
        print(
            f"Another build is running in this folder{who}: wait for it to end"
            + (f", or stop it: kill {owner}" if owner else "")
            + ".",
            file=sys.stderr,
        )
        return None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def locked(file: TextIO) -> bool:
    """Take the lock of a file, if nobody has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def workflow(command: list[str], lock: TextIO, log: TextIO) -> Iterator[subprocess.Popen[bytes]]:
    """The workflow's process, in a group of its own; nothing of the group outlives this process.

    It writes into ``log``, and not into a pipe: that would break with this process, and Snakemake
    would end without taking its jobs back from a cluster.
    """
    # The steps call `fairthesis` and `jupyter-book` of this very environment.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=interruptible,
        pass_fds=[lock.fileno()],  # steps that outlive this process keep the lock
    )
    watched = [os.getpid(), *([os.getppid()] if "MAKELEVEL" in os.environ else [])]
    reaper = subprocess.Popen(
        [sys.executable, str(REAPER), str(process.pid), *map(str, watched)],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def stop(sign: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    try:
        yield process
        process.wait()
    except BaseException:  # also where nobody reads what this process prints
        for again in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(again, signal.SIG_IGN)  # a second one must not leave half of them
        end(process.pid, process.poll)
        raise
    finally:
        reaper.kill()
        reaper.wait()


def interruptible() -> None:
    """In a child: let it be interrupted, also where a shell started us in its background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def lines_of(log: Path, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines of the log, as the process writes them, until it ends."""
    with log.open(encoding="utf-8", errors="replace") as file:
        rest = ""
        while True:
            ended = process.poll() is not None
            rest += file.read()
            *whole, rest = rest.split("\n")
            yield from (f"{line}\n" for line in whole)
            if ended:
                yield from [rest] if rest else []
                return
            time.sleep(0.1)


def follow(lines: Iterator[str], started: float) -> int:
    """Say a line per step, and what the steps have to say; the number of steps."""
    total = 0
    said: set[str] = set()
    cause = False  # whether the line is what Snakemake says after "InputError in file ..., line 4:"
    for line in lines:
        elapsed = f"{time.monotonic() - started:5.0f} s"
        if match := re.match(r"Job \d+: (.*)", line):
            print(f"{elapsed}  {match.group(1).strip()}", flush=True)
        elif match := re.match(r"(\d+) of (\d+) steps", line):
            total = int(match.group(2))
            print(f"{elapsed}  {match.group(1)} of {total} steps done", flush=True)
        elif re.match(r"\[\d+/\d+\] ", line):  # the runs within a step
            print(f"{elapsed}    {line.rstrip()}", flush=True)
        elif match := re.match(r"    output: (\S+?),? ", line + " "):  # told of failed steps
            line = f"failed: {match.group(1)}"
        elif match := re.match(r"    log: (\S+)", line):
            line = f"log: {match.group(1)}"
        if (cause or re.match(SAID, line)) and line not in said:
            said.add(line)
            print(f"{elapsed}  {line.rstrip()}", file=sys.stderr, flush=True)
        cause = bool(re.match(r"\w+ in file .*:$", line))
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2, help="steps side by side")
    parser.add_argument("--on", default="local", help="a profile's name or folder")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="configuration")
    parser.add_argument("--target", default="book", help="rule or file to make")
    parser.add_argument("--args", default="", help="more options of Snakemake, as a shell's words")
    args = parser.parse_args()
    try:
        profile = profile_folder(args.on)
        more = shlex.split(args.args)
    except ValueError as error:
        parser.error(str(error))
    if wrong := [pair for pair in args.set if "=" not in pair]:
        parser.error(f"--set {wrong[0]!r}: expected NAME=VALUE")
    settings = ROOT / "build" / "settings.json"
    command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile"]
    command += ["--workflow-profile", str(profile), "--cores", str(args.cores)]
    command += ["--nolock", "--configfile", str(settings), *more, "--", args.target]
    started = time.monotonic()
    log = ROOT / "build" / "logs" / "workflow.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    lock = held(ROOT / "build" / "lock")
    if lock is None:
        return 1
    # In a file: on the command line Snakemake reads values as YAML, where `#` begins a comment.
    given = dict(pair.split("=", 1) for pair in args.set)
    settings.write_text(json.dumps(given), encoding="utf-8")
    with log.open("w", encoding="utf-8") as file, workflow(command, lock, file) as process:
        total = follow(lines_of(log, process), started)
    if process.returncode:
        print(f"The build stopped; all of its output: {log.relative_to(ROOT)}", file=sys.stderr)
        return 1
    if more:
        print(f"Snakemake's own output: {log.relative_to(ROOT)}")
    elif not total:
        print("Nothing changed since the last build.")
    if args.target == "book":
        print(f"The book: {ROOT / '_build' / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        sys.exit(130)
