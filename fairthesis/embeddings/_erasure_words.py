"""What is said of an eraser that was measured: what it leaves, and what helps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

TOLERATED = 0.55  # AUROC up to which little is left
LOST = 0.005  # AUROC of the target: less is not worth a sentence
CURVED = 0.05  # AUROC of a curved probe above the linear one's


def in_words(
    readings: Sequence[Any], n_fit: int, width: int, sizes: Any, expected: float
) -> Iterator[str]:
    """Warnings of ``ErasureReport``: readings, rows the eraser is fitted on, and groups' sizes."""
    of_attribute = [r for r in readings if r.of == "attribute"]
    linear = next((r for r in of_attribute if r.probe == "logistic"), None)
    if linear is not None and linear.after > TOLERATED:
        yield (
            f"On new patients a linear probe still recovers the attribute: AUROC {_value(linear)} "
            f"after erasure, {linear.before:.2f} before."
        )
    if expected > TOLERATED:
        yield (
            f"{n_fit} rows are few for {width} numbers: the best linear probe of unlimited new "
            f"rows would reach an AUROC of about {expected:.2f} after erasure. For "
            f"{TOLERATED:g} it takes about {rows_needed(sizes, width):,} rows. What helps: more "
            f"rows, or fewer directions first (such as {width // 4 or 1}, or auto on the command "
            "line), at the target's cost; shrinkage does not."
        )
    curved = [r for r in of_attribute if r.probe != "logistic" and r.after > TOLERATED]
    for reading in curved:
        if linear is None or reading.after > linear.after + CURVED:
            yield (
                f"A curved probe ({reading.probe}) recovers the attribute after erasure: AUROC "
                f"{_value(reading)}. Erasers of means do not hide from it; method kernel may."
            )
    for reading in readings:
        if reading.of == "target" and reading.change_ci and reading.change_ci[1] < -LOST:
            yield (
                f"The target is recovered less well after erasure: AUROC {reading.after:.2f}, "
                f"{reading.before:.2f} before."
            )


def _value(reading: Any) -> str:
    ends = reading.after_ci
    return f"{reading.after:.2f}" + (f" ({ends[0]:.2f} to {ends[1]:.2f})" if ends else "")


def rows_needed(sizes: Any, width: int) -> int:
    """Rows at which ``expected_auroc`` is ``TOLERATED``, groups in the same shares."""
    share = np.asarray(sizes, float) / np.sum(sizes)
    each = (1 / share + 1 / (1 - share)).mean()
    return int(np.ceil(width * each / (2 * norm.ppf(TOLERATED) ** 2)))
