"""The one training loop, which writes a run directory (``_run_folder``, ``_checkpoints``)."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from fairthesis import data, datasets
from fairthesis.data import Cohort
from fairthesis.errors import InputError
from fairthesis.methods import Method
from fairthesis.models import SWAD, Averager, FairEncoder, make_averager
from fairthesis.provenance import peak_memory_mb, provenance
from fairthesis.storage import RUN, check_writable
from fairthesis.training._ahead import Losses, made_ahead
from fairthesis.training._batches import Table, augment, in_batches, make_table
from fairthesis.training._checkpoints import Progress, load_state, save_state
from fairthesis.training._config import TrainConfig
from fairthesis.training._export import infer_cohort, write_results
from fairthesis.training._features import with_features
from fairthesis.training._run_folder import WEIGHTS, RunFolder, claimed
from fairthesis.training._selection import RULES, Rule
from fairthesis.training._setup import (
    check_batches,
    check_kind,
    device_of,
    inputs_of,
    new_method,
    new_model,
)
from fairthesis.training._trackers import Tracker, told
from fairthesis.training._validation import copied, use_average, validation_line

_LinAlgError: type[Exception] = getattr(torch.linalg, "LinAlgError")  # noqa: B009 (not exported)


def train(
    config: TrainConfig,
    out: str | Path,
    *,
    cohort: Cohort | None = None,
    overwrite: bool = False,
    progress: bool = True,
    tracker: Tracker | None = None,
) -> Path:
    """Train a model and write the run directory ``out``; gives its path.

    A finished run of the same configuration, data and code is left as it is; a killed one goes on
    after its last whole epoch and ends as if it had never stopped.

    Args:
        config: all that decides the run.
        out: the run directory. It gets ``config.json``, ``log.jsonl`` (a line for each epoch),
            ``model.safetensors``, ``predictions.parquet``, ``embeddings.parquet``,
            ``provenance.json`` and, last, ``DONE``.
        cohort: replaces the loading of ``config.dataset``.
        overwrite: whether another run in ``out`` is replaced.
        progress: whether a bar is shown.
        tracker: called with the configuration and the line of the log after every epoch
            (``make_tracker`` gives those of TensorBoard and MLflow).

    Images are decoded or drawn once and kept in ``$FAIRTHESIS_CACHE`` (else ``~/.cache``).

    Raises:
        InputError: for a cohort that cannot be trained on (before anything is written), where
            ``out`` holds another run and ``overwrite`` is false, and where training diverges.

    >>> import os, tempfile
    >>> from unittest import mock
    >>> few = {"n_train": 64, "n_val": 32, "n_test": 32}
    >>> small = {"backbone": "small", "size": 16, "epochs": 1, "batch_size": 32}
    >>> config = TrainConfig(dataset_options=few, **small)
    >>> with tempfile.TemporaryDirectory() as at, mock.patch.dict(os.environ, FAIRTHESIS_CACHE=at):
    ...     run = train(config, f"{at}/run", progress=False)
    ...     sorted(file.name for file in run.iterdir())[:3]
    ['DONE', 'config.json', 'embeddings.parquet']
    """
    out = Path(out)
    if not out.is_dir():
        check_writable(out)
    if config.threads:
        torch.set_num_threads(config.threads)
    device = device_of(config.device)
    cohort = cohort or datasets.load(
        config.dataset, config.data_root, seed=config.seed, **config.dataset_options
    )
    check_kind(config, cohort)
    targets = config.targets or cohort.targets[:1]
    attributes = config.attributes or cohort.attributes[:1]
    for target in targets:
        cohort.labels(target)
    for attribute in attributes:
        cohort.groups(attribute)
    origin = provenance(
        seed=config.seed,
        data_fingerprint=data.images_fingerprint(cohort, config.size, progress=progress),
        device=str(device),
        threads=torch.get_num_threads(),
    )
    with claimed(config.described(), out, origin, overwrite) as place:
        if not place.finished:
            _run(config, place, cohort, targets, attributes, device, progress, tracker)
    return out


def _run(
    config: TrainConfig,
    place: RunFolder,
    cohort: Cohort,
    targets: tuple[str, ...],
    attributes: tuple[str, ...],
    device: torch.device,
    progress: bool,
    tracker: Tracker | None,
) -> None:
    """The run from its state, or its start, to ``DONE``."""
    origin = place.origin
    images, readable = inputs_of(cohort, config.size, progress)
    table = make_table(cohort, images, readable, targets, attributes)
    model = new_model(config, table, cohort.channels, len(targets)).to(device)
    origin |= backbone_origin(model, cohort)
    if config.train_backbone == "none":
        rows = 4 * config.batch_size
        fingerprint = origin["data_fingerprint"]
        with _told_if_diverged(config, 0):
            table = with_features(table, model, cohort, config.size, rows, fingerprint, progress)
    if config.compile:
        model.compile()
    method = new_method(config, table, model).to(device)
    check_batches(config, method, len(targets))
    place.begin()
    state = load_state(place, method)
    average = make_averager(config.averaging, config.ema_decay)
    average.load(state.averager)
    rule = RULES[config.selection]
    needs = rule.needs | ({"loss"} if average.at_end else set())

    def validated() -> dict[str, float]:
        return validation_line(method, table, needs, 4 * config.batch_size, device, config.seed)

    def averaged() -> dict[str, torch.Tensor] | None:
        rows = 4 * config.batch_size
        return use_average(method, average, table, rows, device, config.augmentation)

    bar = tqdm(
        range(state.epoch, config.epochs),
        desc=f"{config.method} seed {config.seed}",
        unit="epoch",
        initial=state.epoch,
        total=config.epochs,
        disable=not progress,
    )
    for epoch in bar:
        started = time.perf_counter()
        own = None
        with _told_if_diverged(config, epoch):
            line = _epoch(config, method, table, epoch, device, average)
            if average.each_epoch:
                average.end_epoch(epoch, math.nan, method.selectable(epoch))
                own = averaged()
            line |= validated()
        if average.at_end:
            average.end_epoch(epoch, line["val_loss"], method.selectable(epoch))
        state.seconds += time.perf_counter() - started
        line["seconds"] = round(time.perf_counter() - started, 3)
        state.epoch, state.log = epoch + 1, [*state.log, line]
        state.averager = average.state()
        _select(state, method, rule, config)
        if own is not None:
            method.model.load_state_dict(own)
        save_state(place, method, state)
        tracker = tracker if told(tracker, config.described(), line) else None
        bar.set_postfix(val_auroc=f"{line['val_auroc']:.3f}", refresh=False)
    method.load_learned_state(state.states[state.chosen])
    rows = 4 * config.batch_size
    with _told_if_diverged(config, state.epoch - 1):
        if isinstance(average, SWAD):
            averaged()
            origin["averaged_epochs"] = list(average.interval())
            state.chosen = average.interval()[1]
        origin |= {f"selected_{name}": value for name, value in validated().items()}
        write_results(place, method, cohort, table, targets, attributes, rows, device)
    origin |= {
        "wall_seconds": round(state.seconds, 1),
        "peak_memory_mb": peak_memory_mb(),
        "selected_epoch": state.chosen,
        "selection": config.selection,
        "uses_test_labels": "test" in rule.needs,
        "images": {split: len(rows) for split, rows in table.rows.items()},
        "left_out": dict(cohort.left_out) | {"unreadable image": int((~readable).sum())},
        "groups": dict(zip(attributes, map(list, table.groups), strict=True)),
        "window": cohort.window,
    }
    place.json(origin, "provenance.json")
    place.finish(origin["data_fingerprint"], (*RUN, WEIGHTS))


def backbone_origin(model: FairEncoder, cohort: Cohort) -> dict[str, Any]:
    """What a run must know of its backbone to be read again, and which parts of it learned."""
    found: dict[str, Any] = {}
    if model.encoder is not None:
        found["encoder"] = model.encoder.described() | {"image_channels": cohort.channels}
    if model.train_backbone != "all":
        found["open_parts_of_backbone"] = [n.removeprefix("net.") for n in model.open_parts()]
    return found


@contextlib.contextmanager
def _told_if_diverged(config: TrainConfig, epoch: int) -> Iterator[None]:
    """Numbers that are none, in words; the state of the epoch before stays as it is."""
    try:
        yield
    except (FloatingPointError, _LinAlgError) as error:
        reason = str(error) if isinstance(error, FloatingPointError) else "whitening failed"
        kept = f"The state after epoch {epoch} is kept. " if epoch else ""
        raise InputError(
            f"Training diverged in epoch {epoch + 1} of {config.epochs}: {reason}. {kept}Try a "
            f"learning_rate below {config.learning_rate:g}, or weaker method options, with "
            "--overwrite or in another folder."
        ) from error


def _select(state: Progress, method: Method, rule: Rule, config: TrainConfig) -> None:
    """Keep the states of the epochs that the rule chooses now or may choose later."""
    last = config.epochs - 1
    lines = [
        line for line in state.log if method.selectable(line["epoch"]) or line["epoch"] == last
    ]
    epochs = [lines[i]["epoch"] for i in rule.candidates(lines, config.reference_auroc)]
    newest = state.epoch - 1
    state.states = {e: copied(method) if e == newest else state.states[e] for e in epochs}
    state.chosen = epochs[0] if epochs else -1


def _epoch(
    config: TrainConfig,
    method: Method,
    table: Table,
    epoch: int,
    device: torch.device,
    average: Averager,
) -> dict[str, Any]:
    """One pass over the training part, in the method's order; the mean of every loss."""
    rows = table.rows["train"]
    method.begin(
        epoch,
        lambda: torch.from_numpy(
            infer_cohort(method, table, rows, 4 * config.batch_size, device)[0]
        ),
    )
    order = rows[method.order(epoch)]
    steps = max(1, math.ceil(len(order) / config.batch_size))
    generator = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
    losses = Losses(steps, device)
    parts = in_batches(order, config.batch_size)
    batches = made_ahead(parts, lambda part: table.batch(part, device), device)
    for step, batch in enumerate(batches):
        position = epoch + step / steps
        method.at(position, _rate(method.done(position)))
        batch = batch._replace(images=augment(config.augmentation, batch.images, generator))
        losses.add(method.update(batch))
        average.step(method.model)
    return {"epoch": epoch} | losses.means()


def _rate(done: float) -> float:
    """The learning rate's factor: a short rise, then a cosine down to 0.

    Reference: Loshchilov and Hutter, ICLR 2017.
    """
    rise = 0.05
    return (
        done / rise if done < rise else 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise)))
    )
