from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from fairthesis import datasets
from fairthesis.data import Cohort
from fairthesis.datasets._twins import twin
from fairthesis.datasets.synthetic import cxr, derm
from fairthesis.datasets.synthetic._counter import noise, streams, uniform
from fairthesis.datasets.synthetic._cxr_drawing import CxrRender
from fairthesis.datasets.synthetic._derm_drawing import DermRender
from fairthesis.datasets.synthetic._planting import Mechanisms
from fairthesis.datasets.synthetic.cxr import SETTINGS
from fairthesis.errors import InputError

SMALL = {"n_train": 60, "n_val": 20, "n_test": 40}


def synthetic(**options: Any) -> Cohort:
    return cxr.load(**{**SMALL, **options})


def drawn(cohort: Cohort, rows: Any = None, size: int = 48) -> np.ndarray:
    rows = np.arange(len(cohort)) if rows is None else np.asarray(rows)
    assert cohort.render is not None
    return cohort.render(rows, size)


def many(**options: Any) -> Any:
    """The training rows of a cohort large enough to count in, not drawn."""
    frame = synthetic(**{"n_train": 40_000, "setting": "clean"} | options).frame
    return frame[frame["split"] == "train"]


def test_the_bytes_are_the_same_on_any_machine() -> None:
    pixels = drawn(synthetic(seed=3), np.arange(16))
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    assert digest == "d96d9927e6e075fbf257c58df8acaa1815982929be08271a36ef8e1b2b397b9a"


def test_the_table_is_the_same_on_any_machine() -> None:
    frame = synthetic(seed=3).frame
    digest = hashlib.sha256(frame.to_csv(index=False, lineterminator="\n").encode()).hexdigest()
    assert digest == "3ecd5021a182584e0dbcbfdfdbfbdcf49c2453b3a533752c18622b2456ce7eb4"


def test_an_image_is_the_same_in_any_batch_and_order() -> None:
    cohort = synthetic()
    together = drawn(cohort)
    rows = np.array([7, 119, 0, 7])
    assert (drawn(cohort, rows) == together[rows]).all()
    assert drawn(cohort, [5]).shape == (1, 48, 48, 1)
    assert drawn(cohort, []).shape == (0, 48, 48, 1)


def test_a_larger_test_part_leaves_the_rest_as_it_was() -> None:
    small, large = synthetic(), synthetic(n_test=90)
    assert large.frame.iloc[:120].equals(small.frame)
    assert (drawn(large, np.arange(120)) == drawn(small)).all()


def test_seeds_differ() -> None:
    assert (drawn(synthetic(seed=1)) != drawn(synthetic(seed=2))).mean() > 0.5
    assert synthetic(seed=1).fingerprint() != synthetic(seed=2).fingerprint()


def test_the_fingerprint_tells_pictures_apart_that_share_a_table() -> None:
    fingerprints = {synthetic(noise=value).fingerprint() for value in (0.05, 0.09)}
    assert (
        len({*fingerprints, synthetic().fingerprint(), synthetic(oracle=True).fingerprint()}) == 3
    )


def test_patients_are_in_one_split_and_have_one_to_three_images() -> None:
    frame = synthetic(n_train=3000).frame
    assert frame.groupby("patient_id")["split"].nunique().max() == 1
    assert set(frame.groupby("patient_id").size()) == {1, 2, 3}
    for attribute in ("sex", "age_group"):
        assert frame.groupby("patient_id")[attribute].nunique().max() == 1


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_switched_off_is_clean(setting: str) -> None:
    off = dict.fromkeys(SETTINGS[setting], 0.0)
    cohort, clean = synthetic(setting=setting, **off), synthetic(setting="clean")
    assert cohort.frame.equals(clean.frame)
    assert (drawn(cohort) == drawn(clean)).all()


@pytest.mark.parametrize("setting", [name for name in SETTINGS if name != "clean"])
def test_every_setting_plants_something(setting: str) -> None:
    assert synthetic(setting=setting).fingerprint() != synthetic(setting="clean").fingerprint()


def test_clean_plants_nothing() -> None:
    rows = many()
    assert abs((rows["sex"] == "F").mean() - 0.5) < 0.02
    rates = rows.groupby("sex")[["opacity", "device"]].mean()
    assert (rates["opacity"] - 0.4).abs().max() < 0.02
    assert (rows.groupby(["sex", "opacity"])["device"].mean() - 0.5).abs().max() < 0.02
    assert (rows["opacity"] == rows["clean_opacity"]).all()


def test_each_mechanism_plants_what_it_says() -> None:
    assert abs((many(underrepresentation=0.6)["sex"] == "F").mean() - 0.2) < 0.02
    by_sex = many(prevalence_difference=-0.2).groupby("sex")["opacity"].mean()
    assert by_sex.to_dict() == pytest.approx({"F": 0.2, "M": 0.4}, abs=0.02)
    device = many(shortcut=0.6, shortcut_minority=-0.8).groupby(["sex", "opacity"])["device"].mean()
    expected = {("F", 0.0): 0.9, ("F", 1.0): 0.1, ("M", 0.0): 0.2, ("M", 1.0): 0.8}
    assert device.to_dict() == pytest.approx(expected, abs=0.02)
    noisy = many(label_noise=0.3)
    flipped = (noisy["opacity"] != noisy["clean_opacity"]).groupby(noisy["sex"]).mean()
    assert flipped.to_dict() == pytest.approx({"F": 0.3, "M": 0.0}, abs=0.02)


def test_the_oracle_has_the_same_patients_and_a_device_by_chance() -> None:
    cohort, oracle = synthetic(n_train=40_000), synthetic(n_train=40_000, oracle=True)
    same = ["image_id", "patient_id", "split", "opacity", "sex", "age_group"]
    assert cohort.frame[same].equals(oracle.frame[same])
    by_cell = oracle.frame.groupby(["sex", "opacity"])["device"].mean()
    assert (by_cell - 0.5).abs().max() < 0.03


def change(cohort: Cohort, other: Cohort, size: int = 64) -> np.ndarray:
    """Largest absolute difference at each pixel and image, in grey levels."""
    return np.abs(drawn(cohort, size=size).astype(int) - drawn(other, size=size))[..., 0]


def test_a_twin_without_device_differs_in_nothing_else() -> None:
    cohort = synthetic()
    rows = np.arange(len(cohort))
    other = twin(cohort, rows, "device")
    assert (other.frame["device"] == 0).all()
    keys = ["image_id", "opacity", "sex"]
    assert other.frame[keys].equals(cohort.frame[keys])
    changed = change(cohort, other).max(axis=(1, 2)) > 0
    assert (changed == (cohort.frame["device"] == 1)).all()


def test_the_device_never_touches_an_opacity() -> None:
    cohort = synthetic(n_train=400)
    render = cohort.render
    assert isinstance(render, CxrRender)
    axis = ((np.arange(64, dtype=np.float32) + 0.5) / 32) - 1
    x = np.broadcast_to(axis[None, None, :], (len(cohort), 1, 64))
    y = np.broadcast_to(axis[None, :, None], (len(cohort), 64, 1))
    opacity, device = render.opacity(x, y) > 0, render.marking(x, y) > 0
    assert opacity.any() and device.any()
    assert not (opacity & device).any()
    assert opacity.any(axis=(1, 2)).tolist() == (cohort.frame["clean_opacity"] == 1).tolist()


def test_a_twin_of_the_other_sex_keeps_the_opacity_and_its_contrast() -> None:
    cohort = synthetic(noise=0.0)
    rows = np.flatnonzero(cohort.frame["clean_opacity"] == 1)
    other = twin(cohort, rows, "sex")
    assert (other.frame["sex"] != cohort.frame["sex"].iloc[rows].to_numpy()).all()
    render = cohort.render
    assert isinstance(render, CxrRender)
    assert isinstance(other.render, CxrRender)
    axis = np.linspace(-1, 1, 64, dtype=np.float32)
    x = np.broadcast_to(axis[None, None, :], (len(rows), 1, 64))
    y = np.broadcast_to(axis[None, :, None], (len(rows), 64, 1))
    assert (render.take(rows).opacity(x, y) == other.render.opacity(x, y)).all()
    assert (drawn(cohort, rows) != drawn(other)).any(axis=(1, 2, 3)).all()


def test_lower_contrast_is_planted_in_the_smaller_group_only() -> None:
    full, less = synthetic(setting="clean"), synthetic(setting="clean", contrast_loss=0.5)
    sick = full.frame["opacity"] == 1
    changed = change(full, less).max(axis=(1, 2)) > 0
    assert (changed == (sick & (full.frame["sex"] == "F"))).all()


def test_the_picture_looks_the_part() -> None:
    """Air is dark, bone and heart bright; opacities brighten the lungs on average."""
    cohort = synthetic(noise=0.0, setting="clean", n_train=400)
    pixels = drawn(cohort, size=64)[..., 0].astype(float)
    lungs = np.r_[
        pixels[:, 18:36, 15:23].mean(axis=(1, 2)), pixels[:, 18:36, 42:50].mean(axis=(1, 2))
    ]
    heart = pixels[:, 36:44, 32:40].mean(axis=(1, 2))
    corner = pixels[:, :4, :4].mean(axis=(1, 2))
    assert corner.mean() < lungs.mean() < heart.mean()
    assert ((pixels == 0) | (pixels == 255)).mean() < 0.01
    sick = np.tile(cohort.frame["opacity"] == 1, 2)
    assert lungs[sick].mean() > lungs[~sick].mean() + 3


@pytest.mark.parametrize(
    "options",
    [
        {"setting": "references"},
        {"n_test": 0},
        {"n_train": 2.5},
        {"shortcut": 1.5},
        {"label_noise": 0.6},
        {"prevalence": 0.9, "prevalence_difference": 0.2},
        {"underrepresentation": "much"},
        {"root": "somewhere"},
        {"unknown": 1},
        {"noise": -0.1},
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=str(next(iter(options)))[:4]):
        synthetic(**options)


def test_twins_of_other_cohorts_or_changes_are_refused() -> None:
    with pytest.raises(InputError, match="change"):
        twin(synthetic(), [0], "age")


def test_mechanisms_are_documented_by_name() -> None:
    for name in Mechanisms.__dataclass_fields__:
        assert name in (Mechanisms.__doc__ or "") or name == "prevalence"


def test_draws_by_counter_do_not_depend_on_their_neighbours() -> None:
    index = np.arange(50)
    whole = uniform(streams(9, 1, index), 8)
    assert (uniform(streams(9, 1, index[20:21]), 3, start=5) == whole[20:21, 5:8]).all()
    assert abs(whole.mean() - 0.5) < 0.05
    grain = noise(streams(9, 2, index), (101, 3))
    assert grain.shape == (50, 101, 3)
    assert abs(float(grain.mean())) < 0.02
    assert float(grain.std()) == pytest.approx(1, abs=0.02)


def skin(**options: Any) -> Cohort:
    return derm.load(**{**SMALL, **options})


def test_synthetic_skin_is_the_same_in_any_batch_and_on_any_machine() -> None:
    cohort = skin(seed=3)
    together = drawn(cohort)
    assert together.shape == (120, 48, 48, 3)
    assert (drawn(cohort, [7, 0]) == together[[7, 0]]).all()
    digest = hashlib.sha256(drawn(cohort, np.arange(8)).tobytes()).hexdigest()
    assert digest == "00d75bb0495f61c8a6feb79b64d8b70f452425307de110d2948695f5ddda705c"


def test_skin_twins_differ_in_tone_or_ruler_only() -> None:
    cohort = skin()
    rows = np.arange(len(cohort))
    plain = drawn(twin(cohort, rows, "device"))
    changed = (plain != drawn(cohort)).any(axis=(1, 2, 3))
    assert (changed == (cohort.frame["device"] == 1)).all()
    other = twin(cohort, rows, "skin_tone")
    assert (other.frame["skin_tone"] != cohort.frame["skin_tone"]).all()
    assert drawn(other)[cohort.frame["skin_tone"] == "light"].mean() < plain.mean()
    again = twin(other, rows, "skin_tone")
    assert again.fingerprint() == cohort.fingerprint()


def test_the_ruler_never_touches_a_lesion() -> None:
    cohort = skin(n_train=300, lesion_contrast=0.3)
    render = cohort.render
    assert isinstance(render, DermRender)
    axis = ((np.arange(64, dtype=np.float32) + 0.5) / 32) - 1
    x, y = axis[None, None, :], axis[None, :, None]
    pigment, _ = render.lesion(x, y, np.zeros((len(cohort), 64, 64), dtype=np.float32))
    assert not ((pigment > 0) & (render.marking(x, y) > 0)).any()
    assert (pigment > 0).any(axis=(1, 2)).all()


def test_the_synthetic_cohort_needs_no_torch() -> None:
    code = (
        "import sys; from fairthesis.data import prepared_images; from fairthesis import datasets; "
        "datasets.load('synthetic-cxr', n_train=2, n_val=1, n_test=1); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_registered_loader_gives_the_same_cohort() -> None:
    assert datasets.load("synthetic-cxr", **SMALL).fingerprint() == synthetic().fingerprint()
