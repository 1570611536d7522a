"""The results archive: tables of finished experiments, their provenance, and whether they agree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from fairthesis.errors import InputError, unknown
from fairthesis.study._kept import INFERENCE
from fairthesis.study._tolerance import tolerance_of
from fairthesis.study._twins import COLUMNS, FILE

TABLES = ("metrics", "disparities", "curves")
LEAKAGE = (
    *("variant", "seed", "attribute", "source", "probe", "scope", "auroc", "ci_low", "ci_high"),
    *("shuffled_mean", "shuffled_q95"),
)
USE_FILE = "use.csv"
USE_COLUMNS = (
    *("variant", "seed", "attribute", "scope", "metric", "kept", "erased", "change"),
    *("ci_low", "ci_high", "random_change", "random_low", "random_high"),
)
BOTH_FILE = "disentanglement.csv"
BOTH_COLUMNS = (
    *("variant", "seed", "attribute", "embedding", "recovered", "probe", "auroc"),
    *("ci_low", "ci_high", "shuffled_mean", "shuffled_q95"),
)
# Tables that older archives lack: name in ``Results`` -> its file and its columns.
LATER = {
    "twins": (FILE, COLUMNS),
    "use": (USE_FILE, USE_COLUMNS),
    "disentanglement": (BOTH_FILE, BOTH_COLUMNS),
}
KEYS = {
    "metrics": ["variant", "seed", "target", "attribute", "group", "metric"],
    "disparities": ["variant", "seed", "target", "attribute", "name"],
    "curves": ["variant", "seed", "epoch", "name"],
    "twins": ["variant", "seed", "target", "change", "attribute", "group", "measure"],
}


@dataclass(frozen=True)
class Results:
    """The tables of an experiment and where they came from.

    Attributes:
        metrics: variant, seed, target, attribute, group (both null for all images), metric, value,
            lo, hi.
        disparities: variant, seed, target, attribute, name, value, lo, hi, null_mean, null_q95,
            p_value.
        curves: the training logs: variant, seed, epoch, name, value.
        leakage: variant, seed, attribute, and the columns of the probes' table (source, probe,
            scope, auroc, ci_low, ci_high, shuffled_mean, shuffled_q95); empty where nothing was
            probed.
        twins: variant, seed, and the columns of ``auditing.TWIN_COLUMNS``: what becomes of scores
            when one thing alone is changed; empty where the cohort has no twins.
        use: variant, seed, attribute, and the columns of ``embeddings.AttributeUse.table``: what
            erasing the attribute does to a refitted head; empty where nothing was probed.
        disentanglement: variant, seed, attribute, and the columns of
            ``embeddings.Disentanglement.table``: what both embeddings hold of disease and
            attribute; empty where a plan does not ask for it.
        provenance: commit, packages, machine, what was asked for and what each run used.
        source: where the tables are from, in words.

    >>> found = load_results(archive_results() / "synthetic-cxr-quick")
    >>> found.metrics["variant"].unique().tolist(), found.provenance["experiment"]["seeds"]
    (['erm', 'adversarial'], [0, 1])
    >>> found.of("erm").disparities["variant"].unique().tolist()
    ['erm']
    """

    metrics: pd.DataFrame
    disparities: pd.DataFrame
    curves: pd.DataFrame
    leakage: pd.DataFrame
    provenance: Mapping[str, Any]
    source: str
    twins: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))
    use: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=USE_COLUMNS))
    disentanglement: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=BOTH_COLUMNS)
    )

    @property
    def old_inference(self) -> bool:
        """Whether intervals and p values come from percentiles of gaps and plain permutation.

        They stand as they were computed where the runs' predictions are gone: the intervals do not
        hold small gaps, and the tests err where groups differ in prevalence or images per patient.
        """
        return self.provenance.get("inference") != INFERENCE

    def of(self, *variants: str) -> Results:
        """The same results of some variants only, in the order of the tables.

        Raises:
            InputError: for a variant that is not among them.
        """
        names = (*TABLES, "leakage", *LATER)
        for variant in variants:
            if variant not in set(self.metrics["variant"]):
                raise unknown("variant", variant, self.metrics["variant"].unique())
        tables = {name: getattr(self, name) for name in names}
        kept = {name: table[table["variant"].isin(variants)] for name, table in tables.items()}
        return replace(self, **kept)


def load_results(folder: str | Path, source: str | None = None) -> Results:
    """Read the tables that ``collect`` wrote.

    Args:
        folder: of ``metrics.csv``, ``disparities.csv``, ``curves.csv`` and ``provenance.json``, of
            ``leakage.csv`` and ``use.csv`` where runs were probed, of ``disentanglement.csv`` where
            both embeddings were, and of ``twins.csv`` where there are twins.
        source: where they are from, in words; by default names the folder.

    Raises:
        InputError: where a file is missing.

    >>> load_results(archive_results() / "synthetic-cxr-quick", "the quick run").source
    'the quick run'
    >>> load_results("no/such/folder")
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: No results in 'no/such/folder': expected metrics.csv, ...
    """
    folder = Path(folder)
    missing = [name for name in TABLES if not (folder / f"{name}.csv").is_file()]
    if missing or not (folder / "provenance.json").is_file():
        raise InputError(
            f"No results in {str(folder)!r}: expected {', '.join(f'{n}.csv' for n in TABLES)} and "
            "provenance.json. Run `fairthesis experiment run` to make them."
        )
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in TABLES}
    probed = folder / "leakage.csv"
    tables["leakage"] = pd.read_csv(probed) if probed.is_file() else pd.DataFrame(columns=LEAKAGE)
    for name, (file, columns) in LATER.items():
        there = (folder / file).is_file()
        tables[name] = pd.read_csv(folder / file) if there else pd.DataFrame(columns=columns)
    described = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    return Results(**tables, provenance=described, source=source or f"archived in {folder}")


def of_attribute(table: pd.DataFrame, attribute: str | None = None) -> pd.DataFrame:
    """The rows of a table of ``leakage`` or ``use`` that are of one attribute.

    Args:
        table: with ``variant``, ``seed`` and ``attribute``.
        attribute: which one; the first of each run if None.

    Raises:
        InputError: for an attribute that the table does not have, though it has others.

    >>> rows = pd.DataFrame({"variant": "erm", "seed": 0, "attribute": ["sex", "sex", "age_group"]})
    >>> len(of_attribute(rows)), len(of_attribute(rows, "age_group"))
    (2, 1)
    """
    if table.empty:
        return table
    if attribute is None:
        named = table.assign(attribute=table["attribute"].astype("string").fillna(""))
        runs = named.groupby(["variant", "seed"], sort=False, dropna=False)["attribute"]
        return table[named["attribute"] == runs.transform("first")]
    if attribute not in set(table["attribute"]):
        raise unknown("probed attribute", attribute, table["attribute"].unique().tolist())
    return table[table["attribute"] == attribute]


def archive_results() -> Path:
    """The folder ``results/`` of the checkout that the package or the working folder lies in.

    Raises:
        InputError: where neither lies in a checkout.

    >>> (archive_results() / "README.md").is_file()
    True
    """
    for root in (Path(__file__).parents[2], *(Path.cwd() / "x").parents):
        if (root / "results" / "README.md").is_file():
            return root / "results"
    raise InputError(
        "No results archive found: expected a folder results/ in a checkout of fairthesis. Run "
        "this from inside a clone."
    )


def compare_results(old: Results, new: Results) -> pd.DataFrame:
    """Archived against new numbers, joined by key.

    Counts must be equal; other values must agree within the archive's stated tolerance. A number
    that only one side has does not agree.

    Args:
        old: the archived results, whose provenance states the tolerance of each table: one for all
            its numbers, or one for each by name (another one then has the largest).
        new: the same experiment, run again.

    Returns:
        The columns ``table, key, archived, now, difference, tolerance, agrees``, a row per number.

    Raises:
        InputError: where there is no number at all.

    >>> found = load_results(archive_results() / "synthetic-cxr-quick")
    >>> bool(compare_results(found, found)["agrees"].all())
    True
    >>> table = compare_results(found, found.of("erm"))  # the other variant's numbers are missing
    >>> table.loc[~table["agrees"], "key"].str.split(" / ").str[0].unique().tolist()
    ['adversarial']
    """
    parts = []
    for name, tolerance in old.provenance["tolerance"].items():
        keys = KEYS[name]
        a, b = (
            getattr(side, name)[[*keys, "value"]].astype(dict.fromkeys(keys, "string"))
            for side in (old, new)
        )
        both = a.merge(b, on=keys, how="outer", suffixes=("_archived", "_now"))
        key = both[keys].fillna("all").agg(" / ".join, axis=1)
        x, y = both["value_archived"], both["value_now"]
        counts = both[keys[-1]].isin(["n", "n_patients", "n_positive", "n_negative"])
        limit = tolerance_of(both[keys[-1]], tolerance).mask(counts, 0.0) + 1e-6
        agrees = ((x - y).abs() <= limit) | (x.isna() & y.isna())
        parts.append(
            pd.DataFrame(
                {
                    "table": name,
                    "key": key,
                    "archived": x,
                    "now": y,
                    "difference": y - x,
                    "tolerance": limit.round(6),
                    "agrees": agrees,
                }
            )
        )
    found = pd.concat(parts, ignore_index=True)
    if found.empty:
        raise InputError("There is no number to compare: expected tables with rows.")
    return found
