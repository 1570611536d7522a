"""What a parameter may be, by its annotation: type and range, and the words for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

SEQUENCES = (tuple, list, Sequence)
MAPPINGS = (dict, Mapping)


@dataclass(frozen=True)
class Range:
    """Bounds of a number, beside its type: ``Annotated[float, Range(above=0)]``.

    Attributes:
        least: Smallest value, which may be reached.
        most: Largest value, which may be reached.
        above: What the value must be larger than.
        below: What the value must be smaller than.

    >>> share = Range(above=0, below=1)
    >>> 0.5 in share, 1 in share, f"a number{share}"
    (True, False, 'a number between 0 and 1')
    """

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def __contains__(self, value: float) -> bool:
        return self.least <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        if math.isfinite(self.above) and math.isfinite(self.below):
            return f" between {self.above:g} and {self.below:g}"
        if math.isfinite(self.least) and math.isfinite(self.most):
            return f" from {self.least:.12g} to {self.most:.12g}"
        ends = {
            " of {:.12g} or larger": self.least,
            " above {:.12g}": self.above,
            " of {:.12g} or smaller": self.most,
            " below {:.12g}": self.below,
        }
        return " and".join(form.format(end) for form, end in ends.items() if math.isfinite(end))


def parameter_kinds(of: Callable[..., Any]) -> dict[str, Any]:
    """Name to annotation: of a function's parameters or a dataclass's fields.

    Args:
        of: The function or class; ``Annotated`` is kept, what is returned is left out.

    >>> def load(root: str, rate: Annotated[float, Range(above=0)] = 1.0) -> int: ...
    >>> kinds = parameter_kinds(load)
    >>> list(kinds), kinds["rate"].__metadata__[0] == Range(above=0)
    (['root', 'rate'], True)
    """
    found = get_type_hints(of, include_extras=True)
    return {name: kind for name, kind in found.items() if name != "return"}


def words(kind: Any, many: bool = False) -> str:
    """What a kind is called in a message; ``many`` of it.

    >>> words(float | None), words(Sequence[int]), words(tuple[float, float, float])
    ('a number or none', 'a list of whole numbers', '3 numbers')
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return words(inner[0], many) + "".join(str(k) for k in inner[1:] if isinstance(k, Range))
    if origin in (Union, UnionType):
        return " or ".join(words(k, many) for k in inner)
    if origin is Literal:
        return "one of " + ", ".join(map(str, inner))
    if kind in SEQUENCES or origin in SEQUENCES:
        if origin is tuple and inner[-1:] != (...,):
            return f"{len(inner)} {words(inner[0], True)}"
        return "lists" if many else "a list" + (f" of {words(inner[0], True)}" if inner else "")
    if kind in MAPPINGS or origin in MAPPINGS:
        return "names and values"
    one, several = {
        int: ("a whole number", "whole numbers"),
        float: ("a number", "numbers"),
        str: ("text", "texts"),
        bool: ("true or false", "true or false"),
        NoneType: ("none", "none"),
    }.get(kind, ("a value", "values"))
    return several if many else one


def is_sequence(kind: Any) -> bool:
    """Whether a parameter may be a list or a tuple."""
    inner = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return any(k in SEQUENCES or get_origin(k) in SEQUENCES for k in inner)
