"""The data set ``embeddings``: vectors joined with labels by key, in any order and form."""

import numpy as np
import pandas as pd
import pytest

from fairthesis import datasets
from fairthesis.errors import InputError

N = 240
OPTIONS = {"table": "labels.csv", "targets": "cancer", "attributes": "sex"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRTHESIS_CACHE", str(tmp_path / "cache"))


def folder(at, **more):
    """Vectors that tell their own key, and labels in another order."""
    rng = np.random.default_rng(0)
    keys = [f"i{k}" for k in range(N)]
    who = rng.integers(0, 90, N)
    frame = pd.DataFrame({"image_id": keys, "z_0": np.arange(N, dtype=float), "z_1": 1.0})
    frame.assign(**more).to_parquet(at / "embeddings.parquet", index=False)
    labels = pd.DataFrame({"image_id": keys, "patient_id": [f"p{w}" for w in who]})
    labels["sex"] = np.where(who % 2, "F", "M")
    labels["cancer"] = rng.integers(0, 2, N)
    labels = labels.sample(frac=1, random_state=1)
    labels.to_csv(at / "labels.csv", index=False)
    return labels


def test_rows_meet_their_vectors_and_patients_are_split(tmp_path):
    labels = folder(tmp_path)
    cohort = datasets.load("embeddings", tmp_path, **OPTIONS)
    own = cohort.vectors[np.arange(len(cohort))][:, 0]
    assert [f"i{k:.0f}" for k in own] == cohort.frame["image_id"].tolist()
    expected = labels.set_index("image_id").loc[cohort.frame["image_id"], "cancer"]
    assert cohort.labels("cancer").tolist() == expected.tolist()
    assert cohort.frame.groupby("patient_id")["split"].nunique().max() == 1
    assert set(cohort.frame["split"]) == {"train", "val", "test"} and len(cohort) == N


def test_what_does_not_meet_is_counted(tmp_path):
    labels = folder(tmp_path)
    changed = labels.copy()
    changed.iloc[0, 0], changed.iloc[1, 1] = "unknown", None
    changed.to_csv(tmp_path / "labels.csv", index=False)
    cohort = datasets.load("embeddings", tmp_path, **OPTIONS)
    assert cohort.left_out == {
        "row without a vector": 1,
        "row without a patient": 1,
        "vector without a row of labels": 1,
    }


def test_labels_may_stand_beside_the_vectors_and_a_split_is_kept(tmp_path):
    frame = folder(tmp_path).sort_values("image_id")
    split = np.where(frame["patient_id"].str[1:].astype(int) % 3 == 0, "test", "train")
    split[frame["patient_id"] == frame["patient_id"].iloc[0]] = "val"
    whole = frame.assign(z_0=1.0, z_1=2.0, split=split)
    whole.to_parquet(tmp_path / "all.parquet", index=False)
    cohort = datasets.load(
        "embeddings", tmp_path, vectors="all.parquet", targets="cancer", attributes="sex"
    )
    assert cohort.frame["split"].tolist() == split.tolist()


def test_a_predictions_table_is_a_table_of_labels(tmp_path):
    labels = folder(tmp_path)
    long = pd.concat(
        [
            labels.drop(columns="cancer").assign(target=name, y_true=values, y_score=0.5)
            for name, values in (("cancer", labels["cancer"]), ("nodule", 1 - labels["cancer"]))
        ]
    )
    long.to_parquet(tmp_path / "predictions.parquet", index=False)
    cohort = datasets.load("embeddings", tmp_path, table="predictions.parquet", attributes="sex")
    assert cohort.targets == ("cancer", "nodule")
    plain = datasets.load("embeddings", tmp_path, **OPTIONS)
    assert cohort.labels("cancer").tolist() == plain.labels("cancer").tolist()
    assert (cohort.labels("cancer") + cohort.labels("nodule") == 1).all()


def test_other_vectors_are_another_cohort(tmp_path):
    folder(tmp_path)
    before = datasets.load("embeddings", tmp_path, **OPTIONS).fingerprint()
    folder(tmp_path, z_1=2.0)
    assert datasets.load("embeddings", tmp_path, **OPTIONS).fingerprint() != before


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda t: t.assign(image_id=t["image_id"] + ".png"), {}, "same keys in both"),
        (lambda t: t.assign(cancer="maybe"), {}, "'maybe'.*expected 0, 1 or"),
        (lambda t: pd.concat([t, t[:1]]), {}, "appears twice in labels.csv"),
        (lambda t: t.drop(columns="patient_id"), {}, "patient_id"),
        (lambda t: t, {"targets": ()}, "option targets"),
        (lambda t: t, {"targets": "cancr"}, "cancr"),
        (lambda t: t, {"vectors": "gone.parquet"}, "No vectors at"),
        (lambda t: t, {"vectors": "labels.csv"}, "numbered columns"),
        (lambda t: t.assign(part=["train", "test"] * (N // 2)), {"split": "part"}, "more than one"),
    ],
)
def test_what_cannot_be_joined_is_refused(change, options, words, tmp_path):
    change(folder(tmp_path)).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(InputError, match=words):
        datasets.load("embeddings", tmp_path, **(OPTIONS | options))
