"""An adversary met in training: a network, its optimiser, its steps and what it recovers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis import metrics
from fairthesis.methods._base import MethodOptions, check_range
from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._critics import Critic
from fairthesis.methods._losses import masked_cross_entropy
from fairthesis.methods._penalised import Penalised, PenaltyOptions
from fairthesis.methods._setting import Setting
from fairthesis.models import FairEncoder

HIDDEN = (256,)  # the adversary's layers: as wide as the heads' hidden layers


@dataclass(frozen=True)
class OpposedOptions(PenaltyOptions):
    """``PenaltyOptions``, and the learning rate of an adversary.

    Args:
        adversary_rate: of the adversary's own optimiser, above 0; no schedule lowers it.

    >>> OpposedOptions()
    OpposedOptions(weight=1.0, ..., adversary_rate=0.001)
    >>> OpposedOptions(adversary_rate=0.0)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected adversary_rate to be 1e-08 or larger, but got 0.0
    """

    adversary_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "adversary_rate", least=1e-8)


@dataclass(frozen=True)
class SteppedOptions(OpposedOptions):
    """``OpposedOptions``, and how many steps an adversary takes.

    Args:
        adversary_steps: the adversary's steps for each of the encoder's, 1 or more.

    >>> SteppedOptions().adversary_steps
    1
    >>> SteppedOptions(adversary_steps=0)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected adversary_steps to be 1 or larger, but got 0
    """

    adversary_steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "adversary_steps", least=1)


def attribute_loss(logits: Sequence[Float[Tensor, "n g"]], attributes: Tensor) -> Float[Tensor, ""]:
    """Cross-entropy of the known groups, mean over attributes."""
    pairs = zip(logits, attributes.T, strict=True)
    return torch.stack([masked_cross_entropy(logit, codes) for logit, codes in pairs]).mean()


@torch.no_grad()
def adversary_auroc(logits: Sequence[Float[Tensor, "n g"]], attributes: Tensor) -> dict[str, float]:
    """What an adversary recovers in a batch: accuracy and AUROC, mean over attributes.

    ``adversary_auroc`` is one group against the rest, mean over the groups in the batch. A value
    that the batch does not determine is left out. These are numbers of the game, no evidence
    of what an embedding holds: for that, fit fresh probes.

    >>> logits = [torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])]
    >>> found = adversary_auroc(logits, torch.tensor([[0], [1], [1]]))
    >>> round(found["adversary_accuracy"], 3), found["adversary_auroc"]
    (0.667, 1.0)
    """
    accuracies, areas = [], []
    for logit, codes in zip(logits, attributes.T, strict=True):
        known = codes >= 0
        if not known.any():
            continue
        scores, truth = logit[known].softmax(1).cpu().numpy(), codes[known].cpu().numpy()
        accuracies.append(float((scores.argmax(1) == truth).mean()))
        for group in range(1 if scores.shape[1] == 2 else 0, scores.shape[1]):
            inside = truth == group
            if inside.any() and not inside.all():
                areas.append(float(metrics.auroc(inside, scores[:, group])))
    found = {"adversary_accuracy": accuracies, "adversary_auroc": areas}
    return {name: sum(values) / len(values) for name, values in found.items() if values}


class Opposed(Penalised):
    """``Penalised`` with an adversary that is trained beside the encoder.

    Subclasses say what the adversary sees (``inputs``) and lowers (``adversary_loss``). Its own
    optimiser moves only itself; the encoder's step never moves it, unless the two are one step
    (gradient reversal).
    """

    Options = OpposedOptions
    options: OpposedOptions
    adversary: nn.Module

    def __init__(self, model: FairEncoder, options: MethodOptions, setting: Setting) -> None:
        super().__init__(model, options, setting)
        self.groups = [subgroup.shape[-1] for subgroup in setting.subgroups]
        if self.options.weight == 0:
            return  # nothing that could differ from ERM: no parameter, no random number
        size, targets = model.disease_classifier.in_features, model.disease_classifier.out_features
        with torch.random.fork_rng():  # the model's own random numbers stay those of ERM
            torch.manual_seed(setting.seed + 1)
            self.adversary = self.build(size, targets)
        self.adversary.to(model.disease_classifier.weight.device)
        self.optimisers["adversary"] = torch.optim.Adam(
            self.adversary.parameters(), lr=self.options.adversary_rate
        )

    def build(self, size: int, targets: int) -> nn.Module:
        """The adversary for an embedding of ``size`` numbers and so many targets."""
        return Critic(size, HIDDEN, self.groups)

    def at(self, epoch: float, rate: float) -> None:
        super().at(epoch, rate)
        if "adversary" in self.optimisers:  # it keeps its own rate: it must keep up
            self.optimisers["adversary"].param_groups[0]["lr"] = self.options.adversary_rate

    def inputs(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, "n i"]:
        """What the adversary sees of an embedding."""
        return z

    def adversary_loss(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        """What the adversary lowers: the cross-entropy of the attributes."""
        return attribute_loss(self.adversary(self.inputs(z, batch)), batch.attributes)

    def adversary_step(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        """One step of the adversary on a detached embedding; its loss before the step."""
        loss = self.adversary_loss(z.detach(), batch)
        self.descend(loss, "adversary")
        return loss.detach()

    def read(self, z: Float[Tensor, "n d"], batch: Batch) -> Values:
        """The adversary's accuracy and AUROC on a batch."""
        with torch.no_grad():
            found = adversary_auroc(
                self.adversary(self.inputs(z.detach(), batch)), batch.attributes
            )
            return {**found}
