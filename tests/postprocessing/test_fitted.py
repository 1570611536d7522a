"""What is saved comes back as it was; what does not fit together is refused in words."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from support.predictions import table

from fairthesis.embeddings import ERASERS, Leace, Splince, measure_erasure
from fairthesis.errors import InputError
from fairthesis.postprocessing import (
    KINDS,
    GroupRecalibration,
    fitted_card,
    load_fitted,
    save_fitted,
)

WAYS = {
    **{name: made() for name, made in KINDS.items()},
    "leace, all options": Leace(given_target=True, shrinkage="auto", directions=4),
    "isotonic": GroupRecalibration("isotonic"),
}


def rows(seed=0):
    rng = np.random.default_rng(seed)
    a, y = rng.choice(["F", "M"], 400), rng.integers(0, 2, 400)
    return rng.normal(size=(400, 6)) + np.outer(a == "F", np.arange(6)) + y[:, None], a, y


def fitted(made):
    if type(made) in ERASERS.values():
        x, a, y = rows()
        return clone(made).fit(x, a, target=y)
    frame = table(2000)
    return clone(made).fit(frame["y_score"], frame["y_true"], sensitive_features=frame["sex"])


def used(thing):
    if type(thing) in ERASERS.values():
        return thing.transform(rows(1)[0])
    frame = table(500, seed=1)
    s, g = frame["y_score"], frame["sex"]
    if hasattr(thing, "transform"):
        return thing.transform(s, sensitive_features=g)
    drawn = {"random_state": 1} if hasattr(thing, "positive_probability") else {}
    return thing.predict(s, sensitive_features=g, **drawn)


@pytest.mark.parametrize("name", WAYS)
def test_it_comes_back_to_the_last_bit(name, tmp_path):
    thing = fitted(WAYS[name])
    save_fitted(thing, tmp_path / "kept", fitted_on={"n_rows": 400}, measured={"x": 1.0})
    again = load_fitted(tmp_path / "kept")
    assert type(again) is type(thing) and again.get_params() == thing.get_params()
    np.testing.assert_array_equal(used(again), used(thing))
    assert again.groups_ == thing.groups_
    card = fitted_card(tmp_path / "kept")
    assert card["schema"] == "fairthesis.fitted/1" and card["measured"] == {"x": 1.0}
    assert card["packages"]["fairthesis"] and card["fitted_on"] == {"n_rows": 400}
    # Nothing else lies there, and saving anew gives the same bytes.
    before = {p.name: p.read_bytes() for p in (tmp_path / "kept").iterdir()}
    assert set(before) == {"fitted.json", "fitted.safetensors"}
    save_fitted(again, tmp_path / "again", fitted_on={"n_rows": 400}, measured={"x": 1.0})
    assert before == {p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()}


@pytest.mark.parametrize("made", [Leace(), Splince()])
def test_an_eraser_goes_on_where_it_ended(made, tmp_path):
    x, a, y = rows()
    save_fitted(clone(made).fit(x[:150], a[:150], target=y[:150]), tmp_path / "e")
    again = load_fitted(tmp_path / "e").partial_fit(x[150:], a[150:], target=y[150:])
    whole = clone(made).fit(x, a, target=y)
    np.testing.assert_allclose(again.transform(x), whole.transform(x), atol=1e-9)
    # Rows in pieces are saved before anything was transformed.
    pieces = clone(made).partial_fit(x, a, target=y)
    save_fitted(pieces, tmp_path / "p")
    np.testing.assert_allclose(load_fitted(tmp_path / "p").transform(x), whole.transform(x))


def test_names_of_columns_come_back(tmp_path):
    x, a, _ = rows()
    frame = pd.DataFrame(x, columns=[f"z_{k}" for k in range(6)])
    save_fitted(Leace().fit(frame, a), tmp_path)
    again = load_fitted(tmp_path)
    assert again.feature_names_in_.tolist() == list(frame)
    again.transform(frame)
    with pytest.raises(InputError, match="feature names"):
        again.transform(frame[frame.columns[::-1]])


def test_a_report_is_kept_with_the_eraser(tmp_path):
    x, a, _ = rows()
    found = measure_erasure(Leace(), x, a, probes=["logistic"], n_boot=20, n_shuffles=1)
    save_fitted(Leace().fit(x, a), tmp_path, measured=found.to_dict())
    kept = fitted_card(tmp_path)["measured"]
    assert kept["readings"][0]["after"] == found.readings[0].after


def edited(folder, **changes):
    card = json.loads((folder / "fitted.json").read_text())
    (folder / "fitted.json").write_text(json.dumps(card | changes))


def test_what_is_damaged_or_of_another_version_is_refused(tmp_path):
    thing = fitted(Leace())
    with pytest.raises(InputError, match=r"No fitted\.json"):
        load_fitted(tmp_path / "none")
    cases = {
        "another version": ({"schema": "fairthesis.fitted/2"}, "expected fairthesis.fitted/1"),
        "another kind": ({"kind": "leece"}, "Unknown kind 'leece'.*Did you mean 'leace'"),
        "unknown option": ({"parameters": {"rank": 3}}, "cannot be read"),
        "other arrays": ({"sha256": "0" * 64}, "is not the file that fitted.json belongs to"),
        "other groups": ({"kind": "level_up", "parameters": {}}, "has not the shape"),
    }
    for name, (changes, words) in cases.items():
        save_fitted(thing, tmp_path / name)
        edited(tmp_path / name, **changes)
        with pytest.raises(InputError, match=words):
            load_fitted(tmp_path / name)
    for key, told in (("n_features_in_", 5),):
        save_fitted(thing, tmp_path / key)
        values = fitted_card(tmp_path / key)["values"]
        edited(tmp_path / key, values=values | {key: told})
        with pytest.raises(InputError, match=r"mean_ in .* has not the shape"):
            load_fitted(tmp_path / key)
    save_fitted(thing, tmp_path / "half")
    (tmp_path / "half" / "fitted.safetensors").unlink()
    with pytest.raises(InputError, match=r"No fitted\.safetensors beside"):
        load_fitted(tmp_path / "half")
    (tmp_path / "half" / "fitted.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        load_fitted(tmp_path / "half")


def test_a_changed_array_is_seen(tmp_path):
    save_fitted(fitted(Leace()), tmp_path)
    file = tmp_path / "fitted.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="is not the file"):
        load_fitted(tmp_path)


def test_values_of_a_card_cannot_take_the_place_of_methods(tmp_path):
    save_fitted(fitted(Leace()), tmp_path)
    values = fitted_card(tmp_path)["values"]
    edited(tmp_path, values=values | {"transform": 1, "__class__": "x", "_ready": 2})
    again = load_fitted(tmp_path)
    assert callable(again.transform) and type(again) is Leace


def test_what_cannot_be_saved_is_refused(tmp_path):
    with pytest.raises(InputError, match="not fitted"):
        save_fitted(Leace(), tmp_path / "x")
    with pytest.raises(InputError, match="Cannot save a dict"):
        save_fitted({}, tmp_path / "x")
    assert not (tmp_path / "x").exists()
