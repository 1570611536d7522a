"""Results across cohorts: the archive as one, every seed counted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import t as student

from fairthesis.errors import InputError
from fairthesis.study._archive import (
    LATER,
    TABLES,
    Results,
    archive_results,
    load_results,
    of_attribute,
)
from fairthesis.study._summaries import FLOOR, group_metrics, headline_numbers, provenance_note

PROFILES = ("full", "quick")
#: Names of the experiments that are put side by side, synthetic cohorts first.
COHORTS = (
    *("synthetic-cxr", "synthetic-derm", "synthetic-cxr-methods"),
    *("nih-cxr14", "nih-cxr14-age", "ham10000", "ham10000-sex", "pad-ufes-20"),
)
#: Number -> (baseline, fair model) in the thesis summary's own table: quoted, not computed.
THESIS = {
    "AUROC": (0.89, 0.87),
    "AUROC gap": (0.12, 0.03),
    "equalized odds difference": (0.15, 0.04),
}
NOT_OURS = ("erm", "oracle")


def load_all(
    names: Sequence[str] = COHORTS, profile: str = "full", seed: int = -1, root: str = ""
) -> dict[str, Results]:
    """The archived experiments among ``names``: in the profile asked for, else in another.

    Args:
        names: experiments; one that is not archived is left out, and is in ``archive_inventory``.
        profile: ``full`` or ``quick``, or another of ``experiments.yml``.
        seed: keep this seed only; -1 keeps all.
        root: another folder of the checkout than ``results``, as ``build/archive``.

    Raises:
        InputError: where no run of that seed is archived, and outside of a checkout.

    >>> list(load_all(["synthetic-cxr", "never-run"]))
    ['synthetic-cxr']
    """
    found = {}
    for name in names:
        for asked in dict.fromkeys((profile, *PROFILES)):
            if results := load_profile(name, asked, seed, root):
                found[name] = results
                break
    return found


def _of_seed(results: Results, seed: int) -> Results:
    if seed < 0:
        return results
    names = (*TABLES, "leakage", *LATER)
    tables = {name: getattr(results, name) for name in names}
    kept = {name: table[table["seed"] == seed] for name, table in tables.items()}
    if kept["metrics"].empty:
        seeds = sorted(tables["metrics"]["seed"].unique())
        raise InputError(f"No run of seed {seed} is archived: expected one of {seeds}, or -1.")
    return replace(results, **kept)


def load_archived(
    name: str, profile: str = "full", seed: int = -1, root: str = ""
) -> Results | None:
    """One archived experiment, in the profile asked for, else in another; None where there is none.

    ``introduction`` says which it is, or that it is missing. The arguments are those of
    ``load_all``.

    >>> found = load_archived("synthetic-cxr", "quick", seed=1)
    >>> found.source, found.metrics["seed"].unique().tolist()
    ('archived in results/synthetic-cxr-quick', [1])
    """
    return load_all([name], profile, seed, root).get(name)


def load_profile(name: str, profile: str, seed: int = -1, root: str = "") -> Results | None:
    """An archived experiment in this very profile; None where it is missing.

    The arguments are those of ``load_all``.

    >>> load_profile("synthetic-cxr", "quick").provenance["experiment"]["profile"]
    'quick'
    >>> load_profile("synthetic-derm", "quick") is None  # it is archived in full only
    True
    """
    folder = (
        archive_results() if not root else archive_results().parent / root
    ) / f"{name}-{profile}"
    if not (folder / "provenance.json").is_file():
        return None
    return _of_seed(load_results(folder, f"archived in {folder.parent.name}/{folder.name}"), seed)


def archive_inventory(found: Mapping[str, Results], names: Sequence[str] = COHORTS) -> pd.DataFrame:
    """What is in the archive and what is not, a row per experiment.

    Args:
        found: what ``load_all`` gave.
        names: the experiments that were asked for.

    Returns:
        Indexed by ``experiment``: ``archived`` (the profile, or ``missing``), ``seeds``,
        ``variants``, ``test images`` and ``commit``, empty text where it is missing.

    >>> names = ["synthetic-cxr", "never-run"]
    >>> archive_inventory(load_all(names, "quick"), names)["archived"].to_dict()
    {'synthetic-cxr': 'quick', 'never-run': 'missing'}
    """
    rows = []
    for name in names:
        row: dict[str, object] = dict.fromkeys(("seeds", "variants", "test images", "commit"), "")
        if name in found:
            origin = found[name].provenance
            row |= {
                "archived": origin["experiment"]["profile"],
                "seeds": found[name].metrics["seed"].nunique(),
                "variants": ", ".join(dict.fromkeys(found[name].metrics["variant"])),
                "test images": f"{origin['runs'][0]['images']['test']:,}",
                "commit": (origin["git_commit"] or "not known")[:12],
            }
        rows.append({"experiment": name, "archived": "missing"} | row)
    return pd.DataFrame(rows).set_index("experiment")


def test_train_ratio(results: Results) -> float:
    """Test images for each training image where seeds split the same patients anew; else 0.

    What ``seed_interval`` needs to know: seeds of a synthetic cohort are new patients.
    """
    if results.provenance["experiment"]["base"]["dataset"].startswith("synthetic"):
        return 0.0
    images = results.provenance["runs"][0]["images"]
    return float(images["test"] / images["train"])


def seed_spread(values: Sequence[float], shared: float = 0.0) -> tuple[float, float, int]:
    """Mean over the known seeds, its standard error, and how many there are.

    J independent seeds have the standard error s sqrt(1 / J). Splits of the same patients overlap,
    and s sqrt(1 / J + n_test / n_train) is used for them (Nadeau and Bengio, *Inference for the
    Generalization Error*, Machine Learning 2003): ``shared`` is n_test / n_train, or 0.

    >>> [round(v, 3) for v in seed_spread([1.0, 2.0, 3.0], shared=1 / 3)]
    [2.0, 0.816, 3]
    """
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    if len(known) < 2:
        return (float(known.mean()) if len(known) else math.nan), math.nan, len(known)
    error = known.std(ddof=1) * math.sqrt(1 / len(known) + shared)
    return float(known.mean()), float(error), len(known)


def seed_interval(
    values: Sequence[float], level: float = 0.95, shared: float = 0.0
) -> tuple[float, float, float]:
    """Mean over seeds and Student's interval of it, by ``seed_spread``; none from a single seed.

    >>> [round(v, 2) for v in seed_interval([1.0, 2.0, 3.0])]
    [2.0, -0.48, 4.48]
    """
    mean, error, n = seed_spread(values, shared)
    half = float(student.ppf((1 + level) / 2, n - 1)) * error if n > 1 else math.nan
    return mean, mean - half, mean + half


def _bounded(values: pd.Series, results: Results) -> tuple[float, float, float]:
    """``seed_interval`` of numbers from 0 to 1, a range that Student's interval does not know."""
    mean, lo, hi = seed_interval(values.tolist(), shared=test_train_ratio(results))
    return mean, max(lo, 0.0), min(hi, 1.0)


def headline_intervals(found: Mapping[str, Results]) -> pd.DataFrame:
    """Every headline number of every method and cohort: mean over seeds, interval, seeds.

    The interval is Student's at 95 %, kept within 0 and 1: mean +- t s sqrt(1 / J + n_test /
    n_train) of J seeds, the second term only where seeds split the same patients anew (Nadeau and
    Bengio, *Inference for the Generalization Error*, Machine Learning 2003). NaN from a single
    seed.

    Returns:
        The columns ``cohort, variant, attribute, number, mean, lo, hi, seeds``.

    >>> table = headline_intervals({"cxr": load_archived("synthetic-cxr", "quick")})
    >>> table[table["number"] == "AUROC"][["variant", "mean", "seeds"]].round(2).values.tolist()
    [['erm', 0.89, 2], ['adversarial', 0.86, 2]]
    """
    rows = []
    for cohort, results in found.items():
        table = headline_numbers(results)
        for key, part in table.groupby(["variant", "attribute", "number"], sort=False):
            mean, lo, hi = _bounded(part["value"], results)
            rows.append([cohort, *key, mean, lo, hi, len(part)])
    columns = ["cohort", "variant", "attribute", "number", "mean", "lo", "hi", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def thesis_table(found: Mapping[str, Results]) -> pd.DataFrame:
    """The thesis's table, filled: plain training and the adversarial encoder on every cohort.

    Args:
        found: cohort -> its results.

    Returns:
        A row per cohort and model, ``THESIS`` first, and a column per number: means over seeds, NaN
        where a cohort does not have it.

    >>> table = thesis_table({"cxr": load_archived("synthetic-cxr", "quick")})
    >>> table["AUROC gap"].round(2).tolist()
    [0.12, 0.03, 0.21, 0.01]
    """
    table = headline_intervals(found).set_index(["cohort", "variant", "number"])["mean"].to_dict()
    rows = {}
    for number, (before, after) in THESIS.items():
        row: dict[tuple[str, str], float] = {("thesis", "baseline"): before}
        row[("thesis", "fair model")] = after
        for cohort in found:
            for variant in ("erm", "adversarial"):
                row[(cohort, variant)] = table.get((cohort, variant, number), float("nan"))
        rows[number] = row
    out = pd.DataFrame(rows)
    out.index = pd.MultiIndex.from_tuples(out.index, names=["cohort", "model"])
    return out


def group_changes(
    results: Results, metrics: Sequence[str] = ("auroc", "tpr", "tnr")
) -> pd.DataFrame:
    """What every group gained or lost against plain training, paired by seed, with its interval.

    ``worse`` is true where the whole interval lies below 0; not known from a single seed.
    ``counts`` says whether the group is large enough, in every seed, to count in a gap.
    """
    rows = []
    for metric in metrics:
        table = group_metrics(results, metric)
        keys = ["seed", "target", "attribute", "group"]
        base = table[table["variant"] == "erm"].set_index(keys)["value"].rename("baseline")
        other = table[table["variant"] != "erm"].join(base, on=keys)
        other["change"] = other["value"] - other["baseline"]
        for key, part in other.groupby(["variant", "attribute", "group"], sort=False):
            mean, lo, hi = seed_interval(part["change"].tolist(), shared=test_train_ratio(results))
            counts = bool((part[["n_positive", "n_negative"]].min(axis=1) >= FLOOR).all())
            worse = "one seed" if np.isnan(lo) else "yes" if hi < 0 else "no"
            rows.append([metric, *key, part["baseline"].mean(), mean, lo, hi, counts, worse])
    columns = ["metric", "variant", "attribute", "group", "erm", "change", "lo", "hi"]
    return pd.DataFrame(rows, columns=[*columns, "counts", "worse"])


def groups_that_lost(found: Mapping[str, Results], variant: str = "adversarial") -> pd.DataFrame:
    """What each group gained or lost against plain training, on all cohorts, worst first.

    Groups with 30 positives and negatives in every seed, as in a gap. The change is paired by seed.

    Args:
        found: cohort -> its results.
        variant: the method that is compared with ``erm``.

    Returns:
        Indexed by ``cohort``, ``group`` and ``metric`` (AUROC, true positive and true negative
        rate): ``erm`` (its mean), ``change`` and its interval ``lo``, ``hi`` over seeds, and
        ``worse``: ``yes`` where the whole interval lies below 0, ``no``, or ``one seed``.

    >>> table = groups_that_lost({"cxr": load_archived("synthetic-cxr", "quick")})
    >>> table.loc[("cxr", "M", "auroc"), ["change", "worse"]].tolist()
    [..., 'yes']
    """
    parts = [group_changes(results).assign(cohort=cohort) for cohort, results in found.items()]
    table = pd.concat(parts, ignore_index=True)
    table = table[(table["variant"] == variant) & table["counts"]].sort_values("change")
    return table.set_index(["cohort", "group", "metric"])[["erm", "change", "lo", "hi", "worse"]]


def share_of_oracle_distance(found: Mapping[str, Results]) -> pd.DataFrame:
    """The share of the ERM-oracle distance that each method covers, per gap.

    (ERM - method) / (ERM - oracle) of the means over seeds; 1 is all of it, below 0 the gap grew.
    Only where an oracle exists, which is on synthetic cohorts, and where it is better than plain
    training.

    Args:
        found: cohort -> its results.

    Returns:
        Indexed by ``cohort``, ``number`` and ``variant``: the means ``erm``, ``method`` and
        ``oracle``, and ``share of ERM–oracle distance``.

    >>> table = share_of_oracle_distance({"cxr": load_archived("synthetic-cxr")})
    >>> row = table.loc[("cxr", "AUROC gap", "adversarial")]
    >>> share = (row["erm"] - row["method"]) / (row["erm"] - row["oracle"])
    >>> bool(share == row["share of ERM–oracle distance"])
    True
    """
    rows = []
    for cohort, results in found.items():
        table = headline_numbers(results).groupby(["number", "variant"])["value"].mean()
        for number in ("AUROC gap", "equalized odds difference"):
            values = table[number]
            if "oracle" not in values.index or values["erm"] <= values["oracle"]:
                continue
            whole = values["erm"] - values["oracle"]
            for variant in (name for name in values.index if name not in NOT_OURS):
                went = (values["erm"] - values[variant]) / whole
                ends = [values["erm"], values[variant], values["oracle"]]
                rows.append([cohort, number, variant, *ends, went])
    share = "share of ERM–oracle distance"
    columns = ["cohort", "number", "variant", "erm", "method", "oracle", share]
    return pd.DataFrame(rows, columns=columns).set_index(["cohort", "number", "variant"])


def best_probes(
    found: Mapping[str, Results], scope: str = "given the target", attribute: str | None = None
) -> pd.DataFrame:
    """The best fresh probe of each run's disease embedding, beside its floors; means over seeds.

    Args:
        found: cohort -> its results.
        scope: ``given the target`` or ``marginal``.
        attribute: the one that is probed; each run's first if None.

    Returns:
        Indexed by ``cohort`` and ``variant``: ``best probe`` (several where seeds differ), its
        ``auroc`` with the interval ``lo``, ``hi`` over seeds, ``shuffled`` (the 95 % point of
        the same probe with the attribute shuffled over patients; NaN of fewer than 20 refits) and
        ``target alone`` (what the target recovers by itself); ``logit`` and ``features``, the best
        probe's AUROC from the logit alone and from what the encoder gives its heads (NaN in older
        archives). Empty where nothing was probed.

    >>> table = best_probes({"cxr": load_archived("synthetic-cxr")}).loc["cxr"]
    >>> bool(table.loc["adversarial", "auroc"] < table.loc["erm", "auroc"])
    True
    """
    rows = []
    for cohort, results in found.items():
        table = of_attribute(results.leakage, attribute)
        table = table[table["scope"] == scope]
        for variant, part in table.groupby("variant", sort=False):
            read = part[part["source"] == "encoder"].sort_values("auroc", ascending=False)
            read = read.groupby("seed").head(1)  # another seed may have another best probe
            if read.empty:
                continue
            mean, lo, hi = _bounded(read["auroc"], results)
            alone = part[part["source"] == "target alone"]["auroc"].mean()
            names = ", ".join(dict.fromkeys(read["probe"]))
            shuffled = read["shuffled_q95"].mean() if _refits(results) >= 20 else math.nan
            more = [_best_of(part, source) for source in ("logit", "features")]
            rows.append([cohort, variant, names, mean, lo, hi, shuffled, alone, *more])
    columns = ["cohort", "variant", "best probe", "auroc", "lo", "hi", "shuffled", "target alone"]
    columns += ["logit", "features"]
    return pd.DataFrame(rows, columns=columns).set_index(["cohort", "variant"])


def _best_of(part: pd.DataFrame, source: str) -> float:
    read = part[part["source"] == source]
    return float(read.groupby("seed")["auroc"].max().mean()) if len(read) else math.nan


def _refits(results: Results) -> int:
    """How often the attribute was shuffled; older archives have a 95 % point of two times."""
    probes = results.provenance["experiment"].get("probes") or {}
    return int(probes.get("n_shuffles", 0))


def introduction(results: Results | None, name: str) -> str:
    """Where the results came from; a warning first where they are a quick run's, or missing.

    Args:
        results: what ``load_archived`` gave.
        name: the experiment's name.

    Returns:
        Markdown.

    >>> print(introduction(None, "never-run").partition(".")[0])
    **The experiment `never-run` has not been archived yet
    >>> found = load_archived("synthetic-cxr", "quick")
    >>> print(introduction(found, "synthetic-cxr").partition(",")[0])
    **The full archive is missing; this is the quick one**
    """
    if results is None:
        return (
            f"**The experiment `{name}` has not been archived yet.** This page has nothing to show "
            "until it is; the figure and the tables below are empty."
        )
    asked = results.provenance["experiment"]
    if asked["profile"] != "quick":
        return provenance_note(results)
    images = results.provenance["runs"][0]["images"]
    return (
        f"**The full archive is missing; this is the quick one**, of {images['train']:,} training "
        f"images and {len(asked['seeds'])} seed(s). It shows that every variant runs. Its numbers "
        f"are noise, and nothing may be concluded from them.\n\n{provenance_note(results)}"
    )
