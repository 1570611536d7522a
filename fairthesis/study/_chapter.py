"""A chapter's notebook, executed by papermill from parameters: whole, or not at all."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from fairthesis.errors import InputError
from fairthesis.storage import check_writable, write_atomically
from fairthesis.study._notebooks import check_notebook, notebook_parameters, read_notebook

__all__ = ["check_notebook", "execute_chapter", "normalised", "notebook_parameters"]


class ThisPython(AsyncKernelManager):
    """A kernel of the very interpreter that runs this, whatever kernels Jupyter finds here.

    A ``python3`` of the user's folder or of JUPYTER_PATH may be another environment, in which the
    package is another version or none.
    """

    @property
    def kernel_spec(self) -> KernelSpec:
        """What starts the kernel."""
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


def execute_chapter(
    notebook: str | Path,
    out: str | Path,
    given: Mapping[str, Any] | None = None,
    *,
    cwd: str | Path = ".",
    progress: bool = False,
    text: bool = False,
) -> Path:
    """Run a notebook with parameters in a fresh kernel and write the executed copy.

    Two runs that compute the same write the same bytes. Where a cell fails nothing is written. The
    kernel is of the Python that runs this, whatever kernels Jupyter finds.

    Args:
        notebook: the notebook, in Python, with a cell tagged ``parameters``.
        out: the file to write.
        given: parameter -> value, checked before the kernel starts.
        cwd: the folder that the cells run in.
        progress: show a progress bar.
        text: the values are text, to be typed as the notebook says.

    Returns:
        ``out``.

    Raises:
        InputError: for a file that is no such notebook, a parameter that it does not have or of
            another type, an output that cannot be written, and where a cell fails.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     cell = nbformat.v4.new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]})
    ...     nbformat.write(nbformat.v4.new_notebook(cells=[cell]), Path(name) / "a.ipynb")
    ...     execute_chapter(Path(name) / "a.ipynb", Path(name) / "out.ipynb", {"sede": 1})
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: Unknown parameter of a.ipynb 'sede': expected one of seed. Did ...
    """
    notebook, out = Path(notebook), Path(out)
    book = read_notebook(notebook)
    given = check_notebook(
        notebook_parameters(notebook, book), given or {}, notebook.name, text=text
    )
    check_writable(out, a_file=True)
    # Warnings of the machinery (kernels, event loops) are nothing that a reader can act on.
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

    def write(to: Path) -> None:
        try:
            done = papermill.execute_notebook(
                book,
                None,
                parameters=given,
                cwd=str(cwd),
                kernel_name="python3",
                kernel_manager_class=ThisPython,
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
        except (DeadKernelError, RuntimeError) as error:
            raise InputError(
                f"The kernel of {notebook.name} did not start, or ended in a cell: is memory "
                f"short, or is ipykernel missing for {sys.executable}? ({error})"
            ) from error
        nbformat.write(normalised(done), to)

    write_atomically(out, write)
    return out


def normalised(book: Any) -> Any:
    """An executed notebook without what differs between two equal runs."""
    book = nbformat.v4.upgrade(book)
    book.metadata.pop("papermill", None)
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number:03d}"
        cell.metadata.pop("execution", None)
        cell.metadata.pop("papermill", None)
    return book
