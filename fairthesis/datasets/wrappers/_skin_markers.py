"""Markers on skin: pen ring, pen line, ruler, dark corner, hair."""

from __future__ import annotations

import math

import numpy as np

from fairthesis.datasets.wrappers._letters import written
from fairthesis.datasets.wrappers._strokes import Canvas, Dice, Point, Stroke, curve, turned

# gentian violet twice, blue, black and green: what lies on a desk in a skin clinic
PENS = ((96, 52, 150), (110, 60, 160), (52, 78, 165), (48, 44, 62), (40, 110, 90))


def pen_ring(dice: Dice, size: int) -> list[Stroke]:
    """A ring drawn around the lesion by hand: uneven, not always closed, not always a circle."""
    canvas = Canvas(size)
    put = turned((0.5 + dice(-0.05, 0.05), 0.5 + dice(-0.05, 0.05)), dice(0, math.pi))
    wide = dice(0.29, 0.41)
    high = wide * dice(0.78, 1.0)
    start, around = dice(0, 2 * math.pi), math.radians(dice(310, 390))
    two, three = dice(-0.05, 0.05), dice(-0.03, 0.03)
    shift, drift = dice(0, 2 * math.pi), dice(-0.05, 0.05)  # the end does not meet the start
    points: list[Point] = []
    for k in range(97):
        t = start + around * k / 96
        r = 1 + two * math.sin(2 * t + shift) + three * math.sin(3 * t) + drift * k / 96
        points.append(put(wide * r * math.cos(t), high * r * math.sin(t)))
    canvas.line(points, dice(0.018, 0.034))
    return [Stroke(canvas.mask(dice(0.7, 0.95)), dice.one_of(PENS), soaked=True)]


def pen_line(dice: Dice, size: int) -> list[Stroke]:
    """Two to four short strokes that point at the lesion, as before an excision."""
    canvas = Canvas(size)
    angle, width = dice(0, 2 * math.pi), dice(0.022, 0.036)
    for k in range(int(dice(2, 5))):
        put = turned((0.5, 0.5), angle + k * math.pi / 2 + dice(-0.15, 0.15))
        near = dice(0.26, 0.32)
        far, bent = near + dice(0.14, 0.22), dice(-0.02, 0.02)
        ends = put(near, dice(-0.02, 0.02)), put(far, dice(-0.02, 0.02))
        between = put((near + far) / 2, bent)
        canvas.line(curve(ends[0], between, between, ends[1]), width)
    return [Stroke(canvas.mask(dice(0.7, 0.95)), dice.one_of(PENS), soaked=True)]


def ruler(dice: Dice, size: int) -> list[Stroke]:
    """A paper ruler at one edge, with ticks and numbers, a little askew."""
    paper, ticks = Canvas(size), Canvas(size)
    side = int(dice(0, 4))
    put = turned((0.5, 0.5), side * math.pi / 2 + math.radians(dice(-4, 4)))
    inner, step = 0.5 - dice(0.1, 0.16), dice(0.028, 0.042)
    paper.polygon([put(x, y) for x, y in ((-1, inner), (1, inner), (1, 1), (-1, 1))])
    first, count = -0.75 + dice(0, step), 0
    x, number = first, int(dice(0, 8))
    while x < 0.75:
        long = count % 5 == 0
        ticks.line([put(x, inner), put(x, inner + (0.055 if long else 0.03))], step * 0.22)
        if count % 10 == 0:
            written(ticks, str(number % 10), (x, inner + 0.065), 0.045, put)
            number += 1
        x, count = x + step, count + 1
    light = dice(205, 248)
    # Ticks are drawn on the paper: what the image shows through is the same for both.
    opacity = dice(0.75, 0.95)
    dark = dice(20, 70)
    return [
        Stroke(paper.mask(opacity), (light, light, light * dice(0.9, 1))),
        Stroke(ticks.mask(opacity), (dark, dark, dark * dice(1, 1.4))),
    ]


def dark_corner(dice: Dice, size: int) -> list[Stroke]:
    """The black rim of a dermatoscope's round field, strongest in the corners."""
    at = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    x, y = dice(0.45, 0.55), dice(0.45, 0.55)
    far = np.sqrt((at - x) ** 2 + (at[:, None] - y) ** 2)
    begins, soft = dice(0.5, 0.58), dice(0.02, 0.08)
    t = np.clip((far - begins) / soft, 0, 1)
    mask = t * t * (3 - 2 * t) * dice(0.88, 1)
    return [Stroke(mask.astype(np.float32), (dice(4, 22), dice(4, 16), dice(4, 16)))]


def hair(dice: Dice, size: int) -> list[Stroke]:
    """Seven to fifteen hairs that lie across, in one rough direction, of one colour."""
    canvas = Canvas(size)
    lie = dice(0, math.pi)
    for _ in range(int(dice(7, 16))):
        put = turned((dice(0.1, 0.9), dice(0.1, 0.9)), lie + dice(-0.6, 0.6))
        long, bend = dice(0.25, 0.6), dice(-0.15, 0.15)
        points = curve(put(-long, 0), put(-long / 3, bend), put(long / 3, bend), put(long, 0))
        canvas.line(points, dice(0.007, 0.013))
    brown = dice(18, 60)
    colour = (brown, brown * dice(0.7, 0.9), brown * dice(0.5, 0.8))
    return [Stroke(canvas.mask(dice(0.75, 0.95)), colour)]
