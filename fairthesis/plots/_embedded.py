"""A whole page inside another: a report that is read where it was made."""

from __future__ import annotations

import html
import re
from pathlib import Path

from fairthesis.errors import InputError


class EmbeddedPage:
    """What ``embedded_page`` returns: a notebook and the book show the page in a frame.

    >>> embedded_page("<p>An audit</p>", "The report")
    The report: a page of 1 kB
    """

    def __init__(self, text: str, title: str, height: str) -> None:
        self.text, self.title, self.height = text, title, height

    def __repr__(self) -> str:
        """Its title and size."""
        size = max(1, round(len(self.text.encode()) / 1000))
        return f"{self.title}: a page of {size} kB"

    def _repr_html_(self) -> str:
        # Scripts of the page run, but not as a part of the page around it.
        return (
            f'<iframe title="{html.escape(self.title)}" loading="lazy" '
            'sandbox="allow-scripts allow-downloads" '
            'style="display:block;box-sizing:border-box;width:100%;'
            f'height:{self.height};border:1px solid #808a94;background:#fff" '
            f'srcdoc="{html.escape(self.text)}"></iframe>'
        )


def embedded_page(page: str | Path, title: str, height: str = "min(80vh, 46rem)") -> EmbeddedPage:
    """A self-contained page, such as ``audit.html``, in a frame that can be scrolled.

    The page comes along with the notebook or book: nothing is asked for when it is shown. Its
    scripts run in a sandbox, without access to the page around it.

    Args:
        page: the page's HTML, or the ``Path`` of its file.
        title: what is read out for the frame.
        height: of the frame, as CSS; the width is that of the text.

    Raises:
        InputError: where the file cannot be read, the title is empty, or ``height`` is no length.

    >>> shown = embedded_page("<p>An audit</p>", "The report")._repr_html_()
    >>> 'title="The report"' in shown, 'srcdoc="&lt;p&gt;An audit&lt;/p&gt;"' in shown
    (True, True)
    """
    if not title.strip():
        raise InputError("The frame has no title: expected words that say what it shows.")
    if not re.fullmatch(r"[\w\s.,%()+*/-]+", height):
        raise InputError(f"height is {height!r}: expected a length of CSS, such as 40rem.")
    if isinstance(page, Path):
        try:
            page = page.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"Cannot read the page {page}: {error}") from error
    return EmbeddedPage(page, title, height)
