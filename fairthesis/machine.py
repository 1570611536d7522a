"""What of the machine this process may use."""

from __future__ import annotations

import os

import joblib


def usable_cpus() -> int:
    """The processors that this process may use, 1 or more.

    As many as its affinity, its container's quota (cgroups) and, in a job of Slurm, what was asked
    for leave it: a node of a cluster has more than a job may use.

    >>> 1 <= usable_cpus() <= os.cpu_count()
    True
    """
    found = joblib.cpu_count()
    asked = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(found, max(int(asked), 1)) if asked.isdecimal() else found
