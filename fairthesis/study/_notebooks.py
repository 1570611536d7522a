"""A notebook read for its parameters: what it takes, of which type, and whether it can be run."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import nbformat

from fairthesis.errors import InputError, unknown
from fairthesis.inputs import shown_value, typed_option

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
# Kernels whose notebooks may name no language.
_OTHERS = ("ir", "julia", "bash", "scala", "javascript", "deno", "octave", "sas", "xr", "xcpp")
_TYPES: dict[str, Any] = {
    **{"int": int, "float": float, "bool": bool, "str": str, "None": None, "Any": Any},
    **{"list": list, "tuple": tuple, "dict": dict, "Path": str, "PathLike": str},
    **{"List": list, "Tuple": tuple, "Dict": dict, "Sequence": Sequence, "Mapping": Mapping},
    "Iterable": Sequence,
}


def read_notebook(notebook: Path) -> Any:
    """A notebook in Python, as nbformat's newest version.

    Raises ``InputError`` where the file is missing, no notebook, or written for another language.
    """
    if not notebook.is_file():
        near = sorted(path.name for path in notebook.parent.glob("*.ipynb"))
        raise unknown("notebook", notebook.name, near, f"Looked in {notebook.parent}/.")
    try:
        book = nbformat.reads(notebook.read_text(encoding="utf-8-sig"), as_version=4)
        nbformat.validate(book, relax_add_props=True)
        language = _language(book.metadata)
    except Exception as error:  # nbformat raises whatever its look into the JSON runs into
        told = isinstance(error, ValueError | nbformat.ValidationError) and str(error).strip()
        reason = str(error).strip().splitlines()[0][:200] if told else "it is not laid out as one"
        raise InputError(f"Cannot read {str(notebook)!r} as a notebook: {reason}") from error
    if language not in ("python", "ipython", "python3"):
        raise InputError(
            f"{notebook.name} is a notebook in {shown_value(language)}: expected one in Python, "
            "which is all that a chapter is run with."
        )
    # What it was last run with need not be here; every chapter is run with this very Python.
    book.metadata["kernelspec"] = dict(KERNEL)
    book.metadata["language_info"] = {"name": "python"}
    return book


def _language(metadata: Mapping[str, Any]) -> str:
    spec = metadata.get("kernelspec", {})
    stated = metadata.get("language_info", {}).get("name") or spec.get("language")
    if stated:
        return str(stated).lower()
    kernel = str(spec.get("name", "")).lower()
    other = next((name for name in _OTHERS if re.match(rf"{name}\b|{name}[-\d]", kernel)), None)
    return other or "python"


def notebook_parameters(notebook: Path, book: Any = None) -> dict[str, dict[str, Any]]:
    """The parameters of a notebook: name to ``default``, ``inferred_type_name`` and ``help``.

    They are the names that its cell tagged ``parameters`` assigns to; the comment that ends an
    assignment's line is its help.

    Args:
        notebook: the file.
        book: its content as nbformat reads it, where it was read already.

    Returns:
        The default is the source text of the value, the type the text of the annotation (``None``
        where there is none).

    Raises:
        InputError: where the file is missing or no notebook in Python, or takes no parameters.

    >>> import tempfile
    >>> source = "seed: int = 0  # of the split"
    >>> with tempfile.TemporaryDirectory() as name:
    ...     cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    ...     nbformat.write(nbformat.v4.new_notebook(cells=[cell]), Path(name) / "a.ipynb")
    ...     found = notebook_parameters(Path(name) / "a.ipynb")["seed"]
    >>> found["default"], found["inferred_type_name"], found["help"]
    ('0', 'int', 'of the split')
    """
    book = read_notebook(notebook) if book is None else book
    tagged = [c for c in book.cells if "parameters" in c.metadata.get("tags", [])]
    found = _assigned(tagged[0].source, notebook) if tagged else {}
    if not found:
        raise InputError(
            f"The notebook {notebook.name!r} takes no parameters: expected a cell tagged "
            "`parameters`."
        )
    return found


def _assigned(source: str, notebook: Path) -> dict[str, dict[str, Any]]:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        transformer: Any = TransformerManager
        source = transformer().transform_cell(source)  # a magic is no syntax of Python's
        try:
            tree = ast.parse(source)
        except SyntaxError as error:
            raise InputError(
                f"The parameters of {notebook.name!r} cannot be read: line {error.lineno} of their "
                f"cell is not Python ({error.msg})."
            ) from error
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    for node in tree.body:
        match node:
            case ast.AnnAssign(
                target=ast.Name(id=name), annotation=kind, value=ast.expr() as value
            ):
                annotation = ast.unparse(kind)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                annotation = "None"
            case _:
                continue
        help = comments.get(node.end_lineno or node.lineno, "")
        if comment := re.match(r"type:\s*([^#]+?)\s*(?:#\s*(.*))?$", help):
            annotation, help = comment[1], comment[2] or ""
        found[name] = {
            "name": name,
            "inferred_type_name": annotation,
            "default": ast.get_source_segment(source, value) or "",
            "help": help,
        }
    return found


def check_notebook(
    known: Mapping[str, Mapping[str, Any]],
    given: Mapping[str, Any],
    notebook: str,
    *,
    text: bool = False,
) -> dict[str, Any]:
    """The parameters ``given``, each typed as the notebook says; ``text`` where they are text.

    Its annotation says the type, or else its default. Refuses a parameter that the notebook does
    not have, or of another type than it says.
    """
    kinds = {name: _kind(item) for name, item in known.items()}
    for name in given:
        if text and name in kinds and kinds[name] is Any:
            raise InputError(
                f"Cannot tell what {name} is in {notebook}: neither its annotation "
                f"({known[name]['inferred_type_name']}) nor its default "
                f"({shown_value(known[name]['default'])}) says it. Annotate it in the notebook, "
                f"as in `{name}: float = ...`."
            )
    return typed_option(kinds, given, f"parameter of {notebook}", text=text)


def _kind(item: Mapping[str, Any]) -> Any:
    """The annotation of a parameter, or what its default tells."""
    try:
        default = ast.literal_eval(item["default"])
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        default = ...
    name = item["inferred_type_name"]
    if name != "None":
        kind = _annotation(name)
        if kind in (list, tuple, dict) and isinstance(default, kind) and default:
            return _of(default)
        return kind
    return _of(default)


def _of(default: Any) -> Any:
    """The kind of a value: text or none where it is None, of like items where it is a list."""
    if default is None:
        return str | None
    if isinstance(default, bool | int | float | str):
        return type(default)
    if isinstance(default, list | tuple):
        kinds = {type(item) for item in default}
        if kinds == {int, float}:
            kinds = {float}
        item = kinds.pop() if len(kinds) == 1 else None
        return list[item] if item in (bool, int, float, str) else list  # type: ignore[valid-type]
    return dict if isinstance(default, dict) else Any


def _annotation(name: str) -> Any:
    """An annotation's text as a type; ``Any`` where it is none that text could be read for."""
    try:
        return _type(ast.parse(name.strip("'\""), mode="eval").body)
    except (SyntaxError, KeyError, TypeError):
        return Any


def _type(node: ast.AST) -> Any:
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str() as quoted):
            return _type(ast.parse(quoted, mode="eval").body)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _TYPES[name]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _type(left) | _type(right)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if name == "Literal":
                return Literal[tuple(ast.literal_eval(part) for part in parts)]
            if name == "Optional":
                return _type(inner) | None
            if name == "Union":
                kind = _type(parts[0])
                for part in parts[1:]:
                    kind = kind | _type(part)
                return kind
            dots = [
                ... if isinstance(p, ast.Constant) and p.value is ... else _type(p) for p in parts
            ]
            return _TYPES[name][tuple(dots) if len(dots) > 1 else dots[0]]
    raise TypeError(ast.dump(node))
