"""FCRO: the disease embedding orthogonal to the sensitive one, in column and in row space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from fairthesis.errors import InputError
from fairthesis.methods._base import MethodOptions, check_range
from fairthesis.methods._batch import Batch
from fairthesis.methods._dependence import cross_covariance
from fairthesis.methods._penalised import Penalised, PenaltyOptions
from fairthesis.methods._setting import Setting
from fairthesis.models import FairEncoder, Whitening


@dataclass(frozen=True)
class OrthogonalOptions(PenaltyOptions):
    """``PenaltyOptions``, and those of the sensitive embedding's subspace.

    Args:
        row_weight: of the row term, relative to the column term; 0 or more.
        energy: share of the sensitive embedding's squares that its subspace must hold, 0 to 1.
        rank: the most dimensions that the subspace may have, 1 or more.
        decay: how slowly the running subspace forgets, 0 to 1.

    >>> OrthogonalOptions().rank, OrthogonalOptions().energy
    (8, 0.99)
    >>> OrthogonalOptions(energy=99.0)
    Traceback (most recent call last):
    fairthesis.errors.InputError: Expected energy to be from 0 to 1, but got 99.0
    """

    row_weight: float = 1.0
    energy: float = 0.99
    rank: int = 8
    decay: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "row_weight")
        check_range(self, "energy", "decay", most=1.0)
        check_range(self, "rank", least=1)


def subspace(moment: Float[Tensor, "s s"], energy: float, rank: int) -> Float[Tensor, "s k"]:
    """Orthonormal basis of the largest directions of Z'Z/n that hold ``energy`` of its trace.

    At least one and at most ``rank`` directions.

    >>> subspace(torch.diag(torch.tensor([1.0, 8.0, 1.0])), 0.8, 3).abs().T
    tensor([[0., 1., 0.]])
    """
    size, axes = torch.linalg.eigh(moment)
    size, axes = size.flip(0).clamp_min(0), axes.flip(1)
    before = size.cumsum(0) - size
    number = int((before < energy * size.sum()).sum())
    return axes[:, : max(1, min(number, rank))]


def column_loss(z: Float[Tensor, "n d"], basis: Float[Tensor, "s k"]) -> Float[Tensor, ""]:
    """Mean squared cosine between a row of z and a subspace, in [0, 1]; 0 if orthogonal.

    ``mean_i |B' z_i|² / |z_i|²``. A basis of fewer dimensions than z lies in its first coordinates;
    ``basis`` has orthonormal columns, and at most as many rows as z has columns.

    Reference: Deng, Zhong and Dou, IPMI 2023 (column-space orthogonality).

    >>> basis = torch.tensor([[1.0], [0.0]])
    >>> z = torch.tensor([[0.0, 2.0, 1.0], [3.0, 4.0, 0.0]])
    >>> round(float(column_loss(z, basis)), 2)
    0.18
    """
    wide = F.pad(basis, (0, 0, 0, z.shape[1] - basis.shape[0]))
    return (F.normalize(z, dim=1) @ wide).square().sum(1).mean()


class Orthogonal(Penalised):
    """BCE + λ (column orthogonality + row_weight · row orthogonality).

    Column space: no image's disease embedding has a part in the low-rank subspace that the
    sensitive embeddings span (``column_loss``). Row space: over the images, no dimension of the
    one goes with a dimension of the other (``cross_covariance``, squared correlations). The
    sensitive branch is trained beside, on detached features, and stands still in this loss.

    The subspace is accumulated over batches, as in the paper, which re-selects the largest
    singular directions of old basis and new batch. Here a running mean of S'S/n is kept with
    ``decay``, and its leading eigenvectors are taken: the branch goes on learning, and what it no
    longer uses must be forgotten. Both embeddings are the outputs of separate heads, whose axes
    mean nothing to each other, here as in the paper; a sensitive embedding that is smaller than the
    disease embedding lies in its first coordinates.

    There must be room beside the subspace: the disease embedding needs more than ``rank``
    dimensions (or than the sensitive embedding has), and must not be whitened, since a whitened
    embedding has the same share of its squares in every subspace of one size. The default
    embedding is both too small and whitened; ``disease_dim=128, disease_norm="batch"`` fits.

    Raises:
        InputError: where the embeddings leave no such room, or the disease embedding is whitened.

    Reference: Deng, Zhong and Dou, IPMI 2023 ("FCRO").

    >>> from fairthesis.methods import Orthogonal, Batch, Setting, subgroup_probabilities
    >>> from fairthesis.models import FairEncoder
    >>> y, a = torch.arange(16.0)[:, None] % 2, torch.arange(16)[:, None] // 8
    >>> setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    >>> method = Orthogonal(FairEncoder("small", channels=1), Orthogonal.Options(), setting)
    >>> method.at(8, 1.0)  # epochs done, and the learning rate's factor: the ramp is over
    >>> values = method.update(Batch(torch.rand(16, 1, 16, 16), y, a))
    >>> 0 <= values["penalty"].item() <= 2, values["weight"]  # two terms, each from 0 to 1
    (True, 1.0)
    """

    Options = OrthogonalOptions
    options: OrthogonalOptions
    summary = "orthogonal to the sensitive embedding in column and row space (FCRO)"
    moment: Tensor

    def __init__(self, model: FairEncoder, options: MethodOptions, setting: Setting) -> None:
        super().__init__(model, options, setting)
        size = model.sensitive_dim
        width = model.disease_classifier.in_features
        most = min(size, self.options.rank)
        if self.options.weight and (size > width or most >= width):
            raise InputError(
                f"sensitive_dim is {size}, disease_dim {width} and rank {self.options.rank}: for "
                "method orthogonal disease_dim must be at least sensitive_dim, and larger than "
                "the smaller of sensitive_dim and rank. Take disease_dim 128."
            )
        if self.options.weight and isinstance(model.disease_norm, Whitening):
            raise InputError(
                "disease_norm is whitening: a whitened embedding has the same share of its squares "
                "in every subspace, and method orthogonal has nothing to lower. Take disease_norm "
                "batch."
            )
        device = model.disease_classifier.weight.device
        self.register_buffer("moment", torch.zeros(size, size, device=device))

    @torch.no_grad()
    def accumulate(self, s: Float[Tensor, "n s"]) -> None:
        """Take a batch of sensitive embeddings into the running moment."""
        new = s.T @ s / len(s)
        decay = self.options.decay if self.moment.any() else 0.0
        self.moment.copy_(decay * self.moment + (1 - decay) * new)

    def penalty(
        self, z: Float[Tensor, "n d"], s: Float[Tensor, "n s"], batch: Batch
    ) -> Float[Tensor, ""]:
        known = (batch.attributes >= 0).any(1)
        if int(known.sum()) < 2:
            return z.sum() * 0.0
        self.accumulate(s[known])
        basis = subspace(self.moment, self.options.energy, self.options.rank)
        rows = cross_covariance(z[known], s[known])
        return column_loss(z[known], basis) + self.options.row_weight * rows
