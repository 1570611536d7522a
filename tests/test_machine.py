"""The processors that a process may use, and memory that it keeps."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

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


FAULTS = """
import resource
from fairthesis.machine import keep_freed_memory

print(keep_freed_memory())
b"x" * 64_000_000  # what the first one costs is not counted
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for n in range(10):
    b"x" * (64_000_000 - n)  # freed at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**variables: str) -> tuple[bool, int]:
    """Whether freed memory is kept, and page faults of ten blocks of 64 MB, one after the other."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    told = subprocess.run(
        [sys.executable, "-c", FAULTS], env=own | variables, check=True, capture_output=True,
        text=True,
    ).stdout.split()  # fmt: skip
    return told[0] == "True", int(told[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_memory_that_is_freed_is_not_fetched_anew() -> None:
    kept, few = faults()
    left, many = faults(MALLOC_MMAP_THRESHOLD_="131072")
    assert kept
    assert not left  # what the user has said stays
    assert few < many / 10
