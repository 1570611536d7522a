"""``fairthesis postprocess``: thresholds, recalibration or erasure, from a table to a table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import click

from fairthesis.cli import _options
from fairthesis.errors import InputError

BY_GROUP = (
    *("equalized_odds", "demographic_parity", "true_positive_rate_parity"),
    *("false_positive_rate_parity", "level_up", "logistic", "isotonic"),
)
METHODS = ("equalized_odds", "demographic_parity", "level_up", "logistic", "isotonic", "leace")


class _OnFileOrStep(click.Command):
    """``postprocess FILE ...``, and ``postprocess fit`` and ``apply``, which are commands.

    A file that is called fit or apply is reached as ./fit.
    """

    steps: ClassVar[dict[str, click.Command]] = {}

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        step = self.steps.get(args[0]) if args else None
        if step is None:
            return super().make_context(info_name, args, parent, **extra)
        return step.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, step.get_short_help_str(80)) for name, step in self.steps.items()]
            )


@click.command(name="postprocess", cls=_OnFileOrStep, context_settings=_options.WIDE)
@_options.table()
@_options.group()
@click.option("--method", required=True, type=click.Choice(METHODS), help="What is done.")
@_options.file("--out", "A .csv or .parquet file.", required=True)
@_options.target()
@click.option(
    "--threshold", default=0.5, show_default=True, help="level_up: the threshold it starts from."
)
@_options.labels("leace: the predictions table with the attribute, where FILE has no such column.")
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
      fairthesis postprocess fit predictions.parquet --group sex --method logistic --out kept/
      fairthesis postprocess apply kept/ tomorrow.parquet --out recalibrated.parquet
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


@click.command(name="fit", context_settings=_options.WIDE)
@_options.table()
@_options.group()
@click.option("--method", required=True, type=click.Choice(BY_GROUP), help="What is fitted.")
@_options.target()
@click.option(
    "--threshold", default=0.5, show_default=True, help="level_up: the threshold it starts from."
)
@_options.folder()
def fit(
    file: Path, group: str, method: str, target: str | None, threshold: float, out: Path
) -> None:
    """Fit thresholds or a recalibration by group, and keep them in a folder.

    Fitted on the val rows of a table that has splits, on all rows of one that has none.

    \b
    Example:
      fairthesis postprocess fit predictions.parquet --group sex --method level_up --out kept/
    """
    from fairthesis.inputs import read_table
    from fairthesis.postprocessing import fit_by_group, save_fitted
    from fairthesis.storage import warn_of_damage

    warn_of_damage(file)
    fitted, about = fit_by_group(
        read_table(file), group=group, method=method, target=target, threshold=threshold
    )
    written = save_fitted(fitted, out, fitted_on=about)
    patients = "" if about["n_patients"] is None else f" of {about['n_patients']:,} patients"
    part = f" ({', '.join(about['splits'])})" if about["splits"] else ""
    sizes = ", ".join(f"{name} {n:,}" for name, n in about["groups"].items())
    click.echo(
        f"{method}: fitted on {about['n_rows']:,} rows{patients}{part}; {group}: {sizes}; "
        f"{about['n_left_out']:,} rows left out"
    )
    if method == "level_up":
        for name, value in fitted.by_group().items():
            click.echo(f"{group} = {name}: threshold {value:.4g}")
    for path in written:
        click.echo(f"written: {path}")


@click.command(name="apply", context_settings=_options.WIDE)
@click.argument("folder", type=click.Path(path_type=Path))
@_options.table()
@_options.file("--out", "A .csv or .parquet file.", required=True)
@_options.seed("Of decisions drawn at random.")
def apply(folder: Path, file: Path, out: Path, seed: int) -> None:
    """Apply what is kept in FOLDER to all rows of FILE; no label is needed, the group is.

    A group that was not there when it was fitted is refused; rows without score or group are left
    out and counted.

    \b
    Example:
      fairthesis postprocess apply kept/ tomorrow.parquet --out recalibrated.parquet
    """
    from fairthesis.embeddings import ERASERS
    from fairthesis.inputs import read_table
    from fairthesis.postprocessing import apply_by_group, fitted_card, load_fitted
    from fairthesis.storage import warn_of_damage, write_table

    if out.suffix not in (".csv", ".parquet"):
        raise InputError(f"Cannot write {out.name!r}: expected a name ending in .csv or .parquet.")
    card = fitted_card(folder)
    if card["kind"] in ERASERS:
        raise InputError(f"{str(folder)!r} holds an eraser: use erase apply for it.")
    if "group" not in card["fitted_on"]:
        raise InputError(
            f"{str(folder)!r} does not say which column has the group: apply it from Python, or "
            "fit it by postprocess fit."
        )
    warn_of_damage(file)
    found, left_out = apply_by_group(
        load_fitted(folder), card["fitted_on"], read_table(file), seed=seed
    )
    write_table(found, out)
    click.echo(f"{len(found)} rows written: {out}; {left_out} without score or group left out")


_OnFileOrStep.steps |= {"fit": fit, "apply": apply}
