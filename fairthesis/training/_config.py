"""TrainConfig: everything that decides a training run, checked before anything is read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from fairthesis import datasets
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import Range, parameter_kinds, typed_option
from fairthesis.methods import METHODS, Method, MethodOptions
from fairthesis.models import (
    AVERAGING,
    INPUT_NORMS,
    NONE,
    NORMS,
    PRECISIONS,
    PRETRAINED,
    RANDOM,
    TRAIN_BACKBONE,
    check_backbone,
    check_sensitive_branch,
    described_weights,
    is_weights_file,
    public_name,
)
from fairthesis.training._batches import AUGMENTATIONS
from fairthesis.training._selection import RULES

# What came later, and its value that changes nothing.
_LATER = {"train_backbone": "all", "sensitive_branch": "detached", "sensitive_hsic": 0.0}
_Count = Annotated[int, Range(least=1)]
_Share = Annotated[float, Range(least=0, most=1)]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run; ``config.json`` is this, and a run is resumed from it.

    Args:
        dataset: a name in ``fairthesis.datasets.DATASETS``.
        data_root: the folder of its files; None for a data set that is drawn.
        dataset_options: of the data set's own, by name.
        targets, attributes: names; empty is the data set's first target and first attribute.
        method: a name in ``fairthesis.methods.METHODS``.
        method_options: of the method's own ``Options``, by name.
        backbone: a name in ``fairthesis.models.BACKBONES``; a name of another library, such as
            ``timm:densenet121`` (``fairthesis.models.load_encoder``); or ``none`` for a cohort of
            vectors; nothing is augmented then.
        weights: None, a name of torchvision's, or a local file; for another library's backbone also
            ``pretrained``. ``random`` is None, said on purpose.
        train_backbone: what of the backbone learns: ``all``; ``last``, its last stage
            (``fairthesis.models.last_stage``); or ``none``: its features are computed once, nothing
            is augmented, and the heads train on them.
        hidden_dim: width of the hidden layer of both heads.
        disease_dim: size of the disease embedding; 0 is 4 for each target: what more an embedding
            can hold it can also leak (the book's ablations have 4 to 128, whitened and not).
        sensitive_dim: size of the sensitive embedding.
        sensitive_branch: ``detached``, or ``own``: the sensitive embedding comes from a small
            encoder of its own, and not from features of which a method clears the attribute.
        sensitive_hsic: weight of the sensitive embedding's dependence on the targets given the
            attribute (``fairthesis.methods.target_hsic``); it trains the sensitive branch alone.
        disease_norm, input_norm, precision: as for ``fairthesis.models.FairEncoder``.
        compile: whether ``torch.compile`` translates the shared encoder before it trains: minutes
            at the start, for steps that are faster on a GPU. It needs a C++ compiler.
        size: edge of the square images in pixels, 16 or more.
        epochs: 1 or more; the method's schedule must fit in.
        batch_size: images, 2 or more; with whitening more than ``disease_dim``.
        learning_rate: its largest value; it rises over 5 % of the run and falls to 0 as a cosine.
        classifier_rate: how many times ``learning_rate`` the disease classifier learns at; unless
            it is 1, its bias also starts at the log odds of the training part's targets.
        weight_decay: of AdamW.
        augmentation: ``none``, ``light`` or ``mirrored`` (``augment``).
        selection: the rule by which an epoch is kept: ``overall``, ``worst_group``, ``last``,
            ``pareto``, ``min_leakage``, or ``oracle``, which uses test labels: never a result.
        reference_auroc: ERM's validation AUROC, for the rule ``min_leakage``.
        averaging: ``none``, ``ema`` (every epoch's candidate is the moving average) or ``swad``
            (the run's one model is the average).
        ema_decay: of ``ema``, above 0 and below 1.
        seed: of the weights, the order, the augmentation and a data set that is drawn.
        device: ``auto``, ``cpu``, ``cuda``, ...
        threads: of torch; 0 leaves its own choice.

    Raises:
        InputError: for any value of another type, out of range or unknown, at once and by name.

    >>> config = TrainConfig(method="dann", method_options={"weight": 0.5}, epochs=30)
    >>> config.options()
    OpposedOptions(weight=0.5, ..., adversary_rate=0.001)
    >>> TrainConfig(method="dan")
    Traceback (most recent call last):
    fairthesis.errors.InputError: Unknown method 'dan': ... Did you mean 'dann'?
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
    train_backbone: str = "all"
    hidden_dim: _Count = 256
    disease_dim: Annotated[int, Range(least=0)] = 0
    sensitive_dim: _Count = 64
    sensitive_branch: str = "detached"
    sensitive_hsic: Annotated[float, Range(least=0)] = 0.0
    disease_norm: str = "whitening"
    input_norm: str = "fixed"
    precision: str = "float32"
    compile: bool = False
    size: Annotated[int, Range(least=16)] = 224
    epochs: _Count = 20
    batch_size: Annotated[int, Range(least=2)] = 128
    learning_rate: Annotated[float, Range(above=0)] = 1e-3
    classifier_rate: Annotated[float, Range(above=0)] = 10.0
    weight_decay: Annotated[float, Range(least=0)] = 1e-4
    augmentation: str = "light"
    selection: str = "overall"
    reference_auroc: _Share | None = None
    averaging: str = "none"
    ema_decay: Annotated[float, Range(above=0, below=1)] = 0.99
    seed: Annotated[int, Range(least=0, most=2**32 - 1)] = 0  # as numpy and torch take them
    device: str = "auto"
    threads: Annotated[int, Range(least=0, most=4096)] = 0

    def __post_init__(self) -> None:
        own = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        for name, value in typed_option(
            parameter_kinds(TrainConfig), own, "parameter", text=False
        ).items():
            object.__setattr__(self, name, value)
        tables: dict[str, Iterable[str]] = {"method": METHODS, "dataset": datasets.DATASETS}
        check_backbone(self.backbone)
        tables |= {"selection": RULES, "augmentation": AUGMENTATIONS}
        tables |= {"train_backbone": TRAIN_BACKBONE}
        tables |= {"averaging": AVERAGING, "disease_norm": NORMS, "input_norm": INPUT_NORMS}
        tables |= {"precision": PRECISIONS}
        for name, table in tables.items():
            if getattr(self, name) not in table:
                raise unknown(name, getattr(self, name), table)
        self._check_frozen()
        has_images = self.backbone != NONE and self.train_backbone != "none"
        check_sensitive_branch(self.sensitive_branch, has_images)
        if self.backbone == NONE or self.train_backbone == "none":
            if self.augmentation not in ("light", "none"):
                what = "Vectors" if self.backbone == NONE else "Features of a frozen backbone"
                raise InputError(
                    f"{what} cannot be augmented: expected augmentation none, but got "
                    f"{self.augmentation!r}."
                )
            object.__setattr__(self, "augmentation", "none")
        accepted = datasets.typed_options(self.dataset, self.dataset_options)
        object.__setattr__(self, "dataset_options", accepted)
        accepted = method_options(self.method, self.method_options)
        object.__setattr__(self, "method_options", accepted)
        METHODS[self.method].check_epochs(self.options(), self.epochs)

    def _check_frozen(self) -> None:
        if self.train_backbone == "all":
            return
        if self.backbone == NONE:
            raise InputError(
                f"Vectors have no backbone that could be frozen: leave out train_backbone "
                f"({self.train_backbone!r})."
            )
        if self.weights is None and not self.backbone.startswith("python:"):
            raise InputError(
                f"With train_backbone {self.train_backbone!r} the backbone's first layers stay as "
                "they are, and without weights they are random numbers. Give weights: a file, a "
                "name, or 'random' where that is meant, as for a floor."
            )

    def options(self) -> MethodOptions:
        """The method's own options, checked; a default schedule fits the run (``shortened``)."""
        return shortened(METHODS[self.method], self.method_options, self.epochs)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON values.

        A backbone that is trained whole, and a sensitive branch as it was, are not mentioned: runs
        of versions that knew nothing else are the same runs.
        """
        found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return {k: v for k, v in found.items() if k not in _LATER or v != _LATER[k]}

    def described(self) -> dict[str, Any]:
        """``to_dict`` as a run keeps it: what decides it, and nothing of where its files lie.

        There is no ``data_root`` (the data's fingerprint says which data they were), and weights
        from a file are named by the file's name and content: folders name people and hospitals.
        """
        found = self.to_dict() | {"data_root": None, "backbone": public_name(self.backbone)}
        if self.weights not in (None, RANDOM, PRETRAINED) and is_weights_file(str(self.weights)):
            found["weights"] = described_weights(str(self.weights))
        return found


def method_options(method: str, given: Mapping[str, Any], *, text: bool = False) -> dict[str, Any]:
    """The options ``given`` to a method, typed and in range.

    Args:
        method: a name in ``fairthesis.methods.METHODS``.
        given: options by name.
        text: whether the values are text still, as from the command line.

    Returns:
        The options given, typed; no defaults.

    Raises:
        InputError: for a name that the method does not have, or a value that does not fit.

    >>> method_options("dann", {"weight": "5e-1"}, text=True)
    {'weight': 0.5}
    >>> method_options("dann", {"wieght": 0.5})
    Traceback (most recent call last):
    fairthesis.errors.InputError: Unknown option of method dann 'wieght': ... 'weight'?
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    kind = METHODS[method].Options
    found = typed_option(parameter_kinds(kind), given, f"option of method {method}", text=text)
    kind(**found)
    return found


def shortened(method: type[Method], given: Mapping[str, Any], epochs: int) -> MethodOptions:
    """Options whose default ``warmup_epochs`` and ``ramp_epochs`` leave a run at least one epoch.

    In a run that is not longer than both, they take the same shares of it as they would of the
    shortest that is. What is ``given`` stays, and is refused where it does not fit.

    >>> options = shortened(METHODS["dann"], {}, 6)
    >>> options.warmup_epochs, options.ramp_epochs
    (2, 3)
    """
    chosen = method.Options(**given)
    names = ("warmup_epochs", "ramp_epochs")
    if any(name in given or not hasattr(chosen, name) for name in names):
        return chosen
    try:
        method.check_epochs(chosen, epochs)
        return chosen
    except InputError:
        whole = sum(getattr(chosen, name) for name in names) + 1
    return replace(chosen, **{name: getattr(chosen, name) * epochs // whole for name in names})


def config_from_text(values: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Parameters of ``TrainConfig`` that are text still, typed, but for the two kinds of options.

    Those are typed by the data set and the method, once these are known.

    Args:
        values: parameters by name, as from a YAML file or the command line.
        what: where they are from, for messages.

    Raises:
        InputError: for an unknown parameter, or text that is no value of its type.

    >>> config_from_text({"epochs": "30", "targets": "edema,effusion", "weights": "none"}, "a plan")
    {'epochs': 30, 'targets': ('edema', 'effusion'), 'weights': None}
    >>> config_from_text({"epochs": "thirty"}, "a plan")
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected epochs to be a whole number of 1 or larger, but got ...
    """
    known = parameter_kinds(TrainConfig)
    return typed_option(known, values, f"parameter in {what}", text=True)
