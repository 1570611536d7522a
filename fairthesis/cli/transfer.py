"""``fairthesis transfer``: finished runs in another hospital, at their own operating points."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairthesis.cli import _layout, _options
from fairthesis.cli.predict import cohort_for, source_options
from fairthesis.errors import InputError
from fairthesis.inputs import option_pairs

if TYPE_CHECKING:
    from fairthesis.auditing import TransferReport, TransferTables
    from fairthesis.data import Cohort
    from fairthesis.training import Run

TABLES = ("predictions.parquet", "embeddings.parquet")


@click.command(context_settings=_options.WIDE)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@source_options()
@click.option(
    "--predictions",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="In the place of a data set: what `predict` wrote, once per RUN, in order.",
)
@click.option("--name", "names", multiple=True, help="A model's name, once per RUN, in order.")
@_options.groups()
@click.option("--unlabelled", is_flag=True, help="The data need not have the runs' target.")
@click.option("--split", default="all", show_default=True, help="External part: train, val, test.")
@_options.target()
@click.option(
    "--threshold",
    default="youden",
    show_default=True,
    help="A rule for the run's own validation rows (youden, fpr=0.2, tnr=0.8), or a number.",
)
@_options.n_boot()
@click.option(
    "--n-permutations", default=2000, show_default=True, help="For the audits' chance levels."
)
@click.option("--n-shift", default=999, show_default=True, help="Permutations of a shift's test.")
@_options.seed()
@_options.folder("Folder for reports and predictions.")
@_options.overwrite("Replace other predictions in the folder.")
@_options.quiet()
def command(
    runs: tuple[Path, ...],
    dataset: str | None,
    data_root: str | None,
    dataset_option: tuple[str, ...],
    images: Path | None,
    embeddings: Path | None,
    prefix: str | None,
    rename: tuple[str, ...],
    new_groups: bool,
    device: str,
    predictions: tuple[Path, ...],
    names: tuple[str, ...],
    groups: tuple[str, ...],
    unlabelled: bool,
    split: str,
    target: str | None,
    threshold: str,
    n_boot: int,
    n_permutations: int,
    n_shift: int,
    seed: int,
    out: Path,
    overwrite: bool,
    quiet: bool,
) -> None:
    """See what becomes of the finished RUNs in another cohort, and what kind of shift it is.

    Each run predicts the cohort (a killed command goes on where it stopped) and is audited there
    and on its own test part, at the threshold that its own validation part gives. Changes have
    intervals over patients. The shift is named without the cohort's labels: explained by
    prevalence, appearance, or what cannot be told. Without labels only scores are compared.

    OUT gets transfer.html (one page, opens anywhere), transfer.json, transfer.csv, shifts.csv, the
    full audits in audits/ and the predictions in predictions/.

    \b
    Examples:
      fairthesis transfer runs/erm --dataset chexpert --data-root data/chexpert \\
          --group sex --group age_group --out elsewhere
      fairthesis transfer runs/erm runs/adversarial --images ward/films.csv --group sex \\
          --out ward
      fairthesis transfer runs/erm --predictions external --group sex --out elsewhere
    """  # fmt: skip
    from fairthesis.auditing import transfer
    from fairthesis.storage import check_finished

    titles = model_names(runs, names)
    for run in runs:
        check_finished(run, TABLES)
    source = {"--dataset": dataset, "--images": images, "--embeddings": embeddings}
    if predictions:
        chosen = [name for name, value in source.items() if value is not None]
        if chosen:
            raise InputError(f"--predictions and {chosen[0]} are given: expected one of them.")
        folders = _made_before(runs, predictions)
    else:
        if not any(value is not None for value in source.values()) and not dataset_option:
            raise InputError(
                "No other cohort is given: expected --dataset, --images, --embeddings, "
                "--dataset-option or --predictions."
            )
        folders = _predicted(
            dict(zip(titles, runs, strict=True)), groups, out, split, quiet,
            device=device, renamed=option_pairs(rename, "--rename"),
            source=(dataset, data_root, dataset_option, images, embeddings, prefix),
            need_target=not (unlabelled or images is not None or embeddings is not None),
            new_groups=new_groups, overwrite=overwrite,
        )  # fmt: skip
    report = transfer(
        {
            title: tables_of(run, folder)
            for title, run, folder in zip(titles, runs, folders, strict=True)
        },
        groups=groups, target=target, threshold=threshold, n_boot=n_boot,
        n_permutations=n_permutations, n_shift=n_shift, seed=seed,
    )  # fmt: skip
    _options.tell(lambda: summary(report), report.write(out), quiet)


def model_names(runs: tuple[Path, ...], names: tuple[str, ...]) -> list[str]:
    """Names as given, or those of the run directories.

    >>> model_names((Path("runs/erm"), Path("runs/adv")), ())
    ['erm', 'adv']
    """
    if names and len(names) != len(runs):
        raise InputError(f"{len(names)} names for {len(runs)} runs: expected one --name each.")
    found = list(names) or [run.resolve().name for run in runs]
    if len(set(found)) < len(found):
        raise InputError(
            f"Two runs are both named {max(found, key=found.count)!r}: give each a --name."
        )
    return found


def _made_before(runs: tuple[Path, ...], folders: tuple[Path, ...]) -> list[Path]:
    """Folders of ``predict``, each by the run that stands at its place."""
    from fairthesis.storage import DONE, check_finished

    if len(folders) != len(runs):
        raise InputError(
            f"{len(folders)} --predictions for {len(runs)} runs: expected one for each, in order."
        )
    for run, folder in zip(runs, folders, strict=True):
        check_finished(folder)
        made = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        if made.get("run_digest") != hashlib.sha256((run / DONE).read_bytes()).hexdigest()[:16]:
            raise InputError(
                f"The predictions in {str(folder)!r} were made by the run {made.get('run')!r}, and "
                f"not by {str(run)!r} as it is now: expected the folders in the order of the runs."
            )
    return list(folders)


def _predicted(
    runs: dict[str, Path],
    groups: tuple[str, ...],
    out: Path,
    split: str,
    quiet: bool,
    *,
    device: str,
    renamed: dict[str, str],
    source: tuple[Any, ...],
    need_target: bool,
    new_groups: bool,
    overwrite: bool,
) -> list[Path]:
    """The folders of predictions, made below ``out`` once all runs and cohorts were looked at."""
    from fairthesis.training import load_run, predict

    pairs: list[tuple[str, Run, Cohort]] = []
    for title, folder in runs.items():
        model = load_run(folder, device=device)
        cohort = cohort_for(model, *source)
        _check_groups(model, cohort, groups, renamed)
        pairs.append((title, model, cohort))
    return [
        predict(
            model, cohort, out / "predictions" / title, split=split, rename=renamed,
            need_target=need_target, new_groups=new_groups, overwrite=overwrite,
            progress=not quiet,
        )
        for title, model, cohort in pairs
    ]  # fmt: skip


def _check_groups(
    run: Run, cohort: Cohort, groups: tuple[str, ...], renamed: dict[str, str]
) -> None:
    """Refuse an attribute that the run or the cohort does not have, before anything is written."""
    for what, has in (
        (f"the run {run.folder.name}", run.attributes),
        (cohort.name, [renamed.get(name, name) for name in cohort.attributes]),
    ):
        known = [part for name in has for part in (name, *name.split("*"))]
        for group in groups:
            lacking = [] if group in known else [p for p in group.split("*") if p not in known]
            if lacking:
                raise InputError(
                    f"{what} has no attribute {lacking[0]!r}: it has "
                    f"{', '.join(has) or 'none'}. Choose another --group, or say what it is called "
                    f"(--rename THEIRS={lacking[0]})."
                )


def tables_of(run: Path, folder: Path) -> TransferTables:
    """The tables of a run and of its predictions for another cohort."""
    from fairthesis.auditing import TransferTables
    from fairthesis.inputs import read_table

    own, other = ([read_table(at / name) for name in TABLES] for at in (run, folder))
    return TransferTables(own[0], other[0], own[1], other[1])


def summary(report: TransferReport) -> str:
    """What was found, as plain text."""
    lines = []
    found = report.to_dict()
    for name, sentences in found["sentences"].items():
        point = found["models"][name]["threshold"]
        lines += [f"{name}, threshold {_layout.number(point['value'])} ({point['rule']})"]
        lines += [*(f"  {sentence}" for sentence in sentences), ""]
    lines += [f"Warning: {warning}" for warning in report.warnings]
    return "\n".join(lines).rstrip()
