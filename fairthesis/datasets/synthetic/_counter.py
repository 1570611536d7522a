"""Random numbers by counter: draw k of stream s is a hash of (s, k), whatever was drawn before.

So image i of a synthetic cohort is the same in any batch and order, a larger cohort starts with the
smaller one, and everything is integer arithmetic or exact scaling: the same bits on any machine.
The hash is splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def mix(words: Words) -> Words:
    """The splitmix64 finaliser, element by element, on arrays of 64-bit words."""
    words = (words ^ (words >> np.uint64(30))) * _MIX_1
    words = (words ^ (words >> np.uint64(27))) * _MIX_2
    return words ^ (words >> np.uint64(31))


def streams(seed: int, purpose: int, index: ArrayLike) -> Words:
    """One stream for each entry of ``index``, shape (n,), for a seed and a purpose."""
    key = np.array([seed % 2**64], dtype=np.uint64)  # arrays wrap around, scalars would warn
    for part in (np.array([purpose], dtype=np.uint64), np.asarray(index).astype(np.uint64)):
        key = mix(mix(key + _GOLDEN) ^ (part * _GOLDEN + np.uint64(1)))
    return key


def words(stream: Words, count: int, start: int = 0) -> Words:
    """Draws ``start`` to ``start + count`` of each stream, shape (n, count)."""
    step = np.arange(start + 1, start + count + 1, dtype=np.uint64) * _GOLDEN
    return mix(stream[:, None] + step)


def uniform(stream: Words, count: int, start: int = 0) -> NDArray[np.float64]:
    """Numbers in [0, 1) with 53 bits, shape (n, count)."""
    return (words(stream, count, start) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def noise(stream: Words, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Near-normal numbers of mean 0 and standard deviation 1, shape (n, *shape).

    Each is the sum of four random bytes, exact in integers and scaled: within +-3.45.
    """
    count = int(np.prod(shape))
    raw = words(stream, (count + 1) // 2).astype("<u8", copy=False).view(np.uint8)
    raw = raw.reshape(len(stream), 4, -1)[:, :, :count]
    total = raw[:, 0].astype(np.int16)
    for k in (1, 2, 3):
        total += raw[:, k]
    scaled = (total.astype(np.float32) - np.float32(510)) * np.float32(1 / 147.80054)
    return scaled.reshape(len(stream), *shape)
