"""``fairthesis probe``: how well an attribute can be recovered from embeddings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairthesis.cli import _layout, _options

if TYPE_CHECKING:
    from fairthesis.embeddings import AttributeUse, Leakage

NAMES = ("logistic", "mlp", "knn", "boosting")


@click.command(name="probe", context_settings=_options.WIDE)
@_options.table("EMBEDDINGS")
@_options.labels(
    "Table with image_id, target, y_true and the attribute: predictions.parquet of the run.",
    required=True,
)
@click.option("--attribute", required=True, help="Column to recover; sex*age_group works.")
@_options.folder()
@_options.target("The target for 'given the target', where the table has several.")
@_options.prefix("Columns of the embedding to probe.")
@click.option(
    "--random",
    type=click.Path(path_type=Path),
    help="Embeddings of the same images by a randomly initialised encoder, as a floor.",
)
@click.option(
    "--probe",
    "names",
    multiple=True,
    type=click.Choice(NAMES),
    help="A probe; repeat for several.  [default: all four]",
)
@_options.n_boot()
@click.option("--n-shuffles", default=20, show_default=True, help="Refits, attribute shuffled.")
@click.option(
    "--use-folds",
    default=5,
    show_default=True,
    help="Folds of a head refitted before and after erasure; 0: none.",
)
@click.option(
    "--max-rows",
    default=50_000,
    show_default=True,
    help="Of each part: of more, patients are drawn.",
)
@_options.seed()
@_options.quiet()
def command(
    file: Path,
    labels: Path,
    attribute: str,
    out: Path,
    target: str | None,
    prefix: str,
    random: Path | None,
    names: tuple[str, ...],
    n_boot: int,
    n_shuffles: int,
    use_folds: int,
    max_rows: int,
    seed: int,
    quiet: bool,
) -> None:
    """Measure how well fresh probes recover an attribute from the table EMBEDDINGS.

    Probes are fitted on the val part and judged on the test part: on patients that the encoder
    was not trained on. Beside each AUROC stand its floors: the target alone, a randomly
    initialised encoder, the attribute shuffled. What can be recovered need not be used: a head is
    refitted with the attribute erased (LEACE) and without, and what that changes is shown beside.
    Of a table of millions of rows, those of drawn patients alone are read. Writes leakage.json,
    leakage.csv and use.csv into --out.

    \b
    Examples:
      fairthesis probe runs/first/embeddings.parquet \\
          --labels runs/first/predictions.parquet --attribute sex --out leakage/
      fairthesis probe embeddings.parquet --labels predictions.parquet --attribute age_group \\
          --prefix sensitive_ --probe logistic --probe mlp --out leakage/
    """
    import pandas as pd

    from fairthesis.embeddings import probe
    from fairthesis.inputs import attribute_parts, read_table, table_columns
    from fairthesis.storage import warn_of_damage

    warn_of_damage(file)
    warn_of_damage(labels)
    numeric = re.escape(prefix) + "[0-9]+"
    own = table_columns(labels)
    needed = ["image_id", "y_true", *attribute_parts(pd.DataFrame(columns=own), attribute)]
    whole = not set(needed) <= set(own)  # to be refused with the names of what is there
    found = probe(
        file,
        read_table(labels, None if whole else [*needed, "target"]),
        attribute=attribute,
        target=target,
        prefix=prefix,
        random=None if random is None else read_table(random, numeric=numeric),
        names=names or NAMES,
        n_boot=n_boot,
        n_shuffles=n_shuffles,
        use_folds=use_folds,
        max_rows=max_rows,
        seed=seed,
    )
    _options.tell(lambda: summary(found), found.write(out), quiet)


def summary(found: Leakage) -> str:
    """The probes' AUROCs as plain text."""
    rows = [
        [
            reading.source,
            reading.probe,
            reading.scope,
            _layout.number(reading.auroc),
            _layout.interval(reading.ci_low, reading.ci_high),
            f"{_layout.number(reading.shuffled_mean)} / {_layout.number(reading.shuffled_q95)}",
        ]
        for reading in found.readings
    ]
    head = ["source", "probe", "scope", "AUROC", "95 % interval", "shuffled"]
    lines = [
        f"{found.attribute} ({', '.join(found.groups)}): fitted on {found.n_fit} images, judged "
        f"on {found.n_test} of {found.n_test_patients} patients",
        "",
        *_layout.table(head, rows, left=3),
        "",
        "shuffled: mean and 95 % point when the attribute is shuffled over patients.",
        f"Online code of the attribute: {found.code.bits:.0f} bits with the embedding, "
        f"{found.code.without:.0f} without it (of {found.code.uniform:.0f} for equal groups).",
    ]
    if found.use is not None:
        lines += ["", *used(found.use), ""]
    lines += [f"Left out, {reason}: {n}." for reason, n in found.left_out.items() if n]
    lines += [f"Warning: {warning}" for warning in found.warnings]
    return "\n".join(lines)


def used(found: AttributeUse) -> list[str]:
    """What erasing the attribute does to a refitted head, as lines of plain text."""
    rows = [
        [
            reading.metric,
            reading.scope,
            _layout.number(reading.kept),
            _layout.number(reading.erased),
            _layout.change(reading.change),
            _layout.interval(reading.ci_low, reading.ci_high),
            _layout.change(reading.random_change),
        ]
        for reading in found.readings
    ]
    head = ["metric", "erased", "as it is", "after", "change", "95 % interval", "at random"]
    return [
        f"Use: a disease head refitted before and after erasure ({found.settings['eraser']}), in "
        f"{found.settings['folds']} folds of {found.n_patients} patients",
        "",
        *_layout.table(head, rows, left=2),
        "",
        "at random: the mean change when as many directions are taken out at random.",
    ]
