"""What a method costs in patients, and which gaps a cohort's test sets could have shown at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fairthesis.stats import Size, smallest_gaps
from fairthesis.study._across_cohorts import seed_interval, test_train_ratio
from fairthesis.study._archive import Results
from fairthesis.study._summaries import FLOOR, group_metrics

# Metric -> what it is to a clinic, out of 100, and whether the metric counts the other cases.
ERRORS = {
    "tpr": ("missed of 100 with the disease", True),
    "fpr": ("false alarms of 100 without", False),
}


def errors_in_patients(
    found: Mapping[str, Results], variant: str = "adversarial", base: str = "erm"
) -> pd.DataFrame:
    """Missed patients and false alarms of 100, of two methods, and the paired change.

    Each run decides at its own threshold, chosen on its validation patients: of 100 with the
    disease 100 (1 - TPR) are missed, of 100 without it 100 FPR are false alarms.

    Args:
        found: cohort -> its results.
        variant: the method.
        base: what it is compared with.

    Returns:
        Indexed by cohort, ``patients`` (all, or a group with at least 30 images of either label in
        every seed) and ``of 100``: the columns ``base`` and ``variant`` by their names, means over
        seeds; ``change``, ``lo`` and ``hi``, Student's 95 % interval of ``seed_interval`` over
        seeds (NaN from one), and ``seeds``. Cohorts without both methods have no rows.

    >>> from fairthesis.study import load_archived
    >>> table = errors_in_patients({"cxr": load_archived("synthetic-cxr", "quick")})
    >>> table.loc[("cxr", "all", "missed of 100 with the disease"), ["erm", "adversarial"]].tolist()
    [24.7, 32.0]
    """
    rows = []
    for cohort, results in found.items():
        if not {variant, base} <= set(results.metrics["variant"]):
            continue
        for metric, (said, others) in ERRORS.items():
            table = results.metrics[results.metrics["group"].isna()]
            whole = table.query("metric == @metric").assign(who="all")
            parts = group_metrics(results, metric)
            large = parts[["n_positive", "n_negative"]].min(axis=1) >= FLOOR
            keys = ["attribute", "group"]
            parts = parts[large.groupby([parts[k] for k in keys]).transform("all")]
            parts = parts.assign(who=parts["attribute"] + " " + parts["group"].astype(str))
            both = pd.concat([whole, parts])[["who", "variant", "seed", "value"]]
            for who, part in both.groupby("who", sort=False):
                rates = part.pivot(index="seed", columns="variant", values="value")
                runs = 100 * (1 - rates if others else rates)
                change = (runs[variant] - runs[base]).dropna()
                shared = test_train_ratio(results)
                rows.append(
                    [
                        *(cohort, who, said, runs[base].mean(), runs[variant].mean()),
                        *seed_interval(change.tolist(), shared=shared),
                        len(change),
                    ]
                )
    names = ["cohort", "patients", "of 100", base, variant, "change", "lo", "hi", "seeds"]
    return pd.DataFrame(rows, columns=names).set_index(names[:3]).round(1)


def detectable_gaps(found: Mapping[str, Results], base: str = "erm") -> pd.DataFrame:
    """The smallest AUROC gap that one test set of each cohort shows in four of five cases.

    From the numbers of images of each label in the groups that count, about the AUROC that plain
    training has over all (``stats.smallest_gaps``; independent images, so that it is a lower bound
    where a patient has several). An absence of a finding below it says nothing.

    Args:
        found: cohort -> its results.
        base: whose AUROC the gap is taken about.

    Returns:
        Indexed by cohort and attribute: ``groups`` that count, the images of the smallest cell
        (``fewest``), the gap that was found (mean over seeds), and the smallest gap that the test
        set shows, of the pair of groups that shows most, if that pair was planned (``planned``)
        or found among all (``corrected``).

    >>> from fairthesis.study import load_archived
    >>> table = detectable_gaps({"cxr": load_archived("synthetic-cxr", "quick")})
    >>> table[["groups", "planned"]].round(2).values.tolist()
    [[2.0, 0.04]]
    """
    rows = []
    for cohort, results in found.items():
        if base not in set(results.metrics["variant"]):
            continue
        metrics = results.metrics.query("variant == @base and metric == 'auroc'")
        reference = float(metrics.loc[metrics["group"].isna(), "value"].mean())
        parts = group_metrics(results, "auroc").query("variant == @base")
        gaps = results.disparities.query("variant == @base and name == 'auroc_gap'")
        for attribute, part in parts.groupby("attribute", sort=False):
            cases = part.groupby("group")[["n_positive", "n_negative"]].mean()
            cases = cases[cases.min(axis=1) >= FLOOR]
            row = [cohort, attribute, len(cases)]
            value = gaps.loc[gaps["attribute"] == attribute, "value"].mean()
            if len(cases) < 2:
                rows.append([*row, np.nan, value, np.nan, np.nan])
                continue
            pairs = zip(cases.index, cases.to_numpy().astype(int).tolist(), strict=True)
            sizes = {str(group): Size(*pair) for group, pair in pairs}
            least = smallest_gaps(sizes, {"auroc": reference})[["gap", "gap_corrected"]].min()
            rows.append([*row, int(cases.to_numpy().min()), value, *least])
    columns = ["cohort", "attribute", "groups", "fewest", "gap found", "planned", "corrected"]
    return pd.DataFrame(rows, columns=columns).set_index(columns[:2])
