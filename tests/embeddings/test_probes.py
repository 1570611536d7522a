"""Probes recover what is planted, and nothing else; leakage is judged on unseen patients."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from support.embeddings import planted, tables

from fairthesis import cli
from fairthesis.embeddings import _judging as judging
from fairthesis.embeddings import _leakage as leakage
from fairthesis.embeddings._probes import PROBES, macro_auroc, online_code
from fairthesis.errors import InputError

QUICK = {"names": ["logistic"], "n_boot": 200, "n_shuffles": 3}


def noise(code, y, rng):
    return {}


def xor(code, y, rng):
    sign = rng.choice([-1, 1], len(code))
    return {k: 2.5 * s + 0.5 * rng.normal(size=len(code))
            for k, s in enumerate([sign, sign * (2 * code - 1)])}  # fmt: skip


def copy_of_target(code, y, rng):
    return {"y": np.where(rng.random(len(y)) < 0.9, code, 1 - code), 0: 0}


def only_target(code, y, rng):
    made = copy_of_target(code, y, rng)
    return made | {0: 4 * made["y"] + rng.normal(size=len(y))}


def readings(found):
    return found.table().set_index(["source", "probe", "scope"])


@pytest.mark.parametrize("name", list(PROBES))
def test_a_planted_attribute_is_read_and_noise_is_not(name):
    options = QUICK | {"names": [name]}
    found = readings(leakage.probe(*tables(planted), attribute="sex", **options))
    assert (found.loc["encoder", "auroc"] > 0.97).all()
    assert (found.loc["encoder", "shuffled_mean"] - 0.5).abs().max() < 0.06
    assert found.loc["encoder", "shuffled_q95"].isna().all()  # of three refits there is none
    still = readings(leakage.probe(*tables(noise), attribute="sex", **options)).loc["encoder"]
    assert ((still["ci_low"] < 0.5) & (still["ci_high"] > 0.5)).all()


def test_xor_is_read_by_curved_probes_only():
    names = ["logistic", "mlp", "boosting"]
    found = leakage.probe(
        *tables(xor), attribute="sex", **QUICK | {"names": names, "n_shuffles": 0}
    )
    area = found.table().query("source == 'encoder'").groupby("probe")["auroc"].min()
    assert area["logistic"] < 0.6 and area["mlp"] > 0.95 and area["boosting"] > 0.95


def test_a_copy_of_the_target_is_readable_only_marginally():
    found = readings(leakage.probe(*tables(only_target, n=1500), attribute="sex", **QUICK))
    marginal = found.loc[("encoder", "logistic", "marginal")]
    given = found.loc[("encoder", "logistic", "given the target")]
    assert marginal["auroc"] > 0.85
    assert given["ci_low"] < 0.5 < given["ci_high"]
    floor = found.loc[("target alone", "logistic")]["auroc"]
    assert floor["given the target"] == 0.5
    assert floor["marginal"] == pytest.approx(0.9, abs=0.04)
    assert marginal["auroc"] == pytest.approx(floor["marginal"], abs=0.03)


def test_three_groups_and_the_floor_of_a_random_encoder():
    embedded, labels = tables(planted, groups=("a", "b", "c"))
    other = tables(noise, seed=5)[0]
    other = other.sample(frac=1, random_state=0)  # joined by image_id, never by position
    found = readings(leakage.probe(embedded, labels, attribute="sex", random=other, **QUICK))
    assert found.loc[("encoder", "logistic", "marginal"), "auroc"] > 0.8
    row = found.loc[("random encoder", "logistic", "marginal")]
    assert row["ci_low"] < 0.5 < row["ci_high"]
    joined = other.merge(embedded[["image_id"]]).assign(disease_000=embedded["disease_000"])
    again = readings(leakage.probe(embedded, labels, attribute="sex", random=embedded, **QUICK))
    assert len(joined) == len(embedded)
    first, second = (again.loc[(s, "logistic", "marginal"), "auroc"]
                     for s in ("encoder", "random encoder"))  # fmt: skip
    assert first == second


def test_other_tables_of_the_same_images_are_probed_beside():
    embedded, labels = tables(planted)
    weak = embedded.assign(**{c: 0.0 for c in embedded.columns if c.startswith("disease_")})
    both = {"logit": weak[["image_id", "disease_000"]], "features": embedded.sample(frac=1)}
    found = readings(leakage.probe(embedded, labels, attribute="sex", beside=both, **QUICK))
    area = found["auroc"]
    assert area[("features", "logistic", "marginal")] == area[("encoder", "logistic", "marginal")]
    assert area[("logit", "logistic", "marginal")] == 0.5
    assert np.isnan(found.loc[("features", "logistic", "marginal"), "shuffled_mean"])
    with pytest.raises(InputError, match="the logit's table to hold columns"):
        leakage.probe(embedded, labels, attribute="sex", beside={"logit": weak[:5]}, **QUICK)


def test_a_group_that_one_part_lacks_is_left_out_and_reported():
    embedded, labels = tables(planted, groups=("a", "b", "c"))
    rare = (labels["sex"] == "c") & (labels["split"] == "test")
    labels.loc[rare, "sex"] = "a"
    found = leakage.probe(embedded, labels, attribute="sex", **QUICK)
    assert found.groups == ("a", "b")
    n = int(((labels["sex"] == "c") & (labels["split"] == "val")).sum())
    assert found.left_out["sex of a group that val or test lacks"] == n
    assert any("sex = c is missing" in text for text in found.warnings)
    without = labels[labels["sex"] != "c"]
    same = leakage.probe(embedded, without, attribute="sex", **QUICK)
    pd.testing.assert_frame_equal(found.table(), same.table())
    for group in ("b", "c"):
        labels = labels[(labels["sex"] != group) | (labels["split"] != "test")]
    with pytest.raises(InputError, match="The test part has no sex = 'b'"):
        leakage.probe(embedded, labels, attribute="sex", **QUICK)


def test_macro_auroc_is_scikit_learns_and_counts_patients():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 200)
    s = rng.dirichlet(np.ones(3), 200)
    expected = roc_auc_score(a, s, multi_class="ovr", average="macro")
    assert macro_auroc(a, s) == pytest.approx(expected)
    w = rng.integers(0, 3, (4, 200)).astype(float)
    drawn = macro_auroc(a, s, a % 2 * 0, w)
    for k in range(4):
        rows = np.repeat(np.arange(200), w[k].astype(int))
        assert drawn[k] == pytest.approx(macro_auroc(a[rows], s[rows]))
    # Within strata: only pairs of one stratum count.
    strata = np.array([0, 0, 1, 1, 1])
    group = np.array([0, 1, 0, 1, 1])
    score = np.array([0.1, 0.2, 0.9, 0.8, 0.95])
    both = np.stack([1 - score, score], axis=1)
    assert macro_auroc(group, both, strata) == pytest.approx(2 / 3)


def test_missing_attributes_and_targets_are_left_out_and_counted():
    embedded, labels = tables(planted)
    held = labels.index[labels["split"] != "train"]
    labels.loc[held[:40], "sex"] = None
    labels.loc[held[40:50], "y_true"] = np.nan
    labels = labels.drop(held[50:57])
    found = leakage.probe(embedded, labels, attribute="sex", **QUICK)
    assert list(found.left_out.values()) == [7, 40, 10]
    assert found.n_fit + found.n_test == len(held) - 57


def test_only_numbered_columns_are_an_embedding():
    embedded, labels = tables(noise)
    told = embedded.assign(disease_label=(labels["sex"] == "m").astype(int), disease_name="x")
    a, b = (leakage.probe(e, labels, attribute="sex", **QUICK) for e in (embedded, told))
    pd.testing.assert_frame_equal(a.table(), b.table())
    c = leakage.probe(embedded, labels, attribute="sex", random=told, **QUICK).table()
    random = c[c["source"] == "random encoder"]["auroc"].to_numpy()
    assert (random == a.table()[a.table()["source"] == "encoder"]["auroc"]).all()
    bare = told[[c for c in told if not c.startswith("disease_0")]]
    with pytest.raises(InputError, match="but found disease_label, disease_name"):
        leakage.probe(bare, labels, attribute="sex", **QUICK)


@pytest.mark.parametrize(
    ("embedded", "labels", "options", "words"),
    [
        ({}, {"y_true": "yes"}, {}, "y_true is 'yes' in the predictions table: expected 0"),
        ({}, {"y_true": lambda f: f["y_true"] + 1}, {}, "y_true is 2"),
        ({"disease_002": "x"}, {}, {}, "disease_002 is 'x' in the embeddings table: expected a n"),
        ({"disease_002": None}, {}, {}, "not finite numbers"),
        ({}, {}, {"attribute": "split"}, "'split' is a column of the embeddings table"),
        ({}, {}, {"attribute": "patient_id"}, "'patient_id' is a column"),
        ({}, {"disease_001": 1}, {"attribute": "disease_001"}, "'disease_001' is a column"),
    ],
)
def test_what_cannot_be_probed_is_named(embedded, labels, options, words):
    x, y = tables(noise, n=60)
    with pytest.raises(InputError, match=words):
        leakage.probe(
            x.assign(**embedded), y.assign(**labels), **(QUICK | {"attribute": "sex"} | options)
        )


def test_other_names_and_kinds_of_column_change_nothing():
    embedded, labels = tables(noise)
    plain = leakage.probe(embedded, labels, attribute="sex", **QUICK).table()
    numbered = pd.concat([embedded, pd.DataFrame({0: 1.0, 1: labels["sex"]})], axis=1)
    text = labels.assign(y_true=labels["y_true"].astype(str))
    objects = embedded.assign(disease_001=embedded["disease_001"].astype(object))
    for x, y in ((numbered, labels), (embedded, text), (objects, labels)):
        found = leakage.probe(x, y, attribute="sex", **QUICK).table()
        pd.testing.assert_frame_equal(found, plain)


@pytest.mark.parametrize("splits", [("val", "test"), ("train", "test"), ("train", "val")])
def test_shared_patients_are_refused(splits):
    embedded, labels = tables(planted)
    first, second = (embedded.index[embedded["split"] == s][0] for s in splits)
    embedded.loc[first, "patient_id"] = embedded.loc[second, "patient_id"]
    with pytest.raises(InputError, match="more than one split"):
        leakage.probe(embedded, labels, attribute="sex", **QUICK)


def test_several_images_of_a_patient_widen_the_interval():
    def repeated(code, y, rng):
        return {0: 0.5 * code + np.repeat(rng.normal(size=len(code) // 4), 4)}

    embedded, labels = tables(repeated, n=450, d=1, images=4)
    wide, narrow = (
        leakage.probe(e, labels, attribute="sex", **QUICK).readings[0]
        for e in (embedded, embedded.assign(patient_id=embedded["image_id"]))
    )
    assert wide.auroc == pytest.approx(narrow.auroc, abs=1e-9)
    assert wide.ci_high - wide.ci_low > 1.5 * (narrow.ci_high - narrow.ci_low)


def test_the_online_code_is_short_for_what_can_be_recovered():
    rng = np.random.default_rng(0)
    a = (rng.random(2000) < 0.2).astype(int)
    x = rng.normal(size=(2000, 5))
    nothing = online_code(x, a)
    # The labels' own entropy, and no more than a little beyond it for useless columns.
    entropy = -(0.2 * np.log2(0.2) + 0.8 * np.log2(0.8))
    assert nothing.uniform == 2000
    assert nothing.without == pytest.approx(2000 * entropy, rel=0.06)
    assert 1.0 < nothing.bits / nothing.without < 1.1
    x[:, 0] += 8 * a
    easy = online_code(x, a)
    x[:, 0] -= 6 * a
    harder = online_code(x, a)
    assert easy.bits < 0.25 * easy.without < harder.bits < nothing.bits
    assert easy.compression > 5 and 0.7 < easy.gain < 1


def test_the_online_code_is_a_code():
    # Over all labellings that are possible, 2^-bits sums to 1: Kraft's equality.
    import itertools

    x = np.random.default_rng(0).normal(size=(6, 1))
    total = 0.0
    for labels in itertools.product([0, 1], repeat=6):
        if max(labels) == 1:
            total += 2.0 ** -online_code(x, labels).bits
    zero = 0.5 * np.prod([(t + 1) / (t + 2) for t, step in [(1, 1), (2, 1), (3, 3)]
                          for _ in range(step)])  # fmt: skip
    assert total + zero == pytest.approx(1.0)


def write(folder, embedded, labels):
    embedded.to_parquet(folder / "embeddings.parquet")
    labels.to_parquet(folder / "predictions.parquet")
    return [str(folder / "embeddings.parquet"), "--labels", str(folder / "predictions.parquet")]


def run(*argv):
    with pytest.raises(SystemExit) as ended:
        cli.main(["probe", *map(str, argv)])
    return ended.value.code


def test_the_command_writes_table_and_json(tmp_path, capsys):
    argv = write(tmp_path, *tables(planted, n=300))
    options = ["--attribute", "sex", "--probe", "logistic", "--n-boot", 50, "--n-shuffles", 2]
    random = ["--random", tmp_path / "embeddings.parquet"]
    assert run(*argv, *options, *random, "--out", tmp_path / "a") == 0
    text = capsys.readouterr().out
    assert "given the target" in text and "target alone" in text and "bits" in text
    found = json.loads((tmp_path / "a" / "leakage.json").read_text())
    assert found["readings"][0]["auroc"] > 0.95
    table = pd.read_csv(tmp_path / "a" / "leakage.csv")
    assert set(table["source"]) == {"encoder", "random encoder", "target alone"}
    assert run(*argv, *options, *random, "--out", tmp_path / "b") == 0
    for name in ("leakage.json", "leakage.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (None, ["--attribute", "sx"], "Did you mean 'sex'"),
        (None, ["--attribute", "sex", "--prefix", "diseas_"], "Did you mean 'disease_'"),
        (None, ["--attribute", "sex", "--target", "x"], "Unknown target 'x'"),
        ("other", ["--attribute", "sex"], "do the tables belong together"),
        ("one", ["--attribute", "sex"], "only 'f'"),
        ("twice", ["--attribute", "sex"], "appears twice"),
        ("nan", ["--attribute", "sex"], "not finite"),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path, capsys, change, options, message):
    embedded, labels = tables(planted, n=60)
    if change == "other":
        labels["image_id"] = "z" + labels["image_id"]
    if change == "one":
        labels["sex"] = "f"
    if change == "twice":
        embedded = pd.concat([embedded, embedded[:1]])
    if change == "nan":
        embedded.loc[1, "disease_000"] = np.nan
    argv = write(tmp_path, embedded, labels)
    assert run(*argv, *options, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("images", [1, 2])
def test_shuffling_keeps_more_groups_than_a_byte_can_name(images, monkeypatch):
    seen = []

    class Judge:
        def value(self, scope, scores, group):
            seen.append(group)
            return 0.5

    group = np.arange(600) % 300
    part = judging.ProbePart(np.zeros((600, 1)), group, group, np.arange(600) // images)
    monkeypatch.setattr(judging, "_scores", lambda name, scope, fit, *_: seen.append(fit.group))
    judging._shuffled("logistic", judging.SCOPES[0], part, part, Judge(), 0, 0)
    for shuffled in seen:
        assert shuffled.dtype == np.intp and (np.bincount(shuffled) == 2).all()
    assert len(seen) == 2
