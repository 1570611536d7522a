"""``fairthesis erase``: an eraser is fitted, measured and kept, and applied to other tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairthesis.cli import _options
from fairthesis.errors import InputError

if TYPE_CHECKING:
    from fairthesis.postprocessing import ErasureRows

METHODS = ("leace", "mean_differences", "splince", "kernel")


@click.group(name="erase", context_settings=_options.WIDE)
def command() -> None:
    """Take an attribute out of embeddings: fit an eraser, keep it, apply it to other tables.

    \b
    Examples:
      fairthesis erase fit embeddings.parquet --labels predictions.parquet --group sex \\
          --method leace --out eraser/
      fairthesis erase apply eraser/ tomorrow.parquet --out erased.parquet
    """


@command.command(name="fit", context_settings=_options.WIDE)
@_options.table("EMBEDDINGS")
@_options.labels("The predictions table with the attribute, where EMBEDDINGS has no such column.")
@_options.group()
@_options.target("The target of --given-target, of splince, and whose loss is measured.")
@click.option(
    "--method", default="leace", show_default=True, type=click.Choice(METHODS), help="The eraser."
)
@click.option("--given-target", is_flag=True, help="Erase what is left within each target class.")
@click.option("--shrinkage", metavar="SHARE", help="Of the covariance: 0 to 1, or auto.")
@click.option(
    "--directions",
    metavar="N",
    help="Keep so many directions of largest variance, or auto: chosen on held-out patients.",
)
@_options.prefix("Columns of the embedding.")
@click.option(
    "--probe",
    "probes",
    multiple=True,
    default=("logistic", "mlp"),
    show_default=True,
    help="A fresh probe that it is measured by; repeatable: logistic, mlp, knn, boosting.",
)
@_options.n_boot()
@click.option("--n-shuffles", default=3, show_default=True, help="Refits with shuffled groups.")
@_options.seed("Of the folds, the probes and the resamples.")
@_options.folder()
@_options.quiet()
def fit(
    file: Path,
    labels: Path | None,
    group: str,
    target: str | None,
    method: str,
    given_target: bool,
    shrinkage: str | None,
    directions: str | None,
    prefix: str,
    probes: tuple[str, ...],
    n_boot: int,
    n_shuffles: int,
    seed: int,
    out: Path,
    quiet: bool,
) -> None:
    """Fit an eraser on the rows outside test, and measure it on patients that it has not seen.

    leace: the least change after which no linear probe succeeds on the fitting rows.
    mean_differences: the orthogonal projection off the differences of means. splince: leace that
    keeps the covariance with the target. kernel: leace, and off the directions along which curved
    probes succeed. On new patients the attribute comes back, the more the fewer rows there are for
    the width: the eraser is fitted anew on one half of the patients and fresh probes on the other,
    and what they recover is printed and kept beside the eraser.

    \b
    Examples:
      fairthesis erase fit embeddings.parquet --labels predictions.parquet --group sex --out eraser/
      fairthesis erase fit embeddings.parquet --labels predictions.parquet --group sex*age_group \\
          --method splince --target effusion --out eraser/
      fairthesis erase fit wide.parquet --labels predictions.parquet --group sex \\
          --directions auto --out eraser/
    """
    import numpy as np

    from fairthesis.embeddings import fit_eraser
    from fairthesis.inputs import read_table
    from fairthesis.postprocessing import erasure_rows, save_fitted
    from fairthesis.storage import warn_of_damage

    warn_of_damage(file)
    eraser = _eraser(method, given_target, shrinkage, directions, seed)
    given = None if labels is None else read_table(labels)
    rows = erasure_rows(file, given, group=group, target=target, prefix=prefix)
    if eraser.uses_target and rows.target is None:
        raise InputError(
            f"{method} needs a target{' here' if given_target else ''}: expected a column y_true "
            "in the table of labels, and --target where it has several targets."
        )
    if directions == "auto":
        rows.about["directions"] = _chosen(eraser, rows, seed)
    used, target_of = _fit_rows(eraser, rows)
    fit_eraser(eraser, rows.x, rows.group, np.flatnonzero(used), target=target_of)
    measured, why = _measured(eraser, rows, probes, n_boot, n_shuffles, seed)
    rows.about["n_rows_used"] = int(used.sum())
    kept = measured.to_dict() if measured is not None else None
    about = rows.about | ({} if why is None else {"not_measured": why})
    written = save_fitted(eraser, out, fitted_on=about, measured=kept)
    _options.tell(lambda: _summary(method, eraser, about, measured), written, quiet)


@command.command(name="apply", context_settings=_options.WIDE)
@click.argument("folder", type=click.Path(path_type=Path))
@_options.table("EMBEDDINGS")
@_options.file("--out", "A .csv or .parquet file.", required=True)
def apply(folder: Path, file: Path, out: Path) -> None:
    """Apply the eraser in FOLDER to a table of embeddings; no group is needed.

    Parquet is read and written some rows at a time, whatever its length. The columns must be those
    that the eraser was fitted on.

    \b
    Example:
      fairthesis erase apply eraser/ tomorrow.parquet --out erased.parquet
    """
    from fairthesis.embeddings import ERASERS
    from fairthesis.postprocessing import erase_file, fitted_card, load_fitted
    from fairthesis.storage import warn_of_damage

    card = fitted_card(folder)
    if card["kind"] not in ERASERS:
        raise InputError(
            f"{str(folder)!r} holds {card['kind']}, no eraser: use postprocess apply for it."
        )
    if not {"prefix", "columns"} <= set(card["fitted_on"]):
        raise InputError(
            f"{str(folder)!r} does not say which columns it was fitted on: apply it from Python, "
            "or fit it by erase fit."
        )
    warn_of_damage(file)
    n = erase_file(load_fitted(folder), card["fitted_on"], file, out)
    click.echo(f"{n} rows written: {out}")


def _eraser(
    method: str, given_target: bool, shrinkage: str | None, directions: str | None, seed: int
) -> Any:
    from fairthesis.embeddings import ERASERS

    given: dict[str, Any] = {}
    if given_target:
        given["given_target"] = True
    if shrinkage is not None:
        given["shrinkage"] = shrinkage if shrinkage == "auto" else _number("shrinkage", shrinkage)
    if directions is not None:
        whole = None if directions == "auto" else _number("directions", directions)
        if whole is not None and whole != int(whole):
            raise InputError(f"--directions is {directions}: expected a whole number, or auto.")
        given["directions"] = None if whole is None else int(whole)
    options = ERASERS[method]().get_params()
    for name in given:
        if name not in options:
            able = [kind for kind, made in ERASERS.items() if name in made().get_params()]
            raise InputError(
                f"--{name.replace('_', '-')} is for {' and '.join(able)}: {method} has no such "
                "option."
            )
    return ERASERS[method](**given, **({"seed": seed} if "seed" in options else {}))


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--{name} is {text!r}: expected a number, or auto.") from None


def _fit_rows(eraser: Any, rows: ErasureRows) -> tuple[Any, Any]:
    """The rows that the eraser is fitted on, where its target is stated, and the target."""
    import numpy as np

    if not eraser.uses_target or rows.target is None:
        return np.ones(len(rows.x), bool), None
    stated = ~np.isnan(rows.target)
    if not stated.any():
        raise InputError("No row to fit on has a stated target: do the tables belong together?")
    return stated, rows.target


def _chosen(eraser: Any, rows: ErasureRows, seed: int) -> list[dict[str, Any]]:
    """Sets the number of directions on the eraser, and gives what was tried."""
    from fairthesis.embeddings import choose_directions

    found = choose_directions(
        eraser, rows.x, rows.group, rows.patient, target=rows.target, seed=seed
    )
    eraser.set_params(directions=found.chosen)
    return [vars(one) for one in found.tried]


def _measured(
    eraser: Any,
    rows: ErasureRows,
    probes: tuple[str, ...],
    n_boot: int,
    n_shuffles: int,
    seed: int,
) -> tuple[Any, str | None]:
    """The report, or None and the reason where there are too few patients for one."""
    from fairthesis.embeddings import TooFewPatientsError, measure_erasure

    try:
        found = measure_erasure(
            eraser,
            *(rows.x, rows.group, rows.patient),
            target=rows.target,
            probes=probes,
            n_boot=n_boot,
            n_shuffles=n_shuffles,
            seed=seed,
        )
    except TooFewPatientsError as error:
        return None, str(error)
    return found, None


def _summary(method: str, eraser: Any, about: dict[str, Any], measured: Any) -> str:
    patients = about["n_patients"]
    whose = "no patient_id: each row counts as a patient" if patients is None else ""
    sizes = ", ".join(f"{name} {n:,}" for name, n in about["groups"].items())
    lines = [
        f"{method}: fitted on {about['n_rows_used']:,} rows"
        + (f" of {patients:,} patients" if patients is not None else f" ({whose})")
        + (f", {' and '.join(about['splits'])}" if about["splits"] else "")
        + f"; {about['group']}: {sizes}",
        f"{eraser.rank_} of {eraser.n_features_in_} directions taken, "
        f"{eraser.kept_variance_:.1%} of the variance kept",
    ]
    if about.get("directions"):
        tried = ", ".join(f"{t['directions']}: {t['attribute']:.2f}" for t in about["directions"])
        lines.append(
            f"directions kept: {eraser.directions}; AUROC of the attribute by directions: {tried}"
        )
    if measured is None:
        return "\n".join([*lines, f"Not measured: {about['not_measured']}"])
    lines.append(
        f"\nOn new patients (eraser fitted on {measured.n_fit:,} rows, fresh probes):\n"
        f"{'':<22}{'before':<24}{'after':<24}shuffled"
    )
    for r in measured.readings:
        floor = "" if r.shuffled_mean is None else f"{r.shuffled_mean:.2f}"
        name = f"{about['group'] if r.of == 'attribute' else 'target'}, {r.probe}"
        before, after = _auroc(r.before, r.before_ci), _auroc(r.after, r.after_ci)
        lines.append(f"{name:<22}{before:<24}{after:<24}{floor}".rstrip())
    return "\n".join([*lines, *(f"- {text}" for text in measured.warnings)])


def _auroc(value: float, ends: tuple[float, float] | None) -> str:
    return f"{value:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")
