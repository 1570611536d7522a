"""TrainConfig and the one training loop, which writes a run directory (``fairthesis.rundir``)."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from fairthesis import datasets, images
from fairthesis._callable import make_callable
from fairthesis.batches import AUGMENTATIONS, Table, augment, make_table, shuffled
from fairthesis.cohort import Cohort
from fairthesis.encoder import FairEncoder
from fairthesis.errors import InputError, unknown
from fairthesis.inference import infer, write_results
from fairthesis.methods import METHODS, Method
from fairthesis.methods.base import MethodOptions, Setting, cell_probabilities
from fairthesis.provenance import peak_memory_mb, provenance, write_json
from fairthesis.rundir import claim, load_state, save_state
from fairthesis.schema import write_atomically
from fairthesis.selection import RULES, validation_scores


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run; ``config.json`` is this, and a run is resumed from it.

    Empty ``targets`` and ``attributes`` mean the data set's first target and first attribute.
    ``size`` is the edge of the square images in pixels. ``threads`` of 0 leaves torch's own choice.
    """

    dataset: str = "synthetic-cxr"
    data_root: str | None = None
    dataset_options: Mapping[str, Any] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    method: str = "erm"
    method_options: Mapping[str, Any] = field(default_factory=dict)
    backbone: str = "resnet50"
    weights: str | None = None
    hidden_dim: int = 256
    disease_dim: int = 128
    sensitive_dim: int = 64
    disease_norm: str = "batch"
    size: int = 224
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    augmentation: str = "light"
    selection: str = "overall"
    seed: int = 0
    device: str = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        for name in ("targets", "attributes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        tables: dict[str, Mapping[str, object]] = {"method": METHODS}
        tables |= {"dataset": datasets.DATASETS, "selection": RULES, "augmentation": AUGMENTATIONS}
        for name, table in tables.items():
            if getattr(self, name) not in table:
                raise unknown(name, getattr(self, name), table)
        for name, least in {"size": 16, "epochs": 1, "batch_size": 2, "threads": 0}.items():
            if (value := getattr(self, name)) < least:
                raise InputError(f"Expected {name} to be {least} or larger, but got {value}")
        if not 0 < self.learning_rate < math.inf or not 0 <= self.weight_decay < math.inf:
            raise InputError(
                "Expected learning_rate above 0 and weight_decay of 0 or more, but got "
                f"{self.learning_rate} and {self.weight_decay}"
            )
        self.options()

    def options(self) -> MethodOptions:
        """The method's own options, checked.

        Raises ``InputError`` for a name that the method does not have or a value out of range.
        """
        kind = METHODS[self.method].Options
        names = {option.name: option.type for option in dataclasses.fields(kind)}
        for name, value in self.method_options.items():
            if name not in names:
                raise unknown(f"option of method {self.method}", name, names)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(f"Expected {name} to be a number, but got {value!r}")
            if names[name] == "int" and int(value) != value:
                raise InputError(f"Expected {name} to be a whole number, but got {value!r}")
        return kind(**self.method_options)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def train(
    config: TrainConfig,
    out: str | Path,
    *,
    cohort: Cohort | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Train a model and write the run directory ``out``; gives its path.

    A finished run of the same configuration, data and code is left as it is; a killed one goes on
    after its last whole epoch and ends as if it had never stopped. ``cohort`` replaces the loading
    of ``config.dataset``.

    Raises:
        InputError: for a cohort that cannot be trained on (before anything is written), and where
            ``out`` holds another run and ``overwrite`` is false.
    """
    out = Path(out)
    if config.threads:
        torch.set_num_threads(config.threads)
    device = _device(config.device)
    cohort = cohort or datasets.load(
        config.dataset, config.data_root, seed=config.seed, **config.dataset_options
    )
    targets = config.targets or cohort.targets[:1]
    attributes = config.attributes or cohort.attributes[:1]
    for target in targets:
        cohort.labels(target)
    for attribute in attributes:
        cohort.groups(attribute)
    origin = provenance(seed=config.seed, data_fingerprint=cohort.fingerprint(), device=str(device))
    if claim(config.to_dict(), out, origin, overwrite):
        return out
    pixels, readable = images.prepared(cohort, config.size, progress=progress)
    table = make_table(cohort, pixels, readable, targets, attributes)
    method = _build(config, table, cohort.channels, len(targets)).to(device)

    out.mkdir(parents=True, exist_ok=True)
    write_json(config.to_dict(), out / "config.json")
    state = load_state(config.to_dict(), out, method, origin)
    bar = tqdm(
        range(state.epoch, config.epochs),
        desc=f"{config.method} seed {config.seed}",
        unit="epoch",
        initial=state.epoch,
        total=config.epochs,
        disable=not progress,
    )
    for epoch in bar:
        started = time.perf_counter()
        line = _epoch(config, method, table, epoch, device)
        line |= _validate(method, table, config, device)
        state.seconds += time.perf_counter() - started
        line["seconds"] = round(time.perf_counter() - started, 3)
        state.epoch, state.log = epoch + 1, [*state.log, line]
        score = RULES[config.selection](line)
        chosen = method.eligible(epoch, method.options) or epoch == config.epochs - 1
        if chosen and (score > state.best_score or state.best_epoch < 0):
            state.best_score, state.best_epoch = score, epoch
            state.best_state = {k: v.detach().cpu().clone() for k, v in method.state_dict().items()}
        save_state(config.to_dict(), out, method, state, origin)
        bar.set_postfix(val_auroc=f"{line['val_auroc']:.3f}", refresh=False)
    method.load_state_dict(state.best_state)
    write_results(out, method, cohort, table, targets, attributes, 4 * config.batch_size, device)
    origin |= {
        "wall_seconds": round(state.seconds, 1),
        "peak_memory_mb": round(peak_memory_mb()),
        "selected_epoch": state.best_epoch,
        "images": {split: len(rows) for split, rows in table.rows.items()},
        "left_out": dict(cohort.left_out) | {"unreadable image": int((~readable).sum())},
        "groups": dict(zip(attributes, map(list, table.groups), strict=True)),
    }
    write_json(origin, out / "provenance.json")
    (out / "state.pt").unlink(missing_ok=True)
    write_atomically(out / "DONE", lambda to: to.write_text(f"{origin['data_fingerprint']}\n"))
    return out


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        return device
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"Device {name!r} cannot be used here: expected auto, cpu, or cuda where torch sees a "
            f"GPU."
        ) from error


def _build(config: TrainConfig, table: Table, channels: int, targets: int) -> Method:
    torch.manual_seed(config.seed)
    model = FairEncoder(
        config.backbone,
        channels=channels,
        hidden_dim=config.hidden_dim,
        disease_dim=config.disease_dim,
        sensitive_dim=config.sensitive_dim,
        targets=targets,
        groups=[len(groups) for groups in table.groups],
        weights=config.weights,
        disease_norm=config.disease_norm,
    )
    rows = torch.from_numpy(table.rows["train"])
    cells = tuple(
        cell_probabilities(table.targets[rows], codes, len(groups))
        for codes, groups in zip(table.attributes[rows].T, table.groups, strict=True)
    )
    setting = Setting(config.learning_rate, config.weight_decay, config.epochs, config.seed, cells)
    return METHODS[config.method](model, config.options(), setting)


def _epoch(
    config: TrainConfig, method: Method, table: Table, epoch: int, device: torch.device
) -> dict[str, Any]:
    """One pass over the training part; the mean of every loss."""
    rows = table.rows["train"]
    steps = max(1, math.ceil(len(rows) / config.batch_size))
    generator = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
    sums: dict[str, list[float]] = {}
    for step, part in enumerate(shuffled(rows, config.batch_size, config.seed, epoch)):
        position = epoch + step / steps
        method.at(position, _rate(position / config.epochs))
        batch = table.batch(part, device)
        batch = batch._replace(images=augment(config.augmentation, batch.images, generator))
        for name, value in method.update(batch).items():
            sums.setdefault(name, []).append(value)
    return {"epoch": epoch} | {name: float(np.mean(values)) for name, values in sums.items()}


def _rate(done: float) -> float:
    """The learning rate's factor: a short rise, then a cosine down to 0.

    Reference: Loshchilov and Hutter, ICLR 2017.
    """
    rise = 0.05
    return (
        done / rise if done < rise else 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise)))
    )


def _validate(
    method: Method, table: Table, config: TrainConfig, device: torch.device
) -> dict[str, float]:
    rows = table.rows["val"]
    scores, _, _ = infer(method, table, rows, 4 * config.batch_size, device)
    index = torch.from_numpy(rows)
    return validation_scores(table.targets[index].numpy(), scores, table.attributes[index].numpy())


make_callable(__name__)
