"""Significance tests of methods against plain training, by cohort, and ranks over cohorts."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import t as student

from fairthesis.auditing import p_value_text
from fairthesis.stats import Ranks, friedman_nemenyi, holm
from fairthesis.study._across_cohorts import (
    headline_intervals,
    seed_interval,
    seed_spread,
    test_train_ratio,
)
from fairthesis.study._archive import Results
from fairthesis.study._summaries import HEADLINE, headline_numbers
from fairthesis.training import ideal_distance

COST = 0.02  # of AUROC: what a smaller gap may cost, as the thesis's own table has it
GAPS = ("AUROC gap", "equalized odds difference")
LEVEL = 0.05
OUTCOMES = ("smaller", "smaller, paid for", "larger", "not told apart", "not known")
DOTTED = {"not told apart": "·"}  # in tables, so that what was found stands out


def paired_differences(results: Results, base: str = "erm") -> pd.DataFrame:
    """The headline numbers of every method less those of ``base``: seeds by (number, variant)."""
    wide = headline_numbers(results).pivot_table(
        index="seed", columns=["number", "variant"], values="value", aggfunc="mean"
    )
    parts = {
        number: wide[number].drop(columns=base).sub(wide[number][base], axis=0)
        for number in wide.columns.unique("number")
    }
    return pd.concat(parts, axis=1, names=["number"])


def significance_tests(found: Mapping[str, Results], base: str = "erm") -> pd.DataFrame:
    """Every method against plain training: the paired change of each gap, and what it cost.

    A paired t test over seeds, two-sided, with the standard error of ``headline_intervals`` (Nadeau
    and Bengio 2003 where seeds split the same patients anew), corrected by Holm (1979) over all
    rows of the cohort. The oracle does not take part.

    Args:
        found: cohort -> its results.
        base: the variant to compare with.

    Returns:
        A row per cohort, method and gap: ``cohort, variant, number``; a column named as ``base``
        with its mean; ``change`` over seeds with its interval ``lo, hi``; ``AUROC change``;
        ``p_holm``, NaN from a single seed; and the outcome in the column ``outcome``: ``smaller``
        where the gap is smaller beyond chance (p below 0.05) and AUROC falls by 0.02 at most,
        ``smaller, paid for`` where it falls by more, ``larger``, ``not told apart``, or ``not
        known`` from a single seed.

    >>> from fairthesis.study import load_archived
    >>> table = significance_tests({"cxr": load_archived("synthetic-cxr")})
    >>> table[["variant", "number", "outcome"]].values.tolist()[0]
    ['adversarial', 'AUROC gap', 'smaller']
    >>> short = load_archived("synthetic-cxr", "quick")  # loses more than 0.02 of AUROC
    >>> significance_tests({"cxr": short})["outcome"].unique().tolist()
    ['smaller, paid for']
    """
    parts = []
    for cohort, results in found.items():
        table, change = headline_numbers(results), paired_differences(results, base)
        means = table[table["variant"] == base].groupby("number")["value"].mean()
        rows = []
        for number in (name for name in GAPS if name in change):
            for variant in change[number].columns.drop("oracle", errors="ignore"):
                values = change[number, variant].tolist()
                mean, lo, hi = seed_interval(values, shared=test_train_ratio(results))
                auroc = float(change["AUROC", variant].mean())
                p = _p_value(*seed_spread(values, test_train_ratio(results)))
                rows.append([cohort, variant, number, means[number], mean, lo, hi, auroc, p])
        names = ["cohort", "variant", "number", base, "change", "lo", "hi", "AUROC", "p"]
        part = pd.DataFrame(rows, columns=names)
        parts.append(part.assign(p_holm=holm(part["p"].tolist())))
    table = pd.concat(parts, ignore_index=True)
    outcomes = [
        _outcome(*row) for row in table[["change", "AUROC", "p_holm"]].itertuples(index=False)
    ]
    return (
        table.assign(outcome=outcomes).drop(columns="p").rename(columns={"AUROC": "AUROC change"})
    )


def tests_for_reading(table: pd.DataFrame) -> pd.DataFrame:
    """The table of ``significance_tests`` for a page: a change in one column with its interval.

    Args:
        table: as ``significance_tests`` gives it.

    Returns:
        Text, indexed by gap (with the mean of what is compared with) and variant, and by cohort
        first where there are several. A dot stands for *not told apart*.

    >>> from fairthesis.study import load_archived
    >>> table = significance_tests({"cxr": load_archived("synthetic-cxr", "quick")})
    >>> shown = tests_for_reading(table)
    >>> list(shown.columns), shown["outcome"].str.split().str.join(" ").tolist()
    (['outcome', 'change', 'AUROC', 'p'], ['smaller, paid for', 'smaller, paid for'])
    """
    base = table.columns[3]
    gap = [f"{name} ({mean:.3f})" for name, mean in zip(table["number"], table[base], strict=True)]
    change = [
        _signed(mean) if math.isnan(lo) else f"{_signed(mean)} ({_signed(lo)} to {_signed(hi)})"
        for mean, lo, hi in table[["change", "lo", "hi"]].itertuples(index=False)
    ]
    shown = table[["cohort", "variant"]].assign(
        gap=gap,
        outcome=table["outcome"].replace(DOTTED),
        change=change,
        AUROC=table["AUROC change"].map(_signed),
        p=[p_value_text(None if math.isnan(p) else p) for p in table["p_holm"]],
    )
    keys = ["cohort", "gap", "variant"] if table["cohort"].nunique() > 1 else ["gap", "variant"]
    shown = shown.set_index(keys)[["outcome", "change", "AUROC", "p"]]
    return shown.replace(" ", "\N{NO-BREAK SPACE}", regex=True)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def tuned_settings(results: Results | None) -> pd.DataFrame:
    """Which setting of each method is chosen on a cohort that no claim is made of.

    Args:
        results: a tuning run; None gives an empty table.

    Returns:
        A row per ``method`` and ``variant``, methods in their order: AUROC and equalized odds
        difference on its test images, means over seeds; ``distance``, theirs to the ideal of AUROC
        1 and difference 0, as of the selection rule ``pareto``; and whether it is ``chosen``: that
        of the method's settings that is nearest (of equals the first).

    >>> from fairthesis.study import load_profile
    >>> table = tuned_settings(load_profile("synthetic-cxr-methods", "tuning"))
    >>> int(table["chosen"].groupby("method").sum().max())  # one of each method
    1
    """
    if results is None:
        names = ["AUROC", GAPS[1], "distance", "chosen"]
        keys = pd.MultiIndex.from_arrays([[], []], names=["method", "variant"])
        return pd.DataFrame(columns=names, index=keys).astype({"chosen": bool})
    asked = results.provenance["experiment"]["variants"]
    wide = headline_numbers(results).pivot_table(
        index="variant", columns="number", values="value", aggfunc="mean", sort=False
    )
    table = wide[["AUROC", GAPS[1]]].reindex(list(asked))
    table["method"] = [v.get("method") or v["posthoc"] for v in asked.values()]
    table["distance"] = [
        ideal_distance({"val_auroc": auroc, "val_eo": odds})
        for auroc, odds in table[["AUROC", GAPS[1]]].itertuples(index=False)
    ]
    order = {name: place for place, name in enumerate(dict.fromkeys(table["method"]))}
    table = table.sort_values("method", key=lambda names: names.map(order), kind="stable")
    known = table["distance"].fillna(math.inf)
    nearest = known.groupby(table["method"], sort=False).idxmin()
    table["chosen"] = table.index.isin(nearest)
    return table.reset_index(names="variant").set_index(["method", "variant"])


def _p_value(mean: float, error: float, n: int) -> float:
    """That the mean is not 0, two-sided, by Student's t; NaN from a single seed."""
    if n < 2:
        return math.nan
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * student.sf(abs(mean) / error, n - 1))


def _outcome(change: float, auroc: float, p: float) -> str:
    if math.isnan(p):
        return "not known"
    if p >= LEVEL:
        return "not told apart"
    if change > 0:
        return "larger"
    return "smaller" if auroc >= -COST else "smaller, paid for"


def outcome_sentence(results: Results) -> str:
    """How many methods and gaps of one cohort had which outcome, in a sentence.

    >>> from fairthesis.study import load_archived
    >>> print(outcome_sentence(load_archived("synthetic-cxr", "quick")))
    1 method against plain training, 2 comparisons of a gap: *smaller, paid for* 2.
    """
    table = significance_tests({"": results})
    of_each = table["outcome"].value_counts()
    told = [f"*{outcome}* {of_each[outcome]}" for outcome in OUTCOMES if outcome in of_each]
    methods = table["variant"].nunique()
    return (
        f"{methods} method{'s' if methods > 1 else ''} against plain training, "
        f"{len(table)} comparisons of a gap: {', '.join(told)}."
    )


def significance_table(found: Mapping[str, Results], gap: str = GAPS[0]) -> pd.DataFrame:
    """The outcomes of ``significance_tests`` on one gap: a row per method, a column per cohort.

    A dot stands for *not told apart* and a dash for *not run*, so that what was found stands out.

    Args:
        found: cohort -> its results.
        gap: ``AUROC gap`` or ``equalized odds difference``.

    >>> from fairthesis.study import load_archived
    >>> found = {name: load_archived("synthetic-cxr", name) for name in ("quick", "full")}
    >>> significance_table(found).to_dict("records")
    [{'quick': 'smaller, paid for', 'full': 'smaller'}]
    """
    table = significance_tests(found)
    order = list(dict.fromkeys(table["variant"]))
    table = table[table["number"] == gap].replace({"outcome": DOTTED})
    wide = table.pivot(index="variant", columns="cohort", values="outcome")
    return wide.reindex(index=order, columns=list(found)).fillna("–")


def rank_methods(
    found: Mapping[str, Results], number: str = "equalized odds difference", least: int = 3
) -> Ranks | str:
    """Methods ranked over cohorts by a headline number, or why they cannot be.

    Cohorts are the unit (seeds of one cohort are no independent evidence): those with three
    methods or more and at least half of the methods that any has; the methods are those that all
    of these have, the oracle left out.

    Args:
        found: cohort -> its results.
        number: one of ``HEADLINE``.
        least: cohorts that it takes, beside three methods.

    Returns:
        ``Ranks`` of Friedman's test with Nemenyi's critical difference (Demšar 2006), or a
        sentence.

    >>> from fairthesis.study import load_archived
    >>> print(rank_methods({"cxr": load_archived("synthetic-cxr")}).partition(";")[0])
    Not drawn: a ranking takes at least 3 cohorts and 3 methods that all of them have
    """
    table = headline_intervals(found)
    table = table[(table["number"] == number) & (table["variant"] != "oracle")]
    wide = table.groupby(["cohort", "variant"])["mean"].mean().unstack("variant")
    half = math.ceil(wide.shape[1] / 2)  # a cohort with a few methods would be the measure of all
    wide = wide.dropna(axis=0, thresh=max(3, half)).dropna(axis=1)
    if len(wide) < least or wide.shape[1] < 3:
        return (
            f"Not drawn: a ranking takes at least {least} cohorts and 3 methods that all of them "
            f"have; the archive has {len(wide)} cohorts and {wide.shape[1]} such methods "
            f"({', '.join(wide.columns)}). `make reproduce` runs every method on every cohort."
        )
    higher = HEADLINE[number][1] in ("auroc", "worst_group_auroc")
    return friedman_nemenyi(wide, larger_is_better=higher)


def comparison_sentences(
    found: Mapping[str, Results], variant: str = "adversarial", base: str = "erm"
) -> str:
    """For each cohort in a sentence: whether a method has a smaller gap, and at what price.

    A gap is smaller where its paired change lies below 0 with its whole interval over seeds. The
    price is the fall of AUROC, set against 0.02, the thesis's own, by its interval: below it, above
    it, or not to be told.

    Args:
        found: cohort -> its results.
        variant: the method.
        base: what it is compared with: plain training, or a control.

    Returns:
        A list in Markdown.

    >>> from fairthesis.study import load_archived
    >>> print(comparison_sentences({"cxr": load_archived("synthetic-cxr")}).rpartition(": ")[2])
    smaller AUROC gap and equalized odds difference than plain training; whether ... be told.
    >>> print(comparison_sentences({"cxr": load_archived("synthetic-cxr")}, variant="leace"))
    - **cxr**: `leace` was not run.
    """
    lines = []
    other = "plain training" if base == "erm" else f"`{base}`"
    for cohort, results in found.items():
        missing = {variant, base} - set(results.metrics["variant"])
        if missing:
            lines.append(f"- **{cohort}**: `{'`, `'.join(sorted(missing))}` was not run.")
            continue
        change = paired_differences(results, base).xs(variant, axis=1, level="variant")
        told, beaten, price = [], [], ""
        for number in ("AUROC", *GAPS):
            if number not in change or change[number].isna().all():
                told.append(f"{number} cannot be computed")
                continue
            mean, lo, hi = seed_interval(change[number].tolist(), shared=test_train_ratio(results))
            between = "one seed" if np.isnan(lo) else f"{lo:+.3f} to {hi:+.3f}"
            told.append(f"{number} {mean:+.3f} ({between})")
            if number == "AUROC":
                price = _price(lo, hi)
            elif hi < 0:
                beaten.append(number)
        single = results.metrics["seed"].nunique() == 1
        end = (
            "one seed says nothing about chance"
            if single
            else f"smaller {' and '.join(beaten)} than {other}; {price}"
            if beaten
            else f"**no smaller gap than {other}** beyond what differs between seeds"
        )
        profile = results.provenance["experiment"]["profile"]
        lines.append(f"- **{cohort}** ({profile}): {', '.join(told)}: {end}.")
    return "\n".join(lines)


def _price(lo: float, hi: float) -> str:
    """What is known of a change of AUROC, by its interval, beside the fall that counts as cheap."""
    if lo >= -COST:
        return f"the price is below {COST:g} of AUROC"
    if hi < -COST:
        return f"**paid for with more than {COST:g} of AUROC**"
    return f"whether the price is below {COST:g} of AUROC cannot be told"
