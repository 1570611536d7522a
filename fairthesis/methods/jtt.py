"""JTT: train, find the images that are misclassified, train again with more of them."""

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
from fairthesis.methods._setting import Setting
from fairthesis.methods.erm import ERM
from fairthesis.models import FairEncoder


@dataclass(frozen=True)
class JTTOptions(MethodOptions):
    """How long the first training is, and how often its errors come in the second.

    Args:
        identify_epochs: T, the epochs of plain training, 1 or more and fewer than the run has.
        upweight: λ, how often an epoch of the second training holds each error, 1 or more.

    Raises:
        InputError: for a value out of range.

    >>> JTTOptions()
    JTTOptions(identify_epochs=3, upweight=5)
    >>> JTTOptions(upweight=0)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected upweight to be 1 or larger, but got 0
    """

    identify_epochs: int = 3
    upweight: int = 5

    def __post_init__(self) -> None:
        check_range(self, "identify_epochs", "upweight", least=1)


def misclassified(
    scores: Float[Tensor, "n t"], targets: Float[Tensor, "n t"]
) -> Float[Tensor, " n"]:
    """1 where any known target is on the wrong side of 0.5, else 0.

    >>> y = torch.tensor([[1.0, 0.0], [1.0, float("nan")], [0.0, 1.0]])
    >>> misclassified(torch.tensor([[0.9, 0.2], [0.4, 0.9], [0.1, 0.2]]), y)
    tensor([0., 1., 1.])
    """
    wrong = ((scores > 0.5) != (targets > 0.5)) & ~torch.isnan(targets)
    return wrong.any(1).float()


class JTT(ERM):
    """Just Train Twice: ERM for T epochs, then from the first weights again with errors λ times.

    After ``identify_epochs`` of plain training the misclassified training images (``error``) are
    found; model and optimisers start again, and every epoch then holds each error ``upweight``
    times and every other image once. The learning rate runs through its schedule in each of the
    two trainings. No attribute is used. Models of the first training cannot be selected.

    Loss: that of ``ERM``, in both trainings.

    Reference: Liu et al., ICML 2021.

    >>> from fairthesis.methods import subgroup_probabilities
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = JTT(FairEncoder("small", channels=1), JTTOptions(), setting)
    >>> sorted(method.update(Batch(torch.rand(16, 1, 16, 16), y, a)))
    ['disease_loss', 'sensitive_loss']
    >>> scores = torch.full((16, 1), 0.2)  # the 8 cases are misclassified
    >>> method.begin(3, lambda: scores)
    >>> len(method.order(2)), len(method.order(3))  # 16, then 8 once and 8 five times
    (16, 48)
    """

    Options = JTTOptions
    options: JTTOptions
    summary = "train twice, the second time with more of the first one's errors"
    error: Tensor

    def __init__(self, model: FairEncoder, options: MethodOptions, setting: Setting) -> None:
        super().__init__(model, options, setting)
        # Not part of the saved state: the model that a resumed run builds starts with the same.
        self.first = {name: value.clone() for name, value in model.state_dict().items()}
        targets, _ = setting.training_part()
        self.register_buffer("error", torch.zeros(len(targets)))

    @classmethod
    def check_epochs(cls, options: MethodOptions, epochs: int) -> None:
        assert isinstance(options, JTTOptions)
        if options.identify_epochs >= epochs:
            raise InputError(
                f"identify_epochs is {options.identify_epochs}, and the run has "
                f"{epochs} epochs: expected more epochs than that. Raise epochs or lower "
                "identify_epochs."
            )

    @classmethod
    def eligible(cls, epoch: int, options: MethodOptions) -> bool:
        assert isinstance(options, JTTOptions)
        return epoch >= options.identify_epochs

    def begin(self, epoch: int, scores: Callable[[], Float[Tensor, "n t"]]) -> None:
        if epoch != self.options.identify_epochs:
            return
        targets, _ = self.setting.training_part()
        self.error.copy_(misclassified(scores(), targets))
        self.model.load_state_dict(self.first)
        for optimiser in self.optimisers.values():
            optimiser.state.clear()

    def order(self, epoch: int) -> NDArray[np.intp]:
        if epoch < self.options.identify_epochs:
            return super().order(epoch)
        errors = np.flatnonzero(self.error.cpu().numpy())
        rows = np.concatenate([np.arange(len(self.error))] + [errors] * (self.options.upweight - 1))
        return self.generator(epoch).permutation(rows)

    def done(self, epoch: float) -> float:
        first = self.options.identify_epochs
        if epoch < first:
            return epoch / first
        return (epoch - first) / (self.setting.epochs - first)

    def update(self, batch: Batch) -> Values:
        values = super().update(batch)
        if self.epoch >= self.options.identify_epochs:
            values["error_share"] = self.error.mean()
        return values
