"""Thresholds and recalibration are fitted on val; LEACE keeps its theorems."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from support.predictions import table

from fairthesis import cli, metrics
from fairthesis.embeddings import fit_leace
from fairthesis.errors import InputError
from fairthesis.postprocessing._by_group import (
    CALIBRATIONS,
    apply_thresholds,
    equalize,
    erase_attribute,
    level_up_thresholds,
    recalibrate,
)


def rates(frame, name):
    return {
        g: float(metrics.RATES[name](*metrics.counts(rows["y_true"], rows["y_pred"])))
        for g, rows in frame.groupby("sex")
    }


def gap(values):
    return max(values.values()) - min(values.values())


def single(frame, threshold=0.5):
    test = frame[frame["split"] == "test"]
    return test.assign(y_pred=(test["y_score"] >= threshold).astype(int))


def test_equalized_odds_come_closer_and_the_seed_decides():
    frame = table(12_000)
    plain = single(frame)
    found = equalize(frame, group="sex", seed=1)
    assert len(found) == len(plain)
    for rate in ("tpr", "fpr"):
        assert gap(rates(found, rate)) < 0.05 < gap(rates(plain, rate))
    again = equalize(frame, group="sex", seed=1)
    other = equalize(frame, group="sex", seed=2)
    assert found["y_pred"].equals(again["y_pred"])
    assert not found["y_pred"].equals(other["y_pred"])


def test_nothing_is_learned_from_test_labels():
    frame = table(3000)
    flipped = frame.copy()
    held = flipped["split"] == "test"
    flipped.loc[held, "y_true"] = 1 - flipped.loc[held, "y_true"]
    for method in CALIBRATIONS:
        a, b = (recalibrate(f, group="sex", method=method) for f in (frame, flipped))
        assert a["y_score"].equals(b["y_score"])
    a, b = (equalize(f, group="sex")["y_pred"] for f in (frame, flipped))
    assert a.equals(b)
    a, b = (level_up_thresholds(f, group="sex", threshold=0.5)
            for f in (frame, flipped))  # fmt: skip
    assert a == b


@pytest.mark.parametrize("seed", range(4))
def test_levelling_up_lowers_no_groups_tpr(seed):
    frame = table(3000, seed=seed)
    cut = level_up_thresholds(frame, group="sex", threshold=0.5)
    before = rates(single(frame), "tpr")
    after = rates(apply_thresholds(frame, cut, group="sex"), "tpr")
    assert all(after[g] >= before[g] for g in before)
    assert gap(after) < gap(before)
    assert min(cut.values()) < 0.5 == max(cut.values())
    # On the fitting part the worst group reaches the best one.
    held = frame[frame["split"] == "val"]
    reached = rates(held.assign(y_pred=held["y_score"] >= held["sex"].map(cut)), "tpr")
    best = max(rates(held.assign(y_pred=held["y_score"] >= 0.5), "tpr").values())
    assert min(reached.values()) >= best - 1e-12


@pytest.mark.parametrize("method", CALIBRATIONS)
def test_recalibration_mends_each_group_and_keeps_its_order(method):
    frame = table(12_000)
    shifted = frame["y_score"].where(frame["sex"] == "M", frame["y_score"] ** 3)
    frame = frame.assign(y_score=shifted)
    found = recalibrate(frame, group="sex", method=method)
    for name, rows in found.groupby("sex"):
        was = frame.loc[(frame["split"] == "test") & (frame["sex"] == name)]
        after, before = (metrics.evaluate(f["y_true"], f["y_score"]) for f in (rows, was))
        assert after["ece_debiased"] < 0.04
        assert after["auroc"] == pytest.approx(before["auroc"], abs=0.01)
        assert after["calibration_slope"] == pytest.approx(1, abs=0.2)
        order = was["y_score"].argsort().to_numpy()
        assert (np.diff(rows["y_score"].to_numpy()[order]) >= -1e-12).all()
        if name == "F":
            assert before["ece_debiased"] > 0.1


@pytest.mark.parametrize("kind", ["far too low", "decisions"])
def test_recalibration_takes_scores_far_from_their_rates(kind):
    frame = table(4000)
    odds = np.log(frame["y_score"] / (1 - frame["y_score"]))
    made = {"far too low": 1 / (1 + np.exp(8 - 2 * odds)), "decisions": 1.0 * (odds > 0)}
    found = recalibrate(frame.assign(y_score=made[kind]), group="sex")
    for _, rows in found.groupby("sex"):
        assert rows["y_score"].mean() == pytest.approx(rows["y_true"].mean(), abs=0.05)


def test_what_cannot_be_fitted_is_refused():
    frame = table(600)
    with pytest.raises(InputError, match="Did you mean 'equalized_odds'"):
        equalize(frame, group="sex", constraint="equalised_odds")
    with pytest.raises(InputError, match="No row of the val part"):
        recalibrate(frame[frame["split"] == "test"], group="sex")
    lost = frame.assign(y_score=1 - frame["y_score"])
    one = frame[(frame["sex"] != "F") | (frame["y_true"] == 1)]
    with pytest.raises(InputError, match="sex = F has only y_true = 1 in the val part"):
        equalize(one, group="sex")
    with pytest.raises(InputError, match="No rising calibration line"):
        recalibrate(lost, group="sex")
    healthy = frame[(frame["split"] == "test") | (frame["y_true"] == 0) | (frame["sex"] == "M")]
    with pytest.raises(InputError, match="sex = F has 0 positive"):
        recalibrate(healthy, group="sex")
    with pytest.raises(InputError, match="sex = F has no positive"):
        level_up_thresholds(healthy, group="sex", threshold=0.5)


WAYS = {
    "equalize": lambda f: equalize(f, group="sex"),
    "recalibrate": lambda f: recalibrate(f, group="sex"),
    "level up": lambda f: level_up_thresholds(f, group="sex", threshold=0.5),
    "apply": lambda f: apply_thresholds(f, {"F": 0.5, "M": 0.5}, group="sex"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("column", "change", "words"),
    [
        ("y_true", lambda c: c.map({0: "no", 1: "yes"}), "y_true is '(yes|no)' in the pred"),
        ("y_true", lambda c: c.astype(int) + 1, "y_true is 2 in"),
        ("y_score", lambda c: c.round(3).astype(str).mask(c.index == 7, "n/a"), "y_score is 'n/a'"),
        ("y_score", lambda c: 100 * c, "expected a probability from 0 to 1"),
        ("y_score", lambda c: np.log(c / (1 - c)), "If these are logits"),
        ("y_score", lambda c: c.mask(c.index == 7, np.inf), "y_score is inf"),
    ],
)
def test_labels_and_scores_are_checked_as_an_audit_does(way, column, change, words):
    frame = table(300)
    if way == "apply":
        frame["split"] = "test"
    with pytest.raises(InputError, match=words):
        WAYS[way](frame.assign(**{column: change(frame[column])}))


def test_labels_and_scores_written_as_text_are_numbers():
    frame = table(600).astype({"y_true": int})
    text = frame.assign(**{c: frame[c].astype(str) for c in ("y_true", "y_score")})
    for way in WAYS.values():
        a, b = way(frame), way(text)
        assert a == b if isinstance(a, dict) else a.equals(b)
    found = WAYS["recalibrate"](frame)
    assert found["y_true"].dtype == int


def embedded(k=3, n=900, d=8, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, k, n)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 1.5 * rng.normal(size=(k, d))[a]
    return x, a


@pytest.mark.parametrize("k", [2, 3])
def test_leace_keeps_its_theorems(k):
    x, a = embedded(k)
    eraser = fit_leace(x, a)
    erased = eraser(x)
    before = LogisticRegression(C=1e4, max_iter=5000).fit(x, a).score(x, a)
    chance = np.bincount(a).max() / len(a)
    assert before > chance + 0.15
    # No linear probe beats the constant one: the means agree, so the loss has no slope there.
    means = np.stack([erased[a == g].mean(0) for g in range(k)])
    np.testing.assert_allclose(means, np.tile(x.mean(0), (k, 1)), atol=1e-9)
    probe = LogisticRegression(C=1e4, max_iter=5000, tol=1e-9).fit(erased, a)
    share = np.bincount(a) / len(a)
    loss = -np.log(probe.predict_proba(erased)[np.arange(len(a)), a]).mean()
    assert loss >= -(share * np.log(share)).sum() - 1e-7
    # A projection of rank k - 1: a second application changes nothing.
    np.testing.assert_allclose(eraser(erased), erased, atol=1e-9)
    assert np.linalg.matrix_rank(eraser.projection) == k - 1
    np.testing.assert_allclose(fit_leace(erased, a)(erased), erased, atol=1e-6)


def test_leace_moves_no_more_than_it_must():
    # Any linear map that makes the means agree moves the embedding at least as much.
    x, a = embedded(2)
    eraser = fit_leace(x, a)
    least = ((eraser(x) - x) ** 2).sum()
    step = x[a == 1].mean(0) - x[a == 0].mean(0)
    centred = x - x.mean(0)
    rng = np.random.default_rng(1)
    orthogonal = np.outer(step, step) / (step @ step)
    assert ((centred @ orthogonal.T) ** 2).sum() > 1.01 * least
    for scale in (0.01, 0.1, 1.0):
        for _ in range(20):
            # I - P - E (1 - s s'/|s|²) still sends the difference of means to 0.
            other = eraser.projection + scale * rng.normal(size=(8, 8)) @ (np.eye(8) - orthogonal)
            assert np.abs(step - other @ step).max() < 1e-9
            assert ((centred @ other.T) ** 2).sum() >= least


def test_leace_with_columns_that_hang_together():
    x, a = embedded(2)
    x = np.concatenate([x, x[:, :2] @ np.ones((2, 1)), np.ones((len(x), 1))], axis=1)
    erased = fit_leace(x, a)(x)
    np.testing.assert_allclose(erased[a == 0].mean(0), erased[a == 1].mean(0), atol=1e-8)
    np.testing.assert_allclose(erased[:, 9], 1)
    with pytest.raises(InputError, match=r"is '0\.0' in all 900 rows: expected two groups"):
        fit_leace(x, np.zeros(len(x)))


def run(*argv):
    with pytest.raises(SystemExit) as ended:
        cli.main(["postprocess", *map(str, argv)])
    return ended.value.code


@pytest.mark.parametrize(
    "method", ["equalized_odds", "demographic_parity", "level_up", "logistic", "isotonic"]
)
def test_the_command_writes_the_test_rows(tmp_path, method):
    frame = table()
    file, out = tmp_path / "p.csv", tmp_path / "out.parquet"
    frame.to_csv(file, index=False)
    assert run(file, "--group", "sex", "--method", method, "--out", out) == 0
    found = pd.read_parquet(out)
    assert len(found) == (frame["split"] == "test").sum()
    assert ("y_pred" in found.columns) == (method not in CALIBRATIONS)


def test_the_command_refuses_in_one_line(tmp_path, capsys):
    file, out = tmp_path / "p.csv", tmp_path / "out.csv"
    table().to_csv(file, index=False)
    for argv, message in (
        (["--group", "sx", "--out", out], "Did you mean 'sex'"),
        (["--group", "sex", "--out", tmp_path / "out.txt"], "ending in .csv or .parquet"),
        (["--group", "sex", "--out", out, "--threshold", "3"], "threshold is 3"),
        (["--group", "sex", "--out", out, "--labels", file], "--labels is for leace"),
        (["--group", "sex", "--out", out, "--threshold", "nan"], "threshold is nan"),
    ):
        assert run(file, "--method", "level_up", *argv) == 2
        error = capsys.readouterr().err
        assert message in error and len(error.splitlines()) == 1
        assert not out.exists()


def test_the_command_refuses_labels_and_scores_in_one_line(tmp_path, capsys):
    file, out = tmp_path / "p.csv", tmp_path / "out.csv"
    for column, value in (("y_true", "yes"), ("y_score", "n/a?"), ("y_score", 75)):
        frame = table(300)
        frame[column] = frame[column].astype(object).mask(frame["split"] == "val", value)
        frame.to_csv(file, index=False)
        for method in ("level_up", "logistic", "equalized_odds"):
            assert run(file, "--group", "sex", "--method", method, "--out", out) == 2
            error = capsys.readouterr().err
            assert f"{column} is {value!r} in the predictions table" in error
            assert len(error.splitlines()) == 1 and not out.exists()


def embedding_table(n=600, d=120, seed=0):
    """An embeddings table in which sex shifts every column, and the table that names the sex."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], n)
    x = rng.normal(size=(n, d)) + 0.8 * (sex == "F")[:, None] * rng.normal(size=d)
    keys = pd.DataFrame({"image_id": [f"i{k}" for k in range(n)]})
    keys["patient_id"], keys["split"] = keys["image_id"], rng.choice(["train", "val", "test"], n)
    columns = pd.DataFrame(x.astype(np.float32), columns=[f"disease_{k:03d}" for k in range(d)])
    labels = keys[["image_id"]].assign(sex=sex).sample(frac=1, random_state=0)
    return pd.concat([keys, columns, columns.add_prefix("other_")], axis=1), labels


def test_erasing_from_the_command_line(tmp_path):
    embeddings, labels = embedding_table()
    labels.loc[labels["image_id"] == "i3", "sex"] = None
    for name, frame in (("e.parquet", embeddings), ("l.parquet", labels)):
        frame.to_parquet(tmp_path / name)
    out = tmp_path / "erased.parquet"
    words = ["--labels", tmp_path / "l.parquet", "--group", "sex", "--method", "leace"]
    assert run(tmp_path / "e.parquet", *words, "--out", out) == 0
    found = pd.read_parquet(out)
    assert list(found.columns) == list(embeddings.columns)
    assert (found.dtypes == embeddings.dtypes).all()
    same = [c for c in found if not c.startswith("disease_")]
    pd.testing.assert_frame_equal(found[same], embeddings[same])
    joined = found.merge(labels, on="image_id").dropna(subset=["sex"])
    mine = [c for c in found if c.startswith("disease_")]
    fitted, test = joined[joined["split"] != "test"], joined[joined["split"] == "test"]
    means = fitted.groupby("sex")[mine].mean()
    np.testing.assert_allclose(means.loc["F"], means.loc["M"], atol=1e-5)
    before = embeddings.merge(labels, on="image_id").set_index("image_id")
    for frame, low, high in ((before.loc[fitted.image_id], 0.95, 1), (fitted, 0.0, 0.62)):
        probe = LogisticRegression(max_iter=5000).fit(frame[mine], frame["sex"])
        rows = before.loc[test.image_id] if low else test
        assert low <= probe.score(rows[mine], rows["sex"]) <= high


def test_erasing_leaves_columns_without_a_number_alone():
    embeddings, labels = embedding_table(200, 5)
    told = embeddings.assign(disease_label=1.5, disease_name="x")
    found = erase_attribute(told, labels, group="sex")
    expected = erase_attribute(embeddings, labels, group="sex")
    pd.testing.assert_frame_equal(found, expected.assign(disease_label=1.5, disease_name="x"))


def test_erasing_learns_nothing_from_the_test_part():
    embeddings, labels = embedding_table(200, 5)
    first = erase_attribute(embeddings, labels, group="sex")
    of_test = labels["image_id"].map(embeddings.set_index("image_id")["split"]) == "test"
    changed = labels.assign(sex=labels["sex"].mask(of_test, "F"))
    pd.testing.assert_frame_equal(first, erase_attribute(embeddings, changed, group="sex"))


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"prefix": "desease_"}, "Did you mean 'disease_'"),
        ({"split": "test"}, {}, "outside the test part"),
        ({"disease_000": np.inf}, {}, "not finite"),
        ({}, {"group": "sx"}, "Did you mean 'sex'"),
    ],
)
def test_what_cannot_be_erased_is_named(change, options, words):
    embeddings, labels = embedding_table(60, 4)
    with pytest.raises(InputError, match=words):
        erase_attribute(embeddings.assign(**change), labels, **({"group": "sex"} | options))
    twice = pd.concat([labels, labels.assign(sex="X")])
    with pytest.raises(InputError, match="two values of sex"):
        erase_attribute(embeddings, twice, group="sex")
