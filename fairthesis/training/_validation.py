"""What a run reports of the model after an epoch: the validation part's line of the log."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairthesis.methods import Method
from fairthesis.models import Averager, estimate_statistics, norm_layers, set_weights
from fairthesis.training._batches import Table, augment, in_batches
from fairthesis.training._export import infer_cohort
from fairthesis.training._selection import (
    validation_gaps,
    validation_leakage,
    validation_loss,
    validation_scores,
)

STATISTICS = 8192  # training images from which averaged weights get their normalisation


def validation_line(
    method: Method,
    table: Table,
    needs: Collection[str],
    batch_size: int,
    device: torch.device,
    seed: int,
) -> dict[str, float]:
    """AUROC, overall and of the worst group, and what ``needs`` names.

    ``loss``, ``gaps``, ``leakage``, or ``test``: the latter are test labels, for the ``oracle``
    rule, and their names begin with ``oracle_test_``.
    """
    rows = table.rows["val"]
    scores, z, _ = infer_cohort(method, table, rows, batch_size, device)
    index = torch.from_numpy(rows)
    y, codes = table.targets[index].numpy(), table.attributes[index].numpy()
    line = validation_scores(y, scores, codes)
    if "loss" in needs:
        line |= validation_loss(y, scores)
    if "gaps" in needs:
        line |= validation_gaps(y, scores, codes)
    if "leakage" in needs:
        line |= validation_leakage(z, y, codes, table.patients[index].numpy(), seed)
    if "test" in needs:
        rows = table.rows["test"]
        index = torch.from_numpy(rows)
        scores, _, _ = infer_cohort(method, table, rows, batch_size, device)
        y, codes = table.targets[index].numpy(), table.attributes[index].numpy()
        found = validation_scores(y, scores, codes) | validation_gaps(y, scores, codes)
        line |= {f"oracle_test_{k}": found[f"val_{k}"] for k in ("auroc", "eo")}
    return line


def use_average(
    method: Method,
    averager: Averager,
    table: Table,
    batch_size: int,
    device: torch.device,
    augmentation: str,
) -> dict[str, Tensor] | None:
    """Put the average into the model, its statistics made anew on training images.

    Gives the model's own state, to go on from; None where there is no average yet. The images are
    a random part of the training images, at most 8192, in whole batches. The shared encoder's norms
    see them as they are, as all images are in use. Those of the heads see them augmented as in
    training: the classifier was fitted to what they make of such images, and of images as they
    are, directions that only augmentation moves have next to no variance; a whitening blows them
    up (validation AUROC 0.863 instead of 0.893 on synthetic chest X-rays, with the same weights).
    """
    weights = averager.average()
    if weights is None:
        return None
    model = method.model
    own = {name: value.clone() for name, value in model.state_dict().items()}
    set_weights(model, weights)
    rows = np.random.default_rng(0).permutation(table.rows["train"])[:STATISTICS]
    if len(rows) > batch_size:
        rows = rows[: len(rows) // batch_size * batch_size]
    body = norm_layers(model.shared_encoder)
    heads = [norm for norm in norm_layers(model) if norm not in body]
    learning = {id(n) for part in model.open_parts().values() for n in part.modules()}
    body = [norm for norm in body if id(norm) in learning]
    generator = torch.Generator().manual_seed(0)
    for name, norms in (("none", body), (augmentation, heads)):
        images = (table.batch(part, device).images for part in in_batches(rows, batch_size))
        estimate_statistics(model, (augment(name, x, generator) for x in images), norms)
    return own


def copied(method: Method) -> dict[str, Any]:
    """All of the method's state that training changes, on the CPU, to be kept."""
    return {name: value.detach().cpu().clone() for name, value in method.learned_state().items()}
