"""Rules that choose an epoch: by hand, and in a run that is stopped and goes on."""

import dataclasses
import json

import numpy as np
import pytest
from fairlearn.metrics import equalized_odds_difference
from sklearn.metrics import roc_auc_score
from support.batches import many_sided_cohort
from support.runs import BASE, same_runs

from fairthesis import metrics
from fairthesis.training import _train as module
from fairthesis.training._selection import (
    RULES,
    ideal_distance,
    least_leaking,
    validation_gaps,
    validation_leakage,
    validation_loss,
    validation_scores,
)
from fairthesis.training._train import train


def made(n=600, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (n, 1)).astype(float)
    codes = rng.integers(0, 3, (n, 1))
    score = 1 / (1 + np.exp(-(1.5 * y + 0.5 * codes + rng.normal(size=(n, 1)) - 1)))
    return y, score, codes


def test_gaps_are_those_of_scikit_learn_and_fairlearn():
    y, score, codes = made()
    found = validation_gaps(y, score, codes)
    areas = [roc_auc_score(y[codes == g], score[codes == g]) for g in range(3)]
    assert found["val_gap"] == pytest.approx(max(areas) - min(areas))
    cut = metrics.choose_threshold(y[:, 0], score[:, 0], "youden")
    expected = equalized_odds_difference(
        y[:, 0], (score[:, 0] >= cut).astype(int), sensitive_features=codes[:, 0]
    )
    assert found["val_eo"] == pytest.approx(expected)


def test_unknown_labels_groups_and_small_groups_do_not_count():
    y, score, codes = made()
    expected = validation_gaps(y, score, codes) | validation_scores(y, score, codes)
    more_y = np.concatenate([y, [[np.nan]] * 40, [[0.0], [1.0]] * 4])
    more_s = np.concatenate([score, [[0.9]] * 40, [[1.0], [0.0]] * 4])
    more_c = np.concatenate([codes, [[0]] * 40, [[3]] * 8])
    rows = np.r_[: len(y) + 40]
    found = validation_gaps(more_y[rows], more_s[rows], more_c[rows])
    assert found["val_eo"] == expected["val_eo"] and found["val_gap"] == expected["val_gap"]
    # A group of 8 with all scores wrong would be the worst of all.
    assert validation_scores(more_y, more_s, more_c)["val_worst_auroc"] > 0.5
    assert validation_gaps(y, score, np.full_like(codes, -1)) == {"val_gap": 0, "val_eo": 0}


def test_the_gap_is_the_worst_attributes_and_the_mean_over_targets():
    y, score, codes = made()
    one = validation_gaps(y, score, codes)
    even = np.arange(len(y))[:, None] % 2
    both = validation_gaps(y, score, np.hstack([even, codes]))
    assert both["val_eo"] == max(one["val_eo"], validation_gaps(y, score, even)["val_eo"])
    other = validation_gaps(1 - y, score, codes)
    mean = validation_gaps(np.hstack([y, 1 - y]), np.hstack([score, score]), codes)
    assert mean["val_gap"] == pytest.approx((one["val_gap"] + other["val_gap"]) / 2)


def test_loss_is_the_mean_over_known_labels():
    y = np.array([[1.0, np.nan], [0.0, 1.0]])
    score = np.array([[0.8, 0.1], [0.4, 0.9]])
    expected = -(np.log(0.8) + np.log(0.6) + np.log(0.9)) / 3
    assert validation_loss(y, score)["val_loss"] == pytest.approx(expected)


def test_leakage_recovers_what_is_there_given_the_target_and_nothing_else():
    rng = np.random.default_rng(0)
    n = 1200
    y = rng.integers(0, 2, (n, 1)).astype(float)
    a = np.where(rng.random((n, 1)) < 0.85, y, 1 - y).astype(int)
    z = rng.normal(size=(n, 6))
    patients = np.arange(n)

    def leakage(z):
        return validation_leakage(z, y, a, patients)["val_leakage"]

    assert leakage(z) < 0.56
    assert leakage(z + 5 * y) < 0.56  # what the target says of the attribute does not count
    assert leakage(z + 3 * a) > 0.95
    assert validation_leakage(z, y, np.full_like(a, -1), patients)["val_leakage"] == 0.5


def test_leakage_is_crossed_by_patient():
    """Forty images of each patient, all alike, a random attribute: nothing to recover."""
    rng = np.random.default_rng(1)
    who = np.repeat(np.arange(40), 40)
    a = rng.integers(0, 2, 40)[who][:, None]
    z = 10 * rng.normal(size=(40, 60))[who] + 0.01 * rng.normal(size=(1600, 60))
    y = rng.integers(0, 2, (1600, 1)).astype(float)
    by_image = validation_leakage(z, y, a, np.arange(1600))["val_leakage"]
    by_patient = validation_leakage(z, y, a, who)["val_leakage"]
    assert by_image > 0.95 and by_patient < 0.75


def lines(*points, names=("val_auroc", "val_leakage")):
    return [{"epoch": i} | dict(zip(names, point, strict=True)) for i, point in enumerate(points)]


def test_pareto_takes_the_epoch_nearest_to_the_ideal_point_which_is_on_the_front():
    rng = np.random.default_rng(0)
    rule = RULES["pareto"].candidates
    for _ in range(50):
        points = rng.random((8, 2))
        log = lines(*points, names=("val_auroc", "val_eo"))
        (best,) = rule(log, None)
        distances = np.hypot(1 - points[:, 0], points[:, 1])
        assert best == distances.argmin()
        beaten = (points[:, 0] > points[best, 0]) & (points[:, 1] < points[best, 1])
        assert not beaten.any()
    assert ideal_distance({"val_auroc": 1.0, "val_eo": 0.0}) == 0


@pytest.mark.parametrize(
    ("points", "reference", "winner"),
    [
        ([(0.80, 0.7), (0.795, 0.6), (0.70, 0.5)], None, 1),
        ([(0.80, 0.7), (0.795, 0.6), (0.70, 0.5)], 0.70, 2),
        ([(0.80, 0.7), (0.795, 0.6), (0.70, 0.5)], 0.95, 0),  # none qualifies: highest AUROC
        ([(0.80, 0.6), (0.80, 0.6)], None, 0),  # the earlier of two equals
        ([(0.80, 0.5), (0.812, 0.9)], None, 1),  # 0.8 is more than 0.01 below
        ([(0.80, 0.5), (0.81, 0.9)], None, 0),  # exactly 0.01 is within
    ],
)
def test_min_leakage_by_hand(points, reference, winner):
    assert least_leaking(lines(*points), reference)[0] == winner


@pytest.mark.parametrize("reference", [None, 0.85])
@pytest.mark.parametrize("name", RULES)
def test_states_of_candidates_suffice_whatever_comes_later(name, reference):
    """Keeping the candidates alone, epoch by epoch, chooses what the whole log would."""
    rng = np.random.default_rng(3)
    rule = RULES[name].candidates
    for _ in range(200):
        log = []
        kept = set()
        for epoch in range(10):
            values = rng.choice([0.80, 0.806, 0.812, 0.818, 0.85], 6)
            names = ("val_auroc", "val_worst_auroc", "val_eo", "val_leakage")
            names += ("oracle_test_auroc", "oracle_test_eo")
            log.append({"epoch": epoch} | dict(zip(names, values, strict=True)))
            now = rule(log, reference)
            assert set(now) <= kept | {epoch}
            kept = set(now)


def config(name, **changes):
    return dataclasses.replace(BASE, epochs=4, selection=name, **changes)


def run(settings, out, cohort=None):
    return train(settings, out, cohort=cohort or many_sided_cohort(600), progress=False)


@pytest.mark.parametrize("name", ["pareto", "min_leakage"])
def test_a_stopped_run_chooses_the_same_epoch(name, tmp_path, monkeypatch):
    whole = run(config(name), tmp_path / "whole")
    real = module._epoch

    def dies(settings, method, table, epoch, *more):
        if epoch == 3:
            raise KeyboardInterrupt
        return real(settings, method, table, epoch, *more)

    monkeypatch.setattr(module, "_epoch", dies)
    with pytest.raises(KeyboardInterrupt):
        run(config(name), tmp_path / "stopped")
    monkeypatch.setattr(module, "_epoch", real)
    stopped = run(config(name), tmp_path / "stopped")
    same_runs(whole, stopped)
    origins = [json.loads((f / "provenance.json").read_text()) for f in (whole, stopped)]
    assert origins[0]["selected_epoch"] == origins[1]["selected_epoch"]
    log = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    assert RULES[name].candidates(log, None)[0] == origins[0]["selected_epoch"]
    chosen = log[origins[0]["selected_epoch"]]
    for key, value in chosen.items():
        if key.startswith("val_"):
            assert origins[0][f"selected_{key}"] == pytest.approx(value, abs=1e-6)


def test_lines_carry_what_the_rule_needs_and_no_more(tmp_path):
    found = {}
    for name in ("overall", "pareto", "min_leakage", "oracle"):
        settings = dataclasses.replace(config(name), epochs=1)
        text = (run(settings, tmp_path / name) / "log.jsonl").read_text()
        found[name] = {k for k in json.loads(text) if "val_" in k or "test" in k}
    plain = {"val_auroc", "val_worst_auroc"}
    assert found["overall"] == plain
    assert found["pareto"] == plain | {"val_gap", "val_eo"}
    assert found["min_leakage"] == plain | {"val_leakage"}
    assert found["oracle"] == plain | {"oracle_test_auroc", "oracle_test_eo"}


@pytest.mark.parametrize("name", RULES)
def test_only_the_oracle_looks_at_test_labels_and_its_provenance_says_so(name, tmp_path):
    chosen = []
    for flip in (False, True):
        cohort = many_sided_cohort(600)
        test = (cohort.frame["split"] == "test").to_numpy()
        if flip:
            for target in ("disease", "other"):
                cohort.frame.loc[test, target] = 1 - cohort.frame.loc[test, target]
        folder = run(config(name), tmp_path / f"{name}-{flip}", cohort)
        origin = json.loads((folder / "provenance.json").read_text())
        assert origin["uses_test_labels"] == (name == "oracle")
        assert origin["selection"] == name
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        chosen.append([{k: v for k, v in line.items() if k != "seconds"} for line in log])
    assert (chosen[0] == chosen[1]) == (name != "oracle")
