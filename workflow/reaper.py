"""End a build's processes once one that is watched is gone: ``reaper.py GROUP PID...``.

A build that is killed cannot end its steps. This process sees that its parent, or the `make` above
that, is no longer there, and ends the group: first as Ctrl-C does, so that Snakemake takes its jobs
back from a cluster, then without asking.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable

EVERY = 0.5  # seconds between two looks


def there(pid: int) -> bool:
    """Whether a process runs, of whomever."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end(group: int, reap: Callable[[], object] = lambda: None) -> None:
    """End a group of processes, which have half a minute to do so by themselves.

    ``reap`` waits for those that are children of this process.
    """
    for sign, seconds in ((signal.SIGINT, 30), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, sign)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            reap()
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return
            time.sleep(EVERY / 5)


def main() -> None:
    group, parent, *others = map(int, sys.argv[1:])
    while os.getppid() == parent and all(map(there, others)):
        time.sleep(EVERY)
    end(group)


if __name__ == "__main__":
    main()
