"""Bias by selection: images of another data set, chosen so that a covariate goes with the target.

Images: those of the data set ``of`` that are left. Labels and groups: its own. Cells of target,
group and covariate (view, site, device: any column of its table) are thinned in the training part
until P(covariate | target, group) is what a setting says, as if the covariate were a planted
marker. Validation and test are balanced: the covariate is half of every target and group there.

Pitfalls: a strong association leaves few images; the smallest cell decides. What the images of a
cell have in common beside the covariate is selected with it. Access, Licence and Citation: those
of the data set.

    fairthesis datasets describe select --data-root data/nih --option of=nih-cxr14 \\
        --option covariate=view --option value=AP --option setting=same --option shortcut=0.3
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from fairthesis.data import Cohort
from fairthesis.datasets.wrappers._inner import DEFAULT, inner_cohort, inner_twins
from fairthesis.datasets.wrappers._selecting import select
from fairthesis.datasets.wrappers.planted import Signed
from fairthesis.inputs import Range

WRAPS = True  # it has no images of its own
TWINS = inner_twins


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    of: str = DEFAULT,
    inner: Mapping[str, Any] | None = None,
    covariate: str | None = None,
    value: str | None = None,
    setting: str = "reversed",
    shortcut: Signed = None,
    shortcut_minority: Signed = None,
    group_mark: Signed = None,
    probabilities: Mapping[str, Sequence[float]] | None = None,
    prevalence: Mapping[str, float] | None = None,
    target: str | None = None,
    attribute: str | None = None,
    minority: str | Sequence[str] | None = None,
    test: Literal["balanced", "same", "all"] = "balanced",
    keep: Literal["shares", "images"] = "shares",
    floor: Annotated[int, Range(least=1)] = 10,
) -> Cohort:
    """The data set ``of``, loaded with the options ``inner`` and this seed, and selected from.

    The other options are those of ``fairthesis.datasets.select``.
    """
    return select(
        inner_cohort("select", of, root, seed, inner),
        covariate=covariate,
        value=value,
        setting=setting,
        shortcut=shortcut,
        shortcut_minority=shortcut_minority,
        group_mark=group_mark,
        probabilities=probabilities,
        prevalence=prevalence,
        target=target,
        attribute=attribute,
        minority=minority,
        test=test,
        keep=keep,
        floor=floor,
        seed=seed,
    )
