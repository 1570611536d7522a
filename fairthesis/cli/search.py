"""``fairthesis search``: which group of all that the columns make fares worse than its rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairthesis.cli import _layout, _options

if TYPE_CHECKING:
    from fairthesis.auditing import SearchReport

SHOWN = 15


@click.command(name="search", context_settings=_options.WIDE)
@_options.table()
@_options.label()
@_options.score()
@click.option(
    "--group",
    "groups",
    multiple=True,
    required=True,
    help="Column that may make a group; repeat for several. Many numbers are cut into quantiles.",
)
@_options.patient(": patients are split and exchanged, not rows")
@_options.folder()
@_options.threshold("applied to the rows")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    default=("tpr", "fpr", "auroc"),
    show_default=True,
    help="tpr, fpr or auroc; repeat for several.",
)
@click.option("--depth", default=3, show_default=True, help="Columns that make a group at most.")
@click.option(
    "--minimum",
    default=20,
    show_default=True,
    help="Effective patients of the class that a group and its rest need in the searched half.",
)
@click.option("--bins", default=4, show_default=True, help="Groups of a column of many numbers.")
@click.option(
    "--n-permutations", default=2000, show_default=True, help="Permutations for p values."
)
@click.option(
    "--confirm",
    default=0.5,
    show_default=True,
    help="Share of patients held back to confirm what is found.",
)
@_options.seed("Same seed, same report.")
@_options.split("to search where there is a split column")
@_options.target()
@_options.quiet()
def command(
    file: Path,
    label: str,
    score: str,
    groups: tuple[str, ...],
    patient: str | None,
    out: Path,
    threshold: str,
    metrics: tuple[str, ...],
    depth: int,
    minimum: int,
    bins: int,
    n_permutations: int,
    confirm: float,
    seed: int,
    split: str | None,
    target: str | None,
    quiet: bool,
) -> None:
    """Search the predictions in FILE (CSV or Parquet) for groups that fare worse than their rest.

    All groups that up to three of the columns make are compared with everybody else, corrected for
    the whole search; those found in one half of the patients are tested in the other. Writes
    search.json, search.html (one page, opens anywhere) and groups.csv into --out.

    \b
    Examples:
      fairthesis search predictions.csv --group sex --group age_group --group view \\
          --patient patient_id --out search/
      fairthesis search results.parquet --label disease --score probability --group sex \\
          --group age --group site --patient patient_id --metric tpr --depth 2 --out search/
    """
    from fairthesis.auditing import read_predictions, search
    from fairthesis.provenance import used_test_labels
    from fairthesis.storage import warn_of_damage

    used_test_labels(file.resolve().parent)
    warn_of_damage(file)
    report = search(
        read_predictions(file, label=label, score=score, groups=groups, patient=patient),
        groups=groups,
        label=label,
        score=score,
        patient=patient,
        split=split,
        target=target,
        threshold=threshold,
        metrics=metrics,
        depth=depth,
        minimum=minimum,
        bins=bins,
        n_permutations=n_permutations,
        confirm=confirm,
        seed=seed,
    )
    _options.tell(lambda: summary(report), report.write(out), quiet)


def summary(report: SearchReport) -> str:
    """The search as plain text: what was compared, and what was found."""
    searched, found = report.searched, report.found()
    compared = sum(searched["n_compared"].values())
    lines = [
        f"{searched['n_rows']} rows; {searched['n_groups']} groups, {compared} comparisons with "
        f"the rest; {len(found)} fare worse beyond chance."
    ]
    if len(found):
        words = {True: "yes", False: "no", None: "-"}
        own = found[found["explained_by"].isna()]
        rows = [
            [
                row["group"],
                row["metric"],
                str(row["n"]),
                *(_layout.number(row[k]) for k in ("value", "rest")),
                _layout.p_value(row["p_value"]),
                *(_layout.number(row[k]) for k in ("confirm_value", "confirm_rest")),
                _layout.p_value(row["confirm_p_value"]),
                words[row["confirmed"]],
            ]
            for row in own.head(SHOWN).to_dict("records")
        ]
        head = ["group", "metric", "n", "value", "rest", "p", "held back", "rest", "p", "confirmed"]
        lines += ["", *_layout.table(head, rows, left=2)]
        more = len(own) - len(rows)
        explained = len(found) - len(own)
        if more:
            lines.append(f"... and {more} more in groups.csv")
        if explained:
            lines.append(f"{explained} more are explained by these (groups.csv).")
        lines += [
            "",
            "p: corrected for the whole search (max-T); held back, for those found (Holm).",
        ]
    for warning in report.warnings:
        lines += [f"Warning: {warning}"]
    return "\n".join(lines)
