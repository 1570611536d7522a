"""Several models on the same patients, at home and in the other cohort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fairthesis.auditing._compare import Comparison, compare
from fairthesis.auditing._transfer_report import ModelTransfer
from fairthesis.auditing._transfer_rows import EXTERNAL, INTERNAL, Columns, TransferTables
from fairthesis.errors import InputError
from fairthesis.inputs import rows_of_part


def compared_models(
    tables: Mapping[str, TransferTables],
    found: Mapping[str, ModelTransfer],
    columns: Columns,
    audited: Mapping[str, Any],
) -> tuple[dict[tuple[str, str], Comparison], list[str]]:
    """Several models against the first, by cohort and attribute; and what could not be compared."""
    if len(tables) < 2:
        return {}, []
    comparisons, told = {}, []
    for which in (INTERNAL, EXTERNAL):
        if which == EXTERNAL and any(model.external is None for model in found.values()):
            continue
        frames = {}
        for name, given in tables.items():
            frames[name] = given.internal
            if which == EXTERNAL:
                held = rows_of_part(given.internal, "val").assign(split="val")
                frames[name] = pd.concat([held, given.external.assign(split="test")])
        for attribute in columns.groups:
            try:
                comparisons[which, attribute] = compare(
                    {name: frame.reset_index(drop=True) for name, frame in frames.items()},
                    group=attribute, patient=columns.patient, label=columns.label,
                    score=columns.score, target=columns.target,
                    split=columns.split if which == INTERNAL else None,
                    **{k: audited[k] for k in ("threshold", "n_boot", "seed", "floor")},
                )  # fmt: skip
            except InputError as error:
                told.append(f"The models are not compared in the {which} cohort: {error}")
                break
    return comparisons, told
