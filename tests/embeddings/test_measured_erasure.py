"""An eraser is measured on patients that it has not seen: no probe is flattered, none is spared."""

import numpy as np
import pytest
from scipy.stats import norm

from fairthesis.embeddings import (
    KernelEraser,
    Leace,
    MeanDifferences,
    Splince,
    TooFewPatientsError,
    choose_directions,
    expected_auroc,
    measure_erasure,
)
from fairthesis.errors import InputError

QUICK = {"probes": ["logistic"], "n_boot": 0, "n_shuffles": 0}


def planted(n, d, seed=0, apart=2.0):
    rng = np.random.default_rng(seed)
    a, y = rng.integers(0, 2, n), rng.integers(0, 2, n)
    way, other = np.linalg.qr(rng.normal(size=(d, 2)))[0].T
    return rng.normal(size=(n, d)) + apart * np.outer(a, way) + 2 * np.outer(y, other), a, y


@pytest.mark.parametrize("made", [Leace, MeanDifferences])
@pytest.mark.parametrize(("n", "d"), [(4000, 64), (600, 64), (2000, 200)])
def test_the_best_linear_probe_of_new_rows_is_as_expected(made, n, d):
    """Closed form against the known distribution: no new rows are drawn, none are needed."""
    found = []
    for seed in range(12):
        x, a, _ = planted(n, d, seed)
        eraser = made().fit(x, a)
        keep = np.eye(d) - eraser.projection_
        rng = np.random.default_rng(seed)
        rng.integers(0, 2, n), rng.integers(0, 2, n)
        group, target = np.linalg.qr(rng.normal(size=(d, 2)))[0].T
        # Of new rows: difference of means and covariance within groups, after erasure.
        left = keep @ (2.0 * group)
        spread = keep @ (np.eye(d) + np.outer(target, target)) @ keep.T
        length = left @ np.linalg.pinv(spread, rcond=1e-10) @ left
        found.append(length)
    mean = norm.cdf(np.sqrt(np.mean(found) / 2))
    assert mean == pytest.approx(expected_auroc([n / 2, n / 2], d), abs=0.02)


def test_what_is_left_grows_with_the_width_and_falls_with_the_rows():
    after = {}
    for n, d in ((4000, 32), (1000, 32), (1000, 256)):
        x, a, _ = planted(n, d)
        found = measure_erasure(Leace(), x, a, **QUICK)
        assert found.n_fit == n // 2 and found.n_probed == n and found.width == d
        after[n, d] = found.readings[0].after
        assert found.readings[0].before > 0.78
    assert after[4000, 32] < 0.57 < after[1000, 256] - 0.05
    # On the fitting rows a probe would have said 0.5 or less: this is what is not believed.


def test_patients_are_not_shared_and_floors_lie_at_one_half():
    """Rows of a patient are copies: were they on both sides, a probe would know each patient."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(150), 6)
    own = rng.normal(size=(150, 40))
    x = own[patient] + 0.01 * rng.normal(size=(900, 40))
    a = rng.integers(0, 2, 150)[patient]
    found = measure_erasure(
        Leace(), x, a, patient, probes=["logistic", "mlp"], n_boot=200, n_shuffles=3
    )
    for reading in found.readings:
        assert abs(reading.before - 0.5) < 0.15  # 1.0 with shared patients
        assert reading.before_ci[0] < 0.5 < reading.before_ci[1]
        assert abs(reading.shuffled_mean - 0.5) < 0.12
    assert found.n_patients == 150
    shared = measure_erasure(Leace(), x, a, **(QUICK | {"probes": ["mlp"]}))
    assert shared.readings[0].before > 0.9


def test_the_target_is_measured_and_given_to_who_uses_it():
    x, a, y = planted(1200, 16)
    known = y.astype(float)
    known[::7] = np.nan
    found = measure_erasure(Splince(), x, a, target=known, n_boot=50, n_shuffles=0)
    target = found.readings[-1]
    assert (target.of, target.probe) == ("target", "logistic")
    assert target.after > 0.85 and target.change_ci[0] <= target.change <= target.change_ci[1]
    assert found.n_fit < 600  # rows without a stated target fit no SPLINCE
    assert target.shuffled_mean is None
    assert set(found.to_dict()) >= {"readings", "n_fit", "expected", "warnings", "settings"}


def test_it_says_what_is_left_and_what_helps():
    x, a, y = planted(500, 200)
    x = x + 3 * np.outer(a == y, np.eye(200)[0])  # curved: an exclusive or with the target
    found = measure_erasure(Leace(), x, a, **QUICK)
    said = " ".join(found.warnings)
    assert "On new patients a linear probe still recovers" in said
    assert "250 rows are few for 200 numbers" in said and "shrinkage does not" in said
    enough = measure_erasure(Leace(), *planted(12_000, 4)[:2], **QUICK)
    assert enough.warnings == ()


def test_a_curved_probe_is_told_of():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 4))
    a = (x[:, 0] * x[:, 1] > 0).astype(int)
    options = {"probes": ["logistic", "mlp"], "n_boot": 0, "n_shuffles": 0}
    said = " ".join(measure_erasure(Leace(), x, a, **options).warnings)
    assert "A curved probe (mlp) recovers the attribute" in said
    assert measure_erasure(KernelEraser(), x, a, **options).readings[1].after < 0.6


def test_the_same_seed_gives_the_same_and_the_eraser_stays_unfitted():
    x, a, _ = planted(400, 8)
    eraser = Leace()
    first, again = (
        measure_erasure(eraser, x, a, probes=["logistic"], n_boot=20, n_shuffles=1, seed=4)
        for _ in range(2)
    )
    assert first == again and not hasattr(eraser, "mean_")
    assert measure_erasure(eraser, x, a, **QUICK, seed=5).readings != first.readings


def test_fewer_directions_are_chosen_where_all_are_too_many():
    x, a, y = planted(700, 256)
    x[:, :6] *= 6
    found = choose_directions(Leace(), x, a, target=y.astype(float))
    table = found.table().set_index("directions")
    assert found.chosen < 256 and table.loc[256, "attribute"] > 0.55
    if (table["attribute"] <= 0.55).any():
        assert found.chosen == table.index[table["attribute"] <= 0.55].max()
    with pytest.raises(InputError, match="has no option directions"):
        choose_directions(MeanDifferences(), x, a)
    with pytest.raises(InputError, match="tolerated"):
        choose_directions(Leace(), x, a, tolerated=0.3)


def test_what_cannot_be_measured_is_refused():
    x, a, _ = planted(200, 4)
    few = np.where(np.arange(200) < 7, 2, a)
    with pytest.raises(TooFewPatientsError, match="7 patients are of the group '2'"):
        measure_erasure(Leace(), x, few, **QUICK)
    for options, words in (
        ({"folds": 1}, "folds is 1"),
        ({"probes": ["logit"]}, "Unknown probe 'logit'"),
        ({"n_boot": -1}, "n_boot is -1"),
    ):
        with pytest.raises(InputError, match=words):
            measure_erasure(Leace(), x, a, **options)


def test_a_table_has_the_ends_of_an_interval_apart():
    x, a, _ = planted(300, 4)
    found = measure_erasure(Leace(), x, a, **(QUICK | {"n_boot": 50}))
    row, reading = found.table().iloc[0], found.readings[0]
    assert (row["before_lo"], row["before_hi"]) == reading.before_ci
    assert (row["change_lo"], row["change_hi"]) == reading.change_ci
    assert not [name for name in found.table() if name.endswith("_ci")]
    none = measure_erasure(Leace(), x, a, **QUICK).table()
    assert none[["after_lo", "after_hi"]].isna().all(axis=None)
