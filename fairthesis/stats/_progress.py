"""How far resamples and permutations are, and how long they will take: bars on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

_SHOWN: ContextVar[bool] = ContextVar("shown", default=False)
_WHOLE: ContextVar[Any] = ContextVar("whole", default=None)
WAIT = 2  # seconds before a bar appears


@contextmanager
def progress_shown(whether: bool = True) -> Iterator[None]:
    """Show, for the length of a ``with`` block, how far resampling is and how long it will take.

    A bar on a terminal for resamples and permutations that take more than two seconds (one of a
    whole audit, with the time that is left of all of it); elsewhere nothing.

    >>> from fairthesis.stats import bootstrap
    >>> with progress_shown():
    ...     bootstrap(lambda counts: counts.sum(1), 3, n_boot=2).tolist()
    [3.0, 3.0]
    """
    before = _SHOWN.set(whether)
    try:
        yield
    finally:
        _SHOWN.reset(before)


@contextmanager
def progress_of_all(total: int, what: str) -> Iterator[None]:
    """One bar, and one estimate of the time left, for all rounds of a ``with`` block.

    Args:
        total: Replicates of all rounds, as far as is known before.
        what: What is made of them; the round stands beside it.

    >>> from fairthesis.stats import bootstrap
    >>> with progress_shown(), progress_of_all(4, "audit"):
    ...     [bootstrap(lambda counts: counts.sum(1), 3, n_boot=2).tolist() for _ in range(2)]
    [[3.0, 3.0], [3.0, 3.0]]
    """
    with _bar(total, what) as bar:
        before = _WHOLE.set((bar, what))
        try:
            yield
        finally:
            _WHOLE.reset(before)


@contextmanager
def round_of(total: int, what: str) -> Iterator[Any]:
    """The bar of a round: its own, or that of all rounds; ``update`` says what is done.

    >>> with round_of(2, "resamples") as bar:
    ...     _ = bar.update(2)
    """
    if (whole := _WHOLE.get()) is None:
        with _bar(total, what) as bar:
            yield bar
        return
    bar, all_of_them = whole
    bar.set_description_str(f"{all_of_them}: {what}", refresh=False)
    if not bar.disable and bar.n + total > bar.total:  # a round more than was known
        bar.total = bar.n + total
    yield bar


def _bar(total: int, what: str) -> Any:
    # only on a terminal, and gone when it is done
    off = None if _SHOWN.get() else True
    return tqdm(total=total, desc=what, leave=False, delay=WAIT, disable=off)
