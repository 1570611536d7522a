"""Results changed by hand, to try what is reported of them."""

import dataclasses

import pandas as pd


def real(results):
    """The results as if they were of a real data set."""
    asked = results.provenance["experiment"]
    asked = asked | {"base": asked["base"] | {"dataset": "nih-cxr14"}}
    return dataclasses.replace(results, provenance=results.provenance | {"experiment": asked})


def renamed(results, **names):
    """The results with more variants, each a copy of another."""
    names = {"erm": "erm", "adversarial": "adversarial"} | names

    def of(table):
        if table.empty:
            return table
        parts = [table[table["variant"] == old].assign(variant=new) for new, old in names.items()]
        return pd.concat(parts, ignore_index=True)

    kept = {name: of(getattr(results, name)) for name in ("metrics", "disparities", "curves")}
    return dataclasses.replace(results, **kept)


def gap(results, variant, name="auroc_gap"):
    rows = results.disparities.query("variant == @variant and name == @name")
    return rows.sort_values("seed")["value"].to_numpy()
