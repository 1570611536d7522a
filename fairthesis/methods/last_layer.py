"""DFR: plain training, then the last layer again on a held-out part with balanced groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from fairthesis.errors import InputError
from fairthesis.methods._base import MethodOptions, check_range
from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._losses import masked_bce
from fairthesis.methods._setting import Setting
from fairthesis.methods._subgroups import balanced_draws, subgroup_codes
from fairthesis.methods.erm import ERM
from fairthesis.models import FairEncoder


@dataclass(frozen=True)
class LastLayerOptions(MethodOptions):
    """What is held out for the last layer, and how long it is trained again.

    Args:
        held: share of the training images held out for the last layer, from 0.01 to 0.9.
        retrain_epochs: the last epochs of the run, which retrain it, 1 or more and fewer than the
            run has.
        retrain_rate: the learning rate in them, above 0.

    Raises:
        InputError: for a value out of range.

    >>> LastLayerOptions()
    LastLayerOptions(held=0.2, retrain_epochs=3, retrain_rate=0.01)
    >>> LastLayerOptions(held=1.0)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected held to be from 0.01 to 0.9, but got 1.0
    """

    held: float = 0.2
    retrain_epochs: int = 3
    retrain_rate: float = 1e-2

    def __post_init__(self) -> None:
        check_range(self, "held", least=0.01, most=0.9)
        check_range(self, "retrain_epochs", least=1)
        check_range(self, "retrain_rate", least=1e-8)


class LastLayer(ERM):
    """Deep feature reweighting: ERM, then the disease classifier anew on balanced held-out images.

    A share ``held`` of the *training* images, whole patients, never trains the encoder. In the
    last ``retrain_epochs`` epochs the encoder stands still, the linear disease classifier
    starts from zero and is trained on the held part, every subgroup of target and group drawn
    equally often (``subgroup_codes``; images without a subgroup are not drawn), as many draws an
    epoch as there are training images. The validation part stays for selection alone, where the
    paper's DFR^Val would fit on it. The paper averages L1-penalised fits on balanced subsets; here
    the images are drawn with replacement, and the penalty is the run's weight decay. Loss: BCE, as
    for ``ERM``.

    Raises:
        InputError: where the held part has no known group, or lacks a class.

    Reference: Kirichenko, Izmailov and Wilson, ICLR 2023.

    >>> from fairthesis.methods import subgroup_probabilities
    >>> y, a = torch.arange(40.0)[:, None] % 2, torch.arange(40)[:, None] // 20
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = LastLayer(FairEncoder("small", channels=1), LastLayerOptions(), setting)
    >>> int(method.is_held.sum()), len(method.order(0))  # the encoder sees the others
    (8, 32)
    >>> before = method.model.disease_head[0].weight.clone()
    >>> method.at(7, 1.0)  # the first of the last three epochs: the encoder stands still
    >>> list(method.update(Batch(torch.rand(16, 1, 16, 16), y[:16], a[:16])))
    ['disease_loss']
    >>> torch.equal(method.model.disease_head[0].weight, before)
    True
    """

    Options = LastLayerOptions
    options: LastLayerOptions
    summary = "plain training, then the last layer on a held-out part with balanced groups"

    def __init__(self, model: FairEncoder, options: MethodOptions, setting: Setting) -> None:
        super().__init__(model, options, setting)
        self.start = setting.epochs - self.options.retrain_epochs
        self.optimisers["classifier"] = torch.optim.AdamW(
            model.disease_classifier.parameters(),
            lr=self.options.retrain_rate,
            weight_decay=setting.weight_decay,
        )
        self.is_held = self._hold_out()

    @classmethod
    def check_epochs(cls, options: MethodOptions, epochs: int) -> None:
        assert isinstance(options, LastLayerOptions)
        if options.retrain_epochs >= epochs:
            raise InputError(
                f"retrain_epochs is {options.retrain_epochs}, and the run has "
                f"{epochs} epochs: expected more epochs than that. Raise epochs or lower "
                "retrain_epochs."
            )

    def _hold_out(self) -> NDArray[np.bool_]:
        """Which training images are held out: the first patients of a random order."""
        targets, attributes = self.setting.training_part()
        patients = self.setting.patients
        who = np.arange(len(targets)) if patients is None else patients.cpu().numpy()
        wanted = self.options.held * len(who)
        names, images = np.unique(who, return_counts=True)
        # Not an epoch's generator: the held part stays the same throughout.
        turn = np.random.default_rng((self.setting.seed, 0, 1)).permutation(len(names))
        before = np.cumsum(images[turn]) - images[turn]
        held = np.isin(who, names[turn[before < wanted]])
        drawn = torch.from_numpy(held) & (attributes.cpu() >= 0).all(1)
        known = targets.cpu()[drawn, 0]
        if not ((known == 0).any() and (known == 1).any()) or held.all():
            raise InputError(
                f"Of {len(who)} training images {int(held.sum())} are held out for the last layer, "
                f"{int(drawn.sum())} of them with a known group, and they lack a class or leave "
                f"none to train on: choose another held share than {self.options.held}."
            )
        return held

    def selectable(self, epoch: int) -> bool:
        return epoch >= self.start

    def begin(self, epoch: int, scores: Callable[[], Float[Tensor, "n t"]]) -> None:
        if epoch == self.start:
            with torch.no_grad():
                for parameter in self.model.disease_classifier.parameters():
                    parameter.zero_()

    def order(self, epoch: int) -> NDArray[np.intp]:
        generator = self.generator(epoch)
        if epoch < self.start:
            return generator.permutation(np.flatnonzero(~self.is_held))
        groups = [subgroup.shape[-1] for subgroup in self.setting.subgroups]
        codes = subgroup_codes(*self.setting.training_part(), groups).cpu().numpy()
        return balanced_draws(np.where(self.is_held, codes, -1), len(codes), generator)

    def done(self, epoch: float) -> float:
        if epoch < self.start:
            return epoch / self.start
        return (epoch - self.start) / self.options.retrain_epochs

    def at(self, epoch: float, rate: float) -> None:
        super().at(epoch, rate)
        for group in self.optimisers["classifier"].param_groups:
            group["lr"] = self.options.retrain_rate * rate

    def update(self, batch: Batch) -> Values:
        if self.epoch < self.start:
            return super().update(batch)
        z, _ = self.embed(batch.images)  # evaluation mode: the encoder and its statistics stand
        disease = masked_bce(self.model.disease_logits(z), batch.targets)
        self.descend(disease, "classifier")
        return {"disease_loss": disease.detach()}
