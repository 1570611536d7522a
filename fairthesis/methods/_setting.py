"""What a method is told of the run and its training part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Setting:
    """What the loop hands a method about the run and its training part.

    Args:
        learning_rate: of AdamW; the loop multiplies it by its schedule (``Method.at``).
        weight_decay: of AdamW.
        epochs: how many the run has.
        seed: decides the order of the images and the start of an adversary.
        subgroups: for attribute k, ``subgroups[k][t, c, g]`` is P(attribute k is group g | target t
            is c) over the training images (``subgroup_probabilities``).
        targets, attributes, patients: those of the training images, in the loop's order, coded as
            in a ``Batch``: for methods that draw, weigh or hold out images. Without ``patients``
            every image is one patient's.
        classifier_rate: factor of the learning rate for the disease classifier; where it is not
            1, the classifier's bias starts at the log odds of each target.
        sensitive_hsic: weight, in the sensitive branch's loss, of its embedding's dependence on
            the targets given the attribute (``target_hsic``).

    >>> y, a = torch.tensor([[0.0], [0.0], [1.0], [1.0]]), torch.tensor([[0], [1], [1], [1]])
    >>> subgroups = (subgroup_probabilities(y, a[:, 0], groups=2),)
    >>> setting = Setting(1e-3, 1e-4, 10, seed=0, subgroups=subgroups, targets=y, attributes=a)
    >>> setting.subgroups[0][0, 1].tolist()  # shares of the groups among the cases
    [0.0, 1.0]
    """

    learning_rate: float
    weight_decay: float
    epochs: int
    seed: int
    subgroups: tuple[Float[Tensor, "t 2 g"], ...]
    targets: Float[Tensor, "n t"] | None = None
    attributes: Int[Tensor, "n a"] | None = None
    patients: Int[Tensor, " n"] | None = None
    classifier_rate: float = 1.0
    sensitive_hsic: float = 0.0

    @property
    def images(self) -> int | None:
        """How many training images there are; None where that is not said."""
        return None if self.targets is None else len(self.targets)

    def training_part(self) -> tuple[Float[Tensor, "n t"], Int[Tensor, "n a"]]:
        """Targets and attributes of the training images, for methods that need them."""
        assert self.targets is not None and self.attributes is not None
        return self.targets, self.attributes


def subgroup_probabilities(
    targets: Float[Tensor, "n t"], codes: Int[Tensor, " n"], groups: int
) -> Float[Tensor, "t 2 g"]:
    """P(group | target is c) for each target and c in 0, 1, over rows where both are known.

    Args:
        targets: 0, 1 or NaN (not stated).
        codes: one attribute's group numbers, -1 unknown.
        groups: how many groups the attribute has.

    Returns:
        The shares; the uniform distribution for a class without a single known row.

    >>> y = torch.tensor([[0.0], [0.0], [0.0], [0.0], [1.0], [float("nan")]])
    >>> subgroup_probabilities(y, torch.tensor([0, 0, 0, 1, -1, 1]), groups=2).tolist()
    [[[0.75, 0.25], [0.5, 0.5]]]
    """
    out = torch.full((targets.shape[1], 2, groups), 1 / groups)
    for t in range(targets.shape[1]):
        for c in (0, 1):
            known = codes[(targets[:, t] == c) & (codes >= 0)]
            if len(known):
                out[t, c] = torch.bincount(known, minlength=groups) / len(known)
    return out
