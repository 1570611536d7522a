"""Out-of-fold numbers of methods and groups, and how they vary together over patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import stats
from fairthesis.errors import InputError
from fairthesis.stats import LargestChange, StratifiedPairs

ALL, AUROC = "all", "AUROC"
#: Numbers between the groups of an attribute; of all images there is the AUROC.
BETWEEN = ("AUROC gap", "worst-group AUROC", "equalized odds difference")
MAX_LOST = 0.05  # share of resamples in which a group has no case or no control
Array = NDArray[np.float64]
Numbers = Callable[[stats.Counts], Array]


class PooledValues:
    """Every variant's numbers: as observed by repeat, and the covariance of their means.

    The numbers of a variant are the AUROC of all images, then of each attribute's groups the
    AUROC, TPR and FPR.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        groups: Mapping[str, Sequence[str]],
        variants: Sequence[str],
        n_boot: int,
        seed: int,
    ) -> None:
        self.groups = groups
        self.places: dict[tuple[str, str], NDArray[np.intp]] = {(ALL, AUROC): np.array([0])}
        start = 1
        for attribute, names in groups.items():
            for rate in (AUROC, "TPR", "FPR"):
                self.places[attribute, rate] = np.arange(start, start + len(names))
                start += len(names)
        self.size, self.variants = start, list(variants)
        patient = stats.patient_index(table["patient_id"])
        repeats = np.unique(table["repeat"])
        blocks = []
        for variant in variants:
            for repeat in repeats:
                rows = ((table["variant"] == variant) & (table["repeat"] == repeat)).to_numpy()
                blocks.append(self._numbers(table[rows], patient[rows]))

        n = int(patient.max()) + 1

        def means(counts: stats.Counts) -> Array:
            values = np.stack([block(counts) for block in blocks], axis=1)
            shape = (len(counts), len(variants), len(repeats), start)
            return values.reshape(shape)

        self.by_repeat = means(np.ones((1, n), np.float32))[0]
        drawn = stats.bootstrap(lambda counts: means(counts).mean(axis=2), n, n_boot, seed)
        drawn = drawn.reshape(n_boot, -1)
        drawn = drawn[np.isfinite(drawn).all(axis=1)]  # where a group lost all its cases
        if len(drawn) < (1 - MAX_LOST) * n_boot:
            raise InputError(
                f"In {n_boot - len(drawn)} of {n_boot} resamples a group has no case, or no "
                "control, in any fold: its AUROC cannot be told. Compare fewer groups."
            )
        self.covariance = np.cov(drawn, rowvar=False)

    def _numbers(self, rows: pd.DataFrame, patient: NDArray[np.intp]) -> Numbers:
        """A function of counts, (c, numbers)."""
        y, s, fold = (rows[name].to_numpy(np.float64) for name in ("y_true", "y_score", "fold"))
        decision = rows["decision"].to_numpy(np.float64)
        aurocs = {0: StratifiedPairs(y, s, fold, patient)}
        rates: dict[int, tuple[NDArray[np.intp], Array]] = {}
        for attribute, names in self.groups.items():
            value = rows[attribute].astype(object).to_numpy()
            for k, name in enumerate(names):
                here = value == name
                own = StratifiedPairs(y[here], s[here], fold[here], patient[here])
                if not own.pairs:
                    raise InputError(
                        f"{attribute} = {name} has no case and control in the same fold: expected "
                        "both, for an AUROC. Compare fewer groups."
                    )
                aurocs[int(self.places[attribute, AUROC][k])] = own
                for rate, label in (("TPR", 1), ("FPR", 0)):
                    chosen = here & (y == label)
                    place = int(self.places[attribute, rate][k])
                    rates[place] = (patient[chosen], decision[chosen])

        def numbers(counts: stats.Counts) -> Array:
            found = np.empty((len(counts), self.size))
            for place, pairs in aurocs.items():
                found[:, place] = pairs(counts)
            for place, (who, decided) in rates.items():
                weight = counts[:, who].astype(np.float64)
                with np.errstate(invalid="ignore"):
                    found[:, place] = weight @ decided / weight.sum(axis=1)
            return found

        return numbers

    def compared(
        self, one: str, other: str, attribute: str, number: str, level: float
    ) -> list[object]:
        """A row of the table, without its family: ``one`` less ``other``."""
        at, contrasts, sign = self._contrasts(attribute, number)
        means = self.by_repeat.mean(axis=1)
        i, j = self.variants.index(other), self.variants.index(one)
        wide = np.concatenate([i * self.size + at, j * self.size + at])
        change = LargestChange(
            means[i, at], means[j, at], self.covariance[np.ix_(wide, wide)], contrasts
        )
        low, high = change.interval(level)
        if sign < 0:
            low, high = -high, -low
        first, second = (sign * float((contrasts @ means[v, at]).max()) for v in (i, j))
        by_repeat = [
            sign * float((contrasts @ b[at]).max() - (contrasts @ a[at]).max())
            for a, b in zip(self.by_repeat[i], self.by_repeat[j], strict=True)
        ]
        spread = float(np.std(by_repeat, ddof=1)) if len(by_repeat) > 1 else np.nan
        return [
            *(f"{one} − {other}", attribute, number, first, second, sign * change.value),
            *(low, high, change.p_value(), spread, change.smallest_change(level)),
        ]

    def _contrasts(self, attribute: str, number: str) -> tuple[NDArray[np.intp], Array, int]:
        """Which numbers, the contrasts whose largest is meant, and its sign."""
        if number == AUROC:
            return self.places[ALL, AUROC], np.eye(1), 1
        k = len(self.groups[attribute])
        if number == "worst-group AUROC":  # the smallest is less the largest of what is below 0
            return self.places[attribute, AUROC], -np.eye(k), -1
        apart = np.array([np.eye(k)[a] - np.eye(k)[b] for a, b in permutations(range(k), 2)])
        if number == "AUROC gap":
            return self.places[attribute, AUROC], apart, 1
        at = np.concatenate([self.places[attribute, rate] for rate in ("TPR", "FPR")])
        return at, np.kron(np.eye(2), apart), 1
