"""What embeddings and vectors are normalised by: whitening of a batch, standards of a table."""

from __future__ import annotations

from contextlib import suppress

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.errors import InputError


class Standardise(nn.Module):
    """Every number of a vector less its mean, over its standard deviation: no parameter learns.

    The ``backbone`` of vectors: embeddings of different encoders have scales of their own, which
    the heads would have to find by themselves. Mean 0 and deviation 1 until ``fit``.

    Args:
        width: numbers of a vector.

    >>> layer = Standardise(2)
    >>> layer.fit(torch.tensor([1.0, 10.0]), torch.tensor([1.0, 5.0]))
    >>> layer(torch.tensor([[2.0, 10.0]])).tolist()
    [[1.0, 0.0]]
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def fit(self, mean: Float[Tensor, " f"], deviation: Float[Tensor, " f"]) -> None:
        """Take the mean and the deviation of every number, as of the training part."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)

    def forward(self, x: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
        return (x - self.mean) / self.deviation


class Whitening(nn.Module):
    """Mean 0 and covariance I: batch normalisation of every direction, not only of every column.

    With L Lᵀ the Cholesky factor of the batch's covariance (plus 1e-8 of its mean variance) the
    output is (z - mean) L⁻ᵀ. Like batch normalisation it uses the batch in training and running
    means in evaluation, where it is one affine map. No direction of the output is small, so nothing
    can be hidden in one: after column-wise normalisation an embedding of 128 columns may still have
    principal directions with 1e-6 of the variance, which critics of ordinary scale do not see and a
    fresh probe does.

    Args:
        dim: number of columns.
        momentum: share of a batch in the running mean and covariance.

    Raises:
        InputError: for a batch, in training, of no more rows than columns.

    Reference: Huang et al., *Decorrelated Batch Normalization*, CVPR 2018.

    >>> z = torch.randn(400, 3) @ torch.tensor([[1.0, 0, 0], [1, 0.1, 0], [0, 1, 0.1]])
    >>> torch.allclose(torch.cov(Whitening(3)(z).T, correction=0), torch.eye(3), atol=1e-3)
    True
    """

    running_mean: Tensor
    running_covariance: Tensor

    def __init__(self, dim: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_covariance", torch.eye(dim))
        # L⁻ᵀ of the running covariance: evaluation is one affine map, which can be exported. It is
        # no buffer: those follow the module to devices that have no float64.
        self.folded = torch.eye(dim, dtype=torch.float64)
        self.folded_from: tuple[int, ...] = ()
        self.register_load_state_dict_post_hook(_fold_loaded)  # type: ignore[no-untyped-call]

    def fold(self) -> None:
        """Make the matrix of evaluation anew where the running covariance is another one."""
        covariance = self.running_covariance
        version = (id(covariance), covariance._version, id(self.folded))
        if version == self.folded_from:
            return
        with torch.no_grad():
            wide = _wide(covariance)
            eye = torch.eye(len(wide), dtype=wide.dtype, device=wide.device)
            factor = self.factor(wide)
            self.folded = torch.linalg.solve_triangular(factor, eye, upper=False).T.contiguous()
        self.folded_from = (id(covariance), covariance._version, id(self.folded))

    def factor(self, covariance: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
        """The Cholesky factor L of a covariance and a little of its mean variance."""
        small = 1e-8 * covariance.diagonal().mean().detach() + 1e-20
        return torch.linalg.cholesky(covariance + small * torch.eye(len(covariance)).to(covariance))

    def train(self, mode: bool = True) -> Whitening:
        super().train(mode)
        if not mode:
            _fold_loaded(self)  # before a tracer looks: the factoring is no part of an export
        return self

    def forward(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        wide = _wide(z)  # the factor of a nearly singular covariance needs the digits
        if not self.training:
            if not (torch.compiler.is_compiling() or torch._C._get_tracing_state()):
                self.fold()
            return ((wide - self.running_mean.to(wide)) @ self.folded.to(wide)).to(z)
        if len(z) <= z.shape[1]:
            raise InputError(
                f"A batch of {len(z)} images cannot whiten {z.shape[1]} directions: expected "
                "more images than disease_dim. Raise batch_size or lower disease_dim."
            )
        mean = wide.mean(0)
        centred = wide - mean
        covariance = centred.T @ centred / len(z)
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(z), self.momentum)
            self.running_covariance.lerp_(covariance.to(z), self.momentum)
        white = torch.linalg.solve_triangular(self.factor(covariance), centred.T, upper=False).T
        return white.to(z)


def _wide(values: Tensor) -> Tensor:
    """In float64; on the processor where the device has none."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def _fold_loaded(module: Whitening, _: object = None) -> None:
    with suppress(RuntimeError):  # torch's, of what is no covariance: the next batch reports it
        module.fold()


#: What the disease embedding is normalised by: ``Whitening``, or batch normalisation without affine
#: parameters.
NORMS = ("whitening", "batch")
