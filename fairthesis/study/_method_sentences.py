"""What the comparison of methods allows to say, in sentences that are computed from its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from fairthesis.study._across_cohorts import best_probes, share_of_oracle_distance
from fairthesis.study._archive import Results
from fairthesis.study._significance import COST, LEVEL, significance_tests, tuned_settings
from fairthesis.study._summaries import adversaries_and_probes, headline_numbers

MISSING = "The experiment has not been archived: there is nothing to say."
SHARE = "share of ERM–oracle distance"
SMALLER = "smaller"
DEARER = "smaller, paid for"
LARGER = "larger"
UNCLEAR = "not told apart"


def oracle_sentence(results: Results | None, least: float = 0.5, base: str = "erm") -> str:
    """Which methods cover at least a share of the distance to the oracle in every gap.

    Those that keep AUROC (lose 0.02 at most against ``base``) and those that do not are listed
    apart, the largest share first.

    Args:
        results: an experiment with an oracle; for None a sentence says that it is missing.
        least: the share of the ERM–oracle distance that is asked for in both gaps.
        base: plain training.

    >>> from fairthesis.study import load_archived
    >>> text = oracle_sentence(load_archived("synthetic-cxr-methods"), least=0.9)
    >>> print(text.partition(":")[0])
    At least 90 % of the distance from plain training to the oracle, in both gaps
    >>> oracle_sentence(None)
    'The experiment has not been archived: there is nothing to say.'
    """
    if results is None:
        return MISSING
    shares = share_of_oracle_distance({"": results})
    if shares.empty:
        return "The experiment has no oracle that is better than plain training."
    wide = shares[SHARE].droplevel("cohort").unstack("number")
    auroc = _means(results, "AUROC")
    change = auroc - auroc[base]
    far = wide[(wide >= least).all(axis=1)].assign(change=change)
    far = far.sort_values(list(wide.columns), ascending=False)

    def listed(part: pd.DataFrame) -> str:
        told = [
            f"`{name}` ({_percent(row[wide.columns].min())}, AUROC {_signed(row['change'])})"
            for name, row in part.iterrows()
        ]
        return _joined(told) or "none"

    kept = far["change"] >= -COST
    price = f"that lose {COST:g} of AUROC at most"
    return (
        f"At least {_percent(least)} of the distance from plain training to the oracle, in both "
        f"gaps: of the methods {price}, {listed(far[kept])}; of those that lose more, "
        f"{listed(far[~kept])}. In brackets the smaller of the two shares and the change of AUROC; "
        f"the oracle itself has {_signed(float(change.get('oracle', float('nan'))))}. "
        f"{len(wide) - len(far)} of {len(wide)} methods cover less."
    )


def tuning_sentence(before: Results | None, after: Results | None, base: str = "erm") -> str:
    """For which methods tuning the strength changes what the tests of the gaps say.

    Args:
        before: every method with its default.
        after: every method at the value that was chosen, on the same cohorts.
        base: plain training.

    >>> from fairthesis.study import load_archived
    >>> same = load_archived("synthetic-cxr-methods")
    >>> print(tuning_sentence(same, same).partition(":")[0])
    The outcome is another than with the defaults for 0 methods
    """
    if before is None or after is None:
        return MISSING
    first, second = (_outcomes(results, base) for results in (before, after))
    if first is None or second is None:
        return "One seed is shown: nothing was tested."
    moved, stayed = [], []
    for method in second.index.unique("method"):
        if method not in first.index.unique("method"):
            continue
        was, now = first.loc[method], second.loc[method]
        changed = [gap for gap in now.index if now[gap] != was[gap]]
        if changed:
            same = " (the same runs: only the correction for the number of tests differs)"
            note = same if _options(before, method) == _options(after, method) else ""
            told = "; ".join(f"{gap} *{now[gap]}*, before *{was[gap]}*" for gap in changed)
            moved.append(f"- `{method}`: {told}{note}.")
        else:
            stayed.append(f"`{method}`")
    lines = "\n".join(moved)
    return (
        f"The outcome is another than with the defaults for {len(moved)} methods:\n\n{lines}\n\n"
        f"For {len(stayed)} methods both outcomes stay: {_joined(stayed) or 'none'}. *{SMALLER}* "
        f"is a significantly smaller gap for {COST:g} of AUROC at most, *{DEARER}* one for more."
    )


def against_sentence(results: Results | None, base: str) -> str:
    """How every method compares with one of them: whose gaps are smaller, larger, not told apart.

    Args:
        results: an experiment.
        base: the method that the others are compared with.

    >>> from fairthesis.study import load_archived
    >>> text = against_sentence(load_archived("synthetic-cxr-methods"), "adversarial")
    >>> "significantly smaller than that of `adversarial`" in text
    True
    """
    if results is None:
        return MISSING
    tests = significance_tests({"": results}, base=base)
    if tests["p_holm"].isna().all():
        return "One seed is shown: nothing was tested."
    lines = []
    for gap, part in tests.groupby("number", sort=False):
        clear = part[part["p_holm"] < LEVEL]
        smaller = clear.loc[clear["change"] < 0, "variant"]
        larger = clear.loc[clear["change"] > 0, "variant"]
        rest = part[~part["variant"].isin(clear["variant"])]
        told = [
            f"`{name}` ({_signed(change)}, {_signed(lo)} to {_signed(hi)}; AUROC {_signed(auroc)})"
            for name, change, lo, hi, auroc in rest[
                ["variant", "change", "lo", "hi", "AUROC change"]
            ].itertuples(index=False)
        ]
        lines.append(
            f"- **{gap}**: significantly smaller than that of `{base}` for {len(smaller)} of "
            f"{len(part)} methods{_named(smaller)}; larger for {len(larger)}{_named(larger)}; not "
            f"significant for {len(rest)}: {_joined(told) or 'none'}."
        )
    return "\n".join(lines)


def fooled_sentence(results: Results | None, most: float = 0.6, base: str = "erm") -> str:
    """Whose own adversary recovers little while a fresh probe recovers the attribute.

    Args:
        results: an experiment with adversaries and probes.
        most: the AUROC of a method's own adversary that counts as little.
        base: plain training, whose probe is the comparison.

    >>> from fairthesis.study import load_archived
    >>> text = fooled_sentence(load_archived("synthetic-cxr-methods"))
    >>> "`laftr`" in text.partition("more of the attribute than from plain training's")[0]
    True
    """
    table = adversaries_and_probes(results)
    if results is None or table.empty:
        return MISSING
    own, fresh = table.columns
    plain = best_probes({"": results}).droplevel("cohort")["auroc"].get(base, float("nan"))
    low = table[table[own] <= most]
    above = low[low[fresh] > low[own]]
    more = low[low[fresh] > plain]
    widest = (low[fresh] - low[own]).idxmax() if len(low) else None
    told = [f"`{name}` ({row[own]:.3f} and {row[fresh]:.3f})" for name, row in more.iterrows()]
    text = (
        f"At the last epoch the adversaries of {len(low)} of {len(table)} methods have an AUROC of "
        f"{most:g} or less. A fresh probe recovers more than the method's own adversary from "
        f"{len(above)} of these embeddings"
    )
    if widest is not None:
        text += f", and the difference is largest for `{widest}`"
    return (
        f"{text}. Fresh probes recover from {_joined(told) or 'none of them'} more of the "
        f"attribute than from plain training's embedding ({plain:.3f})"
        f"{'; in brackets the own adversary and the fresh probe' if told else ''}."
    )


def edge_sentence(trials: Results | None) -> str:
    """For which methods the chosen strength is the largest or the smallest that was tried.

    Args:
        trials: a tuning run, as of ``tuned_settings``.

    >>> from fairthesis.study import load_profile
    >>> text = edge_sentence(load_profile("synthetic-cxr-methods", "tuning"))
    >>> text.partition(" methods")[0]
    'Of the 12'
    """
    if trials is None:
        return MISSING
    table = tuned_settings(trials).reset_index()
    asked = trials.provenance["experiment"]["variants"]
    strengths = {name: _strength(changes) for name, changes in asked.items()}
    ends = []
    several = table.groupby("method").filter(lambda part: len(part) > 1)
    for method, part in several.groupby("method", sort=False):
        known = ((name, strengths[name]) for name in part["variant"])
        tried = {name: value for name, value in known if value is not None}
        chosen = part.loc[part["chosen"], "variant"].iloc[0]
        value = tried.get(chosen)
        if value is None:
            continue
        largest = len(tried) > 1 and value >= max(tried.values())
        side = "largest" if largest else "smallest"
        ends.append(f"`{method}` ({value:g}, the {side})")
    return (
        f"Of the {several['method'].nunique()} methods with a strength the value that was chosen "
        f"is at an end of those that were tried for {len(ends)}: {_joined(ends) or 'none'}. They "
        "might do better beyond it."
    )


def _outcomes(results: Results, base: str) -> pd.Series | None:
    """(method, gap) -> what the test says; None where nothing was tested."""
    asked = results.provenance["experiment"]["variants"]
    tests = significance_tests({"": results}, base=base)
    if tests["p_holm"].isna().all():
        return None
    told, keys = [], []
    for name, gap, change, auroc, p in tests[
        ["variant", "number", "change", "AUROC change", "p_holm"]
    ].itertuples(index=False):
        changes = asked[name]
        if changes.get("averaging"):
            continue
        keys.append((changes.get("method") or changes["posthoc"], gap))
        smaller = SMALLER if auroc >= -COST else DEARER
        told.append(UNCLEAR if not p < LEVEL else LARGER if change > 0 else smaller)
    return pd.Series(told, pd.MultiIndex.from_tuples(keys, names=["method", "gap"]))


def _options(results: Results, method: str) -> object:
    """What the experiment asked of a method, averaged weights left out."""
    for changes in results.provenance["experiment"]["variants"].values():
        if method == (changes.get("method") or changes["posthoc"]) and "averaging" not in changes:
            return changes.get("method_options", {})
    return None


def _strength(changes: Mapping[str, object]) -> float | None:
    """The one option that a variant changes; None for the default."""
    options = changes.get("method_options")
    return float(next(iter(options.values()))) if isinstance(options, dict) and options else None


def _means(results: Results, number: str) -> pd.Series:
    table = headline_numbers(results)
    return table[table["number"] == number].groupby("variant")["value"].mean()


def _named(names: Iterable[str]) -> str:
    told = _joined([f"`{name}`" for name in names])
    return f" ({told})" if told else ""


def _joined(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
