"""What every mitigation method shares: optimiser, masked losses, ``update`` and ``predict``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from fairthesis.errors import InputError
from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._dependence import target_hsic
from fairthesis.methods._losses import masked_cross_entropy
from fairthesis.methods._setting import Setting
from fairthesis.models import FairEncoder, Frozen


@dataclass(frozen=True)
class MethodOptions:
    """A method's own settings; plain training has none.

    A method names its class of options as ``Options``. All are frozen dataclasses whose values are
    held to their range when they are made.

    Raises:
        InputError: (the subclasses) for a value that is not finite or out of its range.

    >>> from fairthesis.methods import METHODS
    >>> METHODS["erm"].Options()
    MethodOptions()
    >>> METHODS["hsic"].Options(weight=0.5)
    HSICOptions(weight=0.5, warmup_epochs=3, ramp_epochs=5, reweighting=0.75, memory=1024)
    """


def check_range(
    options: MethodOptions, *names: str, least: float = 0.0, most: float = math.inf
) -> None:
    """Raise ``InputError`` for an option that is not finite, below ``least`` or above ``most``."""
    for name in names:
        value = getattr(options, name)
        if not least <= value <= most or not math.isfinite(value):
            wanted = f"{least:g} or larger" if most == math.inf else f"from {least:g} to {most:g}"
            raise InputError(f"Expected {name} to be {wanted}, but got {value}")


class Method(nn.Module):
    """A way to train a ``FairEncoder``. Subclasses change ``loss`` or ``update``.

    The loop calls ``begin(epoch, scores)`` and ``order(epoch)`` before every epoch,
    ``at(epoch, fraction)`` before every step, then ``update(batch)``, which takes one optimisation
    step and returns numbers for the log. A method can be trained by any other loop that does the
    same.

    Args:
        model: the encoder to train; the method's optimisers are made for its parameters.
        options: of the class ``Options`` that the method names.
        setting: of the run; its ``epochs`` must leave the method's own schedule some.

    ``summary`` is one line for tables; ``strength`` names the option whose value 0 is ERM, if the
    method has one.

    Raises:
        InputError: where the run is too short for the method (``check_epochs``).

    >>> from fairthesis.methods import subgroup_probabilities
    >>> class Brier(Method):
    ...     def update(self, batch):
    ...         logits = self.model.disease_logits(self.model(batch.images)[0])
    ...         loss = (logits.sigmoid() - batch.targets).square().mean()
    ...         self.descend(loss)
    ...         return {"brier": loss.detach()}
    >>> _ = torch.manual_seed(0)
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-2, 0.0, 5, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = Brier(FairEncoder("small", channels=1), MethodOptions(), setting)
    >>> batch = Batch(torch.rand(16, 1, 16, 16), y, a)
    >>> losses = [method.update(batch)["brier"] for _ in range(6)]
    >>> bool(losses[-1] < losses[0]), method.predict(batch.images).shape
    (True, torch.Size([16, 1]))
    """

    Options: ClassVar[type[MethodOptions]] = MethodOptions
    summary: ClassVar[str] = ""
    strength: ClassVar[str | None] = None

    def __init__(self, model: FairEncoder, options: MethodOptions, setting: Setting) -> None:
        super().__init__()
        self.check_epochs(options, setting.epochs)
        self.model = model
        self.options = options
        self.setting = setting
        self.epoch = 0.0
        # The sensitive branch has its own optimiser and its own clipping: with one norm for all,
        # the attribute's gradient would scale the step of the encoder.
        branch = [*model.sensitive_head.parameters(), *model.sensitive_classifiers.parameters()]
        if model.sensitive_encoder is not None:
            branch += model.sensitive_encoder.parameters()
        own = {id(parameter) for parameter in branch}
        rest = [p for p in model.parameters() if id(p) not in own and p.requires_grad]
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "model": self.optimiser(rest, model.disease_classifier),
            "sensitive": self.optimiser(branch),
        }
        # The gradients of float16 vanish where they are not scaled. Not enabled it does nothing.
        device = next(model.parameters()).device.type
        self.scaler = torch.amp.GradScaler(device, enabled=model.precision == "float16")
        self.start_bias(model.disease_classifier)

    def optimiser(
        self, parameters: Iterable[nn.Parameter], classifier: nn.Module | None = None
    ) -> torch.optim.Optimizer:
        """AdamW, in which the parameters of a ``classifier`` have ``classifier_rate`` the rate.

        The embedding is normalised, so that a logit's scale is the classifier's alone, and Adam
        moves a weight by no more than the learning rate in a step: at one rate for all, a run of a
        few hundred steps ends with a classifier near its random start.
        """
        faster = [] if classifier is None else list(classifier.parameters())
        same = {id(parameter) for parameter in faster}
        groups: list[dict[str, Any]] = [{"params": list(parameters), "factor": 1.0}]
        if self.setting.classifier_rate != 1:
            groups[0]["params"] = [p for p in groups[0]["params"] if id(p) not in same]
            groups.append({"params": faster, "factor": self.setting.classifier_rate})
        return torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=self.setting.learning_rate,
            weight_decay=self.setting.weight_decay,
            fused=True,  # one pass over the weights in the place of six
        )

    @torch.no_grad()
    def start_bias(self, classifier: nn.Linear) -> None:
        """Start at the training part's log odds of each target, several times over if need be."""
        if self.setting.classifier_rate == 1 or self.setting.targets is None:
            return
        share = self.setting.targets.nanmean(0).clamp(1e-3, 1 - 1e-3)
        odds = torch.logit(share).to(classifier.bias)
        classifier.bias.copy_(odds.repeat(len(classifier.bias) // len(odds)))

    @classmethod
    def check_epochs(cls, options: MethodOptions, epochs: int) -> None:
        """Raise ``InputError`` where a run of so many epochs is too short for the method."""

    @classmethod
    def eligible(cls, epoch: int, options: MethodOptions) -> bool:
        """Whether the model after ``epoch`` (from 0) may be chosen by a selection rule."""
        return True

    def selectable(self, epoch: int) -> bool:
        """``eligible`` for this run; a method overrides it where the run's length matters."""
        return self.eligible(epoch, self.options)

    def begin(self, epoch: int, scores: Callable[[], Float[Tensor, "n t"]]) -> None:
        """Called before an epoch; ``scores()`` gives the training images' present probabilities."""

    def order(self, epoch: int) -> NDArray[np.intp]:
        """Positions in the training part in this epoch's order; only seed and epoch decide it."""
        targets, _ = self.setting.training_part()
        return self.generator(epoch).permutation(len(targets))

    def generator(self, epoch: int) -> np.random.Generator:
        """The random numbers of an epoch's order."""
        return np.random.default_rng((self.setting.seed, epoch))

    def done(self, epoch: float) -> float:
        """The share of the learning rate's schedule that is over at ``epoch``, 0 to 1."""
        return epoch / self.setting.epochs

    def at(self, epoch: float, rate: float) -> None:
        """Where training is now, epochs done so far and the learning rate's factor (0 to 1)."""
        self.epoch = epoch
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = self.setting.learning_rate * rate * group.get("factor", 1.0)

    def descend(self, loss: Tensor, *optimisers: str) -> None:
        """One step down ``loss`` for one optimiser's parameters, gradients clipped to 5.

        Several optimisers (default: the model's) step together, each with a clipping of its own.
        """
        names = optimisers or ("model",)
        for name in names:
            self.optimisers[name].zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        for name in names:
            used = self.optimisers[name]
            self.scaler.unscale_(used)
            clip(used)
            self.scaler.step(used)  # not where a gradient overflowed
        self.scaler.update()

    def step_clipped(self, optimiser: str) -> None:
        """One step along the gradients that are there, clipped to a norm of 5."""
        used = self.optimisers[optimiser]
        clip(used)
        used.step()

    def sensitive_loss(
        self, features: Float[Tensor, "n f"], batch: Batch
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "n s"]]:
        """Loss of the sensitive branch, and its embedding.

        The cross-entropy of every attribute, averaged, and ``sensitive_hsic`` times the
        dependence on the targets given an attribute. ``features`` are detached; a branch of its
        own reads the batch's images.
        """
        own = self.model.sensitive_features(batch.images, features)
        sensitive_emb = self.model.embed_sensitive(own)
        losses = [
            masked_cross_entropy(logits, codes)
            for logits, codes in zip(
                self.model.sensitive_logits(sensitive_emb), batch.attributes.T, strict=True
            )
        ]
        loss = torch.stack(losses).mean()
        if self.setting.sensitive_hsic:
            kernels = [
                target_hsic(sensitive_emb, target, codes)
                for codes in batch.attributes.T
                for target in batch.targets.T
            ]
            loss = loss + self.setting.sensitive_hsic * torch.stack(kernels).mean()
        return loss, sensitive_emb

    def update(self, batch: Batch) -> Values:
        """Take one optimisation step on a batch; the named losses before it, for the log.

        Detached tensors of one number, or floats: the loop reads them when it needs them.
        """
        raise NotImplementedError

    @torch.no_grad()
    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Disease and sensitive embeddings of images, in evaluation mode."""
        self.eval()
        disease_emb, sensitive_emb = self.model(images)
        return disease_emb, sensitive_emb

    @torch.no_grad()
    def predict(self, images: Tensor) -> Float[Tensor, "n t"]:
        """Probabilities of the targets, shape (n, targets)."""
        return torch.sigmoid(self.model.disease_logits(self.embed(images)[0]))

    def learned_state(self) -> dict[str, Tensor]:
        """``state_dict`` without the network of a frozen backbone, which no step changes."""
        state: dict[str, Tensor] = self.state_dict()
        if not isinstance(self.model.shared_encoder, Frozen):
            return state
        frozen = "model.shared_encoder.net."
        return {name: value for name, value in state.items() if not name.startswith(frozen)}

    def load_learned_state(self, state: dict[str, Tensor]) -> None:
        """Put back what ``learned_state`` gave."""
        self.load_state_dict({**self.state_dict(), **state})

    def training_state(self) -> dict[str, Any]:
        """Everything that a resumed run needs from the method."""
        optimisers = {name: o.state_dict() for name, o in self.optimisers.items()}
        state = {"module": self.learned_state(), "optimisers": optimisers}
        return state | ({"scaler": self.scaler.state_dict()} if self.scaler.is_enabled() else {})

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Put back what ``training_state`` gave."""
        self.load_learned_state(state["module"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])


def clip(optimiser: torch.optim.Optimizer) -> None:
    """Clip the gradients of all of an optimiser's parameters to a norm of 5."""
    nn.utils.clip_grad_norm_([p for g in optimiser.param_groups for p in g["params"]], 5.0)
