"""``fairthesis postprocess``: thresholds, recalibration or erasure, from a table to a table."""

from __future__ import annotations

import re
from pathlib import Path

import click

from fairthesis.cli import _options
from fairthesis.errors import InputError

METHODS = ("equalized_odds", "demographic_parity", "level_up", "logistic", "isotonic", "leace")


@click.command(name="postprocess", context_settings=_options.WIDE)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--group", required=True, help="Column of the attribute; sex*age_group works.")
@click.option("--method", required=True, type=click.Choice(METHODS), help="What is done.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    callback=_options.writable_file,
    help="A .csv or .parquet file.",
)
@_options.target()
@click.option(
    "--threshold", default=0.5, show_default=True, help="level_up: the threshold it starts from."
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="leace: the predictions table with the attribute, where FILE has no such column.",
)
@_options.prefix("leace: columns of the embedding.")
@_options.seed("Of decisions drawn at random.")
def command(
    file: Path,
    group: str,
    method: str,
    out: Path,
    target: str | None,
    threshold: float,
    labels: Path | None,
    prefix: str,
    seed: int,
) -> None:
    """Fit thresholds or a recalibration by group on the val rows of FILE, apply them to test.

    equalized_odds and demographic_parity are fairlearn's ThresholdOptimizer; level_up lowers the
    thresholds of groups whose true positive rate lags, and raises none. These write a column
    y_pred. logistic and isotonic recalibrate y_score in each group. The group must be known
    wherever the result is used. leace takes an embeddings table and writes it with what a linear
    probe recovers of the attribute taken out, fitted on the rows outside test.

    \b
    Examples:
      fairthesis postprocess predictions.parquet --group sex --method level_up --out up.csv
      fairthesis postprocess predictions.csv --group age_group --method logistic \\
          --out recalibrated.parquet
      fairthesis postprocess embeddings.parquet --labels predictions.parquet --group sex \\
          --method leace --out erased.parquet
    """
    from fairthesis import postprocessing
    from fairthesis.inputs import read_table
    from fairthesis.storage import warn_of_damage, write_table

    if out.suffix not in (".csv", ".parquet"):
        raise InputError(f"Cannot write {out.name!r}: expected a name ending in .csv or .parquet.")
    warn_of_damage(file)
    numeric = re.escape(prefix) + "[0-9]+" if method == "leace" else None
    frame = read_table(file, numeric=numeric)
    if method == "leace":
        given = frame if labels is None else read_table(labels)
        erased = postprocessing.erase_attribute(frame, given, group=group, prefix=prefix)
        write_table(erased, out)
        click.echo(f"{len(erased)} rows written: {out}")
        return
    if labels is not None:
        raise InputError(f"--labels is for leace: {method} reads {group} from {file.name}.")
    if method == "level_up":
        cut = postprocessing.level_up_thresholds(
            frame, group=group, threshold=threshold, target=target
        )
        found = postprocessing.apply_thresholds(frame, cut, group=group, target=target)
        for name, value in cut.items():
            click.echo(f"{group} = {name}: threshold {value:.4g}")
    elif method in postprocessing.CALIBRATIONS:
        found = postprocessing.recalibrate(frame, group=group, method=method, target=target)
    else:
        found = postprocessing.equalize(
            frame, group=group, constraint=method, target=target, seed=seed
        )
    write_table(found, out)
    click.echo(f"{len(found)} test rows written: {out}")
