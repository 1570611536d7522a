"""Zhang, Lemoine and Mitchell's adversarial debiasing by projected gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.methods._base import check_range
from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._opposed import Opposed, OpposedOptions


@dataclass(frozen=True)
class ProjectionOptions(OpposedOptions):
    """``OpposedOptions``, and the paper's α.

    Args:
        weight: scales projection and α term, 1 being the paper.
        adversary_rate: the linear adversary's; higher by default than that of others, since where
            it falls behind, the α term drives the disease loss up without end.
        alpha: α, how strongly the encoder goes against the adversary, 0 or more.

    >>> ProjectionOptions().alpha, ProjectionOptions().adversary_rate
    (1.0, 0.01)
    >>> ProjectionOptions(alpha=-1.0)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected alpha to be 0 or larger, but got -1.0
    """

    adversary_rate: float = 1e-2
    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "alpha")


def projected(
    g_y: Sequence[Tensor], g_a: Sequence[Tensor], alpha: float, weight: float = 1.0
) -> list[Tensor]:
    """g_y - weight (proj_{g_a} g_y + α g_a), tensor by tensor, with *one* inner product for all.

    proj_{g_a} g_y = (g_y·g_a / g_a·g_a) g_a over the whole parameter vector. Projecting each tensor
    by itself, as is often done, removes more than the adversary's direction.

    Args:
        g_y: gradients of the disease loss, one tensor for each parameter.
        g_a: those of the adversary's loss, for the same parameters; where all are 0, g_y is kept.
        alpha: α.
        weight: λ, which scales both terms.

    Reference: Zhang, Lemoine and Mitchell, AIES 2018, equation 1.

    >>> g_y, g_a = [torch.tensor([1.0, 1.0]), torch.tensor([1.0])], [torch.ones(2), -torch.ones(1)]
    >>> [g.tolist() for g in projected(g_y, g_a, alpha=0.0)]
    [[0.6666..., 0.6666...], [1.3333...]]
    """
    inner = torch.stack([(y * a).sum() for y, a in zip(g_y, g_a, strict=True)]).sum()
    norm = torch.stack([a.square().sum() for a in g_a]).sum()
    factor = weight * (inner / norm.clamp_min(1e-20) + alpha)
    return [y - factor * a for y, a in zip(g_y, g_a, strict=True)]


class LogitAdversary(nn.Module):
    """Linear in (s, s·y, s·(1−y)) with s = σ((1 + |c|) logit), c learned; per target."""

    def __init__(self, targets: int, groups: Sequence[int]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(targets))
        self.linear = nn.Linear(3 * targets, sum(groups))
        self.groups = list(groups)

    def forward(self, inputs: Float[Tensor, "n i"]) -> list[Float[Tensor, "n g"]]:
        logits, y = inputs.chunk(2, dim=1)
        s = torch.sigmoid((1 + self.scale.abs()) * logits)
        return list(self.linear(torch.cat([s, s * y, s * (1 - y)], dim=1)).split(self.groups, 1))


class Projection(Opposed):
    """The encoder's gradient is stripped of what helps the adversary, and turned against it.

    The adversary sees the *logit* and the target (equalized odds). With g_y the gradient of BCE and
    g_a that of the adversary's loss, both with respect to the encoder, head and classifier, the
    step goes along

        g_y - λ (proj_{g_a} g_y + α g_a),

    the inner product being over the whole parameter vector. A label that is not stated counts as
    y = 1/2 in the adversary's input. The embedding itself is not what the adversary sees: this
    method aims at predictions.

    Reference: Zhang, Lemoine and Mitchell, AIES 2018, section 3.

    >>> from fairthesis.methods import Projection, Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = Projection(FairEncoder("small", channels=1), Projection.Options(), setting)
    >>> method.at(8, 1.0)  # epochs done, and the learning rate's factor: the ramp is over
    >>> values = method.update(Batch(torch.rand(16, 1, 16, 16), y, a))
    >>> sorted(values)[-3:]
    ['disease_loss', 'sensitive_loss', 'weight']
    >>> method.adversary.linear.in_features  # σ(logit), and it for either class: not z
    3
    """

    Options = ProjectionOptions
    options: ProjectionOptions
    summary = "gradient projected away from the adversary's, whole vector (Zhang et al.)"

    def build(self, size: int, targets: int) -> nn.Module:
        return LogitAdversary(targets, self.groups)

    def inputs(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, "n i"]:
        return torch.cat(
            [self.model.disease_logits(z), torch.nan_to_num(batch.targets, nan=0.5)], 1
        )

    def parameters_of_model(self) -> list[nn.Parameter]:
        """Encoder, disease head and classifier: the vector in which gradients are projected."""
        return [p for g in self.optimisers["model"].param_groups for p in g["params"]]

    def project(self, disease: Tensor, adversary: Tensor, weight: float) -> list[Tensor]:
        """The projected gradient of the two losses."""
        parameters = self.parameters_of_model()

        def gradient(loss: Tensor) -> list[Tensor]:
            return list(
                torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
            )

        return projected(gradient(disease), gradient(adversary), self.options.alpha, weight)

    def oppose(
        self,
        disease: Float[Tensor, ""],
        weight: float,
        z: Float[Tensor, "n d"],
        s: Float[Tensor, "n s"],
        batch: Batch,
    ) -> Values:
        values = self.read(z, batch)
        adversary = self.adversary_loss(z, batch)
        changed = self.project(disease, adversary, weight)
        self.adversary_step(z, batch)
        # Only now: the adversary's loss passes through the classifier and left a gradient there.
        for parameter, value in zip(self.parameters_of_model(), changed, strict=True):
            parameter.grad = value
        self.step_clipped("model")
        return {"adversary_loss": adversary.detach(), **values}
