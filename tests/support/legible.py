"""How large the text of a figure is on a phone."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

COLUMN = 358  # pixels of a page's column on a phone of 390


def smallest_text(what: Axes | Figure) -> float:
    """Pixels of the smallest text where the figure fills the column."""
    figure = what.figure if isinstance(what, Axes) else what
    figure.draw_without_rendering()
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()]
    return float(min(sizes) / 72 * COLUMN / figure.get_figwidth())
