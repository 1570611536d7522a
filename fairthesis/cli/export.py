"""``fairthesis export``: a run's model for other software."""

from __future__ import annotations

from pathlib import Path

import click

from fairthesis.cli import _options


@click.command(context_settings=_options.WIDE)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(["onnx", "torchscript", "hub-folder"]),
    help="What is written.",
)
@_options.folder("Folder to write.")
@click.option("--n-boot", default=2000, show_default=True, help="Resamples of the card's audit.")
@_options.overwrite("Write into a folder that is not empty.")
def command(run: Path, form: str, out: Path, n_boot: int, overwrite: bool) -> None:
    """Write the model of the finished RUN for other software, with its model card.

    onnx and torchscript take images (or vectors) and give scores and embeddings. hub-folder is a
    folder to be shared: weights, configuration, thresholds by rule and the audit of the test part;
    load_run, predict and transfer take it like a run. No row of a patient is in any of them. The
    exported model is run, and refused where its scores are not the run's.

    \b
    Examples:
      fairthesis export runs/adversarial --format hub-folder --out shared
      fairthesis export runs/adversarial --format onnx --out served
    """
    from fairthesis.training import export, load_run

    folder = export(load_run(run), out, form, n_boot=n_boot, overwrite=overwrite)
    for file in sorted(folder.iterdir()):
        click.echo(file)
