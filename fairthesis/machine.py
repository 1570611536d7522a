"""What of the machine this process may use."""

from __future__ import annotations

import ctypes
import os
import platform

import joblib

# Of glibc's malloc.h: mallopt's parameters.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT = 1 << 30


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


def keep_freed_memory() -> bool:
    """Have glibc keep freed blocks of up to 1 GiB for the next; whether it does from now on.

    A batch's activations are freed after each layer. By default blocks of more than 32 MiB go back
    to the system at once, and come anew, page by page and each set to 0: a sixth of the time of
    an encoder at 224 pixels, for a tenth to a third more memory
    (``benchmarks/training/kept_memory.md``). Nothing is computed differently. Where the process's
    own ``MALLOC_`` variables or tunables say otherwise, or the C library is another, nothing is
    done.

    >>> keep_freed_memory() in (True, False)
    True
    """
    told = [k for k in os.environ if k.startswith("MALLOC_") or k == "GLIBC_TUNABLES"]
    if told or platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return all(library.mallopt(of, _KEPT) for of in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))
