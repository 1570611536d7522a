"""``fairthesis train``."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click
import yaml

from fairthesis.errors import InputError, unknown


def settings(pairs: tuple[str, ...], option: str) -> dict[str, Any]:
    """``("a=1", "b=x")`` as ``{"a": 1, "b": "x"}``; values are read as YAML scalars."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise InputError(f"Cannot read {option} {pair!r}: expected NAME=VALUE.")
        found[name.replace("-", "_")] = yaml.safe_load(value)
    return found


def read_config(file: str) -> dict[str, Any]:
    """A configuration file (YAML or JSON) as a dict of ``TrainConfig`` fields."""
    import dataclasses

    from fairthesis.config import TrainConfig

    path = Path(file)
    if not path.is_file():
        raise InputError(f"No configuration file at {file!r}: expected a YAML or JSON file.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read {file!r} as YAML or JSON: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"Expected NAME: VALUE lines in {file!r}, but got {values!r:.60}")
    names = [item.name for item in dataclasses.fields(TrainConfig)]
    for name in values:
        if name not in names:
            raise unknown(f"parameter in {file}", name, names)
    return values


def _strength(method: str) -> str:
    """The option that --adversary-weight sets: each method's name for its strength."""
    from fairthesis.methods import METHODS

    if method not in METHODS:
        raise unknown("method", method, METHODS)
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
@click.option("--data-root", help="Folder of the data set's official release.")
@click.option("--dataset-option", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
@click.option("--target", "targets", multiple=True, help="Disease to predict; repeatable.")
@click.option(
    "--attribute", "attributes", multiple=True, help="Sensitive attribute, or a*b; repeatable."
)
@click.option("--method", help="erm, adversarial, dann, ...: see below.  [default: erm]")
@click.option("--adversary-weight", type=float, help="The method's strength; 0 is ERM.")
@click.option("--method-option", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
@click.option("--backbone", help="resnet50, resnet18, small.  [default: resnet50]")
@click.option("--weights", help="Pretrained weights: torchvision's name or a file.")
@click.option("--size", type=int, help="Edge of the images in pixels.  [default: 224]")
@click.option(
    "--input-norm", help="fixed, or centred: subtract each image's mean colour.  [default: fixed]"
)
@click.option("--precision", help="float32, bfloat16.  [default: float32]")
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
@click.option("--seed", type=int, help="[default: 0]")
@click.option("--device", help="auto, cpu, cuda.  [default: auto]")
@click.option("--threads", type=int, help="CPU threads; 0: torch's choice.")
@click.option("--overwrite", is_flag=True, help="Replace another run in the folder.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    out: str,
    config_file: str | None,
    dataset_option: tuple[str, ...],
    method_option: tuple[str, ...],
    adversary_weight: float | None,
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
          --attribute sex --method adversarial --adversary-weight 1 --out runs/nih
      fairthesis train --config runs/erm/config.json --seed 1 --out runs/erm-1
    """
    from fairthesis.config import TrainConfig
    from fairthesis.provenance import used_test_labels
    from fairthesis.train import train

    values = read_config(config_file) if config_file else {}
    values |= {name: value for name, value in given.items() if value not in (None, ())}
    method_options = dict(values.get("method_options", {})) | settings(
        method_option, "--method-option"
    )
    if adversary_weight is not None:
        method_options[_strength(values.get("method", "erm"))] = adversary_weight
    values["method_options"] = method_options
    values["dataset_options"] = dict(values.get("dataset_options", {})) | settings(
        dataset_option, "--dataset-option"
    )
    config = TrainConfig(**values)
    folder = train(config, out, overwrite=overwrite, progress=not quiet)
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
