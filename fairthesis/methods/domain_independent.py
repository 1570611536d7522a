"""DomainInd: one disease classifier per group, averaged when it is used."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from fairthesis.methods._base import MethodOptions
from fairthesis.methods._batch import Batch, Values
from fairthesis.methods._losses import masked_bce
from fairthesis.methods._setting import Setting
from fairthesis.methods.erm import ERM
from fairthesis.models import FairEncoder


class DomainIndependent(ERM):
    """A shared encoder, and for each group its own linear classifier of the disease.

    In training, a row is scored by the head of its group: BCE(w_a·z + b_a, y), mean over
    attributes; a row whose group is unknown is scored by the mean of that attribute's heads.
    In use, the group is not needed: the heads' logits are summed over the groups (the paper's
    sum of logits). The sum is divided by the number of heads, which changes no ranking and keeps
    the scores on the scale of one head. A group without a training image has no head to be counted
    (one that was never trained would add noise). A mean of linear heads is a linear head, so it is
    stored as the model's ``disease_classifier`` after every step.

    Reference: Wang et al., CVPR 2020, "Towards Fairness in Visual Recognition", section 4.4.

    >>> from fairthesis.methods import subgroup_probabilities
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = DomainIndependent(FairEncoder("small", channels=1), MethodOptions(), setting)
    >>> sorted(method.update(Batch(torch.rand(16, 1, 16, 16), y, a)))
    ['disease_loss', 'sensitive_loss']
    >>> one_per_group = method.heads[0].weight  # of the first attribute, which has two groups
    >>> torch.allclose(method.model.disease_classifier.weight, one_per_group.mean(0))
    True
    """

    summary = "one classifier per group on a shared encoder, logits averaged over groups"

    def __init__(self, model: FairEncoder, options: MethodOptions, setting: Setting) -> None:
        super().__init__(model, options, setting)
        size, targets = model.disease_classifier.in_features, model.disease_classifier.out_features
        self.heads = nn.ModuleList()
        with torch.random.fork_rng():  # the model's own random numbers stay those of ERM
            torch.manual_seed(setting.seed + 1)
            # For each attribute its groups' heads side by side, outputs group by group.
            self.heads.extend(
                nn.Linear(size, subgroup.shape[-1] * targets) for subgroup in setting.subgroups
            )
        self.heads.to(model.disease_classifier.weight.device)
        self.seen = [self._seen(k) for k in range(len(setting.subgroups))]
        for heads in self.heads:
            assert isinstance(heads, nn.Linear)
            self.start_bias(heads)
        self.optimisers["heads"] = self.optimiser(self.heads.parameters(), self.heads)
        self.merge()

    def _seen(self, attribute: int) -> Bool[Tensor, " g"]:
        """The groups that have a training image; all, where no image has a known group."""
        codes = self.setting.training_part()[1][:, attribute]
        number = self.setting.subgroups[attribute].shape[-1]
        found = torch.bincount(codes[codes >= 0], minlength=number) > 0
        return found if found.any() else ~found

    @torch.no_grad()
    def merge(self) -> None:
        """Make the model's classifier the mean of all heads."""
        classifier = self.model.disease_classifier
        for name in ("weight", "bias"):
            merged = getattr(classifier, name)
            parts = [
                getattr(heads, name).view(-1, *merged.shape)[seen.to(merged.device)]  # g t d
                for heads, seen in zip(self.heads, self.seen, strict=True)
            ]
            merged.copy_(torch.cat(parts).mean(0))

    def disease_loss(self, z: Float[Tensor, "n d"], batch: Batch) -> Float[Tensor, ""]:
        losses = []
        for heads, codes, seen in zip(self.heads, batch.attributes.T, self.seen, strict=True):
            logits = heads(z).view(len(z), -1, batch.targets.shape[1])  # n g t
            index = codes.clamp_min(0)[:, None, None].expand(-1, 1, logits.shape[2])
            own = logits.gather(1, index).squeeze(1)
            chosen = torch.where((codes >= 0)[:, None], own, logits[:, seen].mean(1))
            losses.append(masked_bce(chosen, batch.targets))
        return torch.stack(losses).mean()

    def update(self, batch: Batch) -> Values:
        self.train()
        features = self.model.features(batch.images)
        disease = self.disease_loss(self.model.embed_disease(features), batch)
        sensitive, _ = self.sensitive_loss(features.detach(), batch)
        self.descend(disease, "model", "heads")
        self.descend(sensitive, "sensitive")
        self.merge()
        return {"disease_loss": disease.detach(), "sensitive_loss": sensitive.detach()}
