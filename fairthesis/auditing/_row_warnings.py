"""What is told of an audit's rows before anything is computed from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FEW = 10  # patients in a group, below which it is reported


def said_of_missing(
    missing: NDArray[np.bool_], positive: NDArray[np.bool_], called: NDArray[np.bool_]
) -> str:
    """What rows without a group hold, beside the others: a group that nobody sees may be there."""

    def share(part: NDArray[np.bool_], of: NDArray[np.bool_]) -> str:
        n, k = int(of.sum()), int((part & of).sum())
        return f"{k} of {n}" + (f" ({k / n:.0%})" if n else "")

    return (
        f"Positive are {share(positive, missing)} of them and {share(positive, ~missing)} of the "
        f"others; called positive are {share(called, missing & positive)} of these positives and "
        f"{share(called, ~missing & positive)} of the others'."
    )


def warn_of_shared(
    frame: pd.DataFrame, rows: pd.DataFrame, patient: str, warnings: list[str]
) -> None:
    others = frame.loc[~frame.index.isin(rows.index), patient]
    shared = pd.Index(rows[patient].dropna().unique()).intersection(others.dropna().unique())
    if len(shared):
        warnings.append(
            f"{len(shared)} patients of the audited part are also in another split: what the "
            "model saw of them in training flatters these numbers."
        )


def warn_of_copies(rows: pd.DataFrame, columns: list[str], warnings: list[str]) -> None:
    by_image = "image_id" in rows.columns
    if by_image:
        copies = int(rows["image_id"].dropna().duplicated().sum())
    else:
        # Without an image's key only scores tell: where these repeat anyhow, nothing is known.
        distinct = rows[columns[1]].nunique() > len(rows) / 2
        copies = int(rows.duplicated(columns).sum()) if distinct else 0
    if copies:
        what = "repeat an image_id" if by_image else f"repeat {', '.join(columns)} of another row"
        warnings.append(
            f"{copies} of {len(rows)} rows {what}: each is counted. If they are copies, leave "
            "them out first; copies make intervals too narrow."
        )


def warn_of_few_patients(
    patient: NDArray[np.intp], groups: dict[str, pd.Categorical], warnings: list[str]
) -> None:
    for attribute, column in groups.items():
        who, code = _pairs(patient, column.codes.astype(np.intp))
        for k, count in enumerate(np.bincount(code, minlength=len(column.categories))):
            if count < FEW:
                warnings.append(
                    f"{attribute} = {column.categories[k]} has only {count} "
                    f"patient{'s' if count != 1 else ''}, however many images: "
                    "what holds for them need not hold for others, and intervals are not to be "
                    "trusted."
                )
        several = int((np.bincount(who) > 1).sum())
        if several:
            warnings.append(
                f"{several} patients have rows in more than one group of {attribute}: right for "
                "an attribute of the image, such as its view, or of a visit; for one of the "
                "patient it is an error in the table."
            )


def _pairs(
    patient: NDArray[np.intp], code: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Each patient and each group in which they have a row; codes below 0 are no group."""
    known = code >= 0
    patient, code = patient[known], code[known]
    own = np.full(int(patient.max(initial=-1)) + 1, -1, np.intp)
    own[patient] = code
    if (own[patient] == code).all():
        who = np.flatnonzero(own >= 0)
        return who, own[who]
    k = int(code.max()) + 1
    pairs = np.unique(patient * k + code)
    return pairs // k, pairs % k
