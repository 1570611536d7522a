"""Embeddings of earlier batches, against which a dependence is measured with less noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.methods._batch import Batch
from fairthesis.methods._dependence import conditional_hsic


class EmbeddingMemory(nn.Module):
    """The last ``rows`` embeddings, with their targets and groups; a part of a training state.

    They are of a slightly older encoder, and carry no gradient.

    Args:
        rows: how many, 0 or more; with 0 nothing is kept.
        width: numbers of an embedding.
        targets, attributes: how many there are.

    Reference: Wang et al., CVPR 2020 (cross-batch memory).

    >>> memory = EmbeddingMemory(3, width=2, targets=1, attributes=1)
    >>> y, a = torch.zeros(2, 1), torch.tensor([[0], [1]])
    >>> for value in (1.0, 2.0):
    ...     memory.keep(torch.full((2, 2), value), Batch(torch.zeros(2, 1, 1, 1), y, a))
    >>> memory.embeddings[:, 0].tolist(), memory.codes[:, 0].tolist()  # in a ring
    ([2.0, 1.0, 2.0], [1, 1, 0])
    """

    embeddings: Tensor
    targets: Tensor
    codes: Tensor
    place: Tensor  # of the next row

    def __init__(self, rows: int, width: int, targets: int, attributes: int) -> None:
        super().__init__()
        self.register_buffer("embeddings", torch.zeros(rows, width))
        # -1 is a target or a group that is not known, as in a row that is not filled yet: it counts
        # nowhere, and a state has no NaN
        self.register_buffer("targets", torch.full((rows, targets), -1.0))
        self.register_buffer("codes", torch.full((rows, attributes), -1, dtype=torch.long))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    def of(self, attribute: int, target: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """Embeddings, groups and targets, as ``conditional_hsic`` takes them; None without rows."""
        if not len(self.embeddings):
            return None
        known = self.targets[:, target]
        known = torch.where(known < 0, torch.nan, known)
        return self.embeddings, self.codes[:, attribute], known

    @torch.no_grad()
    def keep(self, z: Float[Tensor, "n d"], batch: Batch) -> None:
        """Take a batch's embeddings in the place of the oldest ones.

        Not those of images without any label or without any group: they could count nowhere.
        """
        rows = len(self.embeddings)
        if not rows:
            return
        counts = (batch.attributes >= 0).any(1) & ~batch.targets.isnan().all(1)
        last = counts.nonzero().squeeze(1)[-rows:]
        kept = z.detach()[last].to(self.embeddings)
        places = (int(self.place) + torch.arange(len(kept), device=kept.device)) % rows
        self.embeddings[places] = kept
        self.targets[places] = batch.targets[last].to(self.targets).nan_to_num(nan=-1.0)
        self.codes[places] = batch.attributes[last].to(self.codes)
        self.place.copy_((self.place + len(kept)) % rows)


def memory_rows(asked: int, images: int | None) -> int:
    """How many rows a memory has: those asked for, and at most half as many as training images.

    With more it would hold the same images several times over. Pairs of an image and itself are
    near, whatever its group, and the estimate, which is to be 0 under independence, would not be.

    >>> memory_rows(1024, 6000), memory_rows(1024, 271), memory_rows(1024, None)
    (1024, 135, 1024)
    """
    return asked if images is None else min(asked, images // 2)


def mean_hsic(
    z: Float[Tensor, "n d"],
    batch: Batch,
    subgroups: Sequence[Float[Tensor, "t 2 g"]],
    memory: EmbeddingMemory,
) -> Float[Tensor, ""]:
    """``conditional_hsic`` of a batch, mean over the attributes and targets.

    >>> y, a = torch.arange(32)[:, None] % 2 * 1.0, torch.arange(32)[:, None] // 16
    >>> batch = Batch(torch.zeros(32, 1, 1, 1), y, a)
    >>> shares = (torch.full((1, 2, 2), 0.5),)
    >>> round(float(mean_hsic(a.float(), batch, shares, EmbeddingMemory(0, 1, 1, 1))), 2)
    1.0
    """
    values = [
        conditional_hsic(z, codes, subgroup.shape[-1], target, past=memory.of(a, t))
        for a, (subgroup, codes) in enumerate(zip(subgroups, batch.attributes.T, strict=True))
        for t, target in enumerate(batch.targets.T)
    ]
    return torch.stack(values).mean()
