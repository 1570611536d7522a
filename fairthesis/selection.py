"""Which epoch's model is kept: named rules on the validation part, fixed before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from fairthesis.metrics import auroc

FLOOR = 5  # positives and negatives that a validation group needs to count as the worst one


def validation_scores(
    y_true: NDArray[np.floating],
    y_score: NDArray[np.floating],
    codes: NDArray[np.integer],
) -> dict[str, float]:
    """Overall and worst-group AUROC on the validation part, averaged over targets.

    ``y_true`` and ``y_score`` have shape (n, targets), ``codes`` (n, attributes) with -1 unknown.
    The worst group is over all groups of all attributes with 5 positives and 5 negatives or more;
    where there is none it is the overall value.
    """
    overall, worst = [], []
    for y, score in zip(y_true.T, y_score.T, strict=True):
        known = ~np.isnan(y)
        overall.append(float(auroc(y[known], score[known])))
        values = []
        for column in codes.T:
            for group in range(int(column.max(initial=-1)) + 1):
                rows = known & (column == group)
                if min(np.sum(y[rows] == 1), np.sum(y[rows] == 0)) >= FLOOR:
                    values.append(float(auroc(y[rows], score[rows])))
        worst.append(min(values, default=overall[-1]))
    return {"val_auroc": float(np.mean(overall)), "val_worst_auroc": float(np.mean(worst))}


# A rule gives an epoch's score from its line in the log; the eligible epoch with the highest is
# kept, the earlier one of two equals.
RULES: dict[str, Callable[[Mapping[str, float]], float]] = {
    "overall": lambda line: line["val_auroc"],
    "worst_group": lambda line: line["val_worst_auroc"],
    "last": lambda line: line["epoch"],
}
