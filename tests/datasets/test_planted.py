"""A planted marker: as often as was asked for, the same for the same image, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from support.planted import marked, pictures, table

from fairthesis import datasets
from fairthesis.cli import main
from fairthesis.data import (
    VectorTable,
    cohort_of_vectors,
    images_fingerprint,
    overlay_of,
    prepared_images,
    unreadable_images,
)
from fairthesis.datasets import PLANS, Marker, marked_shares, planted, twin, twin_changes
from fairthesis.errors import InputError
from fairthesis.plots import cohort_examples

BOUND = 1e-5  # of a count that is drawn once, at either end


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRTHESIS_CACHE", str(tmp_path / "cache"))


def within(shown: np.ndarray, p: float) -> bool:
    low, high = binom.ppf([BOUND, 1 - BOUND], len(shown), p)
    return bool(low <= shown.sum() <= high)


WANTED = {  # (y, smaller group) -> P(marker)
    "reversed": {(1, False): 0.85, (0, False): 0.15, (1, True): 0.15, (0, True): 0.85},
    "one-group": {(1, False): 0.85, (0, False): 0.15, (1, True): 0.5, (0, True): 0.5},
    "same": {(1, False): 0.85, (0, False): 0.15, (1, True): 0.85, (0, True): 0.15},
    "marks-group": {(1, False): 0.15, (0, False): 0.15, (1, True): 0.85, (0, True): 0.85},
    "none": dict.fromkeys([(1, False), (0, False), (1, True), (0, True)], 0.5),
    "reference": {(1, False): 0.865, (0, False): 0.135, (1, True): 0.05, (0, True): 0.95},
}


def test_every_plan_is_checked() -> None:
    assert set(WANTED) == set(PLANS)


@pytest.mark.parametrize("setting", WANTED)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_marker_is_as_frequent_as_asked_for_in_every_cell(setting: str, seed: int) -> None:
    cohort = planted(table(), setting=setting, seed=seed)
    frame, shown = cohort.frame, marked(cohort)
    for split in ("train", "val", "test"):
        for (y, small), p in WANTED[setting].items():
            group = "F" if small else "M"
            here = (frame["split"] == split) & (frame["cancer"] == y) & (frame["sex"] == group)
            assert within(shown[here.to_numpy()], p), (split, y, group)


def test_a_table_of_probabilities_and_unknown_images() -> None:
    cells = {"F": [0.1, 0.3], "M": [0.0, 1.0]}
    inner = table(20000)
    cohort = planted(inner, probabilities=cells)
    frame, shown = cohort.frame, marked(cohort)
    expected = []
    for group, pair in cells.items():
        for y, p in enumerate(pair):
            here = ((frame["cancer"] == y) & (frame["sex"] == group)).to_numpy()
            assert within(shown[here], p)
            expected += [p] * int(here.sum())
    lost = (frame["cancer"].isna() | frame["sex"].isna()).to_numpy()
    assert lost.sum() > 900
    assert within(shown[lost], float(np.mean(expected)))
    assert not within(shown[lost], float(np.mean(expected)) + 0.15)  # the bound is one


def test_the_oracle_has_as_many_markers_by_chance_alone() -> None:
    inner = table(20000)
    options: dict[str, Any] = {"setting": "reference", "seed": 5}
    found, oracle = planted(inner, **options), planted(inner, oracle=True, **options)
    assert found.frame.drop(columns="marker").equals(oracle.frame.drop(columns="marker"))
    assert found.left_out == oracle.left_out != {}
    assert found.fingerprint() != oracle.fingerprint()
    shares = marked_shares(oracle, "cancer", "sex")
    wanted = WANTED["reference"]
    y, small = inner.labels("cancer"), (inner.group_of("sex") == "F").to_numpy()
    known = ~np.isnan(y) & inner.group_of("sex").notna().to_numpy()
    p = np.mean([wanted[int(a), bool(b)] for a, b in zip(y[known], small[known], strict=True)])
    for row in shares.itertuples():
        assert (
            binom.cdf(row.marked, row.n, p) > BOUND and binom.sf(row.marked - 1, row.n, p) > BOUND
        )
    # Images that are decided alike in both by their own number are the same in both.
    mine, its = marked(found), marked(oracle)
    assert (mine == its).mean() > 0.5


def test_a_balanced_test_part_is_that_of_the_oracle() -> None:
    """Then a method and its oracle differ in the training part alone."""
    inner = table()
    found = planted(inner, test="balanced", setting="same")
    oracle = planted(inner, oracle=True, setting="same")
    train = (inner.frame["split"] == "train").to_numpy()
    assert (marked(found) == marked(oracle))[~train].all()
    assert not (marked(found) == marked(oracle))[train].all()


def test_a_subset_in_another_order_has_the_same_markers() -> None:
    inner = table()
    rows = np.random.default_rng(2).permutation(len(inner))[:2000]
    cells = {"F": [0.2, 0.6], "M": [0.7, 0.4]}
    known = inner.frame["cancer"].notna() & inner.frame["sex"].notna()
    whole = planted(inner, probabilities=cells)
    part = planted(inner.take(rows), probabilities=cells)
    here = known.to_numpy()[rows]  # of the others p is a mean over the cohort
    assert (marked(whole)[rows] == marked(part))[here].all()
    assert not (marked(whole) == marked(planted(inner, probabilities=cells, seed=1))).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_images_without_a_marker_are_the_inner_ones_to_the_byte(
    channels: int, tmp_path: Path
) -> None:
    inner = pictures(tmp_path / "files", channels=channels)
    cohort = planted(inner, setting="none")
    before, _ = prepared_images(inner, 48)
    after, ok = prepared_images(cohort, 48)
    assert ok.all() and after.shape == before.shape
    shown = marked(cohort)
    assert 0 < shown.sum() < len(shown)
    kind = "pen-ring" if channels == 3 else "lead-marker"
    own = Marker(kind)
    for row, name in enumerate(cohort.frame["image_id"]):
        where = own.footprint(name, 48) & shown[row]
        assert (after[row][~where] == before[row][~where]).all()
        assert (after[row] == before[row]).all() != shown[row]
    assert cohort.render is not None
    assert (cohort.render(np.array([3, 1]), 48) == after[[3, 1]]).all()
    assert (np.asarray(after) == after[np.arange(len(after))]).all()


def test_twins_have_the_marker_or_have_it_not(tmp_path: Path) -> None:
    cohort = planted(pictures(tmp_path / "files"), setting="none", marker="ruler")
    rows = np.array([5, 0, 7])
    changes = twin_changes(cohort)
    assert (changes["marker_removed"].applies == marked(cohort)).all()
    assert (changes["marker_added"].applies == ~marked(cohort)).all()
    plain, _ = prepared_images(pictures(tmp_path / "files"), 32)
    for change, there in (("marker_removed", False), ("marker_added", True)):
        other = twin(cohort, rows, change)
        assert (marked(other) == there).all()
        assert other.render is not None
        images = other.render(np.arange(3), 32)
        assert (prepared_images(other, 32)[0][:] == images).all()
        for place, row in enumerate(rows):
            where = Marker("ruler").footprint(cohort.frame["image_id"][row], 32) & there
            assert (images[place][~where] == plain[row][~where]).all()
            assert (images[place] == plain[row]).all() != there
    with pytest.raises(InputError, match=r"marker_removed"):
        twin(cohort, rows, "marker_remove")
    taken = cohort.take(rows)
    again = twin(taken, np.array([1]), "marker_added")
    assert again.frame["image_id"].tolist() == [cohort.frame["image_id"][0]]


def test_fingerprints_know_plan_seed_look_and_files(tmp_path: Path) -> None:
    inner = pictures(tmp_path / "files")
    base = planted(inner, setting="none")
    others = [
        planted(inner, setting="same"),
        planted(inner, setting="none", seed=1),
        planted(inner, setting="none", looks=1),
        planted(inner, setting="none", marker="hair"),
        planted(inner, setting="none").take(np.arange(6)),
    ]
    found = [one.fingerprint() for one in (base, *others)]
    assert len(set(found)) == len(found)
    assert planted(inner, setting="none").fingerprint() == base.fingerprint()
    before = images_fingerprint(base, 32)
    assert images_fingerprint(planted(inner, setting="none"), 32) == before
    (tmp_path / "files" / "0.png").write_bytes((tmp_path / "files" / "1.png").read_bytes())
    assert images_fingerprint(planted(inner, setting="none"), 32) != before


def test_all_plans_and_splits_share_one_cache(tmp_path: Path) -> None:
    inner = pictures(tmp_path / "files")
    other = inner.frame["split"].replace({"test": "val", "val": "test"})
    for setting in PLANS:
        if setting == "reference":  # there are too few to leave any out
            continue
        for split in (inner.frame["split"], other):
            cohort = replace(inner, frame=inner.frame.assign(split=split))
            prepared_images(planted(cohort, setting=setting), 24)
    folders = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert len(folders) == 2  # as they are, and all drawn into
    assert all(path.stat().st_mode & 0o077 == 0 for path in folders)  # pictures of patients


def test_a_file_that_cannot_be_read_is_left_out_as_ever(tmp_path: Path) -> None:
    inner = pictures(tmp_path / "files")
    (tmp_path / "files" / "4.png").write_bytes(b"no image")
    cohort = planted(inner)
    with pytest.warns(UserWarning, match=r"4\.png"):
        _, ok = prepared_images(cohort, 24)
    assert np.flatnonzero(~ok).tolist() == [4]
    assert unreadable_images(cohort, 24)["image_id"].tolist() == ["4.png"]


def test_under_representation_takes_whole_patients_from_training_alone() -> None:
    inner = table()
    found = {u: planted(inner, setting="none", underrepresentation=u) for u in (0.4, 0.6, 0.9)}
    kept = {u: set(one.frame["image_id"]) for u, one in found.items()}
    assert kept[0.9] < kept[0.6] < kept[0.4] < set(inner.frame["image_id"])
    for u, one in found.items():
        train = one.frame[one.frame["split"] == "train"].dropna(subset="sex")
        small = int((train["sex"] == "F").sum())
        most = (1 - u) / (1 + u) * (train["sex"] == "M").sum()
        assert most - 2 < small <= most
        rest = one.frame["split"] != "train"
        assert rest.sum() == (inner.frame["split"] != "train").sum()
        left = set(inner.frame["patient_id"]) - set(one.frame["patient_id"])
        gone = inner.frame[~inner.frame["image_id"].isin(kept[u])]
        assert left == set(gone["patient_id"])  # none of a patient's images is left
        assert list(one.left_out.values()) == [len(gone)]


def vectors() -> Any:
    frame = table(8).frame
    numbers = np.zeros((8, 2), np.float32)
    return cohort_of_vectors(
        VectorTable(frame.drop(columns="path"), "image_id", numbers, "0"),
        targets=["cancer"],
        attributes=["sex"],
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"marker": "pen-rin"}, "Did you mean 'pen-ring'"),
        ({"setting": "reverse"}, "Did you mean 'reversed'"),
        ({"shortcut": 1.5}, "shortcut to be from -1 to 1"),
        ({"shortcut": True}, "shortcut to be from -1 to 1"),
        ({"group_mark": 0.5}, "at most 1 together"),
        ({"underrepresentation": 0.99}, "from 0 to 0.98"),
        ({"underrepresentation": 0.01}, "take a larger one"),
        ({"target": "cancre"}, "Did you mean 'cancer'"),
        ({"attribute": "sax"}, "Did you mean 'sex'"),
        ({"minority": "f"}, "Unknown group of sex 'f'"),
        ({"minority": ["F", "M"]}, "not all and not none"),
        ({"minority": []}, "not all and not none"),
        ({"probabilities": {"F": [0.1, 0.2]}}, "probabilities of 'M' to be two numbers"),
        ({"probabilities": {"F": [0.1, 1.2], "M": [0, 1]}}, "probabilities of 'F'"),
        ({"probabilities": {"F": [0.1, 0.2], "M": [0, 1], "X": [0, 1]}}, "Unknown group"),
        ({"test": "equal"}, "test of planted"),
    ],
)
def test_what_cannot_be_planted_is_refused_in_words(options: dict[str, Any], said: str) -> None:
    inner = table()
    if options.get("underrepresentation") == 0.01:  # the smaller group is four of ten
        options = options | {"minority": "F"}
    with pytest.raises(InputError, match=said):
        planted(inner, **options)


def test_vectors_and_a_second_marker_are_refused() -> None:
    with pytest.raises(InputError, match="has vectors"):
        planted(vectors())
    with pytest.raises(InputError, match="planted marker already"):
        planted(planted(table()))
    one_group = replace(table(), frame=table().frame.assign(sex="F"))
    with pytest.raises(InputError, match="has 1 groups"):
        planted(one_group)


def test_the_data_set_of_a_name(tmp_path: Path) -> None:
    few = {"n_train": 40, "n_val": 10, "n_test": 10}
    cohort = datasets.load("planted", of="synthetic-cxr", inner=few, marker="ecg-wire", seed=4)
    same = planted(datasets.load("synthetic-cxr", seed=4, **few), marker="ecg-wire", seed=4)
    assert cohort.fingerprint() == same.fingerprint()
    assert cohort.name == "synthetic-cxr-planted" and cohort.attributes[-1] == "marker"
    more = {"n_train": 200, "n_val": 100, "n_test": 100, "setting": "clean"}
    inner = {"of": "synthetic-cxr", "inner": more, "covariate": "device", "floor": 1}
    both = datasets.load("planted", of="select", inner=inner, seed=4)
    assert 0 < len(both) < 400
    assert prepared_images(both, 16, tmp_path / "cache")[0].shape == (len(both), 16, 16, 1)
    for options, said in (
        ({"of": "ham1000"}, "Did you mean 'ham10000'"),
        ({"inner": {"n_tran": 4}}, "Did you mean 'n_train'"),
        ({"inner": {"seed": 4}}, "Leave seed out"),
        ({"of": "ham10000"}, "--data-root"),
        ({"window": "full"}, "option of planted 'window'"),
    ):
        with pytest.raises(InputError, match=said):
            datasets.load("planted", **options)
    given = {"probabilities": '{"F": [0, 1]}', "minority": "III-IV,V-VI", "oracle": "yes"}
    typed = datasets.typed_options("planted", given, text=True)
    assert typed == {"probabilities": {"F": [0, 1]}, "minority": "III-IV,V-VI", "oracle": True}


def test_a_name_of_several_groups_from_the_command_line() -> None:
    """``a,b`` is text where a parameter may be text: it stands for both groups."""
    inner = table()
    frame = inner.frame.assign(kind=np.resize(["I", "II", "III"], len(inner)))
    three = replace(inner, frame=frame, attributes=("kind",))
    one = planted(three, minority="II,III", setting="marks-group")
    other = planted(three, minority=["II", "III"], setting="marks-group")
    assert pd.Series(marked(one)).equals(pd.Series(marked(other)))


def test_pictures_of_patients_are_shown_nowhere(tmp_path: Path) -> None:
    """A marker makes no synthetic image of a patient's."""
    inner = pictures(tmp_path / "files")
    few = {"n_train": 40, "n_val": 10, "n_test": 10}
    drawn = planted(datasets.load("synthetic-derm", **few))
    assert len(cohort_examples(drawn, "malignant", "skin_tone", size=16, each=1).axes) == 4
    for cohort in (planted(inner), replace(inner, render=overlay_of(inner))):
        with pytest.raises(InputError, match="show patients"):
            cohort_examples(cohort, "cancer", "sex", size=16, each=1)


def test_the_command_describes_what_is_planted(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("describe", "planted")
    assert "Options: attribute, group_mark, inner" in capsys.readouterr().out
    inner = '{"n_train": 300, "n_val": 60, "n_test": 60, "setting": "clean"}'
    words = ["--option", f"inner={inner}", "--option", "setting=marks-group"]
    assert not run("describe", "planted", *words, "--attribute", "skin_tone*marker")
    said = capsys.readouterr().out
    assert "synthetic-derm-planted: 420 images" in said and "dark * with " in said
    assert run("describe", "planted", "--option", "marker=pen") == 2
    assert "Unknown marker 'pen'" in capsys.readouterr().err


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["datasets", *words])
    return int(end.value.code or 0)
