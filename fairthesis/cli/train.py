"""``fairthesis train``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairthesis.cli import _options
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import fit_option, option_pairs, parameter_kinds

if TYPE_CHECKING:
    from fairthesis.training import TrainConfig


def configured(
    file: str | None,
    given: Mapping[str, Any],
    dataset_options: Iterable[str] = (),
    method_options: Iterable[str] = (),
    adversary_weight: float | None = None,
) -> TrainConfig:
    """The configuration of a file, changed by what was ``given`` beside it; all of it checked.

    The options ``NAME=VALUE`` are typed by the data set and the method that are chosen in the end.
    """
    from fairthesis import datasets, models
    from fairthesis.inputs import read_document
    from fairthesis.training import TrainConfig, config_from_text
    from fairthesis.training import method_options as typed_options

    values, text = read_document(Path(file)) if file else ({}, False)
    values = config_from_text(values, str(file)) if text else values
    for name in values:
        if name not in parameter_kinds(TrainConfig):
            raise unknown(f"parameter in {file}", name, parameter_kinds(TrainConfig))
    values |= {name: value for name, value in given.items() if value not in (None, ())}
    if values.get("dataset") == "embeddings":  # which no other backbone can be given
        values.setdefault("backbone", models.NONE)
    held = {name: values.pop(name, {}) for name in ("dataset_options", "method_options")}
    held = {name: fit_option(name, Mapping[str, Any], value) for name, value in held.items()}
    method = fit_option("method", str, values.pop("method", TrainConfig.method))
    config = TrainConfig(**values)
    of_dataset = partial(datasets.typed_options, config.dataset)
    own = of_dataset(held["dataset_options"], text=text)
    own |= of_dataset(option_pairs(dataset_options, "--dataset-option"), text=True)
    of_method = partial(typed_options, method)
    strength = of_method(held["method_options"], text=text)
    strength |= of_method(option_pairs(method_options, "--method-option"), text=True)
    if adversary_weight is not None:
        strength[_strength(method)] = adversary_weight
    config = replace(config, dataset_options=own, method=method, method_options=strength)
    if config.weights is not None:  # before the images are read; not where a run is read again
        models.check_weights(config.backbone, config.weights)
    return config


def _strength(method: str) -> str:
    """The option that --adversary-weight sets: each method's name for its strength."""
    from fairthesis.methods import METHODS

    name = METHODS[method].strength
    if name is None:
        given = [known for known, kind in METHODS.items() if kind.strength]
        raise InputError(
            f"Method {method} has no weight that --adversary-weight could set: leave it out, or "
            f"choose one of {', '.join(given)}."
        )
    return name


@click.command()
@click.option("--out", required=True, type=click.Path(), help="Folder for the run.")
@click.option("--config", "config_file", help="YAML or JSON file; the options below override it.")
@click.option("--dataset", help="Name of a data set: see `fairthesis datasets list`.")
@_options.data_root()
@_options.pairs("--dataset-option")
@click.option("--target", "targets", multiple=True, help="Disease to predict; repeatable.")
@click.option(
    "--attribute", "attributes", multiple=True, help="Sensitive attribute, or a*b; repeatable."
)
@click.option("--method", help="erm, adversarial, dann, ...: see below.  [default: erm]")
@click.option("--adversary-weight", type=float, help="The method's strength; 0 is ERM.")
@_options.pairs("--method-option")
@click.option(
    "--backbone",
    help="resnet50, resnet18, small; LIBRARY:NAME as for embed; none for vectors.  "
    "[default: resnet50]",
)
@click.option(
    "--weights",
    help="Pretrained weights: torchvision's name or a file; with LIBRARY:NAME also pretrained.",
)
@click.option(
    "--train-backbone",
    help="none (frozen, features computed once), last stage, all.  [default: all]",
)
@click.option("--size", type=int, help="Edge of the images in pixels.  [default: 224]")
@click.option(
    "--input-norm", help="fixed, or centred: subtract each image's mean colour.  [default: fixed]"
)
@click.option("--precision", help="float32, bfloat16, float16.  [default: float32]")
@click.option(
    "--compile", is_flag=True, default=None, help="Translate the encoder first, for a faster GPU."
)
@click.option("--epochs", type=int, help="[default: 20]")
@click.option("--batch-size", type=int, help="[default: 128]")
@click.option("--learning-rate", type=float, help="[default: 0.001]")
@click.option("--augmentation", help="none, light, mirrored.  [default: light]")
@click.option(
    "--selection",
    help="overall, worst_group, last, pareto, min_leakage, oracle.  [default: overall]",
)
@click.option("--reference-auroc", type=float, help="ERM's validation AUROC, for min_leakage.")
@click.option("--averaging", help="Of weights: none, ema, swad.  [default: none]")
@_options.seed("[default: 0]", default=None)
@click.option("--device", help="auto, cpu, cuda.  [default: auto]")
@click.option("--threads", type=int, help="CPU threads; 0: torch's choice.")
@click.option("--tracker", help="tensorboard or mlflow: also send each epoch's numbers there.")
@_options.overwrite("Replace another run in the folder.")
@_options.quiet("No progress bar.")
def command(
    out: str,
    config_file: str | None,
    dataset_option: tuple[str, ...],
    method_option: tuple[str, ...],
    adversary_weight: float | None,
    tracker: str | None,
    overwrite: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Train an encoder and write a run directory.

    A killed run goes on where it stopped when the same command is given again.

    \b
    Methods:
      erm, balanced, reweighted, groupdro, domain_independent, jtt, last_layer
      alternating, dann, cdann, laftr, projection, fairdisco, adversarial
      hsic, mmd, orthogonal

    \b
    Examples:
      fairthesis train --dataset synthetic-cxr --backbone small --size 48 --out runs/erm
      fairthesis train --dataset nih-cxr14 --data-root data/nih --target pneumonia \\
          --attribute sex --method hsic --adversary-weight 1.5 --out runs/nih
      fairthesis train --dataset embeddings --data-root mine --dataset-option table=labels.csv \\
          --dataset-option targets=cancer --attribute sex --method hsic --out runs/vectors
      fairthesis train --dataset ham10000 --data-root data/ham --backbone timm:densenet121 \\
          --weights densenet121.safetensors --train-backbone none --out runs/frozen
      fairthesis train --config runs/erm/config.json --seed 1 --out runs/erm-1
    """
    from fairthesis.provenance import used_test_labels
    from fairthesis.training import make_tracker, train

    config = configured(config_file, given, dataset_option, method_option, adversary_weight)
    send = make_tracker(tracker, out) if tracker else None
    folder = train(config, out, overwrite=overwrite, progress=not quiet, tracker=send)
    origin = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    used_test_labels(folder)
    kept = f"epoch {origin['selected_epoch'] + 1} of {config.epochs} kept by the rule"
    kept += f" '{config.selection}'"
    if "averaged_epochs" in origin:
        first, last = (epoch + 1 for epoch in origin["averaged_epochs"])
        kept = f"the average over epochs {first} to {last} of {config.epochs} kept"
    attributes = list(origin["groups"])
    click.echo(
        f"{folder}: {config.method} on {config.dataset}, {kept} "
        f"(validation AUROC {origin['selected_val_auroc']:.3f}, "
        f"worst group {origin['selected_val_worst_auroc']:.3f})."
    )
    groups = " ".join(f"--group {shlex.quote(name)}" for name in attributes)
    click.echo(
        f"Next: fairthesis audit {folder}/predictions.parquet {groups} --patient patient_id "
        f"--threshold youden --out {folder}/audit"
    )
