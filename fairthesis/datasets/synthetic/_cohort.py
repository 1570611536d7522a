"""From planted patients and a drawing to a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fairthesis.data import Cohort
from fairthesis.datasets.synthetic._drawing import Drawing
from fairthesis.datasets.synthetic._planting import MECHANISMS, Mechanisms, draw
from fairthesis.errors import InputError, unknown

AGE_GROUPS = ("20-39", "40-59", "60-79", "80+")
AGE_SHARES = (0.25, 0.35, 0.3, 0.1)


def synthetic_cohort(
    name: str,
    drawn_by: type[Drawing],
    sizes: dict[str, int],
    settings: Mapping[str, Mapping[str, float]],
    setting: str,
    planted: Mapping[str, Any],
    *,
    target: str,
    root: str | Path | None,
    seed: int,
    oracle: bool,
    drawing: Mapping[str, float],
) -> Cohort:
    """The cohort ``name``: ``planted`` replaces the mechanisms of ``settings[setting]``.

    Beside the recorded label ``target`` stand ``clean_<target>`` and ``device``, no targets.
    """
    if root is not None:
        raise InputError(f"{name} is drawn, not read: leave out the data root {str(root)!r}.")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"Expected seed to be an integer of 0 or larger, but got {seed!r}.")
    if setting not in settings:
        raise unknown(f"setting of {name}", setting, settings)
    for option in planted:
        if option not in MECHANISMS:
            raise unknown(f"option of {name}", option, MECHANISMS)
    for option, value in drawing.items():
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise InputError(f"Expected {option} to be from 0 to 1, but got {value!r}.")
    values: dict[str, Any] = {**settings[setting], **planted}
    if oracle:
        values |= {"shortcut": 0.0, "shortcut_minority": None}
    mechanisms = Mechanisms(**values)
    table = draw(sizes, seed, mechanisms, age_shares=AGE_SHARES)

    short = name.removeprefix("synthetic-")
    frame = table[["split"]].copy()
    numbers = table["part_image"].map("{:06d}".format)
    frame.insert(0, "image_id", f"{short}-" + table["split"] + "-" + numbers)
    frame.insert(1, "patient_id", table["split"] + table["part_patient"].map("-p{:06d}".format))
    frame[target] = table["recorded"].astype(float)
    frame[f"clean_{target}"] = table["disease"].astype(float)
    minority = table["minority"].to_numpy()
    larger, smaller = drawn_by.group_names
    frame[drawn_by.group] = np.where(minority, smaller, larger)
    frame["age_group"] = np.array(AGE_GROUPS)[table["age"]]
    frame["device"] = table["device"].astype(float)
    render = drawn_by(
        seed=int(seed),
        patient=table["patient"].to_numpy(),
        image=table["image"].to_numpy(),
        minority=minority,
        age=(table["age"].to_numpy() / (len(AGE_GROUPS) - 1)).astype(np.float32),
        disease=table["disease"].to_numpy(),
        device=table["device"].to_numpy(),
        contrast=np.where(minority, 1 - mechanisms.contrast_loss, 1).astype(np.float32),
        **{option: float(value) for option, value in drawing.items()},
    )
    return Cohort(
        name=name,
        frame=frame,
        targets=(target,),
        attributes=(drawn_by.group, "age_group"),
        channels=drawn_by.channels,
        render=render,
    )
