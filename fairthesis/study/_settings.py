"""The map of an experiment in many settings: where a method helps, does nothing, or harms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fairthesis.errors import InputError, unknown
from fairthesis.study._archive import Results
from fairthesis.study._contrasts import NARROW, told_of
from fairthesis.study._summaries import ablation_table, group_metrics

GAP, PROBE = "AUROC gap", "best probe given the target"
ODDS, FLIPS = "equalized odds difference", "decisions flipped by removing what was planted"
AUROC, ECE = "AUROC", "calibration error (ECE)"


def variants_by_setting(results: Results) -> dict[str, dict[str, str]]:
    """Setting -> the variants there, by the name that they have in the first setting.

    A setting is what the ``dataset_options`` of a variant say, but for ``oracle``; it is named
    after what stands behind the names of the first setting's variants.

    Args:
        results: an experiment whose plan has ``settings``.

    Returns:
        In the order of the plan, hyphens as there. Where an archive does not list its settings the
        first one is named by its option ``setting``, else ``first``.

    Raises:
        InputError: if a variant's name does not begin with one of the first setting.

    >>> from fairthesis.study import load_archived
    >>> variants_by_setting(load_archived("synthetic-cxr", "quick"))
    {'first': {'erm': 'erm', 'adversarial': 'adversarial'}}
    """
    asked = results.provenance["experiment"]
    shared = asked["base"].get("dataset_options", {})

    def options(changes: Mapping[str, Any]) -> str:
        own = {**shared, **changes.get("dataset_options", {})}
        return json.dumps({k: v for k, v in own.items() if k != "oracle"}, sort_keys=True)

    listed: Mapping[str, Mapping[str, Any]] = {
        name: changes for name, changes in asked["variants"].items() if "posthoc" not in changes
    }
    first = options(next(iter(listed.values())))
    names = [name for name, changes in listed.items() if options(changes) == first]
    setting = asked.get("settings", [json.loads(first).get("setting", "first")])[0]
    found: dict[str, dict[str, str]] = {str(setting): {name: name for name in names}}
    for name, changes in listed.items():
        if options(changes) == first:
            continue
        of = max((n for n in names if name.startswith(f"{n}_")), key=len, default=None)
        if of is None:
            raise InputError(
                f"The variant {name!r} has other dataset_options than {names[0]!r}, and a name "
                f"that begins with none of {', '.join(names)}: give its setting behind one of them."
            )
        found.setdefault(name.removeprefix(f"{of}_").replace("_", "-"), {})[of] = name
    return found


def settings_numbers(results: Results) -> pd.DataFrame:
    """The numbers of every run by setting, in long form.

    Args:
        results: an experiment whose plan has ``settings``.

    Returns:
        The columns ``setting, variant, seed, number, value``. The numbers: AUROC, every group's
        AUROC (``AUROC, F``), the AUROC gap, the equalized odds difference, the best fresh probe
        given the target, the calibration error (ECE), and, where the cohort has twins, the share of
        decisions that flip when what was planted is removed.

    >>> from fairthesis.study import load_archived
    >>> table = settings_numbers(load_archived("synthetic-cxr", "quick"))
    >>> table[["setting", "variant", "number"]].iloc[0].tolist()
    ['first', 'erm', 'AUROC']
    """
    keys = ["name", "seed", "number", "value"]
    wide = ablation_table(results).rename(columns={"variant": "name"})
    kept = [column for column in (AUROC, GAP, ODDS, PROBE) if column in wide]
    parts = [wide.melt(["name", "seed"], kept, var_name="number")[keys]]
    groups = group_metrics(results)
    groups = groups.assign(number=f"{AUROC}, " + groups["group"].astype(str))
    parts.append(groups.rename(columns={"variant": "name"})[keys])
    rows = results.metrics[results.metrics["group"].isna() & (results.metrics["metric"] == "ece")]
    parts.append(rows.assign(number=ECE).rename(columns={"variant": "name"})[keys])
    twins = results.twins
    if len(twins):
        planted = twins["change"].isin(["device_removed", "marker_removed"])
        twins = twins[planted & (twins["measure"] == "flips") & (twins["attribute"] == "all")]
        parts.append(twins.assign(number=FLIPS).rename(columns={"variant": "name"})[keys])
    table = pd.concat(parts, ignore_index=True)
    table = table.groupby(keys[:3], sort=False)["value"].mean().reset_index()
    where = [
        (setting, variant, name)
        for setting, names in variants_by_setting(results).items()
        for variant, name in names.items()
    ]
    places = pd.DataFrame(where, columns=["setting", "variant", "name"])
    found = places.merge(table, on="name", how="inner").drop(columns="name")
    return found[found["value"].notna()].reset_index(drop=True)


def settings_changes(
    results: Results,
    variant: str = "adversarial",
    than: str = "erm",
    numbers: Sequence[str] | None = None,
    narrow: float = NARROW,
) -> pd.DataFrame:
    """What a variant changes in each setting: mean paired difference over seeds, and its interval.

    Args:
        results: an experiment whose plan has ``settings``.
        variant: which; its name in the first setting.
        than: the variant that it is held against, in the same setting.
        numbers: of ``settings_numbers``; all of them by default.
        narrow: as of ``contrasts``.

    Returns:
        The columns ``setting, number, before, after, difference, lo, hi, seeds, verdict``; the
        interval is Student's at 95 %, the verdict that of ``contrasts``.

    Raises:
        InputError: for an unknown variant.

    >>> from fairthesis.study import load_archived
    >>> table = settings_changes(load_archived("synthetic-cxr", "quick"), numbers=["AUROC gap"])
    >>> table[["setting", "number", "seeds"]].values.tolist()
    [['first', 'AUROC gap', 2]]
    """
    table = settings_numbers(results)
    for name in (variant, than):
        if name not in set(table["variant"]):
            raise unknown("variant", name, table["variant"].unique())
    if numbers is not None:
        table = table[table["number"].isin(list(numbers))]
    rows = []
    for (setting, number), part in table.groupby(["setting", "number"], sort=False):
        wide = part.pivot(index="seed", columns="variant", values="value")
        if not {variant, than} <= set(wide):
            continue
        both = wide[[than, variant]].dropna()
        if both.empty:
            continue
        change = (both[variant] - both[than]).tolist()
        ends = [both[than].mean(), both[variant].mean()]
        rows.append([setting, number, *ends, *told_of(change, results, narrow)])
    columns = ["setting", "number", "before", "after", "difference", "lo", "hi", "seeds", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def settings_map(
    results: Results, variant: str = "adversarial", than: str = "erm", narrow: float = NARROW
) -> pd.DataFrame:
    """Where a variant helps, does nothing or harms: one row per setting, in words.

    ``helps``: the AUROC gap falls, and no group's AUROC does. ``helps, at a price``: the gap
    falls, and so does the AUROC of some groups, not of all. ``levels down``: the gap falls, and
    every group's AUROC does. ``harms``: the gap does not fall, and the AUROC of a group does, or
    the gap rises. ``nothing``: every interval holds 0 and is narrower than ``narrow``.
    ``cannot be told``: the rest. *Falls* and *rises* are said of intervals on one side of 0.

    Args:
        results: an experiment whose plan has ``settings``.
        variant, than, narrow: as of ``settings_changes``.

    Returns:
        Indexed by ``setting``: ``outcome``, ``gap before`` and ``gap after`` (means over seeds of
        the AUROC gap, absolute), then the mean changes of every group's AUROC, of the probe and of
        the decisions flipped, as far as there are any.

    >>> from fairthesis.study import load_archived
    >>> settings_map(load_archived("synthetic-cxr", "quick")).columns.tolist()[:3]
    ['outcome', 'gap before', 'gap after']
    """
    table = settings_changes(results, variant, than, narrow=narrow)
    rows = {}
    for setting, part in table.groupby("setting", sort=False):
        numbers = part.set_index("number")
        said, change = numbers["verdict"], numbers["difference"]
        groups = [name for name in said.index if str(name).startswith(f"{AUROC}, ")]
        rows[setting] = {
            "outcome": outcome(str(said[GAP]), [str(said[name]) for name in groups]),
            "gap before": numbers.loc[GAP, "before"],
            "gap after": numbers.loc[GAP, "after"],
            **{name: change[name] for name in (*groups, PROBE, FLIPS) if name in change},
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("setting")


def settings_audits(results: Results, variant: str = "erm", level: float = 0.05) -> pd.DataFrame:
    """What an audit says of one variant in each setting, beside what the twins say.

    Args:
        results: an experiment whose plan has ``settings``.
        variant: which; its name in the first setting.
        level: a gap is *found* in a run whose permutation p is at most this.

    Returns:
        Indexed by ``setting``: AUROC, the AUROC gap, the equalized odds difference, the best fresh
        probe given the target, calibration error and, where there are twins, the share of decisions
        flipped by removing what was planted (means over seeds, as far as there are any); then
        ``AUROC gap found`` and ``equalized odds found``, as "4 of 5" seeds.

    Raises:
        InputError: for an unknown variant.

    >>> from fairthesis.study import load_archived
    >>> table = settings_audits(load_archived("synthetic-cxr", "quick"))
    >>> table.loc["first", "AUROC gap found"]
    '2 of 2'
    """
    numbers = settings_numbers(results)
    if variant not in set(numbers["variant"]):
        raise unknown("variant", variant, numbers["variant"].unique())
    own = numbers[numbers["variant"] == variant]
    wide = own.pivot_table(index="setting", columns="number", values="value", sort=False)
    shown = [name for name in (AUROC, GAP, ODDS, PROBE, ECE, FLIPS) if name in wide]
    found = wide[shown].rename_axis(columns=None)
    names = {s: of[variant] for s, of in variants_by_setting(results).items() if variant in of}
    tested = results.disparities.assign(told=results.disparities["p_value"] <= level)
    for number, title in (
        ("auroc_gap", "AUROC gap"),
        ("equalized_odds_difference", "equalized odds"),
    ):
        told = tested[tested["name"] == number].groupby("variant")["told"]
        found[f"{title} found"] = [
            f"{told.sum()[names[s]]} of {told.size()[names[s]]}" for s in found.index
        ]
    return found


def split_settings(table: pd.DataFrame, endings: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """A map's rows by how their settings end, for a figure with a column for each ending.

    Args:
        table: as ``settings_map`` gives it.
        endings: ending -> the column's title; ``""`` is for settings that end like no other.

    Returns:
        Title -> the rows, indexed by what stands before the ending.

    >>> rows = pd.DataFrame({"outcome": ["helps", "harms"]}, index=["same", "same-visible"])
    >>> parts = split_settings(rows, {"": "hardly visible", "-visible": "plainly visible"})
    >>> {title: part["outcome"].to_dict() for title, part in parts.items()}
    {'hardly visible': {'same': 'helps'}, 'plainly visible': {'same': 'harms'}}
    """
    known = [ending for ending in endings if ending]
    found = {}
    for ending, title in endings.items():
        rows = [
            name
            for name in table.index
            if (name.endswith(ending) if ending else not name.endswith(tuple(known)))
        ]
        part = table.loc[rows]
        found[title] = part.set_axis([name.removesuffix(ending) for name in rows])
    return found


def outcome(gap: str, groups: Sequence[str]) -> str:
    """The outcome that ``settings_map`` says, of the verdicts on the gap and the groups' AUROC.

    >>> outcome("lower", ["higher", "cannot be told"]), outcome("lower", ["lower", "lower"])
    ('helps', 'levels down')
    >>> outcome("nothing", ["lower", "nothing"]), outcome("nothing", ["nothing", "nothing"])
    ('harms', 'nothing')
    """
    fallen = [said == "lower" for said in groups]
    if gap == "lower":
        return "levels down" if all(fallen) else "helps, at a price" if any(fallen) else "helps"
    if gap == "higher" or any(fallen):
        return "harms"
    return "nothing" if {gap, *groups} == {"nothing"} else "cannot be told"
