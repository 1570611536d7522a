"""A chapter's notebook, executed by papermill from parameters: whole, or not at all."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from fairthesis.errors import InputError, unknown
from fairthesis.storage import check_writable, write_atomically

_KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,)}


def parameters(notebook: Path) -> dict[str, dict[str, Any]]:
    """The parameters of a notebook: name to ``default``, ``inferred_type_name`` and ``help``."""
    if not notebook.is_file():
        near = sorted(path.name for path in notebook.parent.glob("*.ipynb"))
        raise unknown("notebook", notebook.name, near, f"Looked in {notebook.parent}/.")
    try:
        found: dict[str, dict[str, Any]] = papermill.inspect_notebook(str(notebook))
    except (ValueError, nbformat.reader.NotJSONError) as error:
        raise InputError(f"Cannot read {str(notebook)!r} as a notebook: {error}") from error
    if not found:
        raise InputError(
            f"The notebook {notebook.name!r} takes no parameters: expected a cell tagged "
            "`parameters`."
        )
    return found


def check(known: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any], notebook: str) -> None:
    """Refuse a parameter that the notebook does not have, or of another type than it says."""
    for name, value in given.items():
        if name not in known:
            raise unknown(f"parameter of {notebook}", name, known)
        kind = known[name]["inferred_type_name"]
        if kind in _KINDS and not (
            isinstance(value, _KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
        ):
            raise InputError(f"Expected {name} to be of type {kind}, but got {value!r}.")


def execute(
    notebook: str | Path,
    out: str | Path,
    given: Mapping[str, Any] | None = None,
    *,
    cwd: str | Path = ".",
    progress: bool = False,
) -> Path:
    """Run ``notebook`` with parameters in a fresh kernel and write the executed copy to ``out``.

    Two runs that compute the same write the same bytes. Where a cell fails nothing is written.

    Raises:
        InputError: for a parameter that the notebook does not have, and where a cell fails.
    """
    notebook, out = Path(notebook), Path(out)
    given = dict(given or {})
    check(parameters(notebook), given, notebook.name)
    check_writable(out, a_file=True)
    # Warnings of the machinery (kernels, event loops) are nothing that a reader can act on.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

    def write(to: Path) -> None:
        try:
            papermill.execute_notebook(
                str(notebook),
                str(to),
                parameters=given,
                cwd=str(cwd),
                kernel_name="python3",
                progress_bar=progress,
                log_output=False,
                # Newer kernels warn at every start that the loopback is not encrypted, and log an
                # error when they are ended; what fails in a cell comes back as a message.
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )
        except PapermillExecutionError as error:
            cause = error.evalue.strip() or "no message"
            raise InputError(
                f"Cell {error.exec_count} of {notebook.name} failed with {error.ename}: {cause}"
            ) from error
        normalise(to)

    write_atomically(out, write)
    return out


def normalise(path: Path) -> None:
    """Take out of an executed notebook what differs between two equal runs."""
    book = nbformat.read(path, as_version=4)
    book.metadata.pop("papermill", None)
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number:03d}"
        cell.metadata.pop("execution", None)
        cell.metadata.pop("papermill", None)
    nbformat.write(book, path)
