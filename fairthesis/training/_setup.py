"""What a run begins with: its device, what the model is given, the model and its method."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray

from fairthesis import data
from fairthesis.data import Cohort, OverlaidImages, Vectors
from fairthesis.errors import InputError
from fairthesis.machine import keep_freed_memory
from fairthesis.methods import METHODS, Method, Setting, subgroup_probabilities
from fairthesis.models import BACKBONES, NONE, FairEncoder, Standardise
from fairthesis.training._batches import Table, in_batches
from fairthesis.training._config import TrainConfig


def inputs_of(
    cohort: Cohort, size: int, progress: bool
) -> tuple[NDArray[np.uint8] | OverlaidImages | Vectors, NDArray[np.bool_]]:
    """What the model is given of every row, and where it could be read."""
    if cohort.vectors is not None:
        return cohort.vectors, np.ones(len(cohort), bool)
    return data.prepared_images(cohort, size, progress=progress)


def check_kind(config: TrainConfig, cohort: Cohort) -> None:
    """Vectors take no backbone, and images take one."""
    if (config.backbone == NONE) == (cohort.vectors is not None):
        return
    if cohort.vectors is not None:
        raise InputError(
            f"{cohort.name} has vectors, which take no backbone: expected backbone none "
            f"(--backbone none), but got {config.backbone}."
        )
    raise InputError(
        f"Backbone none is for vectors, and {cohort.name} has images: choose a backbone, or make a "
        "table of embeddings first (fairthesis embed) and train on the data set embeddings."
    )


def device_of(name: str) -> torch.device:
    """The device of a name; on a processor the memory of a batch is kept for the next."""
    try:
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
        device = torch.device(chosen)
        torch.empty(0, device=device)
        if device.type == "cpu":
            keep_freed_memory()
        return device
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"Device {name!r} cannot be used here: expected auto, cpu, or cuda where torch sees a "
            f"GPU."
        ) from error


def check_batches(config: TrainConfig, method: Method, targets: int) -> None:
    """Whitening takes more images than directions, in an epoch's last batch too."""
    dim, name = config.disease_dim or 4 * targets, "disease_dim"
    if config.sensitive_branch == "own" and config.sensitive_dim > dim:
        dim, name = config.sensitive_dim, "sensitive_dim"
    sizes = [len(part) for part in in_batches(method.order(0), config.batch_size)]
    least = min(sizes, default=0)
    if config.disease_norm == "whitening" and least <= dim:
        raise InputError(
            f"The smallest batch of an epoch has {least} images, too few to whiten {dim} "
            f"directions: expected more images than {name}. Choose another batch_size, lower "
            f"{name}, or take disease_norm batch."
        )


def new_model(config: TrainConfig, table: Table, channels: int, targets: int) -> FairEncoder:
    """The encoder at its start; seeds torch."""
    torch.manual_seed(config.seed)
    model = FairEncoder(
        config.backbone,
        channels=channels,
        width=table.images.width if isinstance(table.images, Vectors) else None,
        hidden_dim=config.hidden_dim,
        disease_dim=config.disease_dim or 4 * targets,
        sensitive_dim=config.sensitive_dim,
        targets=targets,
        groups=[len(groups) for groups in table.groups],
        weights=config.weights,
        disease_norm=config.disease_norm,
        input_norm=config.input_norm,
        precision=config.precision,
        size=None if config.backbone in (*BACKBONES, NONE) else config.size,
        train_backbone=config.train_backbone,
        sensitive_branch=config.sensitive_branch,
    )
    if isinstance(table.images, Vectors) and isinstance(model.shared_encoder, Standardise):
        model.shared_encoder.fit(*map(torch.from_numpy, table.images.moments(table.rows["train"])))
    return model


def new_method(config: TrainConfig, table: Table, model: FairEncoder) -> Method:
    """The method that is to train the encoder."""
    rows = torch.from_numpy(table.rows["train"])
    subgroups = tuple(
        subgroup_probabilities(table.targets[rows], codes, len(groups))
        for codes, groups in zip(table.attributes[rows].T, table.groups, strict=True)
    )
    setting = Setting(
        config.learning_rate,
        config.weight_decay,
        config.epochs,
        config.seed,
        subgroups,
        table.targets[rows],
        table.attributes[rows],
        table.patients[rows],
        config.classifier_rate,
        config.sensitive_hsic,
    )
    options = config.options()
    if options != METHODS[config.method].Options(**config.method_options):
        warnings.warn(
            f"The default schedule of {config.method} is shortened to {config.epochs} epochs: "
            f"warmup_epochs {options.warmup_epochs}, ramp_epochs {options.ramp_epochs}.",  # type: ignore[attr-defined]
            stacklevel=2,
        )
    return METHODS[config.method](model, options, setting)
