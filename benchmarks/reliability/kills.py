"""Faults of time: a command killed at any moment, or stopped by a signal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import trying
from made import TRAIN, WHOLE, copied, half, left_over, same_run, unbroken
from trying import Row, call, end, start

SCENARIOS = {
    "train": "`train`",
    "overwrite": "`train --overwrite` over another run",
    "damaged": "`train` where a finished run is damaged",
    "posthoc": "post-hoc erasure of a run",
    "audit": "`audit` over an older audit",
    "compare": "`compare` over an older comparison",
}


def killed_everywhere(scenario: str, most: int = 0) -> Row:
    """SIGKILL at every change of a file, or at ``most`` of them; then the same command again."""
    word = f"{scenario}:{most}" if most else scenario
    path = os.pathsep.join([str(trying.ROOT), str(trying.ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "tests/support/killing.py", word],
        cwd=trying.ROOT,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    found = re.match(rf"{scenario}: (\d+) changes, (\d+) kills, (\d+) wrong", done.stdout)
    said = done.stdout if found else done.stderr.strip().rpartition("\n")[2]
    return Row(
        "SIGKILL before each change of a file (open for writing, rename, removal, new folder)",
        SCENARIOS.get(scenario, scenario),
        "given again, it ends with the same bytes as an unbroken command; no marker over mixed "
        "files, nothing temporary left",
        trying.escaped(said.strip().replace("\n", "; ").partition(": ")[2] or said),
        bool(found and found[3] == "0" and int(found[2]) > 0),
    )


def everywhere(scenario: str) -> Callable[[], Row]:
    """A fault of its own for each scenario: together they take most of the time of the script."""

    def fault() -> Row:
        return killed_everywhere(scenario)

    fault.__name__ = f"killed_{scenario}"
    return fault


def a_killed_process() -> Row:
    """The command line itself, killed after its first epoch."""
    with copied(half()) as at:
        left = sorted(path.name for path in (at / "run").iterdir())
        again = call(at, *WHOLE)
        same = same_run(at / "run", unbroken() / "run")
        return Row(
            "SIGKILL after the first epoch's state has its name",
            "`train`, then the same command",
            "goes on; predictions, embeddings, model and log as of an unbroken run, to the bit",
            f"left {', '.join(left)}; again: {again.message}, "
            f"{'the same' if same else 'other'} bytes",
            again.code == 0 and same and "DONE" not in left and not left_over(at / "run"),
        )


def signalled(number: signal.Signals, code: int) -> Row:
    """A scheduler's or a user's signal, in the middle of training."""
    with copied(unbroken()) as at:
        process = start(at, [*TRAIN, "--epochs", "1000", "--out", "long"], limit=trying.heard)
        trying.wait_for(process, at / "long" / "state.pt")
        process.send_signal(number)
        ended = end(process, at)
        return Row(
            f"{number.name} while it trains",
            "`train`",
            f"exit {code}, one message that says how to go on; no DONE, nothing temporary",
            ended.message,
            ended.code == code
            and "goes on from here" in ended.said
            and not (at / "long" / "DONE").exists()
            and not left_over(at / "long"),
        )


def interrupts() -> Iterator[Row]:
    """Signals that a process may hear."""
    yield signalled(signal.SIGINT, 130)
    yield signalled(signal.SIGTERM, 143)


FAULTS = (a_killed_process, interrupts)
LONG = tuple(map(everywhere, SCENARIOS))
