"""The thesis's alternating scheme, taken literally: maximise the adversary's loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fairthesis.methods._base import MethodOptions
from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._opposed import Opposed, SteppedOptions
from fairthesis.methods._setting import Setting
from fairthesis.models import FairEncoder


@dataclass(frozen=True)
class AlternatingOptions(SteppedOptions):
    """``SteppedOptions``, with ``weight`` as the factor of the learning rate in step 3.

    >>> AlternatingOptions().weight, AlternatingOptions().adversary_steps
    (1.0, 1)
    >>> AlternatingOptions(weight=float("nan"))
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected weight to be 0 or larger, but got nan
    """


class Alternating(Opposed):
    """Train the encoder; train an adversary; update the encoder to maximise the adversary's loss.

    Three steps in turn on every batch, as the thesis lists them:

    1. encoder, head and classifier take ERM's step;
    2. the adversary takes ``adversary_steps`` steps down the cross-entropy CE(a, D(z)) of the
       attributes given the detached disease embedding;
    3. encoder and head take a step *up* CE(a, D(z)), the adversary standing still, with an
       optimiser of their own and ``weight`` times the learning rate.

    Kept to be looked at, not to be used: the loss that step 3 raises has no maximum. It is served
    best by an adversary that is confidently wrong, and from an embedding that makes it so any fresh
    probe recovers the attribute. The log has the adversary's loss, accuracy and AUROC
    before step 3, so that its curve can be set beside the probe's.

    Reference: the thesis *Towards Fair and Accurate Medical Image Embeddings* (2024).

    >>> from fairthesis.methods import Alternating, Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = Alternating(FairEncoder("small", channels=1), Alternating.Options(), setting)
    >>> method.at(8, 1.0)  # epochs done, and the learning rate's factor: the ramp is over
    >>> values = method.update(Batch(torch.rand(16, 1, 16, 16), y, a))
    >>> sorted(values)[:3]
    ['adversary_accuracy', 'adversary_auroc', 'adversary_loss']
    """

    Options = AlternatingOptions
    options: AlternatingOptions
    summary = "the thesis's three steps taken literally (for comparison)"

    def __init__(self, model: FairEncoder, options: MethodOptions, setting: Setting) -> None:
        super().__init__(model, options, setting)
        if self.options.weight:
            # No weight decay: step 1 has it already.
            parameters = [*model.shared_encoder.parameters(), *model.disease_head.parameters()]
            parameters = [parameter for parameter in parameters if parameter.requires_grad]
            self.optimisers["encoder"] = torch.optim.Adam(parameters, lr=setting.learning_rate)

    def penalty(
        self, z: Float[Tensor, "n d"], s: Float[Tensor, "n s"], batch: Batch
    ) -> Float[Tensor, ""]:
        return -self.adversary_loss(z, batch)

    def maximise(self, batch: Batch, weight: float) -> Float[Tensor, ""]:
        """Step 3: the encoder up the adversary's loss; that loss before the step."""
        z = self.model.embed_disease(self.model.features(batch.images))
        penalty = self.penalty(z, z.detach(), batch)
        # After ``at``, so that the schedule's rate is the one that is multiplied.
        rate = self.optimisers["model"].param_groups[0]["lr"]
        self.optimisers["encoder"].param_groups[0]["lr"] = rate * weight
        self.descend(penalty, "encoder")
        return -penalty.detach()

    def oppose(
        self,
        disease: Float[Tensor, ""],
        weight: float,
        z: Float[Tensor, "n d"],
        s: Float[Tensor, "n s"],
        batch: Batch,
    ) -> Values:
        self.descend(disease)
        for _ in range(self.options.adversary_steps):
            self.adversary_step(z, batch)
        values = self.read(z, batch)
        return {"adversary_loss": self.maximise(batch, weight), **values}
