"""A finished run as a model: its weights, its configuration, its operating point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from fairthesis import metrics
from fairthesis.data import Cohort, OverlaidImages, Vectors, cohort_of_files
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import probability_column, rows_of_part, rows_of_target
from fairthesis.models import FairEncoder
from fairthesis.training._batches import images_tensor
from fairthesis.training._features import kept_features
from fairthesis.training._inference import Outputs, filled_up, infer, joined
from fairthesis.training._setup import inputs_of

SHARED = "fairthesis.model/1"  # the schema of the config.json of a shared model
Inputs: TypeAlias = "Cohort | str | Path | Sequence[str | Path] | Tensor | NDArray[Any]"


@dataclass(frozen=True)
class Run:
    """A trained model and what it was made of, as ``load_run`` gives it.

    Attributes:
        folder: the run directory.
        config: its ``config.json``, with what was resolved then: ``targets``, ``attributes``,
            ``channels``, ``width`` (of vectors; else None), the images' ``window``, and ``encoder``
            (what the backbone is, where another library built it; else None).
        groups: attribute -> its groups, in the order of their numbers.
        model: the encoder with its heads, in evaluation mode.
        device: where it computes.
        operating_points: target -> rule -> threshold, of a shared model, which has no rows to
            choose one on; else None.

    >>> import os, tempfile
    >>> from unittest import mock
    >>> from fairthesis.training import TrainConfig, load_run, train
    >>> few = {"n_train": 64, "n_val": 32, "n_test": 32}
    >>> small = {"backbone": "small", "size": 16, "epochs": 1, "batch_size": 32}
    >>> config = TrainConfig(dataset_options=few, **small)
    >>> with tempfile.TemporaryDirectory() as at, mock.patch.dict(os.environ, FAIRTHESIS_CACHE=at):
    ...     run = load_run(train(config, f"{at}/run", progress=False))
    ...     point = run.operating_point("fpr=0.2")
    >>> run.targets, run.config["channels"], run.groups["sex"], 0 < point < 1
    (('opacity',), 1, ['F', 'M'], True)
    >>> run.predict(torch.rand(3, 1, 16, 16)).shape, run.embed(torch.rand(3, 1, 16, 16)).shape
    ((3, 1), (3, 4))
    """

    folder: Path
    config: dict[str, Any]
    groups: dict[str, list[str]]
    model: FairEncoder
    device: torch.device
    operating_points: dict[str, dict[str, float]] | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets, in the order of the scores."""
        return tuple(self.config["targets"])

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the attributes."""
        return tuple(self.config["attributes"])

    @property
    def batch_size(self) -> int:
        """How many rows are computed together, as for the run's own tables."""
        return 4 * int(self.config["batch_size"])

    def outputs(self, x: Inputs) -> Outputs:
        """Scores and both embeddings of ``x``, in its order.

        Args:
            x: a cohort; a folder, a table or a list of image files (``data.cohort_of_files``);
                images as a float tensor of shape (n, channels, height, width), range 0 to 1; or
                vectors, a tensor or an array of shape (n, width).

        Raises:
            InputError: where ``x`` is of another kind or shape than the run's images or vectors, or
                an image cannot be read.
        """
        read, n = self._reader(x)
        if n == 0:
            raise InputError("No images are given: expected one or more.")
        return joined(infer(self.model, read, np.arange(n), self.batch_size), n)

    def predict(self, x: Inputs) -> Float[np.ndarray, "n t"]:
        """Probabilities of the targets, shape (n, targets); ``x`` as for ``outputs``.

        Raises:
            InputError: as ``outputs``.
        """
        return self.outputs(x).scores

    def embed(self, x: Inputs) -> Float[np.ndarray, "n d"]:
        """The disease embedding, shape (n, disease_dim); ``x`` as for ``outputs``.

        Raises:
            InputError: as ``outputs``.
        """
        return self.outputs(x).disease

    @torch.no_grad()
    def features(self, x: Inputs) -> Float[np.ndarray, "n f"]:
        """What both heads are given, shape (n, features); ``x`` as for ``outputs``.

        The embedding that a method clears of an attribute is made from these, and they are not
        cleared: a fresh probe recovers more from them.

        Raises:
            InputError: as ``outputs``.
        """
        read, n = self._reader(x)
        self.model.eval()
        size = self.batch_size
        parts = [
            self.model.features(filled_up(read(part), size))[: len(part)].cpu().numpy()
            for part in np.split(np.arange(n), range(size, n, size))
        ]
        return np.concatenate(parts)

    def operating_point(self, rule: str = "youden", target: str | None = None) -> float:
        """The threshold that a rule chooses on the run's own validation part.

        Args:
            rule: ``youden``, ``fpr=0.2``, ``tnr=0.8``, or a number.
            target: one of the run's; the first if None.

        Raises:
            InputError: for another rule or target.
        """
        chosen, rate = metrics.parse_threshold(rule)
        if chosen == "fixed":
            return float(rate if rate is not None else 0.5)
        if self.operating_points is not None:
            known = self.operating_points[self._target(target)]
            if rule not in known:
                raise unknown("rule of a shared model", rule, known)
            return known[rule]
        return chosen_threshold(self.folder, rule, self._target(target))

    def validation(self, target: str | None = None) -> pd.DataFrame:
        """The validation rows of the run's predictions that have a label."""
        return _validation(self.folder, self._target(target))

    def _target(self, target: str | None) -> str:
        target = target or self.targets[0]
        if target not in self.targets:
            raise unknown("target of the run", target, self.targets)
        return target

    def _reader(self, x: Inputs) -> tuple[Callable[[NDArray[np.intp]], Tensor], int]:
        """How the rows of ``x`` are read, as the model takes them, and their number."""
        vectors = self.config["width"]
        if isinstance(x, str | Path) or (
            not isinstance(x, Cohort | Tensor | np.ndarray) and isinstance(x, Sequence)
        ):
            if vectors is not None:
                raise InputError(
                    f"The run takes vectors of {vectors} numbers, not image files: give an array, "
                    "or make embeddings of them first."
                )
            own = self.config
            x = cohort_of_files(x, channels=own["channels"], window=own.get("window", "own"))
        if isinstance(x, Cohort):
            self.check(x)
            held, readable = inputs_of(x, self.config["size"], progress=False)
            if not readable.all():
                raise InputError(
                    f"{int((~readable).sum())} of {len(readable)} images cannot be read: leave "
                    "them out (the warning names them)."
                )
            kept = kept_features(self.model, x, self.config["size"], self.batch_size)
            return self.reader(held if kept is None else kept), len(x)
        given = x if isinstance(x, Tensor) else torch.from_numpy(np.require(x, requirements="W"))
        self._check_shape(given)
        return lambda rows: given[torch.from_numpy(rows)].to(self.device, torch.float32), len(given)

    def reader(
        self, held: NDArray[np.uint8] | OverlaidImages | Vectors
    ) -> Callable[[NDArray[np.intp]], Tensor]:
        """How rows of a cohort's images, vectors or features are read, as the model takes them."""
        if isinstance(held, Vectors):
            return lambda rows: torch.from_numpy(held[rows]).to(self.device)
        return lambda rows: images_tensor(held[rows], self.device)

    def check(self, cohort: Cohort) -> None:
        """Refuse a cohort whose images or vectors the model does not take (``InputError``)."""
        width, channels = self.config["width"], self.config["channels"]
        if width is not None and cohort.vectors is None:
            raise InputError(
                f"The run takes vectors of {width} numbers, and {cohort.name} has images: make "
                "embeddings of them with the same encoder first (fairthesis embed)."
            )
        if cohort.vectors is not None:
            if width is None:
                raise InputError(
                    f"{cohort.name} has vectors, and the run takes images: expected a data set of "
                    "images, or a run that was trained on vectors."
                )
            if cohort.vectors.width != width:
                raise InputError(
                    f"The vectors of {cohort.name} have {cohort.vectors.width} numbers, those that "
                    f"the run was trained on {width}: expected vectors of the same encoder."
                )
        elif cohort.channels != channels:
            kinds = {1: "grey images (1 channel)", 3: "colour images (3 channels)"}
            raise InputError(
                f"{cohort.name} has {kinds[cohort.channels]}, and the run takes {kinds[channels]}: "
                "expected images of the same kind."
            )

    def _check_shape(self, x: Tensor) -> None:
        width, channels = self.config["width"], self.config["channels"]
        wanted = f"(n, {width})" if width else f"(n, {channels}, height, width)"
        fits = x.ndim == 2 and x.shape[1] == width if width else x.ndim == 4
        if not fits or (width is None and x.shape[1] != channels):
            raise InputError(f"Expected {wanted}, but got an array of shape {tuple(x.shape)}.")
        if width is None and not x.is_floating_point():
            raise InputError(f"Expected images as floats from 0 to 1, but got {x.dtype}.")
        if not torch.isfinite(x).all():
            raise InputError("Expected finite numbers, but some are NaN or infinite.")


def chosen_threshold(folder: Path, rule: str, target: str) -> float:
    """The threshold that a rule chooses on the validation rows of a folder's predictions."""
    chosen, rate = metrics.parse_threshold(rule)
    if chosen == "fixed":
        return float(rate if rate is not None else 0.5)
    held = _validation(folder, target)
    y = held["y_true"].to_numpy(np.float64)
    s = probability_column(held, "y_score", str(folder))  # as an audit reads them
    return metrics.choose_threshold(y, s, chosen, rate)


def _validation(folder: Path, target: str) -> pd.DataFrame:
    table, _ = rows_of_target(pd.read_parquet(folder / "predictions.parquet"), target)
    held = rows_of_part(table, "val")
    return held[held["y_true"].notna()]
