"""HSIC: weights of the disease loss, and class-conditional dependence as the only penalty."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from fairthesis.methods._base import MethodOptions, check_range
from fairthesis.methods._batch import Batch
from fairthesis.methods._memory import EmbeddingMemory, mean_hsic, memory_rows
from fairthesis.methods._penalised import Penalised, PenaltyOptions
from fairthesis.methods._setting import Setting
from fairthesis.models import FairEncoder


@dataclass(frozen=True)
class HSICOptions(PenaltyOptions):
    """``PenaltyOptions`` with defaults of its own, and a memory of earlier embeddings.

    Weight and exponent are those of the adversarial encoder without its critics; the memory was
    chosen by the rule of the archived experiment ``synthetic-cxr-forms``: with it AUROC was higher
    and the gap not shown larger, and critics on top of it lowered neither gap nor probe.

    Args:
        weight: as of ``PenaltyOptions``.
        reweighting: as of ``PenaltyOptions``; 0 is the penalty alone.
        memory: earlier images whose embeddings count as further rows, without a gradient, at most
            half as many as training images; 0 measures within the batch.

    >>> HSICOptions()
    HSICOptions(weight=1.5, ..., reweighting=0.75, memory=1024)
    >>> HSICOptions(memory=-1)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected memory to be 0 or larger, but got -1
    """

    weight: float = 1.5
    reweighting: float = 0.75
    memory: int = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "memory")


class HSIC(Penalised):
    """Weighted BCE + λ · HSIC(z, a | y), mean over attributes and targets; the book's default.

    The normalised Hilbert-Schmidt independence criterion within each class of the target
    (``conditional_hsic``), at most 1; an unbiased estimate, so that it is as often below 0 as above
    where there is no dependence. No adversary, no game: one loss, one step. It is the adversarial
    encoder without critics; the penalty alone, as in the papers, is ``reweighting=0, memory=0``.

    Reference: Gretton et al., ALT 2005; as a fairness penalty Quadrianto, Sharmanska and Thomas,
    CVPR 2019.

    >>> import torch
    >>> from fairthesis.methods import HSIC, Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = HSIC(FairEncoder("small", channels=1), HSIC.Options(), setting)
    >>> method.at(8, 1.0)  # epochs done, and the learning rate's factor: the ramp is over
    >>> values = method.update(Batch(torch.rand(16, 1, 16, 16), y, a))
    >>> sorted(values)
    ['disease_loss', 'penalty', 'sensitive_loss', 'weight']
    """

    Options = HSICOptions
    options: HSICOptions
    summary = "class-conditional kernel dependence (HSIC) as a penalty"

    def __init__(self, model: FairEncoder, options: MethodOptions, setting: Setting) -> None:
        super().__init__(model, options, setting)
        heads = model.disease_classifier
        self.kept = EmbeddingMemory(
            memory_rows(self.options.memory, setting.images),
            heads.in_features,
            heads.out_features,
            len(setting.subgroups),
        ).to(heads.weight.device)

    def penalty(
        self, z: Float[Tensor, "n d"], s: Float[Tensor, "n s"], batch: Batch
    ) -> Float[Tensor, ""]:
        hsic = mean_hsic(z, batch, self.setting.subgroups, self.kept)
        self.kept.keep(z, batch)
        return hsic
