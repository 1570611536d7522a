"""Folds of another data set: cross-validation by patient, in which every image is tested once.

Images, labels and groups: those of the data set ``of``, all of them; only the split is another.
Patients (and lesions, where the table has them) are dealt into k folds; one is the test part, and
of the rest a share of patients is the validation part. The seed chooses repeat and fold: seed s is
fold s mod k of repeat s // k, so that k seeds that follow one another from a multiple of k test
every image once.

Pitfalls: the scores of different folds are those of different models, and are not on one scale:
``study.pooled_contrasts`` compares cases within a fold only. Parts that a data set draws in
different ways (``test=balanced``) are mixed. Access, Licence and Citation: those of the data set.

    fairthesis datasets describe folds --data-root data/ham --option of=ham10000 --option k=5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from fairthesis.data import Cohort
from fairthesis.datasets.wrappers._folding import fold_of, has_official_test
from fairthesis.datasets.wrappers._inner import DEFAULT, inner_cohort, inner_twins
from fairthesis.inputs import Range

WRAPS = True  # it has no images of its own
TWINS = inner_twins


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    of: str = DEFAULT,
    inner: Mapping[str, Any] | None = None,
    k: Annotated[int, Range(least=2)] = 5,
    fold: Annotated[int | None, Range(least=0)] = None,
    validation: Annotated[float, Range(above=0, below=1)] = 0.25,
    strata: Sequence[str] | None = None,
    official: Literal["refuse", "deal", "leave-out"] = "refuse",
) -> Cohort:
    """The data set ``of``, loaded with the options ``inner``, with one fold as its test part.

    Without ``fold``, ``seed`` is fold ``seed mod k`` of repeat ``seed // k``; with it, ``seed`` is
    the repeat. The data set itself is loaded with seed 0 whatever the seed, so that all folds and
    repeats are of the same images. The other options are those of
    ``fairthesis.datasets.fold_of``.
    """

    def images(number: int) -> Cohort:
        return inner_cohort("folds", of, root, number, inner)

    repeat, test = divmod(seed, k) if fold is None else (seed, fold)
    cohort = images(0)
    return fold_of(
        cohort,
        k=k,
        fold=test,
        repeat=repeat,
        validation=validation,
        strata=strata,
        official=official if has_official_test(cohort, images) else "deal",
    )
