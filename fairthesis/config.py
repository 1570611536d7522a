"""TrainConfig: everything that decides a training run, checked before anything is read."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairthesis import datasets
from fairthesis.averaging import AVERAGING
from fairthesis.batches import AUGMENTATIONS
from fairthesis.encoder import INPUT_NORMS, NORMS, PRECISIONS
from fairthesis.errors import InputError, unknown
from fairthesis.methods import METHODS
from fairthesis.methods.base import MethodOptions
from fairthesis.selection import RULES

LEAST = {"size": 16, "epochs": 1, "batch_size": 2, "disease_dim": 0, "threads": 0}


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run; ``config.json`` is this, and a run is resumed from it.

    Empty ``targets`` and ``attributes`` mean the data set's first target and first attribute.
    ``size`` is the edge of the square images in pixels. A ``disease_dim`` of 0 is 4 for each
    target: what more an embedding can hold it can also leak. ``threads`` of 0 leaves torch's own
    choice.
    ``classifier_rate`` is how many times ``learning_rate`` the disease classifier learns at; unless
    it is 1, as for the rest, its bias also starts at the log odds of the training part's targets.
    ``selection`` is a rule of ``fairthesis.selection``; ``reference_auroc`` is ERM's validation
    AUROC for the rule ``min_leakage``. ``averaging`` is ``none``, ``ema`` (every epoch's candidate
    is the moving average) or ``swad`` (the run's one model is the average).
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
    disease_dim: int = 0
    sensitive_dim: int = 64
    disease_norm: str = "whitening"
    input_norm: str = "fixed"
    precision: str = "float32"
    size: int = 224
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 1e-3
    classifier_rate: float = 10.0
    weight_decay: float = 1e-4
    augmentation: str = "light"
    selection: str = "overall"
    reference_auroc: float | None = None
    averaging: str = "none"
    ema_decay: float = 0.99
    seed: int = 0
    device: str = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        for name in ("targets", "attributes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        tables: dict[str, Mapping[str, object]] = {"method": METHODS}
        tables |= {"dataset": datasets.DATASETS, "selection": RULES, "augmentation": AUGMENTATIONS}
        plain = {"averaging": AVERAGING, "disease_norm": NORMS}
        plain |= {"input_norm": INPUT_NORMS, "precision": PRECISIONS}
        tables |= {name: dict.fromkeys(values) for name, values in plain.items()}
        for name, table in tables.items():
            if getattr(self, name) not in table:
                raise unknown(name, getattr(self, name), table)
        for name, least in LEAST.items():
            if (value := getattr(self, name)) < least:
                raise InputError(f"Expected {name} to be {least} or larger, but got {value}")
        if not 0 < self.learning_rate < math.inf or not 0 <= self.weight_decay < math.inf:
            raise InputError(
                "Expected learning_rate above 0 and weight_decay of 0 or more, but got "
                f"{self.learning_rate} and {self.weight_decay}"
            )
        if not 0 < self.classifier_rate < math.inf:
            raise InputError(
                f"Expected classifier_rate to be a number above 0, but got {self.classifier_rate}"
            )
        if not 0 < self.ema_decay < 1:
            raise InputError(f"Expected ema_decay between 0 and 1, but got {self.ema_decay}")
        if self.reference_auroc is not None and not 0 <= self.reference_auroc <= 1:
            raise InputError(
                f"Expected reference_auroc to be from 0 to 1, but got {self.reference_auroc}"
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
            if names[name] == "int" and not float(value).is_integer():
                raise InputError(f"Expected {name} to be a whole number, but got {value!r}")
        return kind(
            **{
                name: int(value) if names[name] == "int" else value
                for name, value in self.method_options.items()
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))
