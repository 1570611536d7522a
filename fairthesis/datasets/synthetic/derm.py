"""Synthetic skin lesions: a pigmented lesion on skin of some tone, drawn by the package.

Colour pictures with skin texture, uneven light, hair, a lesion and noise, at any size. The
disease makes the lesion's border ragged, one half darker and its colour uneven; the device is a
ruler with violet ink at the edge of the picture, which never touches the lesion. The skin
tone changes the colour of the skin; the lesion's pigment is subtracted from it, the same amount
on every tone. Tones of the two groups overlap.

Groups: ``skin_tone`` (dark is the smaller group where one is smaller) and ``age_group``. Licence:
as the package; nothing is downloaded. What is planted: `fairthesis.datasets.Mechanisms`.
"""

from __future__ import annotations

from pathlib import Path

from fairthesis.data import Cohort
from fairthesis.datasets._twins import twin
from fairthesis.datasets.synthetic._cohort import synthetic_cohort
from fairthesis.datasets.synthetic._derm_drawing import DermRender
from fairthesis.datasets.synthetic._planting import MECHANISMS
from fairthesis.datasets.synthetic.cxr import SETTINGS as CHEST

__all__ = ["MECHANISMS", "SETTINGS", "DermRender", "load", "twin"]

# As for the chest, but for the reference: a ruler is easier to see than an electrode, so a weaker
# shortcut plants as much. Chosen from plain training and the oracle alone. At 0.55 five seeds of
# plain training had a mean equalized odds difference of 0.112 where 0.12 is to be planted; at 0.58
# (seed 101, none of the archive's; 48 pixels, 16,000 training images, 30 epochs of the small
# encoder, 20,000 test images) plain training and the oracle reached AUROC 0.908 and 0.891, gaps
# 0.114 and 0.004, and equalized odds differences 0.136 and 0.027.
SETTINGS: dict[str, dict[str, float]] = CHEST | {
    "reference": {"underrepresentation": 0.6, "shortcut": 0.58, "shortcut_minority": -0.9}
}


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    setting: str = "reference",
    n_train: int = 12000,
    n_val: int = 3000,
    n_test: int = 6000,
    oracle: bool = False,
    lesion_contrast: float = 0.080,
    noise: float = 0.06,
    anatomy: float = 0.15,
    **planted: float | None,
) -> Cohort:
    """A cohort of ``n_train + n_val + n_test`` images with 1 to 3 images per patient.

    The options are those of ``synthetic-cxr``; ``lesion_contrast`` is the
    mean degree of the malignant signs and ``anatomy`` the distance between the groups' tones.
    Target ``malignant``, beside it ``clean_malignant`` and ``device`` (the ruler).

    >>> cohort = load(setting="clean", n_train=4, n_val=2, n_test=2)
    >>> cohort.render([0, 1], 32).shape
    (2, 32, 32, 3)
    """
    return synthetic_cohort(
        "synthetic-derm",
        DermRender,
        {"train": n_train, "val": n_val, "test": n_test},
        SETTINGS,
        setting,
        planted,
        target="malignant",
        root=root,
        seed=seed,
        oracle=oracle,
        drawing={"lesion_contrast": lesion_contrast, "noise": noise, "anatomy": anatomy},
    )
