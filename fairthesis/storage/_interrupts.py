"""Interrupts that wait where a foreign writer would lose them."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Have SIGINT and SIGTERM wait until the block is done; their handlers run then.

    For a short piece of foreign code that calls back into Python while it writes. An interrupt
    raised in such a call is lost, or comes out as another error: that of a file which ends too
    early, say. Does nothing outside the main thread, which is the one that signals reach.

    >>> before = signal.signal(signal.SIGTERM, lambda *_: print("interrupted"))
    >>> with uninterrupted():
    ...     signal.raise_signal(signal.SIGTERM)
    ...     print("written whole")
    written whole
    interrupted
    >>> _ = signal.signal(signal.SIGTERM, before)
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    handlers = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if callable(handler):  # else the system's own, which ends the process, or none
            handlers[number] = handler
    try:
        for number in handlers:
            signal.signal(number, lambda *what: came.append(what))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for came_first, frame in came[:1]:
            handlers[signal.Signals(came_first)](came_first, frame)
