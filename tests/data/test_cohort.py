from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairthesis.data._cohort import Cohort
from fairthesis.data._splits import _strata, connected, split_by_patient
from fairthesis.errors import InputError


def table(**changes: object) -> pd.DataFrame:
    columns: dict[str, object] = {
        "image_id": ["a", "b", "c"],
        "patient_id": ["p", "p", "q"],
        "split": ["train", "train", "test"],
        "path": ["a.png", "b.png", "c.png"],
        "y": [1.0, np.nan, 0.0],
        "sex": ["F", None, "M"],
    }
    return pd.DataFrame(columns | changes)


def cohort(**changes: object) -> Cohort:
    return Cohort("made", table(**changes), ("y",), ("sex",))


def test_unknown_is_not_zero() -> None:
    made = cohort()
    assert made.codes("sex").tolist() == [0, -1, 1]
    assert np.isnan(made.labels("y")[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": ["a", "a", "c"]}, "appears twice"),
        ({"split": ["train", "test", "test"]}, "more than one split"),
        ({"split": ["train", "train", "dev"]}, "split"),
    ],
)
def test_a_table_that_breaks_the_contract_is_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        cohort(**changes)


def test_missing_columns_names_and_rows_are_refused() -> None:
    with pytest.raises(InputError, match="path"):
        Cohort("made", table().drop(columns="path"), ("y",), ("sex",))
    with pytest.raises(InputError, match="No images are left"):
        Cohort("made", table().iloc[:0], ("y",), ("sex",), left_out={"no file": 3})
    with pytest.raises(InputError, match="attribute"):
        cohort().groups("age")
    with pytest.raises(InputError, match="target"):
        cohort().labels("z")


def test_the_fingerprint_covers_labels_and_splits_but_not_the_place() -> None:
    first = cohort().fingerprint()
    assert first == cohort(path=["x", "y", "z"]).fingerprint()
    assert first != cohort(y=[1.0, 0.0, 0.0]).fingerprint()
    assert first != cohort(split=["val", "val", "test"]).fingerprint()


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    n = draw(st.integers(1, 60))
    ids = st.integers(0, 20).map(str)
    rows = draw(
        st.lists(
            st.tuples(ids, st.one_of(ids, st.none()), st.sampled_from([0.0, 1.0, None])),
            min_size=n,
            max_size=n,
        )
    )
    return pd.DataFrame(rows, columns=["patient_id", "lesion_id", "y"])


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(0, 5))
def test_no_patient_and_no_lesion_is_on_two_sides(frame: pd.DataFrame, seed: int) -> None:
    split = pd.Series(split_by_patient(frame, ["patient_id", "lesion_id"], ["y"], seed=seed))
    for key in ("patient_id", "lesion_id"):
        assert split.groupby(frame[key]).nunique().le(1).all()
    backwards = split_by_patient(frame[::-1], ["patient_id", "lesion_id"], ["y"], seed=seed)
    assert (backwards[::-1] == split).all()


def test_two_in_three_patients_train_whatever_the_version() -> None:
    # scipy 1.11 labelled all rows -9999 when it was given int64: one patient, all of it in train.
    frame = pd.DataFrame({"patient_id": [f"p{k}" for k in range(100)]})
    assert pd.Series(split_by_patient(frame)).value_counts().to_dict() == {
        "train": 60,
        "val": 20,
        "test": 20,
    }


@pytest.mark.parametrize("null", [None, float("nan"), pd.NA], ids=["None", "nan", "NA"])
def test_an_unknown_stratum_is_one_of_its_own(null: object) -> None:
    y, sex = [0, 0, 0, 1, 1, 1] * 2, ["F", "M", null] * 4
    frame = pd.DataFrame({"y": y, "sex": pd.Series(sex, dtype=object)})
    assert _strata(frame, ["y", "sex"]).tolist() == [1, 2, 0, 4, 5, 3] * 2
    words = frame.assign(sex=frame["sex"].astype("string"))
    assert _strata(words, ["y", "sex"]).tolist() == [1, 2, 0, 4, 5, 3] * 2
    frame["patient_id"] = pd.Series(["a", null] * 6, dtype=object)
    assert set(split_by_patient(frame, strata=["y", "sex"])) <= {"train", "val", "test"}


def test_lesions_join_patients_through_chains() -> None:
    frame = pd.DataFrame({"p": list("abcd"), "l": ["1", "1", "2", None]})
    frame.loc[4] = ["b", "2"]
    assert connected(frame, ["p", "l"]).tolist() == [0, 0, 0, 1, 0]


def test_shares_are_met_in_every_stratum() -> None:
    rng = np.random.default_rng(0)
    owner = np.sort(rng.integers(0, 4000, 6000))
    frame = pd.DataFrame({"patient_id": owner.astype(str)})
    frame["y"] = (rng.random(4000) < 0.1).astype(float)[owner]
    frame["sex"] = np.where((rng.random(4000) < 0.3)[owner], "F", "M")
    split = split_by_patient(frame, strata=["y", "sex"], seed=3)
    shares = pd.crosstab([frame["y"], frame["sex"]], split, normalize="index")
    assert np.abs(shares[["train", "val", "test"]] - [0.6, 0.2, 0.2]).to_numpy().max() < 0.02


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1), (0.5, 0.5)])
def test_fractions_that_do_not_sum_to_one_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="fractions"):
        split_by_patient(table(), fractions=fractions)  # type: ignore[arg-type]


def people(**changes: object) -> Cohort:
    """Sex in three groups by site in two, every combination once, then three with an unknown."""
    sex = ["F", "M", "X"] * 2 + [None, "F", None]
    site = ["b"] * 3 + ["a"] * 3 + ["a", None, None]
    names = [str(i) for i in range(9)]
    columns: dict[str, object] = {"image_id": names, "patient_id": names, "path": names}
    columns |= {"split": "train", "y": 0.0, "sex": sex, "site": site}
    return Cohort("made", pd.DataFrame(columns | changes), ("y",), ("sex", "site"))


def test_an_intersection_is_an_attribute_and_unknown_where_a_part_is() -> None:
    made = people()
    groups = ["F * a", "F * b", "M * a", "M * b", "X * a", "X * b"]
    assert made.groups("sex*site") == made.groups("sex * site") == groups
    assert made.codes("sex*site").tolist() == [1, 3, 5, 0, 2, 4, -1, -1, -1]
    assert made.group_of("sex*site").isna().tolist() == [False] * 6 + [True] * 3
    assert made.group_of("sex").equals(made.frame["sex"])
    backwards = people(sex=made.frame["sex"][::-1].tolist(), site=made.frame["site"][::-1].tolist())
    assert backwards.groups("sex*site") == groups  # whatever the order of the rows
    assert made.groups("sex*site*sex")[0] == "F * a * F"  # any number of parts


@pytest.mark.parametrize("name", ["sex*age", "age*sex", "age", "sex*", "y*sex"])
def test_a_part_that_the_cohort_lacks_is_named(name: str) -> None:
    part = next(part for part in name.split("*") if part not in ("sex", "site"))
    with pytest.raises(InputError, match=f"attribute of made '{part}': expected one of sex, site"):
        people().groups(name)


def test_a_column_with_a_star_in_its_name_is_that_column() -> None:
    made = people(**{"sex*site": ["u", "v", None] * 3})
    assert Cohort("made", made.frame, ("y",), ("sex*site",)).groups("sex*site") == ["u", "v"]


def test_a_cohort_may_list_an_intersection_and_its_parts_are_in_the_fingerprint() -> None:
    frame = people().frame
    both = Cohort("made", frame, ("y",), ("sex*site",))
    assert both.codes("sex*site").max() == 5
    assert both.groups("site") == ["a", "b"]
    other = Cohort("made", frame.assign(site="a"), ("y",), ("sex*site",))
    assert other.fingerprint() != both.fingerprint()
    with pytest.raises(InputError, match="column in the cohort made 'race'"):
        Cohort("made", frame, ("y",), ("sex*race",))


def test_a_split_is_even_in_every_intersection() -> None:
    rng = np.random.default_rng(0)
    n = 3000
    table = pd.DataFrame({"patient_id": [f"p{i:04d}" for i in range(n)]})
    table["sex"] = rng.choice(["F", "M", "X"], n, p=[0.7, 0.25, 0.05])
    table["site"] = rng.choice(["a", "b"], n, p=[0.9, 0.1])
    table["split"] = split_by_patient(table, strata=["sex*site"])
    share = pd.crosstab([table["sex"], table["site"]], table["split"])
    expected = np.outer(share.sum(axis=1), [0.2, 0.6, 0.2])  # test, train, val
    assert np.abs(share.to_numpy() - expected).max() <= 2
    alone = split_by_patient(table, strata=["sex"])
    apart = pd.crosstab([table["sex"], table["site"]], alone).to_numpy() - expected
    assert np.abs(apart).max() > 2  # by one part only, the other is left to chance
    with pytest.raises(InputError, match="'age'"):
        split_by_patient(table, strata=["sex*age"])
