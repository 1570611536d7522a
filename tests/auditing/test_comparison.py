"""Comparisons are paired by key and name levelling down; DeLong, BCa, operating points, smECE."""

import inspect

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from support.predictions import two

from fairthesis import metrics
from fairthesis.auditing._levelling import NOT_SHOWN, SHOWN, UNKNOWN, Levellings
from fairthesis.auditing._pairs import paired_changes
from fairthesis.errors import InputError
from fairthesis.metrics import cross_auroc, fpr_at_tpr, net_benefit, smooth_ece, tpr_at_fpr
from fairthesis.stats import bca_interval, bootstrap, delong, delong_paired


def test_changes_are_joined_by_key_and_paired():
    first, second = two()
    shuffled = second.sample(frac=1, random_state=0)
    found = paired_changes(first, shuffled, group="sex", n_boot=200)
    rows = found.set_index(["group", "metric"])
    for name, part in [("all rows", first), *first.groupby("sex")]:
        other = second.loc[part.index]
        expected = roc_auc_score(other["y_true"], other["y_score"]) - roc_auc_score(
            part["y_true"], part["y_score"]
        )
        row = rows.loc[(name, "auroc")]
        assert row["change"] == pytest.approx(expected)
        assert row["ci_low"] < row["change"] < row["ci_high"]
    # Pairing takes away what both methods share: the interval is far narrower than either's own.
    own = paired_changes(first, first.assign(y_score=0.5), group="sex", n_boot=200)
    own = own.set_index(["group", "metric"]).loc[("all rows", "auroc")]
    row = rows.loc[("all rows", "auroc")]
    assert (row["ci_high"] - row["ci_low"]) < 0.6 * (own["ci_high"] - own["ci_low"])
    assert ("between groups", "auroc_gap") in rows.index


def test_a_method_compared_with_itself_changes_nothing():
    first, _ = two()
    found = paired_changes(first, first, group="sex", n_boot=20)
    assert (found[["change", "ci_low", "ci_high"]].dropna() == 0).all(axis=None)


def test_tables_that_do_not_match_are_refused():
    first, second = two()
    with pytest.raises(InputError, match="5 cases are in one table only"):
        paired_changes(first, second.iloc[5:], group="sex")
    with pytest.raises(InputError, match="appears twice"):
        paired_changes(first, pd.concat([second, second]), group="sex")
    with pytest.raises(InputError, match="disagree"):
        paired_changes(first, second.assign(y_true=1 - second["y_true"]), group="sex")


@pytest.mark.parametrize(
    "options", [{"patient": "image_id"}, {"key": ("patient_id",)}, {"key": ("image_id",) * 2}]
)
def test_a_column_may_serve_twice(options):
    first, second = (f.drop_duplicates("patient_id") for f in two())
    plain = paired_changes(first, second, group="sex", n_boot=20)
    found = paired_changes(first, second.sample(frac=1), group="sex", n_boot=20, **options)
    columns = ["group", "metric", "reference", "other", "change"]
    pd.testing.assert_frame_equal(found[columns], plain[columns])


def test_a_key_that_is_a_number_here_and_text_there():
    first, second = (f.assign(image_id=np.arange(len(f))) for f in two())
    plain = paired_changes(first, second, group="sex", n_boot=5)
    columns = ["group", "metric", "reference", "other", "change"]
    for kind in (str, float, "category"):
        other = second.assign(image_id=second["image_id"].astype(kind))
        for a, b in ((first, other), (first.assign(image_id=first["image_id"].astype(str)), other)):
            found = paired_changes(a, b, group="sex", n_boot=5)
            pd.testing.assert_frame_equal(found[columns], plain[columns])
    padded = second.assign(image_id=second["image_id"].map("{:04d}".format))
    with pytest.raises(InputError, match="in one table only, 0 in the reference one"):
        paired_changes(first, padded, group="sex", n_boot=5)


def levelled(reference, other, error=0.005):
    before, after = np.array(reference), np.array(other)
    drawn = np.random.default_rng(0).normal(after - before, error, (400, len(before)))
    names = [str(k) for k in range(len(before))]
    return Levellings({"auroc": before}, {"auroc": after}, {"auroc": drawn}, names).of("auroc")


def test_levelling_up_is_not_levelling_down():
    assert levelled([0.9, 0.8], [0.8, 0.79]).levelled_down == SHOWN
    assert levelled([0.9, 0.8], [0.87, 0.85]).levelled_down == NOT_SHOWN  # gained more than lost
    assert levelled([0.9, 0.8], [0.89, 0.7]).levelled_down == NOT_SHOWN  # the gap grew
    assert levelled([0.9, 0.8], [0.93, 0.85]).levelled_down == NOT_SHOWN  # nobody lost
    assert levelled([0.9, 0.8], [0.8, 0.79], error=0.1).levelled_down == UNKNOWN
    found = levelled([0.9, 0.8, 0.85], [0.8, 0.79, 0.85])
    assert (found.best, found.worst) == ("0", "1")
    assert found.best_ci[0] < found.best_change < found.best_ci[1] < 0
    assert found.gap_change == pytest.approx(-0.04)  # group 2 is now the best


def test_models_that_are_equally_good_level_nothing_down():
    """The best group is the one that was lucky, and falls on average: it was named in every second
    comparison of two equally good models."""
    rng = np.random.default_rng(0)
    shown = lucky = 0
    for _ in range(300):
        first, second = (
            {m: 0.8 + rng.normal(scale=0.02, size=4) for m in ("auroc", "tpr", "tnr")}
            for _ in range(2)
        )
        drawn = {
            m: second[m] - first[m] + rng.normal(scale=0.02 * np.sqrt(2), size=(200, 4))
            for m in first
        }
        levels = Levellings(first, second, drawn, list("abcd"))
        found = [levels.of(m) for m in first]
        shown += any(one.levelled_down == SHOWN for one in found)
        lucky += any(one.best_change < 0 and one.gap_change < 0 for one in found)
    assert shown / 300 <= 0.05 and lucky / 300 > 0.5


def test_delong_equals_its_definition():
    rng = np.random.default_rng(2)
    y = rng.random(60) < 0.5
    s = np.round(rng.normal(size=60) + y, 1)
    found = delong(y, s)
    psi = (s[y][:, None] > s[~y]) + 0.5 * (s[y][:, None] == s[~y])
    variance = psi.mean(1).var(ddof=1) / y.sum() + psi.mean(0).var(ddof=1) / (~y).sum()
    assert found.value == pytest.approx(roc_auc_score(y, s))
    assert found.standard_error == pytest.approx(np.sqrt(variance))


def test_paired_delong_agrees_with_the_bootstrap():
    first, second = two(n=1200)
    y = first["y_true"].to_numpy()
    a, b = first["y_score"].to_numpy(), second["y_score"].to_numpy()
    found = delong_paired(y, a, b)
    drawn = bootstrap(lambda c: metrics.auroc(y, b, c) - metrics.auroc(y, a, c), len(y), 1000)
    assert found.standard_error == pytest.approx(drawn.std(), rel=0.1)
    assert found.value == pytest.approx(roc_auc_score(y, b) - roc_auc_score(y, a))
    same = delong_paired(y, a, a)
    assert (same.value, same.p_value) == (0, 1)


def test_bca_equals_scipy():
    values = np.random.default_rng(3).exponential(size=40)
    drawn = np.random.default_rng(0)
    new = "rng" in inspect.signature(stats.bootstrap).parameters  # random_state before scipy 1.15
    chance = {"rng" if new else "random_state": drawn}
    theirs = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=999, **chance)
    jackknife = (values.sum() - values) / 39
    ours = bca_interval(values.mean(), theirs.bootstrap_distribution, jackknife)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), rel=1e-6)


def test_operating_points():
    y, s = [0, 0, 0, 0, 1, 1, 1, 1], [0.1, 0.2, 0.3, 0.7, 0.25, 0.6, 0.8, 0.9]
    assert tpr_at_fpr(y, s, 0.25) == 0.75
    assert fpr_at_tpr(y, s, 0.75) == 0.25
    assert np.isnan(tpr_at_fpr([1, 1], [0.1, 0.2], 0.5))
    assert net_benefit(y, s, 0.0) == 0.5
    with pytest.raises(InputError):
        tpr_at_fpr(y, s, 1.5)
    with pytest.raises(InputError):
        net_benefit(y, s, 1.0)
    assert cross_auroc([0.9], []) != cross_auroc([0.9], [])


def test_smooth_error_equals_the_kernel_by_brute_force():
    rng = np.random.default_rng(4)
    s = rng.random(3000)
    y = (rng.random(3000) < np.clip(s + 0.15, 0, 1)).astype(float)
    found = smooth_ece(y, s)
    t = (np.arange(1000) + 0.5) / 1000
    kernel = sum(
        stats.norm.pdf(t[:, None], image, found) for image in (s, -s, 2 - s)
    )  # reflected at 0 and 1
    assert np.abs(kernel @ (y - s) / 3000).mean() == pytest.approx(found, rel=0.01)
    assert found == pytest.approx(0.15, abs=0.04)
    calm = smooth_ece((rng.random(3000) < s).astype(float), s)
    assert calm < 0.04
