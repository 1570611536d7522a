"""Weight averaging, an option of any method: of all steps with decay (EMA) or of a valley (SWAD).

Averaged weights need batch-norm statistics of their own; ``estimate_statistics`` makes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

#: SWAD's N_s, in evaluations: a valley starts where the loss is the least of so many (Cha et al.,
#: NeurIPS 2021).
CONVERGED = 3
#: SWAD's N_e, in evaluations: a valley ends where so many in a row are above its limit (Cha et al.,
#: NeurIPS 2021).
TOLERATED = 6
RATIO = 1.3  # SWAD's r, as published

Weights = dict[str, Tensor]


def weights_of(model: nn.Module) -> Weights:
    """A copy of the parameters that learn, by name, detached: for ``set_weights``.

    >>> model = nn.Linear(1, 1)
    >>> kept = weights_of(model)
    >>> _ = nn.init.zeros_(model.weight)
    >>> set_weights(model, kept)
    >>> sorted(kept), bool((model.weight == kept["weight"]).all())
    (['bias', 'weight'], True)
    """
    return {name: value.detach().clone() for name, value in _learning(model)}


def _learning(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """What learns: an average of what is frozen would differ from it in its last digits."""
    return [(name, value) for name, value in model.named_parameters() if value.requires_grad]


@torch.no_grad()
def set_weights(model: nn.Module, weights: Weights) -> None:
    """Set the parameters of a model that learn to ``weights``, by name and in place.

    Buffers, as the running statistics of normalisations, stay: see ``estimate_statistics``.

    Raises:
        KeyError: where ``weights`` lacks a parameter of the model.

    >>> model = nn.Linear(1, 1)
    >>> set_weights(model, {"weight": torch.tensor([[2.0]]), "bias": torch.tensor([1.0])})
    >>> model(torch.tensor([[3.0]])).item()
    7.0
    """
    for name, value in _learning(model):
        value.copy_(weights[name])


def norm_layers(model: nn.Module) -> list[nn.Module]:
    """The normalisations that keep running statistics.

    >>> from fairthesis.models import FairEncoder
    >>> model = FairEncoder("small", channels=1, disease_norm="whitening")
    >>> [type(norm).__name__ for norm in norm_layers(model)][-3:]
    ['BatchNorm2d', 'Whitening', 'BatchNorm1d']
    """
    return [module for module in model.modules() if hasattr(module, "running_mean")]


def estimate_statistics(
    model: nn.Module, images: Iterable[Tensor], norms: Sequence[nn.Module] | None = None
) -> None:
    """Set running statistics to their mean over batches of images: of all norms, or of ``norms``.

    The other norms work with the statistics that they have. Every batch counts the same, whatever
    its size; without a batch nothing changes. The modes (training or evaluation) are put back.

    Args:
        model: whose norms are set; it is called on every batch.
        images: batches as the model takes them.
        norms: some of ``norm_layers(model)``; None is all of them.

    Reference: Izmailov et al., UAI 2018 (averaged weights have activations of their own).

    >>> norm = nn.BatchNorm1d(1)
    >>> estimate_statistics(norm, [torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0], [7.0]])])
    >>> norm.running_mean.item(), norm.training
    (4.0, True)
    """
    chosen = norm_layers(model) if norms is None else norms
    momenta = [module.momentum for module in chosen]
    modes = {module: module.training for module in model.modules()}
    model.eval()
    for module in chosen:
        module.train()
    with torch.no_grad():
        for number, batch in enumerate(images, 1):
            for module in chosen:
                module.momentum = 1 / number  # type: ignore[assignment]
            model(batch)
    for module, momentum in zip(chosen, momenta, strict=True):
        module.momentum = momentum
    for module, mode in modes.items():
        module.training = mode


class Averager:
    """No averaging of weights; and what the loop asks of an averaging.

    ``step`` is called after every step, ``end_epoch`` after every epoch, ``average`` gives the
    weights to be used in place of the model's, or None. ``state`` is all that a resumed run needs,
    and ``load`` takes it back.

    >>> averager = Averager()
    >>> averager.step(nn.Linear(1, 1))
    >>> averager.end_epoch(epoch=0, loss=0.5, selectable=True)
    >>> averager.average() is None
    True
    """

    each_epoch = False  # whether every epoch's candidate is the average
    at_end = False  # whether the run's one result is the average

    def step(self, model: nn.Module) -> None:
        """Take the weights after a step into account."""

    def end_epoch(self, epoch: int, loss: float, selectable: bool) -> None:
        """An epoch is over; its validation loss, and whether its model could be chosen."""

    def average(self) -> Weights | None:
        """The averaged weights."""
        return None

    def state(self) -> dict[str, Any]:
        """Plain values and tensors."""
        return dict(self.__dict__)

    def load(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` gave."""
        self.__dict__.update(state)


class EMA(Averager):
    """Exponential moving average over steps, with bias correction.

    m_t = d m_(t-1) + (1 - d) θ_t;  average = m_t / (1 - d^t): a weighted mean of the t weights
    seen, with no share for a start at 0. It starts again at the first epoch that can be chosen.

    Args:
        decay: d, above 0 and below 1; about 1 / (1 - d) steps count.

    Reference: Polyak and Juditsky, SIAM J. Control 1992; the correction: Kingma and Ba, ICLR 2015.

    >>> model, ema = nn.Linear(1, 1, bias=False), EMA(decay=0.5)
    >>> for value in (1.0, 4.0):
    ...     set_weights(model, {"weight": torch.tensor([[value]])})
    ...     ema.step(model)
    >>> round(float(ema.average()["weight"]), 4)  # (0.25 * 1 + 0.5 * 4) / 0.75
    3.0
    """

    each_epoch = True

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.mean: Weights = {}

    def step(self, model: nn.Module) -> None:
        new = weights_of(model)
        if self.steps == 0:
            self.mean = {name: (1 - self.decay) * value for name, value in new.items()}
        else:
            for name, value in new.items():
                self.mean[name].mul_(self.decay).add_(value, alpha=1 - self.decay)
        self.steps += 1

    def end_epoch(self, epoch: int, loss: float, selectable: bool) -> None:
        if not selectable:
            self.steps = 0

    def average(self) -> Weights | None:
        if self.steps == 0:
            return None
        correction = 1 - self.decay**self.steps
        return {name: value / correction for name, value in self.mean.items()}


def valley(losses: Sequence[float]) -> tuple[int | None, int | None]:
    """SWAD's interval: the first and the last evaluation to average over; None if not found yet.

    The start is the first i whose loss is the least of i .. i + N_s - 1; with l = r times the mean
    of those losses, the end is the last evaluation before N_e in a row are all above l. N_s is
    ``CONVERGED``, N_e ``TOLERATED`` and r 1.3, as published.

    Args:
        losses: on the validation part, one for each evaluation so far.

    Reference: Cha et al., NeurIPS 2021, algorithm 1.

    >>> valley([0.9, 0.5, 0.6, 0.6, 0.55])
    (1, None)
    >>> valley([0.9, 0.5, 0.6, 0.6, 0.55] + [2.0] * 6)
    (1, 4)
    """
    for i in range(len(losses) - CONVERGED + 1):
        window = losses[i : i + CONVERGED]
        if window[0] == min(window):
            limit = RATIO * sum(window) / CONVERGED
            for j in range(i + 1, len(losses) - TOLERATED + 1):
                if min(losses[j : j + TOLERATED]) > limit:
                    return i, j - 1
            return i, None
    return None, None


class SWAD(Averager):
    """Stochastic weight averaging densely: the mean over *every step* of a flat valley.

    The valley (``valley``) is found from the validation loss of the unaveraged model, evaluated
    once an epoch, among the epochs that could be chosen. Where none is found, the last epoch is
    averaged. The result is the run's one model: the selection rule is not asked.

    Sums are kept for the last N_e epochs alone; older ones are part of the average for good.

    Reference: Cha et al., NeurIPS 2021, algorithm 1.

    >>> model, swad = nn.Linear(1, 1, bias=False), SWAD()
    >>> for epoch, (value, loss) in enumerate([(9.0, 0.9), (1.0, 0.5), (2.0, 0.6), (3.0, 0.6)]):
    ...     set_weights(model, {"weight": torch.tensor([[value]])})
    ...     swad.step(model)
    ...     swad.end_epoch(epoch, loss, selectable=True)
    >>> swad.interval(), swad.average()["weight"].item()  # the mean of 1, 2 and 3
    ((1, 3), 2.0)
    """

    at_end = True

    def __init__(self) -> None:
        self.first = 0  # epoch of losses[0]
        self.losses: list[float] = []
        self.sums: list[Weights] = []  # of the steps of the latest epochs
        self.counts: list[int] = []
        self.epochs: list[int] = []
        self.total: Weights = {}
        self.number = 0
        self.open = False  # whether the last sum is of an epoch that goes on

    def step(self, model: nn.Module) -> None:
        new = weights_of(model)
        if not self.open:
            self.sums.append({name: torch.zeros_like(value) for name, value in new.items()})
            self.counts.append(0)
            self.open = True
        for name, value in new.items():
            self.sums[-1][name] += value
        self.counts[-1] += 1

    def end_epoch(self, epoch: int, loss: float, selectable: bool) -> None:
        self.open = False
        if not selectable:
            self.sums, self.counts, self.epochs, self.losses = [], [], [], []
            return
        if not self.losses:
            self.first = epoch
        self.losses.append(loss)
        self.epochs.append(epoch)
        start, end = valley(self.losses)
        if start is None:
            keep = (
                CONVERGED - 1
            )  # the next start can be no earlier, so none before it is ever taken
            self.sums, self.counts = self.sums[-keep:], self.counts[-keep:]
            self.epochs = self.epochs[-keep:]
            return
        certain = end if end is not None else len(self.losses) - TOLERATED
        while self.epochs and self.epochs[0] - self.first <= certain:
            self._take()
        if end is not None:  # beyond the valley
            self.sums, self.counts, self.epochs = [], [], []

    def _take(self) -> None:
        """Move the oldest epoch's sum into the total."""
        sums, count, _ = self.sums.pop(0), self.counts.pop(0), self.epochs.pop(0)
        for name, value in sums.items():
            self.total[name] = self.total[name] + value if name in self.total else value
        self.number += count

    def interval(self) -> tuple[int, int]:
        """First and last epoch of the average."""
        start, end = valley(self.losses)
        last = len(self.losses) - 1
        chosen = (last, last) if start is None else (start, last if end is None else end)
        return self.first + chosen[0], self.first + chosen[1]

    def average(self) -> Weights | None:
        if not self.losses:
            return None
        start, _ = self.interval()
        total, number = {k: v.clone() for k, v in self.total.items()}, self.number
        for sums, count, epoch in zip(self.sums, self.counts, self.epochs, strict=True):
            if epoch >= start:
                number += count
                for name, value in sums.items():
                    total[name] = total[name] + value if name in total else value.clone()
        return {name: value / number for name, value in total.items()}


#: Names of the averagings of weights, as ``TrainConfig.averaging`` takes them: none, ``EMA``,
#: ``SWAD``.
AVERAGING = ("none", "ema", "swad")


def make_averager(name: str, decay: float) -> Averager:
    """The averager of a name in ``AVERAGING``; ``decay`` is that of ``ema``.

    Raises:
        KeyError: for any other name; a ``TrainConfig`` refuses it in words before.

    >>> type(make_averager("swad", decay=0.99)).__name__
    'SWAD'
    """
    return {"none": Averager, "ema": lambda: EMA(decay), "swad": SWAD}[name]()
