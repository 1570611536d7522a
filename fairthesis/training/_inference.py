"""What a model gives for inputs: scores and both embeddings, the same for any choice of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from fairthesis.models import FairEncoder
from fairthesis.training._ahead import made_ahead


class Outputs(NamedTuple):
    """What a model gives for n inputs, as ``Run.outputs`` has it.

    Args:
        scores: probabilities of the targets, shape (n, targets).
        disease: disease embedding, shape (n, d).
        sensitive: sensitive embedding, shape (n, s).

    >>> model = FairEncoder("small", channels=1)
    >>> found = outputs_of(model, torch.rand(3, 1, 16, 16))
    >>> isinstance(found, Outputs), found.scores.shape, found.disease.shape
    (True, (3, 1), (3, 128))
    """

    scores: Float[np.ndarray, "n t"]
    disease: Float[np.ndarray, "n d"]
    sensitive: Float[np.ndarray, "n s"]


@torch.no_grad()
def outputs_of(
    model: FairEncoder, inputs: Float[Tensor, "n ..."], batch_size: int | None = None
) -> Outputs:
    """What the model gives for one batch, in evaluation mode.

    A batch of fewer rows than ``batch_size`` is filled up with its first row. A processor adds up
    in another order for another number of rows, and a score would differ in its last digits with
    the images that happen to stand beside it.
    """
    model.eval()
    n = len(inputs)
    if batch_size is not None:
        inputs = filled_up(inputs, batch_size)
    disease, sensitive = model(inputs)
    scores = torch.sigmoid(model.disease_logits(disease))
    return Outputs(*(found[:n].cpu().numpy() for found in (scores, disease, sensitive)))


def filled_up(inputs: Float[Tensor, "n ..."], batch_size: int) -> Tensor:
    """A batch of ``batch_size`` rows, its first row standing in for those that it lacks."""
    n = len(inputs)
    if not 0 < n < batch_size:
        return inputs
    return torch.cat([inputs, inputs[:1].expand(batch_size - n, *inputs.shape[1:])])


def infer(
    model: FairEncoder,
    read: Callable[[NDArray[np.intp]], Tensor],
    rows: NDArray[np.intp],
    batch_size: int,
) -> Iterator[Outputs]:
    """``outputs_of`` for ``read(part)`` of all rows, batch by batch.

    Raises:
        FloatingPointError: where one of them is not finite: the model has diverged.
    """
    parts = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
    for inputs in made_ahead(parts, read, next(model.parameters()).device):
        found = outputs_of(model, inputs, batch_size)
        for name, values in found._asdict().items():
            if not np.isfinite(values).all():
                what = "score" if name == "scores" else "embedding"
                raise FloatingPointError(f"a model's {what} is not finite")
        yield found


def joined(parts: Iterator[Outputs], rows: int) -> Outputs:
    """All batches as one, of ``rows`` rows in all; each is let go as soon as it is copied."""
    whole: Outputs | None = None
    at = 0
    for part in parts:
        if whole is None:
            whole = Outputs(*(np.empty((rows, *c.shape[1:]), c.dtype) for c in part))
        for to, values in zip(whole, part, strict=True):
            to[at : at + len(values)] = values
        at += len(part.scores)
    assert whole is not None and at == rows
    return whole
