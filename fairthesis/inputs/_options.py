"""Values typed by the parameter that they are for: its annotation says what a value may be.

A value comes from text (``NAME=VALUE`` on the command line, a scalar of a YAML file) or has a type
of its own (Python, JSON). Text is never guessed at: ``1e-3`` is a number where the parameter is
one, ``007``, ``no`` and ``A: B`` stay what they are where it is text. A value that has a type is
held to it: ``"224"``, ``224.5`` and ``True`` are no sizes.

Why not pydantic, which validates annotations too: neither of its two modes is one of these. Lax
takes True for 1 and NaN for a number; strict refuses a list for a tuple and numpy's integers; and
from text it reads neither ``a,b`` nor ``none``, so the annotation has to be walked here all the
same, and every message worded anew. That left three leaves to it, for four packages, 10 MB and
0.1 s (2.14, measured). A test goes over every annotation there is.
"""

from __future__ import annotations

import json
import math
import os
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from fairthesis.errors import InputError, unknown
from fairthesis.inputs._kinds import MAPPINGS, SEQUENCES, Range, is_sequence, words

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
NONE = ("none", "null")


class Quoted(str):
    """Text that stood in quotes: never ``none``."""


class _UnfitError(Exception):
    """The value is none of the parameter's kind."""


def option_pairs(given: Iterable[str], option: str) -> dict[str, str]:
    """``NAME=VALUE`` texts as a dict of text.

    Args:
        given: The texts; hyphens in a name become underscores, a value stays as it is.
        option: The option that they were given with, for a message.

    Raises:
        InputError: A text is no such pair, or a name is given twice.

    >>> option_pairs(["data-root=/data/Study #2", "rate=1e-3"], "--option")
    {'data_root': '/data/Study #2', 'rate': '1e-3'}
    """
    found: dict[str, str] = {}
    for pair in given:
        name, sign, value = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or not name:
            raise InputError(f"Cannot read {option} {pair!r}: expected NAME=VALUE.")
        if name in found:
            raise InputError(
                f"{option} {name} is given twice, as {found[name]!r} and {value!r}: expected one "
                f"value. Give several as {name}=a,b where the option takes several."
            )
        found[name] = value
    return found


def typed_option(
    known: Mapping[str, Any], given: Mapping[str, Any], what: str, *, text: bool
) -> dict[str, Any]:
    """The values ``given``, each as its annotation in ``known`` says.

    Args:
        known: Name to annotation, as from ``parameter_kinds``.
        given: Name to value.
        what: What an unknown name is called in a message.
        text: Whether the values come from text, which is read as the annotation says; values of
            Python or JSON are held to their type.

    Returns:
        Name to value, for the names that are given.

    Raises:
        InputError: A name is not known, or a value does not fit.

    >>> accepted = {"rate": float, "cuts": Sequence[int]}
    >>> typed_option(accepted, {"rate": "1e-3", "cuts": "40,60"}, "option", text=True)
    {'rate': 0.001, 'cuts': [40, 60]}
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise unknown(what, name, known)
        found[name] = fit_option(name, known[name], value, text=text)
    return found


def fit_option(name: str, kind: Any, value: Any, *, text: bool = False) -> Any:
    """``value`` as the annotation ``kind`` says.

    Args:
        name: What the value is called in a message.
        kind: ``int``, ``float``, ``str``, ``bool``, ``Any``, a ``Literal``, a union, a sequence or
            mapping of these, or one of them ``Annotated`` with a ``Range``.
        value: What was given.
        text: Whether it comes from text; see ``typed_option``.

    Raises:
        InputError: It does not fit; the message names it and what was expected.

    >>> fit_option("code", str, "007", text=True), fit_option("rate", float, "1e-3", text=True)
    ('007', 0.001)
    >>> fit_option("size", Annotated[int, Range(least=16)], 8)
    Traceback (most recent call last):
    ...
    fairthesis.errors.InputError: Expected size to be a whole number of 16 or larger, but got 8.
    """
    try:
        return _fit(kind, value, text)
    except _UnfitError:
        hint = ""
        if isinstance(value, str) and not text and is_sequence(kind):
            hint = f" Put it in a list: [{shown_value(value)}]."
        raise InputError(
            f"Expected {name} to be {words(kind)}, but got {shown_value(value)}.{hint}"
        ) from None


def shown_value(value: Any) -> str:
    """A value as a message names it: at most a line of it, however large or deep it is.

    >>> shown_value("007"), len(shown_value("x" * 10_000)), shown_value(list(range(1000)))
    ("'007'", 80, '[0, 1, 2, 3, 4, 5, ...]')
    """
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    return short.repr(str(value) if isinstance(value, str) else value)


def _fit(kind: Any, value: Any, text: bool) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is Annotated:
        found = _fit(inner[0], value, text)
        if any(isinstance(k, Range) and found is not None and found not in k for k in inner[1:]):
            raise _UnfitError
        return found
    if origin in (Union, UnionType):
        return _either(inner, value, text)
    if origin is Literal:
        return _choice(inner, value, text)
    if kind in SEQUENCES or origin in SEQUENCES:
        return _sequence(origin or kind, inner, value, text)
    if kind in MAPPINGS or origin in MAPPINGS:
        return _mapping(inner, value, text)
    if kind not in _LEAVES:
        raise TypeError(f"no values are read for the annotation {kind!r}")
    return _LEAVES[kind](value, text and isinstance(value, str))


def _either(inner: tuple[Any, ...], value: Any, text: bool) -> Any:
    """The first alternative that fits; text after numbers, since any text is that.

    ``a,b`` stays the text that it is where the parameter may be text; ``[a, b]`` is a list.
    """
    if NoneType in inner:
        plain = text and isinstance(value, str) and not isinstance(value, Quoted)
        if value is None or (plain and value.strip().lower() in NONE):
            return None
    listed = text and isinstance(value, str) and bool(_BRACKETS.match(value))

    def late(kind: Any) -> int:
        return 1 if kind is str else 2 if is_sequence(kind) and not listed else 0

    for kind in sorted((k for k in inner if k is not NoneType), key=late):
        try:
            return _fit(kind, value, text)
        except _UnfitError:
            pass
    raise _UnfitError


def _choice(inner: tuple[Any, ...], value: Any, text: bool) -> Any:
    for choice in inner:
        if (type(value) is type(choice) and value == choice) or (text and value == str(choice)):
            return choice
    raise _UnfitError


_BRACKETS = re.compile(r"\s*[\[(](.*)[\])]\s*$", re.DOTALL)
_ITEM = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,]*?))\s*(?:,|$)""")


def _items(text: str) -> list[str]:
    """``a,b`` or ``[a, "b, c"]`` as a list of text."""
    bare = _BRACKETS.match(text)
    inside = (bare.group(1) if bare else text).strip().removesuffix(",")
    found, at = [], 0
    while at < len(inside):
        item = _ITEM.match(inside, at)
        if item is None:
            raise _UnfitError
        found.append(next(part for part in item.groups() if part is not None))
        at = item.end()
    return found


def _sequence(origin: Any, inner: tuple[Any, ...], value: Any, text: bool) -> Any:
    if text and isinstance(value, str):
        value = (_json(value, list) if not inner else None) or _items(value)
    if isinstance(value, str | bytes | Mapping) or not (
        isinstance(value, Sequence) or hasattr(value, "tolist")
    ):
        raise _UnfitError
    try:
        values = list(value)
    except TypeError:  # an array of no dimension
        raise _UnfitError from None
    if origin is tuple and inner and inner[-1] is not ...:
        if len(values) != len(inner):
            raise _UnfitError
        return tuple(_fit(k, v, text) for k, v in zip(inner, values, strict=True))
    kind = inner[0] if inner else Any
    found = [_fit(kind, v, text) for v in values]
    return tuple(found) if origin is tuple else found


def _mapping(inner: tuple[Any, ...], value: Any, text: bool) -> dict[str, Any]:
    if text and isinstance(value, str):
        value, text = _json(value, dict), False
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise _UnfitError
    kind = inner[1] if inner else Any
    return {str(name): _fit(kind, v, text) for name, v in value.items()}


def _json(value: str, kind: type) -> Any:
    """Where a parameter does not say what it holds, JSON's own types do."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, kind) else None


def _whole(value: Any, text: bool) -> int:
    if text:
        try:
            return int(value)
        except ValueError:
            value = _number(value, True)  # 1e4 is whole
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _UnfitError
    if isinstance(value, Integral):
        return int(value)
    if not float(value).is_integer():
        raise _UnfitError
    return int(float(value))


def _number(value: Any, text: bool) -> float:
    if text:
        try:
            value = float(value)
        except ValueError:
            raise _UnfitError from None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _UnfitError
    try:
        found = int(value) if isinstance(value, Integral) else float(value)
        if not math.isfinite(found):
            raise _UnfitError
    except OverflowError:
        raise _UnfitError from None
    return found


def _text(value: Any, text: bool) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str) or "\0" in value:
        raise _UnfitError
    return str(value)


def _truth(value: Any, text: bool) -> bool:
    if text and value.strip().lower() in TRUE + FALSE:
        return value.strip().lower() in TRUE
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):  # numpy's, too
        return bool(value)
    raise _UnfitError


_LEAVES: dict[Any, Callable[[Any, bool], Any]] = {
    int: _whole,
    float: _number,
    str: _text,
    bool: _truth,
}
