"""The adversarial encoder: the thesis's three steps, made to hold against fresh probes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.errors import InputError
from fairthesis.methods._base import MethodOptions, check_range
from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._critics import SHAPES, Critic, confusion_loss, critic_input, critic_loss
from fairthesis.methods._dependence import cross_covariance
from fairthesis.methods._losses import masked_bce
from fairthesis.methods._memory import EmbeddingMemory, mean_hsic, memory_rows
from fairthesis.methods._opposed import adversary_auroc
from fairthesis.methods._setting import Setting
from fairthesis.methods._subgroups import MAX_WEIGHT, CellWeights, SharesGiven
from fairthesis.methods.erm import ERM
from fairthesis.models import FairEncoder


@dataclass(frozen=True)
class AdversarialOptions(MethodOptions):
    """Settings of the adversarial encoder.

    The default weight and an embedding of 4 numbers were chosen on the synthetic chest X-rays;
    larger weights cost more AUROC and hid no more there.

    Args:
        adversary_weight: λ, which scales all that acts against the attribute but for
            ``reweighting``, which is in force wherever λ is above 0; 0 is ERM exactly.
        confusion_weight: of the confusion loss, relative to λ, as the next two; 0 trains without
            critics.
        hsic_weight: of the kernel dependence given the target.
        hsic_memory: earlier images against whose embeddings it is measured as well, at most half
            as many as training images; 0 measures within the batch, as the archived results of this
            method do. With 1024 and a confusion weight of 0 this is ``hsic``, to the bit.
        covariance_weight: of the squared correlations with the sensitive embedding.
        reweighting: exponent of the disease loss's weights; 0 weighs all images alike.
        critic_steps: the critics' steps for each of the encoder's, 1 or more.
        critic_rate: the critics' learning rate, above 0; no schedule lowers it.
        reset_every: steps after which one critic, each in turn, starts again.
        warmup_epochs: epochs at λ = 0.
        ramp_epochs: epochs in which λ then rises to its value.

    Raises:
        InputError: for a value out of range.

    >>> AdversarialOptions().adversary_weight, AdversarialOptions().critic_steps
    (0.3, 5)
    >>> AdversarialOptions(adversary_weight=-1.0)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected adversary_weight to be 0 or larger, but got -1.0
    """

    adversary_weight: float = 0.3
    confusion_weight: float = 1.0
    hsic_weight: float = 5.0
    hsic_memory: int = 0
    covariance_weight: float = 0.0
    reweighting: float = 0.75
    critic_steps: int = 5
    critic_rate: float = 1e-3
    reset_every: int = 200
    warmup_epochs: int = 3
    ramp_epochs: int = 5

    def __post_init__(self) -> None:
        check_range(
            self,
            *("adversary_weight", "confusion_weight", "hsic_weight", "covariance_weight"),
            *("hsic_memory", "reweighting", "warmup_epochs", "ramp_epochs"),
        )
        check_range(self, "critic_steps", "reset_every", least=1)
        check_range(self, "critic_rate", least=1e-8)


def subgroup_weight(share: Float[Tensor, "... g"]) -> Float[Tensor, "... g"]:
    """1 / (G P(group | target)), at most 10: one image of an empty corner must not rule a batch."""
    return (1 / (share.shape[-1] * share.clamp_min(1e-6))).clamp_max(MAX_WEIGHT)


class Adversarial(ERM):
    """Train the disease, train critics to recover the attribute, confuse the critics.

    One update, with weights w = 1 / (K P(cell | target)), at most 10, so that in the weighted batch
    the attributes say nothing about the target; a cell is a combination of the groups of all
    attributes, K how many of them have an image (``least_cell`` of the log is the least share of a
    cell that is left after the bound, over 1 / K):

    1. each of three critics takes ``critic_steps`` steps down the weighted cross-entropy of the
       attributes given (z, z·(2y−1), y), z being the detached disease embedding; of several
       targets y is all of them, and w is 1 / (G P(attribute | all targets));
    2. the encoder takes one step down (the disease loss weighs by w to the power ``reweighting``)
       ``BCE_w + λ (confusion_weight · KL(p || critic) + hsic_weight · HSIC(z, a | y) +
       covariance_weight · cov(z, s)²)`` with λ the ramped ``adversary_weight``, p the attribute's
       weighted share given y and s the sensitive embedding. Critics stand still. The sensitive
       head learns the attribute from its own branch, beside this.

    Now and then one critic starts again from random weights, so that the encoder cannot settle
    on fooling three particular networks.

    Reference: the thesis *Towards Fair and Accurate Medical Image Embeddings* (2024), with
    Goodfellow et al., NeurIPS 2014 (adversaries); Zhang, Lemoine and Mitchell, AIES 2018 (the
    target as the adversary's input); Gretton et al., ALT 2005 (HSIC).

    >>> from fairthesis.methods import Adversarial, Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = Adversarial(FairEncoder("small", channels=1), Adversarial.Options(), setting)
    >>> method.at(8, 1.0)  # epochs done, and the learning rate's factor: the ramp is over
    >>> values = method.update(Batch(torch.rand(16, 1, 16, 16), y, a))
    >>> values["adversary_weight"], sorted(values)[2:5]
    (0.3, ['covariance', 'critic_auroc', 'critic_loss'])
    """

    Options = AdversarialOptions
    options: AdversarialOptions
    step: Tensor  # of the encoder against the critics, so far
    strength = "adversary_weight"
    summary = "three conditional critics, bounded confusion loss, unbiased HSIC"

    def __init__(self, model: FairEncoder, options: MethodOptions, setting: Setting) -> None:
        super().__init__(model, options, setting)
        self.register_buffer("step", torch.zeros((), dtype=torch.long))
        self.critics = nn.ModuleList()
        if self.options.adversary_weight == 0:
            return  # nothing that could differ from ERM: no parameter, no random number
        self.opposed = self.options.confusion_weight > 0
        labels, codes = setting.training_part()
        groups = [subgroup.shape[-1] for subgroup in setting.subgroups]
        self.cells = CellWeights.of(labels, codes, groups)
        self.least_cell = self.cells.least_share(self.options.reweighting)
        heads = model.disease_classifier
        self.memory = EmbeddingMemory(
            memory_rows(self.options.hsic_memory, setting.images),
            heads.in_features,
            heads.out_features,
            len(groups),
        ).to(heads.weight.device)
        if not self.opposed:
            return  # nobody would listen to a critic
        self.given = [
            SharesGiven.of(labels, column, subgroup)
            for column, subgroup in zip(codes.T, setting.subgroups, strict=True)
        ]
        targets = model.disease_classifier.out_features
        width = model.disease_classifier.in_features * (targets + 1) + targets
        device = model.disease_classifier.weight.device
        with torch.random.fork_rng():  # the model's own random numbers stay those of ERM
            torch.manual_seed(setting.seed + 1)
            self.critics.extend(Critic(width, hidden, groups).to(device) for hidden in SHAPES)
        self.optimisers["critics"] = torch.optim.Adam(
            self.critics.parameters(), lr=self.options.critic_rate
        )

    @classmethod
    def check_epochs(cls, options: MethodOptions, epochs: int) -> None:
        assert isinstance(options, AdversarialOptions)
        last = options.warmup_epochs + options.ramp_epochs
        if options.adversary_weight and last >= epochs:
            raise InputError(
                f"warmup_epochs + ramp_epochs is {last}, and the run has {epochs} epochs: "
                "expected more epochs than that. Raise epochs or lower warmup_epochs and "
                "ramp_epochs."
            )

    @classmethod
    def eligible(cls, epoch: int, options: MethodOptions) -> bool:
        assert isinstance(options, AdversarialOptions)
        return options.adversary_weight == 0 or epoch >= options.warmup_epochs + options.ramp_epochs

    def at(self, epoch: float, rate: float) -> None:
        super().at(epoch, rate)
        if "critics" in self.optimisers:  # critics keep their own rate: they must keep up
            self.optimisers["critics"].param_groups[0]["lr"] = self.options.critic_rate

    def weight(self) -> float:
        """λ at the present epoch: 0 in the warm-up, then a sigmoid ramp up to its value."""
        since = self.epoch - self.options.warmup_epochs
        if self.options.adversary_weight == 0 or since < 0:
            return 0.0
        if since >= self.options.ramp_epochs:
            return self.options.adversary_weight
        ramp = 2 / (1 + math.exp(-10 * since / self.options.ramp_epochs)) - 1
        return self.options.adversary_weight * ramp

    def critic_weights(self, batch: Batch) -> Float[Tensor, "n a"]:
        """1 / (G P(group | all targets)) of each row's own groups; 1 where a group is unknown."""
        columns = []
        for given, codes in zip(self.given, batch.attributes.T, strict=True):
            rows = given.rows(subgroup_weight(given.shares), batch.targets)
            own = rows.gather(1, codes.clamp_min(0)[:, None]).squeeze(1)
            columns.append(torch.where(codes >= 0, own, 1.0))
        return torch.stack(columns, dim=1)

    def priors(self, batch: Batch) -> list[Float[Tensor, "n g"]]:
        """For each attribute its groups' shares among weighted rows with the row's targets."""
        shares = []
        for given in self.given:
            share = given.shares * subgroup_weight(given.shares)
            shares.append(given.rows(share / share.sum(1, keepdim=True), batch.targets))
        return shares

    def critic_step(self, z: Tensor, batch: Batch, weights: Float[Tensor, "n a"]) -> Tensor:
        """One step of every critic on a detached embedding; the mean loss before the step."""
        inputs = critic_input(z.detach(), batch.targets)
        losses = [critic_loss(critic(inputs), batch.attributes, weights) for critic in self.critics]
        self.descend(torch.stack(losses).sum(), "critics")
        return torch.stack(losses).mean().detach()

    def against_critics(self, z: Tensor, batch: Batch) -> tuple[Tensor, Values]:
        """The critics' steps, then the confusion loss of the encoder; floats for the log."""
        weights = self.critic_weights(batch)
        critic: float | Tensor = 0.0
        for _ in range(self.options.critic_steps):
            critic = self.critic_step(z, batch, weights)
        confusion = self.confusion(z, batch, weights)
        values: Values = {"critic_loss": critic, **self.critic_auroc(z, batch)}
        return confusion, values | {"confusion_loss": confusion.detach()}

    def confusion(self, z: Tensor, batch: Batch, weights: Float[Tensor, "n a"]) -> Tensor:
        """The confusion loss, averaged over the critics."""
        inputs, priors = critic_input(z, batch.targets), self.priors(batch)
        losses = [
            confusion_loss(critic(inputs), priors, batch.attributes, weights)
            for critic in self.critics
        ]
        return torch.stack(losses).mean()

    @torch.no_grad()
    def critic_auroc(self, z: Tensor, batch: Batch) -> dict[str, float]:
        """What the critics recover in a batch, mean over them: for the log, and no evidence."""
        inputs = critic_input(z.detach(), batch.targets)
        found = [adversary_auroc(critic(inputs), batch.attributes) for critic in self.critics]
        areas = [values["adversary_auroc"] for values in found if "adversary_auroc" in values]
        return {"critic_auroc": sum(areas) / len(areas)} if areas else {}

    def update(self, batch: Batch) -> Values:
        weight = self.weight()
        if weight == 0:
            return super().update(batch)
        self.train()
        options = self.options
        self.step += 1
        if self.opposed and int(self.step) % options.reset_every == 0:
            self.reset_one()
        features = self.model.features(batch.images)
        z = self.model.embed_disease(features)
        confusion = z.new_zeros(())
        values: Values = {}
        if self.opposed:
            confusion, values = self.against_critics(z, batch)
        disease = masked_bce(
            self.model.disease_logits(z),
            batch.targets,
            self.cells.rows(batch.targets, batch.attributes) ** options.reweighting,
        )
        hsic = mean_hsic(z, batch, self.setting.subgroups, self.memory)
        self.memory.keep(z, batch)
        sensitive, s = self.sensitive_loss(features.detach(), batch)
        covariance = cross_covariance(z, s.detach())
        against = (
            options.confusion_weight * confusion
            + options.hsic_weight * hsic
            + options.covariance_weight * covariance
        )
        self.descend(disease + weight * against)
        self.descend(sensitive, "sensitive")
        return {
            "disease_loss": disease.detach(),
            "sensitive_loss": sensitive.detach(),
            **values,
            "hsic": hsic.detach(),
            "covariance": covariance.detach(),
            "adversary_weight": weight,
            "least_cell": self.least_cell,
        }

    def reset_one(self) -> None:
        """Give one critic, each in turn, fresh random weights and a fresh optimiser state."""
        critic = self.critics[int(self.step) // self.options.reset_every % len(self.critics)]
        assert isinstance(critic, Critic)
        critic.reset()
        for parameter in critic.parameters():
            self.optimisers["critics"].state.pop(parameter, None)
