"""Contrasts that were named beforehand: paired differences between two variants, over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from fairthesis.errors import unknown
from fairthesis.study._across_cohorts import seed_interval, test_train_ratio
from fairthesis.study._archive import Results
from fairthesis.study._summaries import ablation_table

#: A difference whose 95 % interval holds 0 and is narrower than this, end to end, is *nothing*.
NARROW = 0.04
NUMBERS = ("AUROC", "AUROC gap", "equalized odds difference", "best probe given the target")


def contrasts(
    found: Mapping[str, Results | None],
    pairs: Sequence[tuple[str, str]],
    numbers: Sequence[str] = NUMBERS,
    narrow: float = NARROW,
) -> pd.DataFrame:
    """The mean difference of each pair of variants, its interval, and what it says.

    The interval is Student's at 95 % over the seeds' paired differences (``headline_intervals``,
    wider where seeds split the same patients anew). It is for pairs that were written down before
    the runs: it is not corrected for their number.

    Args:
        found: cohort -> its results; None is left out.
        pairs: ``(a, b)`` for the numbers of a less those of b. A pair of which a cohort lacks a
            variant is left out there.
        numbers: columns of ``ablation_table``.
        narrow: the width, above 0, that an interval around 0 must stay under to say *nothing*; it
            is to be written down before the runs as well.

    Returns:
        The columns ``cohort, number, contrast, difference, lo, hi, seeds, verdict``. The verdict is
        ``lower`` or ``higher`` where the interval lies on one side of 0; where it holds 0,
        ``nothing`` if it is narrower than ``narrow``, else ``cannot be told``.

    Raises:
        InputError: for another number.

    >>> from fairthesis.study import load_archived
    >>> quick = load_archived("synthetic-cxr", "quick")
    >>> table = contrasts({"cxr": quick}, [("adversarial", "erm")], ["AUROC gap"])
    >>> table[["contrast", "seeds"]].values.tolist()
    [['adversarial − erm', 2]]
    >>> bool((table["lo"] < table["difference"]).all())
    True
    """
    for number in numbers:
        if number not in NUMBERS:
            raise unknown("number of a contrast", number, NUMBERS)
    rows = []
    for cohort, results in found.items():
        if results is None:
            continue
        table = ablation_table(results)
        there = set(table["variant"])
        for number in numbers:
            wide = table.pivot(index="seed", columns="variant", values=number)
            for a, b in (pair for pair in pairs if there.issuperset(pair)):
                change = (wide[a] - wide[b]).dropna().tolist()
                if change:
                    told = told_of(change, results, narrow)
                    rows.append([cohort, number, f"{a} − {b}", *told])
    columns = ["cohort", "number", "contrast", "difference", "lo", "hi", "seeds", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def told_of(change: list[float], results: Results, narrow: float) -> list[object]:
    """Of the seeds' paired differences: mean, lo, hi, how many, and the verdict."""
    mean, lo, hi = seed_interval(change, shared=test_train_ratio(results))
    return [mean, lo, hi, len(change), verdict(lo, hi, narrow)]


def verdict(lo: float, hi: float, narrow: float = NARROW) -> str:
    """What the interval of a difference says, as of ``contrasts``; of a single seed, nothing.

    >>> verdict(-0.03, -0.01), verdict(-0.01, 0.02), verdict(-0.05, 0.02)
    ('lower', 'nothing', 'cannot be told')
    >>> verdict(float("nan"), float("nan"))
    'cannot be told'
    """
    if hi < 0:
        return "lower"
    if lo > 0:
        return "higher"
    return "nothing" if hi - lo < narrow else "cannot be told"
