"""The processors that a process may use."""

from __future__ import annotations

import os

import joblib
import pytest

from fairthesis.machine import usable_cpus


@pytest.mark.parametrize(
    ("asked", "expected"), [("4", 4), ("64", 16), ("0", 1), ("", 16), ("2(x2)", 16), (None, 16)]
)
def test_a_job_of_slurm_uses_what_it_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, expected: int
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 16)
    if asked is None:
        monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    else:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", asked)
    assert usable_cpus() == expected


def test_affinity_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity on this system")
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, mine)
