"""Methods compared on out-of-fold predictions: paired over patients, folds and repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fairthesis import stats
from fairthesis.errors import unknown
from fairthesis.inputs import require_columns
from fairthesis.study._out_of_fold import OUT_OF_FOLD, check_images, design_of, out_of_fold
from fairthesis.study._pooled_values import ALL, AUROC, BETWEEN, PooledValues

LEVEL = 0.05
Hypothesis = tuple[str, str, str, str]


def pooled_contrasts(
    folder: str | Path,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    n_boot: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """``contrasts_out_of_fold`` of an archive, with what its plan fixed beforehand.

    Args:
        folder: of an experiment's tables, with ``predictions.parquet``.
        pairs, n_boot, seed: as there.

    Raises:
        InputError: as ``out_of_fold``.

    >>> pooled_contrasts("no/such/folder")
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: No results in 'no/such/folder': expected provenance.json.
    """
    design = design_of(folder)
    return contrasts_out_of_fold(
        out_of_fold(folder),
        design["groups"],
        primary=design["primary"],
        margin=design["margin"],
        pairs=pairs,
        n_boot=n_boot,
        seed=seed,
    )


def contrasts_out_of_fold(
    table: pd.DataFrame,
    groups: Mapping[str, Sequence[str]],
    *,
    primary: Sequence[Hypothesis] = (),
    margin: float | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    n_boot: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Paired differences between methods that have scored every image out of fold.

    **Values.** A group's AUROC is over pairs of a case and a control of the same fold
    (``stats.StratifiedPairs``), since scores of different folds' models are not on one scale; its
    TPR and FPR are shares of decisions at each fold's own threshold. Repeats are averaged. A gap is
    the largest of the groups' differences of these means, the equalized odds difference the largest
    of the gaps in TPR and FPR.

    **Intervals.** Patients are drawn again, the same ones for all methods, folds and repeats; the
    replicates give the covariance of all groups' values, and ``stats.LargestChange`` the interval
    and the p value of a difference, whichever groups are the extreme ones. They are about other
    patients for models trained as these were, and hold what the choice of folds does to the mean as
    far as the repeats average it out. What training anew (other weights, other folds, other
    training patients) would change beyond that is not in them: ``between_repeats`` shows part of
    it.

    **Tests.** ``primary`` hypotheses are corrected by Holm among themselves, and their intervals
    are at 1 - 0.05 / m. All other rows are exploratory: Benjamini and Hochberg's false discovery
    rate, intervals of 95 %.

    Args:
        table: with the columns ``OUT_OF_FOLD`` and one for each attribute; of one target.
        groups: attribute -> the groups that are compared, fixed beforehand.
        primary: (variant, variant it is compared with, attribute or ``all``, number).
        margin: what a difference has to exceed to matter.
        pairs: (variant, variant it is compared with); by default all others with the first one.
        n_boot: resamples of patients.
        seed: of the resampling.

    Returns:
        A row per pair and number, primary ones first: ``family`` (primary, exploratory),
        ``contrast`` (``a − b``), ``attribute``, ``number``, ``first`` and ``second`` (the values of
        b and a), ``difference``, ``lo``, ``hi``, ``p_value``, ``p_corrected``, ``between_repeats``
        (standard deviation of the repeats' differences; NaN from one), ``smallest_change`` (what
        the design tells in four of five cases, ``(z_level + z_0.8) s`` at the level of the
        interval) and ``verdict``: ``lower`` or ``higher`` where the corrected p value is below
        0.05; else ``no difference larger than M`` where the interval lies within the margin M; else
        ``cannot be told``.

    Raises:
        InputError: for an unknown variant, attribute, group or number, a group without cases or
            controls in the same fold, and images that are not scored once by every variant.

    >>> rng = np.random.default_rng(0)
    >>> rows = pd.DataFrame({"image_id": range(600), "patient_id": np.arange(600) // 2})
    >>> rows["y_true"], rows["fold"] = rng.integers(0, 2, 600), rows["patient_id"] % 5
    >>> rows = rows.assign(target="ill", repeat=0, sex=np.where(rows["patient_id"] % 3, "F", "M"))
    >>> chance = rows.assign(variant="erm", y_score=rng.random(600), decision=1.0)
    >>> good = chance.assign(variant="good", y_score=rows["y_true"] + rng.random(600))
    >>> found = contrasts_out_of_fold(
    ...     pd.concat([chance, good]), {"sex": ["F", "M"]}, margin=0.02, n_boot=200
    ... )
    >>> found[["attribute", "number", "verdict"]].values.tolist()[:2]
    [['all', 'AUROC', 'higher'], ['sex', 'AUROC gap', 'cannot be told']]
    """
    attributes = [name for name in groups if name not in table]
    require_columns(table, [*OUT_OF_FOLD, *attributes], "the out-of-fold predictions")
    check_images(table)
    variants = [str(name) for name in pd.unique(table["variant"])]
    wanted = [(name, variants[0]) for name in variants[1:]] if pairs is None else list(pairs)
    asked = _asked(wanted, groups, primary, variants)
    found = PooledValues(table, groups, variants, n_boot, seed)
    m = max(len(primary), 1)
    rows = []
    for one, place in asked:
        level = 1 - LEVEL / (m if place == "primary" else 1)
        rows.append([place, *found.compared(*one, level)])
    result = pd.DataFrame(rows, columns=_COLUMNS)
    corrected = np.full(len(result), np.nan)
    for place, correct in (("primary", stats.holm), ("exploratory", stats.benjamini_hochberg)):
        own = (result["family"] == place).to_numpy()
        corrected[own] = correct(result.loc[own, "p_value"].tolist())
    result.insert(list(result).index("p_value") + 1, "p_corrected", corrected)
    return result.assign(verdict=[_verdict(row, margin) for _, row in result.iterrows()])


_COLUMNS = (
    *("family", "contrast", "attribute", "number", "first", "second", "difference", "lo", "hi"),
    *("p_value", "between_repeats", "smallest_change"),
)


def _verdict(row: pd.Series, margin: float | None) -> str:
    if row["p_corrected"] < LEVEL:
        return "lower" if row["difference"] < 0 else "higher"
    if margin is not None and -margin <= row["lo"] and row["hi"] <= margin:
        return f"no difference larger than {margin:g}"
    return "cannot be told"


def _asked(
    pairs: Sequence[tuple[str, str]],
    groups: Mapping[str, Sequence[str]],
    primary: Sequence[Hypothesis],
    variants: Sequence[str],
) -> list[tuple[Hypothesis, str]]:
    """Every comparison and its family, primary ones first."""
    for name in (name for pair in [*pairs, *(one[:2] for one in primary)] for name in pair):
        if name not in variants:
            raise unknown("variant to compare", name, variants)
    for *_, attribute, number in primary:
        if attribute not in (ALL, *groups):
            raise unknown("attribute of a hypothesis", attribute, [ALL, *groups])
        known = [AUROC] if attribute == ALL else BETWEEN
        if number not in known:
            raise unknown(f"number of a hypothesis on {attribute}", number, known)
    numbers = [(ALL, AUROC), *((name, number) for name in groups for number in BETWEEN)]
    first: list[Hypothesis] = [(a, b, c, d) for a, b, c, d in primary]
    others: list[Hypothesis] = [(*pair, *one) for pair in pairs for one in numbers]
    asked = [(one, "primary") for one in first]
    return asked + [(one, "exploratory") for one in others if one not in first]
