"""Batches made ahead and losses read seldom: the same numbers, on a device that does not wait."""

from __future__ import annotations

import math
import threading

import pytest
import torch

from fairthesis.training._ahead import AHEAD, SELDOM, Losses, made_ahead

CPU, OTHER = torch.device("cpu"), torch.device("meta")  # any device but the processor


@pytest.mark.parametrize("device", [CPU, OTHER])
def test_what_is_made_comes_in_order(device: torch.device) -> None:
    assert list(made_ahead(range(7), str, device)) == [*"0123456"]
    assert list(made_ahead(iter(()), str, device)) == []


def test_a_thread_makes_a_few_ahead_and_no_more() -> None:
    made: list[int] = []
    threads = set()
    enough = threading.Event()

    def make(item: int) -> int:
        threads.add(threading.current_thread().name)
        made.append(item)
        if len(made) == 1 + AHEAD:
            enough.set()
        return item

    items = made_ahead(iter(range(100)), make, OTHER)
    assert next(items) == 0
    assert enough.wait(10)  # nobody asked for these yet
    items.close()
    assert made == list(range(1 + AHEAD))
    assert threading.current_thread().name not in threads and len(threads) == 1
    assert not any(thread.name in threads for thread in threading.enumerate())


@pytest.mark.parametrize("device", [CPU, OTHER])
def test_an_error_comes_where_its_item_would(device: torch.device) -> None:
    items = made_ahead([1, 2, 0, 4], lambda item: 1 / item, device)
    assert [next(items), next(items)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(items)


@pytest.mark.parametrize("device", [CPU, OTHER])
def test_means_are_of_the_steps_that_have_a_loss(device: torch.device) -> None:
    losses = Losses(3, device)
    for step in range(3):
        own = {"share": 0.5} if step else {}
        losses.add({"loss": torch.tensor(float(step)), **own})
    assert losses.means() == {"loss": 1.0, "share": 0.5}


def test_an_accelerator_is_asked_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    stack = torch.stack
    monkeypatch.setattr(torch, "stack", lambda parts: asked.append(len(parts)) or stack(parts))
    losses = Losses(2 * SELDOM + 10, OTHER)
    for step in range(2 * SELDOM + 10):
        losses.add({"a": torch.tensor(1.0), "b": torch.tensor(float(step))})
    losses.means()
    assert asked == [2 * SELDOM, 2 * SELDOM, 20]


def test_the_step_that_is_not_finite_is_named_even_when_it_is_read_later() -> None:
    at_once, later = Losses(9, CPU), Losses(9, OTHER)
    good, bad = {"loss": torch.tensor(1.0)}, {"loss": torch.tensor(math.nan), "share": 1.0}
    for losses in (at_once, later):
        losses.add(good)
    with pytest.raises(FloatingPointError, match="loss is nan at step 2 of 9"):
        at_once.add(bad)
    later.add(bad)
    later.add(good)
    with pytest.raises(FloatingPointError, match="loss is nan at step 2 of 9"):
        later.means()
