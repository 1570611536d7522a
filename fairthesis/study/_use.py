"""Encoding and use, and both embeddings, in an experiment: of every probed run, and in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fairthesis.errors import InputError, unknown
from fairthesis.inputs import attribute_columns
from fairthesis.study._archive import (
    BOTH_FILE,
    USE_COLUMNS,
    USE_FILE,
    Results,
    of_attribute,
)
from fairthesis.study._kept import KEPT, without_category
from fairthesis.study._twins import ranged

if TYPE_CHECKING:
    from fairthesis.study._plans import Plan

MOST_AUROC = 0.55  # an off-diagonal cell below this counts as little, where it is above its floor
CELLS = {
    ("disease", "disease"): "disease in the disease embedding",
    ("disease", "attribute"): "attribute in the disease embedding",
    ("sensitive", "disease"): "disease in the sensitive embedding",
    ("sensitive", "attribute"): "attribute in the sensitive embedding",
}
DIAGONAL = (("disease", "disease"), ("sensitive", "attribute"))


def use_of_run(
    embeddings: pd.DataFrame,
    predictions: pd.DataFrame,
    attribute: str,
    seed: int,
    n_boot: int = 200,
) -> pd.DataFrame:
    """``embeddings.use_of_attribute`` of a run's tables, first target.

    On the patients of validation and test part. No rows where they are too few.
    """
    from fairthesis.embeddings import TooFewPatientsError, join_labels, use_of_attribute

    target = str(predictions["target"].iloc[0])
    rows, columns, _, _, _ = join_labels(embeddings, predictions, attribute, target, "disease_")
    try:
        found = use_of_attribute(
            rows[columns].to_numpy(np.float64),
            rows["y_true"].to_numpy(np.float64) > 0,
            rows[attribute].to_numpy(),
            rows["patient_id"].to_numpy(),
            n_boot=n_boot,
            seed=seed,
        )
    except TooFewPatientsError:
        return pd.DataFrame(columns=[c for c in USE_COLUMNS if c not in ("variant", "seed")])
    return found.table().assign(attribute=attribute)


def tables_of_run(
    plan: Plan, folder: Path, seed: int, attributes: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """File name to table: of what the plan asks of a run's embeddings, beside the probes.

    Use is told of every attribute; the 2 x 2 table is of the first.
    """
    from fairthesis.embeddings import disentanglement

    if not plan.probes:
        return {}
    predictions = pd.read_parquet(folder / "predictions.parquet")
    vectors = pd.read_parquet(folder / "embeddings.parquet")
    n_boot = plan.probes.get("n_boot", 200)
    used = [use_of_run(vectors, predictions, name, seed, n_boot) for name in attributes]
    found = {USE_FILE: pd.concat([table for table in used if len(table)] or used)}
    if plan.disentanglement:
        both = disentanglement(
            vectors,
            predictions,
            attribute=attributes[0],
            target=str(predictions["target"].iloc[0]),
            n_boot=n_boot,
            n_shuffles=plan.disentanglement,
            seed=seed,
        )
        found[BOTH_FILE] = both.table().assign(attribute=both.attribute)
    return found


def used_anew(folder: Path) -> pd.DataFrame | None:
    """``use.csv`` of an archive from the predictions and embeddings it keeps; None without them."""
    files = [folder / name for name in KEPT]
    if not all(file.is_file() for file in files):
        return None
    predictions, vectors = (pd.read_parquet(file) for file in files)
    parts = []
    asked = pd.read_csv(folder / USE_FILE) if (folder / USE_FILE).is_file() else None
    runs = vectors[["variant", "seed"]].astype({"variant": str}).drop_duplicates()
    for variant, seed in zip(runs["variant"].tolist(), runs["seed"].tolist(), strict=True):
        own, labels = (
            without_category(table[(table["variant"] == variant) & (table["seed"] == seed)])
            for table in (vectors, predictions)
        )
        names = attribute_columns(labels)[:1]
        if asked is not None:
            here = asked[(asked["variant"] == variant) & (asked["seed"] == seed)]
            names = here["attribute"].unique().tolist() or names
        for name in names:
            found = use_of_run(own, labels, name, seed)
            parts.append(found.assign(variant=variant, seed=seed))
    return pd.concat(parts, ignore_index=True)[list(USE_COLUMNS)]


def use_table(
    results: Results | None, scope: str = "given the target", attribute: str | None = None
) -> pd.DataFrame:
    """What erasing the attribute and refitting the head changes, in a row per variant and metric.

    Args:
        results: an experiment; None gives an empty table.
        scope: how it is erased: ``marginal`` or ``given the target``.
        attribute: which one is erased; each run's first if None.

    Returns:
        Indexed by variant and metric: ``kept`` and ``erased``, means over seeds with their range as
        text, of a head refitted on the embedding as it is and after erasure; ``change``, their mean
        difference; ``seeds below 0`` and ``seeds above 0``, in how many the interval over patients
        lies on one side; and ``at random``, the mean change when as many random directions are
        taken out. No rows where nothing was erased, as in older archives.

    Raises:
        InputError: for another scope, and for an attribute that no run was probed for.

    >>> use_table(None).columns.tolist()
    ['kept', 'erased', 'change', 'seeds below 0', 'seeds above 0', 'at random']
    """
    if scope not in ("marginal", "given the target"):
        raise unknown("scope", scope, ("marginal", "given the target"))
    columns = ["kept", "erased", "change", "seeds below 0", "seeds above 0", "at random"]
    rows = {}
    table = results.use if results is not None else pd.DataFrame(columns=USE_COLUMNS)
    table = of_attribute(table, attribute)
    table = table[table["scope"] == scope]
    for key, part in table.groupby(["variant", "metric"], sort=False):
        rows[key] = [
            *(ranged(part[name]) for name in ("kept", "erased")),
            f"{part['change'].mean():+.3f}",
            f"{(part['ci_high'] < 0).sum()} of {len(part)}",
            f"{(part['ci_low'] > 0).sum()} of {len(part)}",
            f"{part['random_change'].mean():+.3f}",
        ]
    index = pd.MultiIndex.from_tuples(list(rows), names=["variant", "metric"]) if rows else None
    return pd.DataFrame(list(rows.values()), columns=columns, index=index)


def best_cells(results: Results) -> pd.DataFrame:
    """The strongest probe of each cell, run by run.

    Returns:
        ``variant, seed, embedding, recovered, probe, auroc, ci_low, ci_high, shuffled_mean,
        shuffled_q95``; the last is the largest 95 % point among the cell's probes.
    """
    keys = ["variant", "seed", "embedding", "recovered"]
    table = results.disentanglement
    best = table.sort_values("auroc", ascending=False, kind="stable").groupby(keys, sort=False)
    floors = table.groupby(keys)["shuffled_q95"].max()
    found = best.head(1).drop(columns=["shuffled_q95", "attribute"]).join(floors, on=keys)
    return found.sort_index()


def disentanglement_table(results: Results | None) -> pd.DataFrame:
    """What each embedding holds of the disease and the attribute, in a row per variant.

    Args:
        results: an experiment; None gives an empty table.

    Returns:
        Indexed by variant, a column for each cell of the 2 x 2 table: the mean over seeds of the
        best fresh probe's AUROC on unseen patients, with its range, the disease given the attribute
        and the attribute given the target. No rows where both embeddings were not asked for.

    >>> disentanglement_table(None).shape
    (0, 4)
    """
    names = list(CELLS.values())
    if results is None or results.disentanglement.empty:
        return pd.DataFrame(columns=names, index=pd.Index([], name="variant"))
    table = best_cells(results)
    rows = {
        variant: {
            name: ranged(part.loc[(part["embedding"] == e) & (part["recovered"] == r), "auroc"])
            for (e, r), name in CELLS.items()
        }
        for variant, part in table.groupby("variant", sort=False)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("variant")


def disentangled_counts(results: Results | None, most: float = MOST_AUROC) -> pd.DataFrame:
    """In how many seeds each cell of the 2 x 2 table is what the word "disentangled" asks.

    An off-diagonal cell is empty where the best probe's AUROC is no larger than the 95 % point of
    refits with the label shuffled, or below ``most``; a diagonal cell is held where it is larger
    than both.

    Args:
        results: an experiment; None gives an empty table.
        most: the AUROC.

    Returns:
        A row per variant: ``seeds``, a count for each cell, and ``earned``: whether all four hold
        in every seed.

    Raises:
        InputError: for an AUROC that is not from 0.5 to 1.

    >>> disentangled_counts(None).columns.tolist()[-1]
    'earned'
    """
    if not 0.5 <= most <= 1:
        raise InputError(f"most is {most}: expected an AUROC from 0.5 to 1.")
    columns = ["seeds", *CELLS.values(), "earned"]
    if results is None or results.disentanglement.empty:
        return pd.DataFrame(columns=columns, index=pd.Index([], name="variant"))
    table = best_cells(results)
    above = (table["auroc"] > table["shuffled_q95"]) & (table["auroc"] >= most)
    diagonal = [
        pair in DIAGONAL for pair in zip(table["embedding"], table["recovered"], strict=True)
    ]
    table = table.assign(holds=np.where(diagonal, above, ~above))
    rows: dict[str, Mapping[str, Any]] = {}
    for variant, part in table.groupby("variant", sort=False):
        seeds = part["seed"].nunique()
        count = part[part["holds"]].groupby(["embedding", "recovered"]).size()
        cells = {name: int(count.get(key, 0)) for key, name in CELLS.items()}
        whole = all(number == seeds for number in cells.values())
        rows[str(variant)] = {"seeds": seeds, **cells, "earned": whole}
    return pd.DataFrame.from_dict(rows, orient="index")[columns].rename_axis("variant")


def disentanglement_sentences(results: Results | None) -> str:
    """What the 2 x 2 table allows to say of each variant, a line of Markdown each.

    >>> disentanglement_sentences(None)
    'No run has been archived whose two embeddings were probed.'
    """
    counts = disentangled_counts(results)
    if results is None or counts.empty:
        return "No run has been archived whose two embeddings were probed."
    means = best_cells(results).groupby(["variant", "embedding", "recovered"])["auroc"].mean()
    lines = []
    for variant, row in counts.iterrows():
        cell = {key: f"{means[(str(variant), *key)]:.3f}" for key in CELLS}
        word = "is earned" if row["earned"] else "is not earned"
        n = row["seeds"]
        lines.append(
            f"- `{variant}`: the disease embedding recovers the disease at "
            f"{cell['disease', 'disease']} and the attribute at {cell['disease', 'attribute']} "
            f"(nothing to speak of in {row[CELLS['disease', 'attribute']]} of {n} seeds); the "
            f"sensitive embedding recovers the attribute at {cell['sensitive', 'attribute']} and "
            f"the disease at {cell['sensitive', 'disease']} (nothing to speak of in "
            f"{row[CELLS['sensitive', 'disease']]} of {n} seeds). The word *disentangled* {word}."
        )
    return "\n".join(lines)
