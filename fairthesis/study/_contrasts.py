"""Contrasts that were named beforehand: paired differences between two variants, over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from fairthesis.errors import unknown
from fairthesis.study._across_cohorts import seed_interval, test_train_ratio
from fairthesis.study._archive import Results
from fairthesis.study._summaries import ablation_table

NUMBERS = ("AUROC", "AUROC gap", "equalized odds difference", "best probe given the target")


def contrasts(
    found: Mapping[str, Results | None],
    pairs: Sequence[tuple[str, str]],
    numbers: Sequence[str] = NUMBERS,
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

    Returns:
        The columns ``cohort, number, contrast, difference, lo, hi, seeds, verdict``. The verdict is
        ``lower`` or ``higher`` where the interval lies on one side of 0, else ``cannot be told``.

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
                change = (wide[a] - wide[b]).dropna()
                if change.empty:
                    continue
                mean, lo, hi = seed_interval(change.tolist(), shared=test_train_ratio(results))
                verdict = "lower" if hi < 0 else "higher" if lo > 0 else "cannot be told"
                name = f"{a} − {b}"
                rows.append([cohort, number, name, mean, lo, hi, len(change), verdict])
    columns = ["cohort", "number", "contrast", "difference", "lo", "hi", "seeds", "verdict"]
    return pd.DataFrame(rows, columns=columns)
