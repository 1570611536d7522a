"""Metrics of a number per case as a user names them: ``mean:dice:higher``, ``mae:age,guess``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points

import numpy as np
from numpy.typing import NDArray

from fairthesis.auditing._outcome_kinds import KINDS, Kind, Measured, own_kind
from fairthesis.errors import InputError, unknown

Array = NDArray[np.float64]
GROUP = "fairthesis.metrics"
SIDES = ("higher", "lower", "zero")
EXAMPLES = "such as mean:dice:higher, mae:age,predicted_age or concordance:time,event,risk"
BETTER = {
    "higher": "higher is better",
    "lower": "lower is better",
    "zero": "nearer to 0 is better",
    None: "which side is better was not said",
}


@dataclass(frozen=True)
class OutcomeMetric:
    """A metric of columns: its ``name`` (as given, without the side), and its words."""

    name: str
    kind: str
    columns: tuple[str, ...]
    better: str | None
    of: Kind

    @property
    def words(self) -> str:
        """For people: ``mean of dice``."""
        return self.of.words.format(*self.columns)

    def measure(self, columns: Sequence[Array]) -> Measured:
        """The metric of these rows; in words where it cannot be computed.

        Raises:
            InputError: where it raises, or gives neither a number nor one for each row.
        """
        try:
            return self.of.measure(columns)
        except Exception as error:
            raise InputError(
                f"{self.name} cannot be computed on {len(columns[0])} rows: "
                f"{type(error).__name__}: {error}. Expected a function of {len(self.columns)} "
                f"arrays ({', '.join(self.columns)}) that gives a number, or one for each row."
            ) from error


def outcome_metrics(
    given: Sequence[str], functions: Mapping[str, Callable[..., object]] | None = None
) -> dict[str, OutcomeMetric]:
    """The metrics that are named, by name.

    Raises:
        InputError: where one cannot be read, is not known, or is given twice with two sides.
    """
    given = (given,) if isinstance(given, str) else given
    if not given:
        raise InputError(f"No metric is given: expected KIND:COLUMNS, {EXAMPLES}.")
    for name, function in (functions or {}).items():
        if name in KINDS:
            raise InputError(f"functions has {name!r}, which is built in: choose another name.")
        if not callable(function):
            raise InputError(f"functions[{name!r}] is {function!r}: expected a function of arrays.")
    found: dict[str, OutcomeMetric] = {}
    for text in given:
        metric = _read(text, functions or {})
        if found.get(metric.name, metric).better != metric.better:
            raise InputError(
                f"{metric.name} is given twice, as {found[metric.name].better} and as "
                f"{metric.better}: expected one side that is better."
            )
        found.setdefault(metric.name, metric)
    return found


def outcome_columns(metrics: Sequence[str]) -> list[str]:
    """The columns that metrics such as ``mae:age,predicted_age`` are made of.

    Args:
        metrics: ``KIND:COLUMNS`` with an optional ``:higher``, ``:lower`` or ``:zero``.

    Returns:
        Each column once, in the order of the metrics.

    Raises:
        InputError: where one cannot be read.

    >>> outcome_columns(["mean:dice:higher", "mae:age,predicted_age"])
    ['dice', 'age', 'predicted_age']
    """
    named = [column for text in metrics for column in _parts(text)[1]]
    return list(dict.fromkeys(named))


def _parts(text: str) -> tuple[str, tuple[str, ...], str | None]:
    """Kind, columns, and the side that is better."""
    kind, _, rest = text.partition(":")
    columns, colon, side = rest.rpartition(":")
    better = side.strip() if colon and side.strip() in SIDES else None
    names = tuple(name.strip() for name in (columns if better else rest).split(","))
    if not kind.strip() or not all(names):
        raise InputError(f"Cannot read metric {text!r}: expected KIND:COLUMNS, {EXAMPLES}.")
    return kind.strip(), names, better


def _read(text: str, functions: Mapping[str, Callable[..., object]]) -> OutcomeMetric:
    kind, names, better = _parts(text)
    of = KINDS.get(kind) or own_kind(kind, _function(kind, functions), len(names))
    if len(names) != len(of.roles):
        raise InputError(
            f"Metric {text!r} has {len(names)} column{'s' if len(names) > 1 else ''}: {kind} "
            f"expects {len(of.roles)}, as {kind}:{','.join(of.roles)}."
        )
    if of.better and better not in (None, of.better):
        raise InputError(f"Metric {text!r}: of {kind}, {BETTER[of.better]}. Leave out :{better}.")
    return OutcomeMetric(f"{kind}:{','.join(names)}", kind, names, better or of.better, of)


def _function(kind: str, functions: Mapping[str, Callable[..., object]]) -> Callable[..., object]:
    """A user's function: of those given, or installed as an entry point."""
    if kind in functions:
        return functions[kind]
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in installed:
        raise unknown(
            "metric",
            kind,
            [*KINDS, *functions, *sorted(installed)],
            f"One of your own is a function of arrays, installed as an entry point of {GROUP}.",
        )
    try:
        function: Callable[..., object] = installed[kind].load()
    except Exception as error:
        raise InputError(
            f"The metric {kind!r} is installed as {installed[kind].value} and cannot be loaded: "
            f"{type(error).__name__}: {error}. Mend or uninstall the package that offers it."
        ) from error
    if not callable(function):
        raise InputError(
            f"The metric {kind!r} is installed as {installed[kind].value}, which is "
            f"{function!r}: expected a function of arrays."
        )
    return function
