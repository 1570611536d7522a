"""What an eraser leaves on patients that it has not seen, by fresh probes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.base import clone

from fairthesis import stats
from fairthesis.data import Vectors
from fairthesis.embeddings._eraser import WholeSpaceWarning
from fairthesis.embeddings._erasure_words import in_words
from fairthesis.embeddings._fit_eraser import fit_eraser, rows_of
from fairthesis.embeddings._probes import PROBES
from fairthesis.embeddings._unseen_patients import ErasureReading, Judged, parts, some
from fairthesis.errors import InputError, unknown

FEWEST = 10  # patients of each group


class TooFewPatientsError(InputError):
    """A group has too few patients for an eraser to be measured on those it has not seen.

    >>> issubclass(TooFewPatientsError, InputError)
    True
    """


@dataclass(frozen=True)
class ErasureReport:
    """What ``measure_erasure`` found.

    Args:
        readings: one of each probe for the attribute, and one for the target where it is given.
        n_rows: rows that were given.
        n_patients: patients in them.
        n_fit: rows that each of the measured erasers was fitted on, the least of the folds.
        n_probed: rows that probes were fitted and judged on.
        width: numbers of the embedding.
        expected: ``expected_auroc`` of an eraser fitted on ``n_fit`` rows of these groups.
        warnings: what a reader must know, in words, with what helps.
        settings: of the call.

    >>> rng = np.random.default_rng(0)
    >>> a = rng.integers(0, 2, 400)
    >>> from fairthesis.embeddings import Leace
    >>> x = rng.normal(size=(400, 2)) + 3 * a[:, None]
    >>> found = measure_erasure(Leace(), x, a, probes=["logistic"], n_boot=0, n_shuffles=0)
    >>> found.table()[["of", "probe"]].values.tolist(), found.n_fit
    ([['attribute', 'logistic']], 200)
    """

    readings: tuple[ErasureReading, ...]
    n_rows: int
    n_patients: int
    n_fit: int
    n_probed: int
    width: int
    expected: float
    warnings: tuple[str, ...]
    settings: dict[str, Any]

    def table(self) -> pd.DataFrame:
        """``readings`` as a table, one row each; ``before_ci`` as ``before_lo``, ``before_hi``."""
        rows = []
        for reading in self.readings:
            row: dict[str, Any] = {}
            for name, value in asdict(reading).items():
                if name.endswith("_ci"):
                    ends = value or (float("nan"), float("nan"))
                    row |= {
                        name.replace("_ci", "_lo"): ends[0],
                        name.replace("_ci", "_hi"): ends[1],
                    }
                else:
                    row[name] = value
            rows.append(row)
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes null."""
        found = asdict(self)
        found["readings"] = [
            {k: None if isinstance(v, float) and v != v else v for k, v in row.items()}
            for row in found["readings"]
        ]
        return found


def expected_auroc(counts: ArrayLike, width: int) -> float:
    """The AUROC that the best linear probe reaches on new rows after erasing group means.

    Any eraser of group means leaves the error of the means that it took: between a group of n_1
    rows and the n_0 others a difference of squared Mahalanobis length of about d (1/n_1 + 1/n_0),
    whatever the covariance, and so Φ(sqrt(d (1/n_1 + 1/n_0) / 2)) of a Gaussian embedding. It is
    what unlimited new rows would recover; a probe of few rows recovers less. An AUROC of 0.55
    takes about 127 rows for each number where two groups are of one size. ``directions`` lowers d.

    Args:
        counts: rows of each group that the eraser is fitted on, shape (groups,).
        width: d.

    Returns:
        0.5 to 1; the mean over groups, each against the rest, of more than two.

    >>> [round(expected_auroc([n / 2, n / 2], d), 2) for n, d in ((4000, 64), (600, 512))]
    [0.57, 0.9]
    """
    n = np.asarray(counts, np.float64)
    apart = np.sqrt(width * (1 / n + 1 / (n.sum() - n)) / 2)
    return float(norm.cdf(apart).mean())


def measure_erasure(
    eraser: Any,
    X: ArrayLike | Vectors,
    attribute: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    target: ArrayLike | None = None,
    folds: int = 2,
    probes: Sequence[str] = ("logistic", "mlp"),
    n_boot: int = 1000,
    n_shuffles: int = 3,
    seed: int = 0,
) -> ErasureReport:
    """Measure an eraser on patients that it has not seen, with probes fitted afresh.

    The patients are cut into ``folds``; the eraser is fitted anew without one, and on that one's
    erased rows probes are fitted on three quarters of the patients and judged on the fourth, each
    quarter in turn. On the rows that the eraser was fitted on a linear probe finds nothing, by
    construction, and says nothing. With two folds eraser and probes have as many rows; an eraser
    fitted on all rows leaves a little less than is measured here.

    Args:
        eraser: of ``ERASERS``, with its options; it is copied, not fitted.
        X: the embedding, shape (n, d), finite; or ``data.Vectors``, which stay on disk.
        attribute: the group of each row, shape (n,), none unknown.
        patients: a key of each row, shape (n,); None takes every row for a patient.
        target: 0, 1 or NaN, shape (n,): measured by a fresh logistic head before and after. An
            eraser that uses the target is fitted where it is stated.
        folds: parts of the patients, 2 or more.
        probes: keys of ``PROBES``.
        n_boot: resamples of patients for the intervals; 0 for none.
        n_shuffles: refits with the attribute shuffled, for the floor; 0 for none.
        seed: of the folds, the probes and the resamples.

    Raises:
        InputError: for an unknown probe, a number out of range, and whatever the eraser refuses.
        TooFewPatientsError: an ``InputError``, for fewer than 10 patients of a group.

    >>> rng = np.random.default_rng(0)
    >>> a = rng.integers(0, 2, 600)
    >>> x = rng.normal(size=(600, 100)) + 0.3 * a[:, None]
    >>> from fairthesis.embeddings import Leace
    >>> found = measure_erasure(Leace(), x, a, probes=["logistic"], n_boot=0, n_shuffles=0)
    >>> first = found.readings[0]
    >>> bool(first.before > 0.9), bool(first.after > 0.6)  # 300 rows are few for 100 numbers
    (True, True)
    """
    x, a = rows_of(X), np.asarray(attribute)
    who = stats.patient_index(np.arange(len(a)) if patients is None else patients)
    _check(probes, {"folds": (folds, 2), "n_boot": (n_boot, 0), "n_shuffles": (n_shuffles, 0)})
    groups, codes = np.unique(a, return_inverse=True)
    for k, name in enumerate(groups):
        if (few := len(np.unique(who[codes == k]))) < max(FEWEST, folds):
            raise TooFewPatientsError(
                f"{few} patients are of the group '{name}': expected {max(FEWEST, folds)} or more "
                "to measure an eraser on patients that it has not seen. Leave the group out, or "
                "merge it with another."
            )
    y = None if target is None else np.asarray(target, np.float64)
    known = np.ones(len(a), bool) if y is None else ~np.isnan(y)
    usable = known if eraser.uses_target else np.ones(len(a), bool)
    names = [("attribute", name) for name in probes]
    names += [("target", "logistic")] if y is not None else []
    judged = Judged(len(a), len(groups), names, n_shuffles)
    n_fit = len(a)
    for fold, (fit, held) in enumerate(parts(codes, who, folds, seed)):
        own = fit[usable[fit]]
        n_fit = min(n_fit, len(own))
        given = {"target": y} if y is not None and eraser.uses_target else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WholeSpaceWarning)  # given where it is fitted for use
            fitted = fit_eraser(clone(eraser), x, a, own, **given)
        held = some(held, who, seed)
        plain = np.asarray(x[held], np.float64)
        judged.add(fold, held, (plain, fitted.transform(plain)), codes, y, who, seed)
    readings = tuple(judged.readings(codes, y, who, n_boot, seed))
    sizes = np.bincount(codes) * (n_fit / len(a))
    width = getattr(eraser, "directions", None) or x.shape[1]
    expected = expected_auroc(sizes, width)
    n_probed = int((judged.stratum >= 0).sum())
    return ErasureReport(
        readings=readings,
        n_rows=len(a),
        n_patients=len(np.unique(who)),
        n_fit=n_fit,
        n_probed=n_probed,
        width=x.shape[1],
        expected=expected,
        warnings=tuple(in_words(readings, n_fit, width, sizes, expected)),
        settings={
            **{"folds": folds, "probes": list(probes), "n_boot": n_boot},
            **{"n_shuffles": n_shuffles, "seed": seed},
        },
    )


def _check(probes: Sequence[str], numbers: dict[str, tuple[int, int]]) -> None:
    for key, (number, low) in numbers.items():
        if number < low:
            raise InputError(f"{key} is {number}: expected {low} or more.")
    for name in probes:
        if name not in PROBES:
            raise unknown("probe", name, PROBES)
