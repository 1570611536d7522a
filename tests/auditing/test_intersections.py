"""``a*b`` gives what a hand-joined column gives, wherever an attribute can be named."""

import json

import numpy as np
import pandas as pd
import pytest
from support.embeddings import planted, tables
from support.predictions import table, two

from fairthesis import cli, postprocessing
from fairthesis.auditing._compare import compare
from fairthesis.embeddings import probe
from fairthesis.errors import InputError

NAME = "sex*age_group"


def by_hand(frame):
    """The same table with the intersection as a column of its own."""
    return frame.assign(joined=frame["sex"] + " * " + frame["age_group"])


def run(*argv):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(map(str, argv)))
    return ended.value.code


def with_unknown(frame):
    """Some rows without an age group: they are in no intersection."""
    return frame.assign(age_group=frame["age_group"].mask(np.arange(len(frame)) % 50 == 0))


def test_compare_by_an_intersection():
    first, second = (with_unknown(frame) for frame in two(n=3000))
    a = compare({"a": first, "b": second}, group=NAME, n_boot=50)
    b = compare({"a": by_hand(first), "b": by_hand(second)}, group="joined", n_boot=50)
    pd.testing.assert_frame_equal(a.changes, b.changes)
    pd.testing.assert_frame_equal(a.levelling, b.levelling)
    groups = {f"{s} * {g}" for s in "FM" for g in ("<40", "40-60", ">60")}
    assert groups | {"all rows", "between groups"} == set(a.changes["group"])
    assert a.group == NAME and a.to_dict()["group"] == NAME


def test_the_compare_command_by_an_intersection(tmp_path):
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path, frame in zip(paths, two(n=3000), strict=True):
        by_hand(frame).to_csv(path, index=False)
    found = {}
    for name in (NAME, "joined"):
        out = tmp_path / name.replace("*", "-")
        assert run("compare", *paths, "--group", name, "--n-boot", 20, "--out", out) == 0
        found[name] = json.loads((out / "comparison.json").read_text())
    assert found[NAME]["group"] == NAME
    for key in ("changes", "levelling", "n_images"):
        assert found[NAME][key] == found["joined"][key]


def test_the_power_command_by_an_intersection(tmp_path, capsys):
    frame = by_hand(with_unknown(table(3000)))
    frame.to_csv(tmp_path / "p.csv", index=False)
    found = {}
    for name in (NAME, "joined"):
        out = tmp_path / f"{name.replace('*', '-')}.csv"
        argv = ("--group", name, "--patient", "patient_id", "--gap", 0.1, "--out", out)
        assert run("power", tmp_path / "p.csv", *argv) == 0
        found[name] = pd.read_csv(out), capsys.readouterr().out.replace(str(out), "")
    pd.testing.assert_frame_equal(found[NAME][0], found["joined"][0])
    assert found[NAME][1] == found["joined"][1]
    rows = frame[(frame["split"] == "test") & (frame["joined"] == "F * <40")]
    assert f"F * <40: {int(rows['y_true'].sum())} positive" in found[NAME][1]


FUNCTIONS = {
    "equalize": lambda f, group: postprocessing.equalize(f, group=group),
    "logistic": lambda f, group: postprocessing.recalibrate(f, group=group),
    "level_up": lambda f, group: postprocessing.apply_thresholds(
        f, postprocessing.level_up_thresholds(f, group=group, threshold=0.5), group=group
    ),
}


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_post_processing_by_an_intersection(name):
    frame = with_unknown(table(4000))
    made = FUNCTIONS[name](frame, NAME)
    expected = FUNCTIONS[name](by_hand(frame), "joined")
    for column in ("image_id", "y_score", *(["y_pred"] if name != "logistic" else [])):
        assert made[column].tolist() == expected[column].tolist()
    assert made["age_group"].notna().all()  # no threshold for those in no group
    cut = postprocessing.level_up_thresholds(frame, group=NAME, threshold=0.5)
    assert set(cut) == set(by_hand(frame)["joined"].dropna())


@pytest.mark.parametrize("method", ["equalized_odds", "level_up", "isotonic"])
def test_the_postprocess_command_by_an_intersection(tmp_path, method):
    by_hand(table(4000)).to_csv(tmp_path / "p.csv", index=False)
    found = {}
    for name in (NAME, "joined"):
        out = tmp_path / f"{name.replace('*', '-')}.parquet"
        argv = ("--group", name, "--method", method, "--out", out)
        assert run("postprocess", tmp_path / "p.csv", *argv) == 0
        found[name] = pd.read_parquet(out)
    column = "y_score" if method == "isotonic" else "y_pred"
    assert found[NAME][column].tolist() == found["joined"][column].tolist()


def embedded(n=900):
    """Embeddings, and labels with a second attribute and their intersection by hand."""
    embeddings, labels = tables(planted, n)
    age = np.random.default_rng(5).choice(["<60", "60+"], n)
    return embeddings, by_hand(labels.assign(age_group=age))


def test_an_intersection_is_erased(tmp_path):
    embeddings, labels = embedded()
    made = postprocessing.erase_attribute(embeddings, labels, group=NAME)
    pd.testing.assert_frame_equal(
        made, postprocessing.erase_attribute(embeddings, labels, group="joined")
    )
    mine = [c for c in made if c.startswith("disease_")]
    means = made[made["split"] != "test"].groupby(labels["joined"])[mine].mean()
    assert len(means) == 4
    np.testing.assert_allclose(means - means.mean(), 0, atol=1e-6)
    for name, frame in (("e.parquet", embeddings), ("l.parquet", labels)):
        frame.to_parquet(tmp_path / name)
    argv = ("--labels", tmp_path / "l.parquet", "--group", NAME, "--method", "leace")
    out = tmp_path / "o.parquet"
    assert run("postprocess", tmp_path / "e.parquet", *argv, "--out", out) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(out), made)


def test_an_intersection_is_probed():
    embeddings, labels = embedded()
    quick = {"names": ["logistic"], "n_boot": 20, "n_shuffles": 1}
    found = probe(embeddings, labels, attribute=NAME, **quick)
    expected = probe(embeddings, labels, attribute="joined", **quick)
    assert found.groups == expected.groups == tuple(sorted(set(labels["joined"])))
    pd.testing.assert_frame_equal(found.table(), expected.table())
    assert found.attribute == NAME


@pytest.mark.parametrize(
    "call",
    [
        lambda f, g: compare({"a": f, "b": f}, group=g, n_boot=5),
        lambda f, g: postprocessing.equalize(f, group=g),
        lambda f, g: postprocessing.erase_attribute(f.assign(disease_0=1.0), f, group=g),
    ],
)
def test_a_part_that_is_no_column_is_named(call):
    with pytest.raises(InputError, match="Did you mean 'age_group'"):
        call(table(), "sex*agegroup")


def test_a_column_with_a_star_in_its_name_is_that_column():
    frame = table(3000).rename(columns={"sex": "sex*age"})
    found = postprocessing.level_up_thresholds(frame, group="sex*age", threshold=0.5)
    assert set(found) == {"F", "M"}
