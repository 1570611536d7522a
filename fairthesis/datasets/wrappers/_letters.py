"""Letters and digits as dots of 5 by 7, so that no font file decides what an image shows."""

from __future__ import annotations

from collections.abc import Callable

from fairthesis.datasets.wrappers._strokes import Canvas, Point

# rows from the top, five bits each, the leftmost is 16
DOTS = {
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    ":": (0, 4, 4, 0, 4, 4, 0),
    "A": (14, 17, 17, 17, 31, 17, 17),
    "B": (30, 17, 17, 30, 17, 17, 30),
    "C": (14, 17, 16, 16, 16, 17, 14),
    "D": (28, 18, 17, 17, 17, 18, 28),
    "E": (31, 16, 16, 30, 16, 16, 31),
    "I": (14, 4, 4, 4, 4, 4, 14),
    "L": (16, 16, 16, 16, 16, 16, 31),
    "N": (17, 25, 21, 19, 17, 17, 17),
    "O": (14, 17, 17, 17, 17, 17, 14),
    "P": (30, 17, 17, 30, 16, 16, 16),
    "R": (30, 17, 17, 30, 20, 18, 17),
    "S": (15, 16, 16, 14, 1, 1, 30),
    "T": (31, 4, 4, 4, 4, 4, 4),
    "U": (17, 17, 17, 17, 17, 17, 14),
    " ": (0, 0, 0, 0, 0, 0, 0),
}
ACROSS, DOWN = 6, 7  # dots of a letter, with the space behind it


def width(text: str, height: float) -> float:
    """How wide a text of this height is."""
    return (ACROSS * len(text) - 1) * height / DOWN


def written(
    canvas: Canvas,
    text: str,
    corner: Point,
    height: float,
    put: Callable[[float, float], Point] = lambda x, y: (x, y),
) -> None:
    """Write ``text`` with its upper left corner at ``corner``, each point moved by ``put``."""
    dot = height / DOWN
    for place, letter in enumerate(text):
        for row, bits in enumerate(DOTS[letter]):
            for column in range(5):
                if bits >> (4 - column) & 1:
                    x = corner[0] + (place * ACROSS + column) * dot
                    y = corner[1] + row * dot
                    square = ((x, y), (x + dot, y), (x + dot, y + dot), (x, y + dot))
                    canvas.polygon([put(*point) for point in square])
