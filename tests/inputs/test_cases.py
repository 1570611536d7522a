"""Every public function on labels and scores refuses what it cannot use, and says what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairthesis import metrics, stats
from fairthesis.errors import InputError
from fairthesis.inputs._arrays import check_binary
from fairthesis.metrics import (
    bin_sums,
    calibration_line,
    choose_threshold,
    fpr_at_tpr,
    net_benefit,
    reliability_curve,
    roc_curve,
    smooth_ece,
    threshold_counts,
    tpr_at_fpr,
)

nan = float("nan")
Y, S = [0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.7]
P = ["a", "b", "c", "d", "e", "f"]
RANKED: dict[str, Callable[..., Any]] = {
    "auroc": metrics.auroc,
    "average_precision": metrics.average_precision,
    "ranking": metrics.ranking,
    "delong": stats.delong,
    "delong_paired": lambda y, s: stats.delong_paired(y, s, s),
    "obuchowski": lambda y, s: stats.obuchowski(y, s, P),
    "obuchowski_paired": lambda y, s: stats.obuchowski_paired(y, s, s, P),
    "tpr_at_fpr": lambda y, s: tpr_at_fpr(y, s, 0.2),
    "fpr_at_tpr": lambda y, s: fpr_at_tpr(y, s, 0.8),
    "roc_curve": roc_curve,
    "threshold_counts": threshold_counts,
    "choose": lambda y, s: choose_threshold(y, s, "youden"),
}
PROBABILITIES: dict[str, Callable[..., Any]] = {
    **{name: metrics.SCORES[name] for name in metrics.SCORES if name not in RANKED},
    "evaluate": metrics.evaluate,
    "log_losses": metrics.log_losses,
    "bin_sums": bin_sums,
    "calibration_line": calibration_line,
    "smooth_ece": smooth_ece,
    "smooth_curve": metrics.smooth_curve,
    "integrated_calibration_index": metrics.integrated_calibration_index,
    "net_benefit": lambda y, s: net_benefit(y, s, [0.5]),
    "reliability_curve": reliability_curve,
}
ALL = RANKED | PROBABILITIES


@pytest.mark.parametrize("name", ALL)
def test_good_cases_are_taken_in_any_array(name):
    plain = repr(ALL[name](Y, S))
    for make in (np.array, pd.Series, lambda v: np.array(v, np.float64), tuple):
        assert repr(ALL[name](make(Y), make(S))) == plain
    assert repr(ALL[name](np.array(Y, bool), S)) == plain
    assert repr(ALL[name](Y, np.array(S, np.float32))) == plain  # 0.7 is 0.7


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("y", "s", "words"),
    [
        ([0, 0, 1, 1, nan, nan], S, "y_true holds nan.*not stated"),
        ([0, 0, 2, 1, 0, 1], S, "y_true holds 2"),
        ([-1, -1, 1, 1, -1, 1], S, "y_true holds -1"),
        (["no", "no", "yes", "yes", "no", "yes"], S, "cannot be read as numbers"),
        ([Y], [S], "shape"),
        (Y, [0.1, nan, 0.35, 0.8, 0.2, 0.7], "(y_score|first) holds 1 NaN"),
        (Y, S[:-1], "has 5 values for 6 cases"),
        (Y, pd.Series([0.1, None, 0.3, 0.4, 0.5, 0.6], dtype="Float64"), "numbers|NaN"),
    ],
    ids=["unknown", "a class", "minus one", "words", "two rows", "no score", "lengths", "NA"],
)
def test_what_is_no_case_is_refused(name, y, s, words):
    with pytest.raises(InputError, match=words):
        ALL[name](y, s)


@pytest.mark.parametrize("name", PROBABILITIES)
def test_logits_are_no_probabilities(name):
    with pytest.raises(InputError, match=r"holds 3\.0: expected probabilities"):
        PROBABILITIES[name](Y, [0.1, 3.0, -2.0, 0.5, 0.2, 0.7])


@pytest.mark.parametrize("name", RANKED)
def test_any_score_has_a_rank(name):
    RANKED[name](Y, [-np.inf, 3.0, 0.1, 5.5, 0.2, 7])


def test_decisions_and_weights_are_checked():
    with pytest.raises(InputError, match=r"y_pred holds 0\.1"):
        metrics.counts(Y, S)  # scores in the place of decisions would all count as positive
    with pytest.raises(InputError, match="for each of the cases"):
        metrics.auroc(Y, S, [1.0])
    for weight in ([-1.0] * 6, [nan] * 6, [np.inf] * 6):
        with pytest.raises(InputError, match="0 or more"):
            metrics.brier(Y, S, weight)
    assert metrics.auroc(Y, S, np.ones((3, 6), np.float32)).shape == (3,)


def test_a_threshold_is_met_by_float32_scores_too():
    found = metrics.evaluate([1, 0], np.array([0.7, 0.1], np.float32), threshold=0.7)
    assert found["tpr"] == 1.0


def test_empty_is_no_error():
    assert np.isnan(metrics.auroc([], []))
    assert check_binary([]).shape == (0,)
