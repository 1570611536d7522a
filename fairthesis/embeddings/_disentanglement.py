"""Two embeddings and what each holds: disease and attribute, recovered from both by fresh probes.

"Disentangled" is a claim about all four cells: each embedding holds its own and not the other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from fairthesis.embeddings import _tables as tables
from fairthesis.embeddings._judging import FLOOR, SCOPES, Judge, ProbeResult, read, usable_strata
from fairthesis.embeddings._probes import PROBES
from fairthesis.embeddings._tables import ProbePart
from fairthesis.errors import InputError, unknown

# The embeddings of a run's table, and what is recovered from each: the 2 x 2 table.
EMBEDDINGS = ("disease", "sensitive")
RECOVERED = ("disease", "attribute")


@dataclass(frozen=True)
class Disentanglement:
    """What ``disentanglement`` found.

    Args:
        attribute: the column that the sensitive embedding is to hold.
        target: the target that the disease embedding is to hold, None where the table names none.
        readings: ``(embedding, recovered, result)``, one for each cell and probe; the scope of a
            result is ``given the target`` for the attribute, and for the disease its strata are the
            groups.
        n_fit: images on which probes are fitted.
        n_test: images on which they are judged.
        warnings: what a reader must know, in words.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y, sex = rng.integers(0, 2, 800), rng.choice(["f", "m"], 800)
    >>> table = pd.DataFrame({"image_id": range(800), "patient_id": range(800)})
    >>> table["split"] = np.where(table["image_id"] < 400, "val", "test")
    >>> labels = table.assign(y_true=y, sex=sex)
    >>> z = table.assign(disease_0=y + 0.1 * rng.normal(size=800), sensitive_0=(sex == "m") * 1.0)
    >>> found = disentanglement(z, labels, attribute="sex", names=["logistic"], n_boot=0)
    >>> found.table().pivot(index="embedding", columns="recovered", values="auroc").round(1).values
    array([[0.5, 1. ],
           [1. , 0.5]])
    """

    attribute: str
    target: str | None
    readings: tuple[tuple[str, str, ProbeResult], ...]
    n_fit: int
    n_test: int
    warnings: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """A row for each cell and probe.

        ``embedding, recovered, probe, auroc, ci_low, ci_high, shuffled_mean, shuffled_q95``.
        """
        rows = [
            {"embedding": embedding, "recovered": recovered, **asdict(result)}
            for embedding, recovered, result in self.readings
        ]
        return pd.DataFrame(rows).drop(columns=["source", "scope"])


def disentanglement(
    embeddings: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    attribute: str,
    target: str | None = None,
    names: Sequence[str] = ("logistic", "mlp"),
    n_boot: int = 200,
    n_shuffles: int = 0,
    seed: int = 0,
) -> Disentanglement:
    """How well disease and attribute are recovered from both embeddings of a run: a 2 x 2 table.

    Fresh probes are fitted on ``val`` and judged on ``test``. The attribute is recovered within
    each class of the target, the disease within each group, so that what one explains of the other
    does not count; AUROCs are weighted by pairs (``macro_auroc``). Of disentangled embeddings the
    disease is recovered from the disease embedding and the attribute from the sensitive one, and
    the other two cells lie at the floor of a shuffled label.

    Args:
        embeddings: ``image_id, patient_id, split`` and columns ``disease_...`` and
            ``sensitive_...``: ``embeddings.parquet`` of a run.
        predictions: ``image_id, target, y_true`` and the attribute.
        attribute: a column of it.
        target: the target, where the table has several.
        names: keys of ``PROBES``.
        n_boot: resamples of test patients for the intervals; 0 for none.
        n_shuffles: refits with the label shuffled over patients; of 20 and more there is a 95 %
            point.
        seed: the same seed gives the same result.

    Raises:
        InputError: for an unknown probe, a negative number, whatever ``join_labels`` refuses, and
            too few cases to fit in any class, or group.

    Reference: Eastwood and Williams, ICLR 2018 (disentangled: each code recovers its own factor
    alone), with the probes and floors of ``probe``.

    >>> disentanglement(pd.DataFrame(), pd.DataFrame(), attribute="sex", names=["knm"])
    Traceback (most recent call last):
    fairthesis.errors.InputError: Unknown probe 'knm': ... Did you mean 'knn'?
    """
    for key, number in (("n_boot", n_boot), ("n_shuffles", n_shuffles), ("seed", seed)):
        if number < 0:
            raise InputError(f"{key} is {number}: expected 0 or more.")
    for name in names:
        if name not in PROBES:
            raise unknown("probe", name, PROBES)
    readings: list[tuple[str, str, ProbeResult]] = []
    warnings: list[str] = []
    n_fit = n_test = 0
    chosen = target
    for embedding in EMBEDDINGS:
        rows, columns, groups, _, chosen = tables.join_labels(
            embeddings, predictions, attribute, target, f"{embedding}_"
        )
        fit, test = (tables.part(rows, columns, groups, at, attribute) for at in ("val", "test"))
        n_fit, n_test = len(fit.group), len(test.group)
        for recovered in RECOVERED:
            pair, n_labels = (fit, test), len(groups)
            if recovered == "disease":
                pair, n_labels = (_swapped(fit), _swapped(test)), 2
            strata = _strata(*pair, n_labels, recovered, warnings)
            judge = Judge(pair[1], n_labels, strata, n_boot, seed)
            for name in names:
                found = read(embedding, name, *pair, judge, n_shuffles, seed, SCOPES[1:])
                readings += [(embedding, recovered, result) for result in found]
    return Disentanglement(
        attribute, chosen, tuple(readings), n_fit, n_test, tuple(dict.fromkeys(warnings))
    )


def _swapped(part: ProbePart) -> ProbePart:
    """The target to be recovered, within the groups."""
    return ProbePart(part.x, part.target, part.group, part.patient)


def _strata(
    fit: ProbePart, test: ProbePart, n_labels: int, recovered: str, warnings: list[str]
) -> list[int]:
    sizes = usable_strata(fit, test, n_labels)
    kept = [c for c, (own, there) in sizes.items() if own >= FLOOR and there >= 1]
    what = "group" if recovered == "disease" else "target class"
    if not kept:
        raise InputError(
            f"In no {what} are there {FLOOR} fitting cases of every label to recover the "
            f"{recovered}: the largest smallest has {max(own for own, _ in sizes.values())}. "
            "Merge groups, or take a larger val part."
        )
    warnings += [
        f"{what.capitalize()} {c} has too few cases and is left out."
        for c in sizes
        if c not in kept
    ]
    return kept
