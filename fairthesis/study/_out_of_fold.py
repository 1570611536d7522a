"""Out-of-fold predictions: every image scored by a model that was not trained on its patient."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairthesis.errors import InputError
from fairthesis.inputs import rows_of_part
from fairthesis.metrics import choose_threshold, parse_threshold
from fairthesis.study._kept import KEPT

#: What a table of out-of-fold predictions has beside the columns of attributes.
OUT_OF_FOLD = (
    *("variant", "repeat", "fold", "image_id", "patient_id", "target", "y_true", "y_score"),
    "decision",
)


def design_of(folder: str | Path) -> dict[str, Any]:
    """What was fixed before the runs of an archive of folds.

    Args:
        folder: of an experiment's tables.

    Returns:
        ``k`` (folds), ``threshold`` (the rule), ``groups``, ``primary`` and ``margin`` as of
        ``Plan``.

    Raises:
        InputError: where there is no provenance, or the runs are no folds.

    >>> from fairthesis.study import archive_results
    >>> design_of(archive_results() / "synthetic-cxr-quick")
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: ... is no archive of folds: its data set is synthetic-cxr ...
    """
    file = Path(folder) / "provenance.json"
    if not file.is_file():
        raise InputError(f"No results in {str(folder)!r}: expected provenance.json.")
    asked: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))["experiment"]
    base = asked["base"]
    dataset = base.get("dataset", asked["dataset"])
    if dataset != "folds" or "groups" not in asked:
        raise InputError(
            f"{str(folder)!r} is no archive of folds: its data set is {dataset} and its plan fixes "
            "no groups. Expected an experiment of the data set folds, as ham10000-folds."
        )
    return {
        "k": int(base["dataset_options"]["k"]),
        "threshold": asked["threshold"],
        "groups": dict(asked["groups"]),
        "primary": [tuple(one) for one in asked["primary"]],
        "margin": asked["margin"],
    }


def out_of_fold(folder: str | Path) -> pd.DataFrame:
    """The out-of-fold predictions of an archive of folds.

    A row per variant, repeat and image: its score by the model of the fold in whose test part it
    is, and the decision at that model's own threshold, which the plan's rule chooses on its own
    validation part.

    Args:
        folder: of an experiment's tables, with ``predictions.parquet``.

    Returns:
        The columns ``OUT_OF_FOLD`` (``decision`` is 0 or 1) and those of the attributes. Rows
        without a label are left out.

    Raises:
        InputError: where the archive keeps no predictions, is no archive of folds, or lacks a fold
            of a repeat; and where a variant scored an image twice in a repeat, or not at all.

    >>> out_of_fold("no/such/folder")
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: No results in 'no/such/folder': expected provenance.json.
    """
    design = design_of(folder)
    file = Path(folder) / KEPT[0]
    if not file.is_file():
        raise InputError(f"{str(folder)!r} keeps no {file.name}: run the experiment again.")
    kept = pd.read_parquet(file)
    text = [name for name in kept if isinstance(kept[name].dtype, pd.CategoricalDtype)]
    kept = kept.astype(dict.fromkeys(text, object))
    kept["repeat"], kept["fold"] = np.divmod(kept["seed"].to_numpy(np.int64), design["k"])
    rule, rate = parse_threshold(design["threshold"])
    parts = []
    for _, run in kept.groupby(["variant", "seed", "target"], sort=False):
        stated = run[run["y_true"].notna() & run["y_score"].notna()]
        if rule == "fixed":
            threshold = float(rate if rate is not None else 0.5)
        else:
            val = rows_of_part(stated, "val")
            threshold = choose_threshold(val["y_true"], val["y_score"], rule, rate)
        test = rows_of_part(stated, "test")
        parts.append(test.assign(decision=(test["y_score"] >= threshold).astype(float)))
    table = pd.concat(parts, ignore_index=True).drop(columns=["seed", "split"])
    _check_whole(table, design["k"])
    return table[[*OUT_OF_FOLD, *(name for name in table if name not in OUT_OF_FOLD)]]


def _check_whole(table: pd.DataFrame, k: int) -> None:
    """Every fold of every repeat, and the same images by all variants, each once."""
    for (variant, repeat), run in table.groupby(["variant", "repeat"]):
        found = run["fold"].nunique()
        if found < k:
            raise InputError(
                f"{variant} has {found} of the {k} folds of repeat {repeat}: expected all of them. "
                "Finish the experiment and collect it again."
            )
    check_images(table)


def check_images(table: pd.DataFrame) -> None:
    """Refuse a table in which a variant lacks an image of a repeat, or has it twice."""
    keys = ["variant", "repeat", "target", "image_id"]
    twice = table.duplicated(keys)
    if twice.any():
        row = table[twice].iloc[0]
        raise InputError(
            f"{row['variant']} scored the image {row['image_id']!r} more than once in repeat "
            f"{row['repeat']}: expected each image in the test part of one fold."
        )
    count = table.groupby(keys[1:]).size()
    lacking = count[count < table["variant"].nunique()]
    if len(lacking):
        repeat, _, image = lacking.index[0]
        raise InputError(
            f"The image {image!r} is not scored by all variants in repeat {repeat}: expected the "
            "same images, so that the comparison is paired."
        )
