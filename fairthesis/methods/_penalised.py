"""ERM with a weighted penalty on the disease embedding: what most methods here have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from fairthesis.errors import InputError
from fairthesis.methods._base import MethodOptions, check_range
from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._losses import masked_bce
from fairthesis.methods._setting import Setting
from fairthesis.methods._subgroups import CellWeights
from fairthesis.methods.erm import ERM
from fairthesis.models import FairEncoder


@dataclass(frozen=True)
class PenaltyOptions(MethodOptions):
    """The weight λ of a penalty and its schedule, the same for every method that has one.

    Args:
        weight: scales all that acts against the attribute, 0 or more; 0 is ERM exactly.
        warmup_epochs: epochs at 0.
        ramp_epochs: epochs in which it then rises to its value, as ``2 / (1 + exp(-10 p)) - 1``
            for the share p of them that is over (Ganin et al. 2016).
        reweighting: exponent, 0 to 1, of the disease loss's weights 1 / (K P(groups | target)), at
            most 10, over the K combinations of groups with an image, wherever λ is above 0; 0
            weighs all images alike. With it a penalty is compared on even terms with methods
            that weigh.

    Both together must be fewer epochs than the run has, and none of these epochs can be selected.

    Raises:
        InputError: for a value that is below 0 or not finite.

    >>> PenaltyOptions()
    PenaltyOptions(weight=1.0, warmup_epochs=3, ramp_epochs=5, reweighting=0.0)
    >>> PenaltyOptions(weight=-1.0)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected weight to be 0 or larger, but got -1.0
    """

    weight: float = 1.0
    warmup_epochs: int = 3
    ramp_epochs: int = 5
    reweighting: float = 0.0

    def __post_init__(self) -> None:
        check_range(self, "weight", "warmup_epochs", "ramp_epochs")
        check_range(self, "reweighting", most=1.0)


class Penalised(ERM):
    """One step down ``BCE + λ penalty(z)``, λ being the ramped ``weight``.

    Subclasses give ``penalty``. While λ is 0 the step is ERM's, to the bit.

    >>> from fairthesis.methods import METHODS
    >>> sorted(name for name, kind in METHODS.items() if issubclass(kind, Penalised))[-3:]
    ['mmd', 'orthogonal', 'projection']
    """

    Options = PenaltyOptions
    options: PenaltyOptions
    strength = "weight"

    def __init__(self, model: FairEncoder, options: MethodOptions, setting: Setting) -> None:
        super().__init__(model, options, setting)
        self.cells: CellWeights | None = None
        if self.options.reweighting and self.options.weight:
            groups = [subgroup.shape[-1] for subgroup in setting.subgroups]
            self.cells = CellWeights.of(*setting.training_part(), groups)

    @classmethod
    def check_epochs(cls, options: MethodOptions, epochs: int) -> None:
        assert isinstance(options, PenaltyOptions)
        last = options.warmup_epochs + options.ramp_epochs
        if options.weight and last >= epochs:
            raise InputError(
                f"warmup_epochs + ramp_epochs is {last}, and the run has {epochs} epochs: "
                "expected more epochs than that. Raise epochs or lower warmup_epochs and "
                "ramp_epochs."
            )

    @classmethod
    def eligible(cls, epoch: int, options: MethodOptions) -> bool:
        assert isinstance(options, PenaltyOptions)
        return options.weight == 0 or epoch >= options.warmup_epochs + options.ramp_epochs

    def weight(self) -> float:
        """λ at the present epoch: 0 in the warm-up, then up to its value (Ganin et al. 2016).

        weight · (2 / (1 + exp(-10 p)) - 1), p being the share of the ramp that is over.
        """
        since = self.epoch - self.options.warmup_epochs
        if self.options.weight == 0 or since < 0:
            return 0.0
        if since >= self.options.ramp_epochs:
            return self.options.weight
        ramp = 2 / (1 + math.exp(-10 * since / self.options.ramp_epochs)) - 1
        return self.options.weight * ramp

    def disease_loss(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        if self.cells is None or self.weight() == 0:
            return super().disease_loss(z, batch)
        weights = self.cells.rows(batch.targets, batch.attributes) ** self.options.reweighting
        return masked_bce(self.model.disease_logits(z), batch.targets, weights)

    def penalty(
        self, z: Float[Tensor, "n d"], s: Float[Tensor, "n s"], batch: Batch
    ) -> Float[Tensor, ""]:
        """What the encoder lowers, from the disease embedding and the detached sensitive one."""
        raise NotImplementedError

    def oppose(
        self,
        disease: Float[Tensor, ""],
        weight: float,
        z: Float[Tensor, "n d"],
        s: Float[Tensor, "n s"],
        batch: Batch,
    ) -> Values:
        """The encoder's step against the attribute, and an adversary's own; floats for the log."""
        penalty = self.penalty(z, s, batch)
        self.descend(disease + weight * penalty)
        return {"penalty": penalty.detach()}

    def update(self, batch: Batch) -> Values:
        weight = self.weight()
        if weight == 0:
            return super().update(batch)
        self.train()
        features = self.model.features(batch.images)
        z = self.model.embed_disease(features)
        disease = self.disease_loss(z, batch)
        sensitive, s = self.sensitive_loss(features.detach(), batch)
        values = self.oppose(disease, weight, z, s.detach(), batch)
        self.descend(sensitive, "sensitive")
        return {
            "disease_loss": disease.detach(),
            "sensitive_loss": sensitive.detach(),
            **values,
            "weight": weight,
        }
