"""A marker planted in the images of another data set: known truth on real images.

Images: those of the data set ``of``, with a pen ring, a lead marker or the like drawn into some.
Labels and groups: those of the data set, and ``marker`` (with, without) behind them. How likely an
image is to get the marker depends on target and group as a setting says (``reversed``,
``one-group``, ``same``, ``marks-group``, ``none``, ``reference``), or on a table of yours. Twins
(the same image with or without the marker) and an oracle (the marker by chance) come with it.

Pitfalls: what a model makes of a marker drawn by a program is not what it makes of a real one, and
the images may have real markers of the same kind; where a lesion lies is not known, so a ring may
miss it. The gap that is planted comes on top of the gap that the images have. Pictures of patients
stay pictures of patients. Access, Licence and Citation: those of the data set.

    fairthesis datasets describe planted --data-root data/ham --option of=ham10000 \\
        --option marker=pen-ring --option setting=one-group --option attribute=sex
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from fairthesis.data import Cohort
from fairthesis.datasets.wrappers._inner import DEFAULT, inner_cohort
from fairthesis.datasets.wrappers._planting import planted
from fairthesis.inputs import Range

Signed = Annotated[float | None, Range(least=-1, most=1)]
WRAPS = True  # it has no images of its own
TWINS = True


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    of: str = DEFAULT,
    inner: Mapping[str, Any] | None = None,
    marker: str | None = None,
    setting: str = "reversed",
    shortcut: Signed = None,
    shortcut_minority: Signed = None,
    group_mark: Signed = None,
    underrepresentation: Annotated[float | None, Range(least=0, most=0.98)] = None,
    probabilities: Mapping[str, Sequence[float]] | None = None,
    target: str | None = None,
    attribute: str | None = None,
    minority: str | Sequence[str] | None = None,
    test: Literal["same", "balanced"] = "same",
    oracle: bool = False,
    looks: Annotated[int, Range(least=0, most=2**32 - 1)] = 0,
) -> Cohort:
    """The data set ``of``, loaded with the options ``inner`` and this seed, with a marker planted.

    The other options are those of ``fairthesis.datasets.planted``.
    """
    return planted(
        inner_cohort("planted", of, root, seed, inner),
        marker=marker,
        setting=setting,
        shortcut=shortcut,
        shortcut_minority=shortcut_minority,
        group_mark=group_mark,
        underrepresentation=underrepresentation,
        probabilities=probabilities,
        target=target,
        attribute=attribute,
        minority=minority,
        test=test,
        oracle=oracle,
        looks=looks,
        seed=seed,
    )
