"""Resampling: patients drawn again, group labels permuted, and what is read from the replicates.

Patients are resampled, not rows: a patient drawn twice brings all of their rows twice. Each
replicate has a generator of its own, so results depend on the seed alone, not on chunks, threads
or the order in which attributes are named.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from fairthesis.errors import InputError
from fairthesis.machine import usable_cpus
from fairthesis.stats._progress import round_of

Array = NDArray[np.float64]
#: How often each patient is drawn: whole numbers as float32, shape (resamples, patients).
Counts = NDArray[np.float32]
Code = TypeVar("Code", bound=np.integer[Any])
Found = TypeVar("Found")

#: Coverage of an interval unless another is asked for.
LEVEL = 0.95
CHUNK = 2_000_000  # weights held at a time and thread: 8 MB, about a core's cache
MAX_UNDEFINED = 0.05
JACKKNIFE = 200


def generator(seed: int, stream: str, replicate: int) -> np.random.Generator:
    """The random generator of one replicate of a named stream.

    Replicates are independent of each other and of the order in which they are made.

    Args:
        seed: Seed of the whole analysis.
        stream: What is drawn, ``bootstrap`` for instance.
        replicate: Number of the replicate.

    >>> first, again, other = (generator(0, "bootstrap", k).random() for k in (1, 1, 2))
    >>> first == again, first == other
    (True, False)
    """
    key = (zlib.crc32(stream.encode()), replicate)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))


def patient_counts(n_patients: int, replicates: range, seed: int = 0) -> Counts:
    """How often each patient is drawn in each of ``replicates``: multinomial(n, 1/n).

    The bootstrap of Efron (1979) with the patient as the unit (Davison and Hinkley 1997, 3.8).

    Args:
        n_patients: Number of patients n.
        replicates: Numbers of the replicates; each has a generator of its own.
        seed: Seed of the draws.

    Returns:
        Whole numbers as float32, shape (len(replicates), n_patients).

    >>> patient_counts(5, range(3)).sum(axis=1).tolist()
    [5.0, 5.0, 5.0]
    >>> bool((patient_counts(5, range(3))[2] == patient_counts(5, range(2, 3))[0]).all())
    True
    """
    drawn = np.empty((len(replicates), n_patients), np.float32)
    for row, replicate in enumerate(replicates):
        picks = generator(seed, "bootstrap", replicate).integers(n_patients, size=n_patients)
        drawn[row] = np.bincount(picks, minlength=n_patients)
    return drawn


def jackknife_blocks(n_patients: int) -> int:
    """How many blocks of patients are left out in turn: each patient, or 200 blocks of several."""
    return min(n_patients, JACKKNIFE)


def jackknife_counts(n_patients: int, blocks: range, seed: int = 0) -> Counts:
    """Patient counts with one block left out, shape (len(blocks), n_patients).

    With many patients, blocks of equal size (up to one) are left out instead of single patients:
    the acceleration of ``bca_interval`` is the same in the mean (Shao and Tu 1995, 2.3).

    >>> jackknife_counts(3, range(3)).sum(axis=1)
    array([2., 2., 2.], dtype=float32)
    """
    order = generator(seed, "jackknife", 0).permutation(n_patients)
    kept = np.ones((len(blocks), n_patients), np.float32)
    for row, block in enumerate(blocks):
        kept[row, order[block :: jackknife_blocks(n_patients)]] = 0
    return kept


def in_chunks(
    function: Callable[[range], Array], n: int, width: int, what: str = "resamples"
) -> Array:
    """``function`` over ranges that cover 0..n-1, stacked along the first axis, on all cores.

    ``width`` is the number of values that one replicate holds: it decides the chunk, and with it
    the memory. ``what`` they are stands beside the bar (``progress_shown``).
    """
    return np.concatenate(list(_chunks(function, n, width, what)))


def _chunks(
    function: Callable[[range], Found], n: int, width: int, what: str = "resamples"
) -> Iterator[Found]:
    """What ``function`` gives of each chunk, in order; see ``in_chunks``."""
    size = max(1, CHUNK // max(width, 1))
    chunks = [range(first, min(first + size, n)) for first in range(0, n, size)]
    with (
        ThreadPoolExecutor(min(usable_cpus(), 8)) as pool,
        round_of(n, what) as bar,
    ):
        for chunk, values in zip(chunks, pool.map(function, chunks), strict=True):
            yield values
            bar.update(len(chunk))


def bootstrap(
    statistic: Callable[[Counts], Array], n_patients: int, n_boot: int = 2000, seed: int = 0
) -> Array:
    """Replicates of ``statistic`` under resampled patients, on all cores.

    Two methods evaluated in the same statistic, or with the same seed and patients, are paired.

    Args:
        statistic: Patient counts of shape (c, n_patients) to an array of shape (c, ...).
        n_patients: Number of patients.
        n_boot: Number of replicates.
        seed: Seed of the draws.

    Returns:
        Shape (n_boot, ...). It does not depend on the number of cores.

    >>> values = np.array([1.0, 2.0, 3.0])
    >>> means = bootstrap(lambda counts: counts @ values / 3, 3, n_boot=500)
    >>> means.shape, abs(float(means.mean()) - 2) < 0.1
    ((500,), True)
    """
    return in_chunks(
        lambda part: statistic(patient_counts(n_patients, part, seed)), n_boot, n_patients
    )


def bootstrap_together(
    statistics: Sequence[Callable[[Counts], NDArray[Any]]],
    n_patients: int,
    n_boot: int = 2000,
    seed: int = 0,
) -> list[NDArray[Any]]:
    """``bootstrap`` of several statistics of the same draws, each drawn once for all of them.

    >>> values = np.array([1.0, 2.0, 3.0])
    >>> first, second = bootstrap_together([lambda c: c @ values, lambda c: c.sum(1)], 3, 5)
    >>> bool((first == bootstrap(lambda c: c @ values, 3, 5)).all()), second.tolist()
    (True, [3.0, 3.0, 3.0, 3.0, 3.0])
    """

    def part(draws: range) -> list[NDArray[Any]]:
        counts = patient_counts(n_patients, draws, seed)
        return [statistic(counts) for statistic in statistics]

    found = list(_chunks(part, n_boot, n_patients))
    return [np.concatenate(values) for values in zip(*found, strict=True)]


def jackknife(statistic: Callable[[Counts], Array], n_patients: int, seed: int = 0) -> Array:
    """``statistic`` with each patient left out in turn, or each of 200 blocks of patients.

    The blocks are those of ``bca_interval``'s acceleration: with more than 200 patients, blocks of
    equal size (up to one) are left out instead of single patients (Shao and Tu 1995, 2.3).

    Args:
        statistic: Patient counts of shape (c, n_patients) to an array of shape (c, ...).
        n_patients: Number of patients.
        seed: Seed of the blocks.

    Returns:
        Shape (blocks, ...), at most 200 blocks.

    >>> values = np.array([1.0, 2.0, 3.0])
    >>> sorted(jackknife(lambda counts: counts @ values / 2, 3).tolist())
    [1.5, 2.0, 2.5]
    """
    return in_chunks(
        lambda part: statistic(jackknife_counts(n_patients, part, seed)),
        jackknife_blocks(n_patients),
        n_patients,
    )


def patient_index(patients: pd.Series | ArrayLike) -> NDArray[np.intp]:
    """Patient keys as integers 0..p-1 in order of first appearance.

    Args:
        patients: Keys of any kind, shape (n,).

    Returns:
        Shape (n,); equal where the keys are.

    Raises:
        InputError: A key is null.

    >>> patient_index(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """
    codes, _ = pd.factorize(pd.Series(patients), use_na_sentinel=True)
    if (codes < 0).any():
        raise InputError("A patient key is null: expected every row to name its patient.")
    return np.asarray(codes, np.intp)


def percentile_interval(replicates: ArrayLike, level: float = LEVEL) -> tuple[float, float] | None:
    """Percentile interval of replicates.

    Args:
        replicates: Values, shape (n_boot,); one is undefined (NaN) where, say, no positive case was
            drawn, and is passed over.
        level: Coverage of the interval.

    Returns:
        (low, high); None if none is defined, or over 5 % are undefined.

    >>> percentile_interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    >>> print(percentile_interval([0.7, 0.8, np.nan]))
    None
    """
    values = np.asarray(replicates, np.float64)
    known = values[np.isfinite(values)]
    if len(known) == 0 or len(known) < (1 - MAX_UNDEFINED) * len(values):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bca_interval(
    value: float, replicates: ArrayLike, jackknife: ArrayLike, level: float = LEVEL
) -> tuple[float, float]:
    """Bias-corrected and accelerated interval (Efron 1987, JASA 82; DiCiccio and Efron 1996).

    Args:
        value: The statistic of the sample.
        replicates: Its bootstrap replicates, shape (n_boot,); undefined ones are passed over.
        jackknife: The statistic with each patient (or block of patients) left out once.
        level: Coverage of the interval.

    Returns:
        (low, high). NaN where the replicates all lie on one side of the value, over 5 % of them are
        undefined, or no jackknife value is defined.

    >>> low, high = bca_interval(50.0, np.arange(101.0), np.zeros(10), level=0.5)
    >>> round(low), round(high)
    (25, 75)
    >>> low, high = bca_interval(60.0, np.arange(101.0), np.zeros(10), level=0.5)
    >>> round(low), round(high)  # replicates that are too low are shifted up
    (43, 88)
    """
    drawn, left_out = np.asarray(replicates, np.float64), np.asarray(jackknife, np.float64)
    left_out = left_out[np.isfinite(left_out)]
    defined = np.isfinite(drawn)
    if not len(left_out) or not defined.any() or defined.mean() < 1 - MAX_UNDEFINED:
        return math.nan, math.nan
    drawn = drawn[defined]
    below = ((drawn < value).mean() + (drawn <= value).mean()) / 2
    if not 0 < below < 1:
        return math.nan, math.nan
    bias = ndtri(below)
    distance = left_out.mean() - left_out
    spread = (distance**2).sum() ** 1.5
    acceleration = (distance**3).sum() / (6 * spread) if spread > 0 else 0.0
    z = bias + ndtri([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(drawn, ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def label_permuter(
    labels: NDArray[Code], patients: NDArray[np.intp], view: NDArray[np.intp] | None = None
) -> Callable[[np.random.Generator], NDArray[Code]]:
    """A function that gives the rows' group labels after one permutation over patients.

    Where every patient has one label, labels are exchanged between patients, and a patient's rows
    keep a common one. Where it differs within a patient (the view of an image, say), each
    patient's labels are taken as a block, the blocks are laid end to end in random order, and the
    rows, in the order of patients, take the labels as they come: numbers per label are kept, and
    labels stay clustered as they were.

    Args:
        labels: Group of each row, shape (n,).
        patients: Patient of each row, shape (n,).
        view: The order in which rows are wanted; as they are if None.

    Returns:
        A function of a random generator that gives labels of shape (n,).

    >>> permute = label_permuter(np.array([0, 0, 1, 1, 1]), np.array([0, 0, 1, 2, 2]))
    >>> found = [permute(np.random.default_rng(k)).tolist() for k in range(20)]
    >>> all(row[0] == row[1] and row[3] == row[4] for row in found)  # a patient has one label
    True
    """
    _, patient = np.unique(patients, return_inverse=True)
    view = np.arange(len(labels)) if view is None else view
    order = np.argsort(patient, kind="stable")
    starts = np.flatnonzero(np.diff(patient[order], prepend=-1))
    by_patient = labels[order]
    own = by_patient[starts]
    if (own[patient] == labels).all():
        seen = patient[view]
        return lambda rng: rng.permutation(own)[seen]
    lengths = np.diff(starts, append=len(labels))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    place = place[view]

    def permute(rng: np.random.Generator) -> NDArray[Code]:
        turn = rng.permutation(len(starts))
        laid = np.cumsum(lengths[turn]) - lengths[turn]
        source = np.repeat(starts[turn] - laid, lengths[turn]) + np.arange(len(labels))
        return by_patient[source][place]

    return permute
