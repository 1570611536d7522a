"""Batches that are made while the one before is computed with, and losses that are read seldom.

An accelerator works through what it is given while the processor goes on. It stands still where
the processor waits for a number of it, and then reads images before it gives it more.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from fairthesis.methods import Values

AHEAD = 2  # batches that are made ahead
SELDOM = 50  # steps after which an accelerator's losses are read
Item = TypeVar("Item")
Made = TypeVar("Made")


def made_ahead(
    items: Iterable[Item], make: Callable[[Item], Made], device: torch.device
) -> Iterator[Made]:
    """``make`` of every item, in their order; for an accelerator by a thread, two items ahead.

    What ``make`` raises is raised where its item would be given.
    """
    if device.type == "cpu":  # it computes with the same cores
        yield from map(make, items)
        return
    coming = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        waiting: deque[Future[Made]] = deque(thread.submit(make, i) for i in islice(coming, AHEAD))
        try:
            while waiting:
                made = waiting.popleft().result()
                waiting.extend(thread.submit(make, i) for i in islice(coming, 1))
                yield made
        finally:
            for one in waiting:
                one.cancel()


class Losses:
    """The losses of an epoch's steps, each held to be finite.

    Args:
        steps: of the epoch.
        device: where they are computed. Of the processor's own each is read at once, of an
            accelerator's those of ``SELDOM`` steps together.

    >>> losses = Losses(2, torch.device("cpu"))
    >>> losses.add({"disease_loss": torch.tensor(0.5)})
    >>> losses.add({"disease_loss": 1.5, "weight": 1.0})
    >>> losses.means()
    {'disease_loss': 1.0, 'weight': 1.0}
    >>> losses.add({"disease_loss": torch.tensor(math.nan)})
    Traceback (most recent call last):
        ...
    FloatingPointError: disease_loss is nan at step 3 of 2
    """

    def __init__(self, steps: int, device: torch.device) -> None:
        self.steps = steps
        self.every = 1 if device.type == "cpu" else SELDOM
        self.done = 0
        self.waiting: list[tuple[int, str, float | Tensor]] = []
        self.read: dict[str, list[float]] = {}

    def add(self, values: Values) -> None:
        """Those of one step; now and then what was added is read.

        Raises:
            FloatingPointError: for one that is not finite, with its name and step.
        """
        self.done += 1
        self.waiting += [(self.done, name, value) for name, value in values.items()]
        if self.done % self.every == 0:
            self._take()

    def means(self) -> dict[str, float]:
        """The mean of every loss over the steps that have it.

        Raises:
            FloatingPointError: as ``add``.
        """
        self._take()
        return {name: float(np.mean(values)) for name, values in self.read.items()}

    def _take(self) -> None:
        tensors = [value for *_, value in self.waiting if isinstance(value, Tensor)]
        # one transfer for all of them
        found = iter(torch.stack([one.float() for one in tensors]).tolist() if tensors else [])
        for step, name, value in self.waiting:
            number = next(found) if isinstance(value, Tensor) else value
            if not math.isfinite(number):
                raise FloatingPointError(f"{name} is {number} at step {step} of {self.steps}")
            self.read.setdefault(name, []).append(number)
        self.waiting = []
