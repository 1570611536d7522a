"""Many targets and classes in one table, number by number those of scikit-learn, by key."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from fairthesis import metrics
from fairthesis.auditing._multitarget import COLUMNS, macro, multiclass_table, multilabel_table
from fairthesis.errors import InputError

CLASSES = ["mel", "nv", "bkl"]


def multilabel(n=400, seed=0):
    rng = np.random.default_rng(seed)
    image = pd.DataFrame(
        {
            "image_id": np.arange(n),
            "sex": rng.choice(["F", "M"], n),
            "age_group": rng.choice(["<50", ">=50"], n),
            "weight": rng.integers(1, 4, n).astype(float),
        }
    )
    parts = []
    for k, target in enumerate(["edema", "pneumonia", "effusion"]):
        y = (rng.random(n) < 0.25 + 0.1 * k).astype(float)
        s = np.round(1 / (1 + np.exp(-(rng.normal(size=n) + y))), 2)  # ties
        parts.append(image.assign(target=target, y_true=y, y_score=s))
    table = pd.concat(parts, ignore_index=True)
    return table.sample(frac=1, random_state=1)


def multiclass(n=600, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[truth]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = pd.DataFrame(p, columns=[f"p_{c}" for c in CLASSES])
    table["dx"] = np.array(CLASSES)[truth]
    return table.assign(sex=rng.choice(["F", "M"], n), weight=rng.random(n) + 0.1)


def reference(y, s, w=None):
    p = (s >= 0.5).astype(int)
    return {
        "auroc": sk.roc_auc_score(y, s, sample_weight=w),
        "average_precision": sk.average_precision_score(y, s, sample_weight=w),
        "accuracy": sk.accuracy_score(y, p, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, p, sample_weight=w),
        "tpr": sk.recall_score(y, p, sample_weight=w),
        "tnr": sk.recall_score(y, p, pos_label=0, sample_weight=w),
        "ppv": sk.precision_score(y, p, sample_weight=w),
        "npv": sk.precision_score(y, p, pos_label=0, sample_weight=w),
        "brier": sk.brier_score_loss(y, s, sample_weight=w),
        "log_loss": sk.log_loss(y, s, sample_weight=w),
        "prevalence": np.average(y, weights=w),
        "selection_rate": np.average(p, weights=w),
    }


def compared(found, frame, attribute, groups, weight):
    """How many numbers of one attribute were compared by key; each to 1e-10."""
    keyed = found.set_index(["target", "attribute", "group", "metric"])["value"]
    assert keyed.index.is_unique
    count = 0
    for (target, group), rows in frame.groupby(["target", groups]):
        w = rows["weight"] if weight else None
        for name, value in reference(rows["y_true"], rows["y_score"], w).items():
            assert keyed[target, attribute, group, name] == pytest.approx(value, abs=1e-10), name
            count += 1
    return count


@pytest.mark.parametrize("weight", [None, "weight"])
def test_multilabel_is_scikit_learn_by_key(weight):
    frame = multilabel()
    found = multilabel_table(frame, groups=["sex", "sex*age_group"], weight=weight)
    assert list(found.columns) == list(COLUMNS)
    assert len(found) == 3 * (1 + 2 + 4) * len(metrics.METRICS)
    assert compared(found, frame.assign(all=""), "", "all", weight) == 3 * 12
    assert compared(found, frame, "sex", "sex", weight) == 3 * 2 * 12
    both = frame["sex"] + " * " + frame["age_group"]
    assert compared(found, frame.assign(both=both), "sex*age_group", "both", weight) == 3 * 4 * 12


@pytest.mark.parametrize("weight", [None, "weight"])
def test_multiclass_is_scikit_learn_by_key(weight):
    frame = multiclass()
    columns = {c: f"p_{c}" for c in CLASSES}
    found = multiclass_table(frame, classes=columns, label="dx", groups=["sex"], weight=weight)
    parts = [
        frame.assign(target=c, y_true=(frame["dx"] == c).astype(int), y_score=frame[f"p_{c}"])
        for c in CLASSES
    ]
    stacked = pd.concat(parts)
    assert compared(found, stacked, "sex", "sex", weight) == 3 * 2 * 12
    mean = macro(found).set_index(["attribute", "group", "metric"])
    expected = sk.roc_auc_score(
        frame["dx"],
        frame[[f"p_{c}" for c in sorted(CLASSES)]],
        multi_class="ovr",
        average="macro",
        labels=sorted(CLASSES),
        **({} if weight is None else {"sample_weight": frame["weight"]}),
    )
    assert mean.loc[("", "", "auroc"), "value"] == pytest.approx(expected, abs=1e-10)
    assert mean.loc[("", "", "auroc"), "targets"] == 3


@pytest.mark.parametrize("null", [False, True])
@pytest.mark.parametrize("kind", [int, float, str])
def test_classes_may_be_numbers(kind, null):
    frame = multiclass()
    columns, cut = {c: f"p_{c}" for c in CLASSES}, dict(zip(CLASSES, (0.5, 0.3, 0.4), strict=True))
    place = {c: k for k, c in enumerate(CLASSES)}
    expected = multiclass_table(frame, classes=columns, label="dx", threshold=cut)
    coded = frame.assign(dx=frame["dx"].map(place))
    if null:  # pandas reads whole numbers beside a null as 0.0, 1.0
        coded = pd.concat([coded, coded[:1].assign(dx=np.nan)])
    found = multiclass_table(
        coded,
        classes={kind(place[c]): column for c, column in columns.items()},
        label="dx",
        threshold={kind(place[c]): value for c, value in cut.items()},
    )
    expected["target"] = expected["target"].map({c: str(k) for c, k in place.items()})
    key = ["target", "metric"]
    a, b = (t.sort_values(key, ignore_index=True) for t in (found, expected))
    pd.testing.assert_frame_equal(a, b)


def test_targets_that_are_numbers_keep_their_names():
    frame = multilabel().assign(target=lambda f: f["target"].factorize()[0])
    frame = pd.concat([frame, frame[:1].assign(target=np.nan)])
    found = multilabel_table(frame, threshold={0: 0.5, 1: 0.4, 2: 0.3})
    assert list(found["target"].unique()) == ["0", "1", "2"]


def test_whole_weights_are_repeated_rows():
    frame = multilabel(150)
    repeated = frame.loc[frame.index.repeat(frame["weight"].astype(int))]
    one = multilabel_table(frame, groups=["sex"], weight="weight")["value"]
    two = multilabel_table(repeated, groups=["sex"])["value"]
    np.testing.assert_allclose(one, two, atol=1e-8)


def test_thresholds_per_target_and_the_test_part():
    frame = multilabel().assign(split="test")
    held = multilabel(seed=5).assign(split="val", y_score=0.5)
    both = pd.concat([frame, held])
    cut = {"edema": 0.2, "pneumonia": 0.5, "effusion": 0.9}
    found = multilabel_table(both, threshold=cut)
    rates = found[found["metric"] == "selection_rate"].set_index("target")["value"]
    for target, rows in frame.groupby("target"):
        assert rates[target] == pytest.approx((rows["y_score"] >= cut[target]).mean())


def test_unknown_is_not_zero():
    frame = multilabel()
    frame.loc[(frame["target"] == "edema") & (frame["sex"] == "F"), "y_true"] = np.nan
    none = (frame["target"] == "effusion") & (frame["sex"] == "M")
    frame.loc[none, "y_true"] = 0.0
    found = multilabel_table(frame, groups=["sex"]).set_index(["target", "group", "metric"])
    assert np.isnan(found.loc[("edema", "F", "tpr"), "value"])
    assert found.loc[("edema", "F", "tpr"), "n"] == 0
    assert np.isnan(found.loc[("effusion", "M", "auroc"), "value"])
    mean = macro(multilabel_table(frame, groups=["sex"])).set_index(["group", "metric"])
    assert mean.loc[("F", "auroc"), "targets"] == 2 == mean.loc[("M", "auroc"), "targets"]
    assert mean.loc[("", "auroc"), "targets"] == 3


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"y_score": 3.0}, {}, "logistic"),
        ({"y_true": 2.0}, {}, "use multiclass_table"),
        ({"y_true": np.nan}, {}, "No row"),
        ({"y_score": "high"}, {}, "'high'"),
        ({"weight": -1.0}, {"weight": "weight"}, "0 or more"),
        ({}, {"threshold": {"edema": 0.5}}, "target without a threshold"),
        ({}, {"groups": ["sexx"]}, "Did you mean 'sex'"),
        ({}, {"groups": ["image_id"]}, "Bin a continuous"),
    ],
)
def test_bad_multilabel_input_is_named(change, options, words):
    with pytest.raises(InputError, match=words):
        multilabel_table(multilabel().assign(**change), **options)


@pytest.mark.parametrize(
    ("change", "classes", "words"),
    [
        ({}, ["p_mel"], "Got 1 class"),
        ({}, {0: "p_mel", "0": "p_nv"}, "same as text"),
        ({}, {"mel": "p_mel", "nv": "p_nv"}, "'bkl'"),
        ({"p_mel": 2.5}, {c: f"p_{c}" for c in CLASSES}, "softmax"),
        ({"p_mel": "x"}, {c: f"p_{c}" for c in CLASSES}, "expected a number"),
        ({}, {"mel": "p_mel", "nv": "p_nvv"}, "Did you mean 'p_nv'"),
    ],
)
def test_bad_multiclass_input_is_named(change, classes, words):
    with pytest.raises(InputError, match=words):
        multiclass_table(multiclass().assign(**change), classes=classes, label="dx")
