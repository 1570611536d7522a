"""Files of names and values: JSON with its types, YAML as text that the parameter types.

YAML types a scalar by its looks, and so wrongly: ``1e-3`` is text to it, ``no`` is false, ``007``
is 7, ``12:30`` is 750. ``read_document`` therefore leaves every scalar the text it is, and
``typed_option`` reads it as the parameter says. A name that stands there twice is refused in both,
where their readers silently take the last.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from fairthesis.errors import InputError
from fairthesis.inputs._options import Quoted, shown_value

# What the parsers raise beside errors of their own: for ``!!bool x`` a KeyError, for depth its own.
_BROKEN = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError)
_TAG = "tag:yaml.org,2002:"


class _Typed(yaml.SafeLoader):
    """YAML with its own types, 1.2's ``1e-3`` among them; no name may stand there twice."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge":
                if key.value in seen:
                    problem = f"the name {shown_value(key.value)} stands there twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
        return node


_Typed.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"^[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


class _Text(_Typed):
    """YAML whose scalars stay text, but for an empty one and ``~``."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the class above declares it
        "<": yaml.SafeLoader.yaml_implicit_resolvers["<"],
        "~": [(f"{_TAG}null", re.compile("^~$"))],
        "": [(f"{_TAG}null", re.compile("^$"))],
    }

    def construct_text(self, node: yaml.ScalarNode) -> str:
        return str(node.value) if node.style is None else Quoted(node.value)


_Text.add_constructor(f"{_TAG}str", _Text.construct_text)


def _json(text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for k, (name, _) in enumerate(pairs):
            if name in (other for other, _ in pairs[:k]):
                raise ValueError(f"the name {shown_value(name)} stands there twice")
        return dict(pairs)

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no number")

    return json.loads(text, object_pairs_hook=once, parse_constant=refuse)


def parse_document(text: str, what: str, *, typed: bool = False) -> Any:
    """The content of a YAML text: its scalars as text, or with YAML's types.

    Args:
        text: YAML.
        what: What the text is called in a message.
        typed: Whether scalars have YAML's types (with 1.2's ``1e-3`` a number). If not they stay
            text, but for an empty one and ``~``, which are None.

    Returns:
        Dicts, lists and scalars.

    Raises:
        InputError: It is not YAML, or a name stands there twice.

    >>> parse_document("rate: 1e-3\\ncode: 007\\nflag: no", "the file")
    {'rate': '1e-3', 'code': '007', 'flag': 'no'}
    >>> parse_document("rate: 1e-3\\ncode: 007\\nflag: no", "the file", typed=True)
    {'rate': 0.001, 'code': 7, 'flag': False}
    """
    try:
        return yaml.load(text, _Typed if typed else _Text)
    except (yaml.YAMLError, *_BROKEN) as error:
        raise _unreadable(what, "YAML", error) from error


def read_document(path: Path, what: str = "parameters") -> tuple[dict[str, Any], bool]:
    """The names and values in a file, and whether the values are text still.

    Args:
        path: A ``.json`` file, whose values have types; any other is YAML, whose scalars stay text.
        what: What the file holds, for a message.

    Returns:
        The names and values, and True where they come from text: the ``text`` of ``typed_option``.

    Raises:
        InputError: The file is missing, unreadable or anything but names and values, or a name
            stands there twice.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "run.yml"
    ...     _ = file.write_text("seed: 1\\nrate: 1e-3\\n")
    ...     read_document(file)
    ({'seed': '1', 'rate': '1e-3'}, True)
    """
    is_json = path.suffix.lower() == ".json"
    kind = "JSON" if is_json else "YAML"
    if not path.is_file():
        raise InputError(f"No such file: {str(path)!r}. Expected a {kind} file of {what}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = _json(text) if is_json else parse_document(text, str(path))
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(str(path), kind, error) from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise InputError(
            f"Expected names and values in {str(path)!r}, as in `seed: 1`, but got "
            f"{shown_value(found)}."
        )
    return found, not is_json


def _unreadable(what: str, kind: str, error: Exception) -> InputError:
    reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return InputError(f"{what} is not readable as {kind}: {' '.join(reason.split())}")
