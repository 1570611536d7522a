"""Made chest X-rays: the embedded default, and the only chest cohort whose truth is known.

Frontal pictures with soft tissue, lungs, ribs, heart, spine, diaphragm and noise, drawn at any
size. The disease is one to three soft opacities inside a lung; a treatment device (an electrode
with its lead) lies on the flank, below and outside the lungs, so that it never covers an opacity.
The sex changes the breast shadow, the width of the chest and the size of the heart, never the
contrast of an opacity.

Groups: ``sex`` (F is the smaller group where one is smaller) and ``age_group``. Licence: as the
package; nothing is downloaded. What is planted: `fairthesis.datasets._planting.Mechanisms`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fairthesis.cohort import Cohort
from fairthesis.datasets._cxr_render import CxrRender
from fairthesis.datasets._planting import MECHANISMS, Mechanisms, draw
from fairthesis.errors import InputError, unknown

# The reference plants the thesis's situation: the device goes with the disease in the larger
# group and against it in the smaller one, and the group is hardly visible in the picture.
SETTINGS: dict[str, dict[str, float]] = {
    "clean": {},
    "reference": {"underrepresentation": 0.6, "shortcut": 0.6},
    "underrepresented": {"underrepresentation": 0.8},
    "prevalence": {"prevalence_difference": -0.25},
    "contrast": {"underrepresentation": 0.6, "contrast_loss": 0.5},
    "shortcut": {"shortcut": 0.6},
    "label-noise": {"underrepresentation": 0.6, "label_noise": 0.3},
}
AGE_GROUPS = ("20-39", "40-59", "60-79", "80+")
AGE_SHARES = (0.25, 0.35, 0.3, 0.1)


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    setting: str = "reference",
    n_train: int = 12000,
    n_val: int = 3000,
    n_test: int = 6000,
    oracle: bool = False,
    lesion_contrast: float = 0.16,
    noise: float = 0.09,
    anatomy: float = 0.5,
    **planted: float | None,
) -> Cohort:
    """A cohort of ``n_train + n_val + n_test`` images with 1 to 3 images per patient.

    ``setting`` names one of ``SETTINGS``; every mechanism of ``Mechanisms`` can be given by name
    and then replaces the setting's. ``oracle`` draws the same patients with the device by chance
    (in every split): a model trained on it shows what is possible without the shortcut.
    ``lesion_contrast`` is the mean height of an opacity, ``noise`` the standard deviation of a
    pixel, both as a share of the grey scale; ``anatomy`` scales how visible the sex is.

    Target ``opacity`` (the recorded label). Beside it stand ``clean_opacity`` (before label
    noise) and ``device`` (0 or 1), which are no targets.

    >>> cohort = load(setting="clean", n_train=4, n_val=2, n_test=2)
    >>> cohort.render([0, 1], 32).shape
    (2, 32, 32, 1)
    """
    if root is not None:
        raise InputError(
            f"synthetic-cxr is drawn, not read: leave out the data root {str(root)!r}."
        )
    if setting not in SETTINGS:
        raise unknown("setting of synthetic-cxr", setting, SETTINGS)
    for name in planted:
        if name not in MECHANISMS:
            raise unknown("option of synthetic-cxr", name, MECHANISMS)
    drawing = {"lesion_contrast": lesion_contrast, "noise": noise, "anatomy": anatomy}
    for name, value in drawing.items():
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise InputError(f"Expected {name} to be from 0 to 1, but got {value!r}.")
    values: dict[str, Any] = {**SETTINGS[setting], **planted}
    if oracle:
        values |= {"shortcut": 0.0, "shortcut_minority": None}
    sizes = {"train": n_train, "val": n_val, "test": n_test}
    table = draw(sizes, seed, Mechanisms(**values), age_shares=AGE_SHARES)
    frame = table[["split"]].copy()
    numbers = table["part_image"].map("{:06d}".format)
    frame.insert(0, "image_id", "cxr-" + table["split"] + "-" + numbers)
    frame.insert(
        1, "patient_id", table["split"] + "-" + table["part_patient"].map("p{:06d}".format)
    )
    frame["opacity"] = table["recorded"].astype(float)
    frame["clean_opacity"] = table["disease"].astype(float)
    frame["sex"] = np.where(table["minority"], "F", "M")
    frame["age_group"] = np.array(AGE_GROUPS)[table["age"]]
    frame["device"] = table["device"].astype(float)
    minority = table["minority"].to_numpy()
    render = CxrRender(
        seed=seed,
        patient=table["patient"].to_numpy(),
        image=table["image"].to_numpy(),
        female=minority,
        age=(table["age"].to_numpy() / (len(AGE_GROUPS) - 1)).astype(np.float32),
        disease=table["disease"].to_numpy(),
        device=table["device"].to_numpy(),
        contrast=np.where(minority, 1 - values.get("contrast_loss", 0.0), 1).astype(np.float32),
        lesion_contrast=float(lesion_contrast),
        noise=float(noise),
        anatomy=float(anatomy),
    )
    return Cohort(
        name="synthetic-cxr",
        frame=frame,
        targets=("opacity",),
        attributes=("sex", "age_group"),
        channels=1,
        render=render,
    )


def twin(cohort: Cohort, rows: ArrayLike, change: str) -> Cohort:
    """The images at ``rows`` of a made cohort, with one thing changed and all else as it was.

    ``change="sex"`` draws the same patient as the other sex, the opacity and its contrast
    unchanged; ``change="device"`` removes the device. The labels, the ids and the noise stay.
    """
    if change not in ("sex", "device"):
        raise unknown("change of a twin", change, ("sex", "device"))
    if not isinstance(cohort.render, CxrRender):
        raise InputError(f"The cohort {cohort.name} has no twins: expected synthetic-cxr.")
    rows = np.asarray(rows, dtype=np.intp)
    frame = cohort.frame.iloc[rows].reset_index(drop=True)
    render = cohort.render.take(rows)
    if change == "sex":
        frame["sex"] = np.where(render.female, "M", "F")
        render = replace(render, female=~render.female)
    else:
        frame["device"] = 0.0
        render = replace(render, device=np.zeros_like(render.device))
    return replace(cohort, frame=frame, render=render)
