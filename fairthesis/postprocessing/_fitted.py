"""What was fitted, kept: JSON that can be read, arrays in safetensors, nothing that runs code."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as arrays_as_bytes

from fairthesis.embeddings import ERASERS
from fairthesis.errors import InputError, unknown
from fairthesis.postprocessing._randomized import RandomizedThresholds
from fairthesis.postprocessing._recalibration import GroupRecalibration
from fairthesis.postprocessing._thresholds import LevelUpThresholds
from fairthesis.provenance import json_text, package_versions
from fairthesis.storage import text_writer, write_together

SCHEMA = "fairthesis.fitted/1"
CARD, ARRAYS = "fitted.json", "fitted.safetensors"
#: Name -> class of everything that ``save_fitted`` keeps: the erasers of ``ERASERS``, thresholds by
#: group and recalibration by group.
KINDS: dict[str, Any] = {
    **ERASERS,
    "level_up": LevelUpThresholds,
    "randomized_thresholds": RandomizedThresholds,
    "recalibration": GroupRecalibration,
}
# Of each kind that is not an eraser: arrays that it cannot do without, and their axes.
NEEDED: dict[str, dict[str, tuple[str | int, ...]]] = {
    "level_up": {"thresholds_": ("groups",)},
    "randomized_thresholds": {"table_": ("groups", 8)},
    "recalibration": {"knots_": ("knots", 2), "ends_": ("groups",)},
}
OF_ERASERS: dict[str, tuple[str | int, ...]] = {
    "mean_": ("width",),
    "projection_": ("width", "width"),
}
_NAME = re.compile(r"[a-z][a-z0-9_]*_")


def save_fitted(
    thing: Any,
    folder: str | Path,
    *,
    fitted_on: Mapping[str, Any] | None = None,
    measured: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write a fitted eraser, thresholds or a recalibration to a folder, for ``load_fitted``.

    ``fitted.safetensors`` has the arrays, ``fitted.json`` the kind, its options, versions and what
    is given here. Neither holds a patient's key or a row of the data; a mean of a small group can
    be worked out from an eraser's moments.

    Args:
        thing: of a class in ``KINDS``, fitted.
        folder: made where it is missing; what was saved there before is replaced.
        fitted_on: what it was fitted on: counts, groups, names of columns, a fingerprint.
        measured: what was measured of it, as of ``ErasureReport.to_dict``.

    Returns:
        The paths written.

    Raises:
        InputError: for another class, something not fitted, and where nothing can be written.

    >>> import tempfile
    >>> from fairthesis.embeddings import Leace
    >>> x = np.array([[0.0, 1.0], [1.0, 0.0], [4.0, 1.0], [5.0, 0.0]])
    >>> eraser = Leace().fit(x, ["f", "f", "m", "m"])
    >>> with tempfile.TemporaryDirectory() as name:
    ...     paths = save_fitted(eraser, Path(name) / "eraser")
    ...     again = load_fitted(Path(name) / "eraser")
    >>> [path.name for path in paths]
    ['fitted.safetensors', 'fitted.json']
    >>> bool((again.transform(x) == eraser.transform(x)).all())
    True
    """
    kind = next((name for name, made in KINDS.items() if type(thing) is made), None)
    if kind is None:
        raise InputError(
            f"Cannot save a {type(thing).__name__}: expected an object of "
            f"{', '.join(made.__name__ for made in KINDS.values())}."
        )
    if not _state(thing):
        raise InputError(f"The {type(thing).__name__} is not fitted: call fit before saving it.")
    if hasattr(thing, "_ready"):
        thing._ready()
    arrays, values = _parted(_state(thing))
    content = arrays_as_bytes({name: np.ascontiguousarray(a) for name, a in arrays.items()})
    card = {
        "schema": SCHEMA,
        "kind": kind,
        "parameters": thing.get_params(),
        "fitted_on": dict(fitted_on or {}),
        "measured": None if measured is None else dict(measured),
        "values": values,
        "arrays": {
            name: {"shape": list(a.shape), "dtype": str(a.dtype)} for name, a in arrays.items()
        },
        "sha256": hashlib.sha256(content).hexdigest(),
        "packages": package_versions(),
    }
    files = {ARRAYS: lambda to: to.write_bytes(content), CARD: text_writer(json_text(card))}
    write_together(Path(folder), files, last=CARD)
    return [Path(folder) / name for name in files]


def fitted_card(folder: str | Path) -> dict[str, Any]:
    """What ``fitted.json`` of a folder says, checked: kind, options, what it was fitted on.

    Raises:
        InputError: where there is none, or it is of another kind of file or version.

    >>> import tempfile
    >>> found = LevelUpThresholds().fit([0.6, 0.4], [1, 1], sensitive_features=["f", "m"])
    >>> with tempfile.TemporaryDirectory() as name:
    ...     paths = save_fitted(found, name, fitted_on={"n_rows": 2})
    ...     card = fitted_card(name)
    >>> card["kind"], card["fitted_on"]
    ('level_up', {'n_rows': 2})
    """
    file = Path(folder) / CARD
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"No {CARD} in {str(folder)!r}: expected a folder that erase fit, postprocess fit or "
            "save_fitted wrote."
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{str(file)!r} cannot be read ({error}): fit and save again.") from error
    schema = card.get("schema") if isinstance(card, dict) else None
    if schema != SCHEMA:
        raise InputError(
            f"{str(file)!r} is of the schema {schema!r}: expected {SCHEMA}. Fit and save again "
            "with this version."
        )
    if card.get("kind") not in KINDS:
        raise unknown("kind", card.get("kind"), KINDS)
    return card


def load_fitted(folder: str | Path) -> Any:
    """The estimator that ``save_fitted`` wrote, ready for ``transform`` or ``predict``.

    Raises:
        InputError: as of ``fitted_card``, and where the arrays are missing, changed, or of other
            shapes than these.

    >>> import tempfile
    >>> found = LevelUpThresholds().fit([0.6, 0.4], [1, 1], sensitive_features=["f", "m"])
    >>> with tempfile.TemporaryDirectory() as name:
    ...     paths = save_fitted(found, name)
    ...     load_fitted(name).predict([0.45], sensitive_features=["m"]).tolist()
    [1]
    """
    card, file = fitted_card(folder), Path(folder) / ARRAYS
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"No {ARRAYS} beside {CARD} in {str(folder)!r}: copy the folder whole, or fit again."
        ) from error
    if hashlib.sha256(content).hexdigest() != card.get("sha256"):
        raise InputError(
            f"{str(file)!r} is not the file that {CARD} belongs to: copy the folder whole, or fit "
            "again."
        )
    made = KINDS[card["kind"]]
    try:
        thing = made(**card["parameters"])
        state = {**load_arrays(content), **card["values"]}
    except Exception as error:  # safetensors has errors of its own; a wrong option is a TypeError
        raise InputError(
            f"The files in {str(folder)!r} cannot be read ({error}): fit and save again with this "
            "version."
        ) from error
    _check_shapes(card, state, folder)
    _restore(thing, state)
    return thing


def _state(thing: Any) -> dict[str, Any]:
    """The attributes that ``fit`` has set."""
    return {name: value for name, value in vars(thing).items() if _NAME.fullmatch(name)}


def _parted(state: dict[str, Any]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays of numbers, and what JSON can hold; the running moments as single arrays."""
    arrays: dict[str, NDArray[Any]] = {}
    values: dict[str, Any] = {}
    for name, value in state.items():
        if name == "moments_":
            for part, held in vars(value).items():
                (arrays if isinstance(held, np.ndarray) else values)[f"moments_{part}_"] = held
        elif isinstance(value, np.ndarray) and value.dtype.kind in "fi":
            arrays[name] = value
        else:
            values[name] = value.tolist() if isinstance(value, np.ndarray) else value
    return dict(sorted(arrays.items())), dict(sorted(values.items()))


def _restore(thing: Any, state: dict[str, Any]) -> None:
    held = {n: v for n, v in state.items() if n.startswith("moments_")}
    for name, value in state.items():
        if name in held or not _NAME.fullmatch(name):
            continue
        setattr(thing, name, np.array(value, object) if name == "feature_names_in_" else value)
    if held:
        thing.set_moments(
            {n.removeprefix("moments_").removesuffix("_"): v for n, v in held.items()}
        )


def _check_shapes(card: dict[str, Any], state: dict[str, Any], folder: str | Path) -> None:
    """Refuses arrays that are not those of the card, or do not fit together."""
    sizes: dict[str, int] = {"groups": len(state.get("groups_", []))}
    if "n_features_in_" in state:
        sizes["width"] = state["n_features_in_"]
    wrong = [
        name
        for name, told in card["arrays"].items()
        if name not in state
        or [list(state[name].shape), str(state[name].dtype)] != [*told.values()]
    ]
    for name, axes in NEEDED.get(card["kind"], OF_ERASERS).items():
        found = np.shape(state.get(name, ()))
        fits = len(found) == len(axes) and all(
            size == (sizes.get(axis, size) if isinstance(axis, str) else axis)
            for size, axis in zip(found, axes, strict=True)
        )
        wrong += [] if fits else [name]
    if wrong:
        raise InputError(
            f"{wrong[0]} in {str(folder)!r} has not the shape that the groups and numbers of "
            f"{CARD} ask for: fit and save again."
        )
