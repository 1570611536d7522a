"""What a cohort looks like: sheets of synthetic images with their twins, and counts by group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Patch
from numpy.typing import NDArray

from fairthesis import datasets
from fairthesis.data import Cohort
from fairthesis.datasets import Drawing, twin
from fairthesis.errors import InputError, unknown
from fairthesis.plots._figures import CHANCE, SOFT, _sheet, literal, style
from fairthesis.storage import write_atomically

SIZES = {"quick": 4000, "full": 40000}  # images that the shares are counted on
TITLES = {"synthetic-cxr": "Chest X-rays", "synthetic-derm": "Skin lesions"}
WORDS = {"malignant": ("benign", "malignant")}  # label 0 and 1
EDGE = 0.82  # inches of a picture
PIXELS = 96
WRONG = "#d55e00"
NOT_STATED = "not stated"


def image_sheet(
    dataset: str,
    setting: str,
    *,
    profile: str = "quick",
    seed: int = 0,
    out_dir: str | Path | None = None,
    noise: float | None = None,
) -> Figure:
    """One setting of synthetic cohorts: each group and label, every picture above its twins.

    Args:
        dataset: a synthetic cohort, or several with a comma between them, each a band of the sheet.
        setting: one of ``datasets.SETTINGS``.
        profile: how many images the shares are counted on: ``quick`` (4,000) or ``full`` (40,000).
        seed: of the cohorts.
        out_dir: where the sheet is also written, as ``<setting>.png``; by default nowhere.
        noise: replaces the pixels' noise, to show what lies below it; nothing else changes.

    Raises:
        InputError: for another data set, setting or profile.

    >>> figure = image_sheet("synthetic-cxr", "shortcut")
    >>> [text.get_text() for axes in figure.axes for text in axes.texts][:2]
    ['Chest X-rays', 'M, no opacity']
    >>> plt.close("all")
    """
    if profile not in SIZES:
        raise unknown("profile", profile, SIZES)
    names = [name.strip() for name in dataset.split(",") if name.strip()]
    for name in names:
        if name not in TITLES:
            raise unknown("synthetic cohort", name, TITLES)
    if not names:
        raise InputError(f"Expected dataset to name one of {', '.join(TITLES)}: got {dataset!r}.")
    n = SIZES[profile]
    drawing: dict[str, Any] = {} if noise is None else {"noise": noise}
    cohorts = [
        datasets.load(name, seed=seed, setting=setting, n_train=n, n_val=1, n_test=1, **drawing)
        for name in names
    ]
    figure = bands(cohorts)
    if out_dir is not None:
        path = Path(out_dir) / f"{setting}.png"
        write_atomically(path, lambda to: figure.savefig(to, format="png"))
    return figure


def bands(cohorts: list[Cohort]) -> Figure:
    """A band for each cohort: under each group and label two pictures and their twins.

    Synthetic cohorts only: pictures of patients are shown nowhere.
    """
    for cohort in cohorts:
        if not isinstance(cohort.render, Drawing):
            raise InputError(
                f"The pictures of {cohort.name} may show patients: expected a synthetic cohort."
            )
    tall = [0.34, 0.52, EDGE, EDGE, EDGE, 0.12]  # title, shares, three rows of pictures, space
    left, across = 1.0, 8 * EDGE + 3 * 0.14
    height = len(cohorts) * sum(tall)
    with style():
        figure = _sheet(left + across, height)
        grid = GridSpec(
            *(len(tall) * len(cohorts), 11),
            figure=figure,
            width_ratios=[*([EDGE, EDGE, 0.14] * 3), EDGE, EDGE],
            height_ratios=tall * len(cohorts),
            left=left / (left + across),
            right=1,
            top=1,
            bottom=0,
            wspace=0.0,
            hspace=0.0,
        )
        for number, cohort in enumerate(cohorts):
            _band(figure, grid, number * len(tall), cohort)
    return figure


def examples_of(cohort: Cohort) -> list[tuple[str, float, NDArray[np.intp]]]:
    """Two training images of each group and label, the larger group first: (group, label, rows).

    The first image without the device, and the first with it; where there are wrong labels among
    them, the latter is one of those. Rows are empty where no image is.
    """
    render, target = cohort.render, cohort.targets[0]
    assert isinstance(render, Drawing)
    frame = cohort.frame
    wrong = (frame[target] != frame[f"clean_{target}"]).to_numpy()
    device = (frame["device"] == 1).to_numpy()
    subgroups: list[tuple[str, float, NDArray[np.intp]]] = []
    for group in render.group_names:
        for label in (0.0, 1.0):
            here = (frame["split"] == "train") & (frame[render.group] == group)
            subgroup = (here & (frame[target] == label)).to_numpy()
            plain = np.flatnonzero(subgroup & ~device & ~wrong)
            worn = np.flatnonzero(subgroup & device & wrong)
            worn = worn if len(worn) else np.flatnonzero(subgroup & device)
            subgroups.append((group, label, np.r_[plain[:1], worn[:1]].astype(np.intp)))
    return subgroups


def _band(figure: Figure, grid: GridSpec, top: int, cohort: Cohort) -> None:
    render, target, frame = cohort.render, cohort.targets[0], cohort.frame
    assert isinstance(render, Drawing)
    title = figure.add_subplot(grid[top, :])
    title.set_axis_off()
    heading = literal(TITLES.get(cohort.name, cohort.name))
    title.text(0, 0.5, heading, fontsize=13, fontweight="bold", va="center")
    labels = ["as drawn", f"other {literal(render.group.replace('skin_', ''))}", "no device"]
    for subgroup, (group, label, rows) in enumerate(examples_of(cohort)):
        column = 3 * subgroup
        train = frame[frame["split"] == "train"]
        part = train[(train[render.group] == group) & (train[target] == label)]
        word = f"{group}, {WORDS.get(target, (f'no {target}', target))[int(label)]}"
        axes = figure.add_subplot(grid[top + 1, column : column + 2])
        _share(axes, word, len(part) / len(train), part["device"].mean())
        for place, row in enumerate(rows):
            one = np.array([row])
            drawn = [cohort, twin(cohort, one, render.group), twin(cohort, one, "device")]
            wrong = bool(frame[target].iloc[row] != frame[f"clean_{target}"].iloc[row])
            for line, version in enumerate(drawn):
                axes = figure.add_subplot(grid[top + 2 + line, column + place])
                assert version.render is not None
                blank = line == 2 and frame["device"].iloc[row] == 0
                at = one if line == 0 else np.array([0])
                _picture(axes, None if blank else version.render(at, PIXELS)[0], wrong)
                if subgroup == 0 and place == 0:
                    axes.text(-0.08, 0.5, labels[line], transform=axes.transAxes, fontsize=11.5,
                              ha="right", va="center")  # fmt: skip


def _share(axes: Axes, word: str, share: float, device: float) -> None:
    """The header of a group and label: its share of the images as a bar, with a device darker."""
    axes.set(xlim=(0, 0.6), ylim=(-0.35, 2.2))
    axes.set_axis_off()
    axes.barh(0.1, share, height=0.5, color=CHANCE)
    device = 0.0 if np.isnan(device) else device
    axes.barh(0.1, share * device, height=0.5, color="C0")
    axes.text(0, 1.65, literal(word), fontsize=11, va="center", fontweight="bold")
    text = f"{share:.0%} of all, {device:.0%} device"
    axes.text(0, 0.8, text, fontsize=9.5, va="center", color=SOFT)


def _picture(axes: Axes, image: NDArray[np.uint8] | None, wrong: bool) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=2.5 if wrong else 1.5, color=WRONG if wrong else "white")
    if image is None:
        axes.text(0.5, 0.5, "has none", transform=axes.transAxes, fontsize=10, ha="center",
                  va="center", color=SOFT)  # fmt: skip
        for spine in axes.spines.values():
            spine.set_visible(False)
        return
    plain = image[..., 0] if image.shape[-1] == 1 else image
    axes.imshow(plain, cmap="gray", vmin=0, vmax=255, aspect="auto", interpolation="antialiased")


def count_table(cohort: Cohort, target: str, attribute: str) -> pd.DataFrame:
    """Images by group and by label.

    Args:
        cohort: any cohort.
        target: one of its targets.
        attribute: one of its attributes, or an intersection ``a*b``.

    Returns:
        Counts with a row per group and the columns ``absent``, ``present`` and ``not stated`` of
        the label; null values of the attribute have the row ``not stated``, last. Empty columns are
        left out.

    Raises:
        InputError: where the cohort has no such target or attribute.

    >>> frame = pd.DataFrame({"image_id": list("1234"), "patient_id": list("abcd")})
    >>> frame = frame.assign(split="test", path="x.png", sex=["F", "F", "M", None])
    >>> frame["opacity"] = [1.0, 0.0, np.nan, 1.0]
    >>> table = count_table(Cohort("mine", frame, ("opacity",), ("sex",)), "opacity", "sex")
    >>> table.loc["F"].to_dict(), int(table.loc["not stated", "present"])
    ({'absent': 1, 'present': 1, 'not stated': 0}, 1)
    """
    label = pd.Series(cohort.labels(target), index=cohort.frame.index)
    names = label.map({0.0: "absent", 1.0: "present"}).astype(object).fillna(NOT_STATED)
    groups = [*cohort.groups(attribute)]
    group = cohort.group_of(attribute).astype(object)
    group = group.where(group.notna(), NOT_STATED)
    table = pd.crosstab(group, names)
    order = [name for name in ("absent", "present", NOT_STATED) if name in table.columns]
    rows = [*groups, *([NOT_STATED] if NOT_STATED in table.index else [])]
    return table.reindex(index=rows, columns=order).rename_axis(index=attribute, columns=None)


def group_counts(
    cohort: Cohort, target: str | None = None, attributes: Sequence[str] = ()
) -> Figure:
    """Images of each group of each attribute by label: bars with their numbers, one plot each.

    Args:
        cohort: any cohort.
        target: one of its targets; by default its first.
        attributes: its attributes, or intersections ``a*b`` of them; by default all.

    Raises:
        InputError: where the cohort has no such target or attribute.

    >>> cohort = datasets.load("synthetic-cxr", n_train=80, n_val=10, n_test=10)
    >>> figure = group_counts(cohort, attributes=["sex", "sex*age_group"])
    >>> [axes.get_title(loc="left") for axes in figure.axes], figure.axes[-1].get_xlabel()
    (['by sex', 'by sex and age group'], 'images')
    >>> plt.close("all")
    """
    chosen = cohort.targets[0] if target is None else target
    tables = [
        count_table(cohort, chosen, attribute) for attribute in attributes or cohort.attributes
    ]
    colours = {"absent": CHANCE, "present": "C0", NOT_STATED: "white"}
    bars = [0.28 * len(table) + 0.42 for table in tables]
    with style():
        figure, panels = plt.subplots(
            *(len(tables), 1),
            figsize=(6.8, 0.9 + sum(bars)),
            squeeze=False,
            sharex=True,
            gridspec_kw={"height_ratios": bars},
        )
        most = max(int(table.sum(axis=1).max()) for table in tables)
        for axes, table in zip(panels[:, 0], tables, strict=True):
            start = np.zeros(len(table))
            for name in table.columns:
                values = table[name].to_numpy()
                edge: dict[str, Any] = {"edgecolor": SOFT, "linewidth": 0.6, "height": 0.72}
                axes.barh(range(len(table)), values, left=start, color=colours[name], **edge)
                start = start + values
            for place, (end, row) in enumerate(zip(start, table.to_dict("records"), strict=True)):
                stated = row.get("absent", 0) + row.get("present", 0)
                share = f", {row.get('present', 0) / stated:.0%} present" if stated else ""
                axes.annotate(f"{int(end):,}{share}", (end, place), xytext=(5, 0), fontsize=8.5,
                              textcoords="offset points", va="center", color=SOFT)  # fmt: skip
            axes.set_yticks(range(len(table)), [*map(literal, table.index)])
            axes.tick_params(axis="y", length=0)
            axes.invert_yaxis()
            named = str(table.index.name).replace("_", " ").replace("*", " and ")
            axes.set_title(f"by {literal(named)}")
            axes.set_xlim(0, most * 1.3)
            axes.margins(y=0.02)
        panels[-1, 0].set_xlabel("images")
        used = [name for name in colours if any(name in table.columns for table in tables)]
        words = {name: f"{literal(chosen.replace('_', ' '))} {name}" for name in used}
        patches = [
            Patch(facecolor=colours[n], edgecolor=SOFT, lw=0.6, label=words[n]) for n in used
        ]
        figure.legend(handles=patches, loc="outside upper left", ncols=len(used))
    return figure
