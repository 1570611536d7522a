"""Markers on chest films: lead marker, ECG wire, pacemaker, burnt-in text. White is metal."""

from __future__ import annotations

import math

from fairthesis.datasets.wrappers._letters import width, written
from fairthesis.datasets.wrappers._strokes import Canvas, Colour, Dice, Stroke, curve, turned

PHRASES = ("PORTABLE", "SUPINE", "ERECT", "AP", "PA", "AP SUPINE", "AP ERECT", "BED")


def grey(value: float) -> Colour:
    return (value, value, value)


def lead_marker(dice: Dice, size: int) -> list[Stroke]:
    """A letter of lead in an upper corner: L at the patient's left, R at the right, often ringed.

    The patient's left is at the right of the picture.
    """
    canvas, plate = Canvas(size), Canvas(size)
    left = dice() < 0.6
    high = dice(0.085, 0.13)
    x = dice(0.07, 0.16)
    centre = (1 - x if left else x, dice(0.08, 0.2))
    put = turned(centre, math.radians(dice(-14, 14)))
    w, h, thick = 0.3 * high, 0.5 * high, 0.2 * high
    canvas.line([put(-w, -h), put(-w, h)], thick)
    if left:
        canvas.line([put(-w, h), put(w, h)], thick)
    else:
        bow = curve(put(-w, -h), put(1.6 * w, -1.1 * h), put(1.6 * w, 0.15 * h), put(-w, 0))
        canvas.line(bow, thick)
        canvas.line([put(-0.1 * w, 0), put(w, h)], thick)
    if dice() < 0.5:
        ring = [put(*(math.cos(t) * high, math.sin(t) * high)) for t in _around()]
        canvas.line(ring, 0.1 * high)
    plate.disc(centre, 1.05 * high)
    # The film's label is a little darker than the film, which keeps the letter readable on bone.
    return [
        Stroke(plate.mask(dice(0.25, 0.45)), grey(25)),
        Stroke(canvas.mask(dice(0.85, 1)), grey(dice(225, 255))),
    ]


def _around(steps: int = 48) -> list[float]:
    return [2 * math.pi * k / steps for k in range(steps + 1)]


def ecg_wire(dice: Dice, size: int) -> list[Stroke]:
    """An electrode on the chest, one or two, each with a wire that leaves the picture."""
    wire, pad, snap, shade = (Canvas(size) for _ in range(4))
    for _ in range(1 + (dice() < 0.5)):
        right = dice() < 0.5
        x = dice(0.6, 0.8) if right else dice(0.2, 0.4)
        at = (x, dice(0.3, 0.75))
        side = 1.05 if right else -0.05
        if dice() < 0.5:
            end = (side, at[1] + dice(0.1, 0.35))
        else:
            end = (at[0] + dice(-0.15, 0.15), -0.05)
        one = (at[0] + dice(-0.12, 0.12), at[1] + dice(-0.2, 0.2))
        other = (end[0] + dice(-0.15, 0.15), end[1] + dice(-0.1, 0.1))
        course, thick = curve(at, one, other, end), dice(0.009, 0.014)
        wire.line(course, thick)
        radius = dice(0.03, 0.042)
        shade.line(course, thick + 0.014)
        shade.disc(at, radius + 0.012)
        pad.disc(at, radius)
        snap.disc(at, radius * 0.45)
    light = dice(205, 245)
    return [
        Stroke(shade.mask(dice(0.3, 0.5)), grey(30)),  # which shows them on bone, as on film
        Stroke(pad.mask(dice(0.35, 0.55)), grey(light * 0.8)),
        Stroke(wire.mask(dice(0.65, 0.9)), grey(light)),
        Stroke(snap.mask(dice(0.85, 1)), grey(light)),
    ]


def pacemaker(dice: Dice, size: int) -> list[Stroke]:
    """A flat can below a collarbone, mostly the left one, with a lead that runs to the heart."""
    can, inside, lead, shade = (Canvas(size) for _ in range(4))
    left = dice() < 0.8  # at the right of the picture
    x, y = dice(0.17, 0.25), dice(0.2, 0.3)
    centre = (1 - x if left else x, y)
    put = turned(centre, dice(-0.5, 0.5))
    wide, high = dice(0.065, 0.085), dice(0.05, 0.07)
    # a superellipse: flat sides, round corners
    points = []
    for t in _around():
        c, s = math.cos(t), math.sin(t)
        points.append(put(wide * math.copysign(abs(c) ** 0.6, c), high * _root(s)))
    can.polygon(points)
    inside.disc(put(0.3 * wide, 0.1 * high), 0.4 * high)
    inside.line([put(-0.6 * wide, -0.35 * high), put(-0.1 * wide, -0.35 * high)], 0.25 * high)
    tip = (dice(0.52, 0.62), dice(0.6, 0.72))
    start = put(-0.5 * wide if left else 0.5 * wide, -high)
    mid = (0.5 + dice(-0.04, 0.04), dice(0.16, 0.26))
    down = (dice(0.4, 0.47), tip[1] - dice(0.05, 0.15))
    course, thick = curve(start, mid, down, tip), dice(0.009, 0.013)
    shade.line(course, thick + 0.014)
    lead.line(course, thick)
    lead.disc(tip, 0.012)
    light = dice(215, 250)
    return [
        Stroke(shade.mask(dice(0.25, 0.45)), grey(30)),
        Stroke(lead.mask(dice(0.65, 0.9)), grey(light)),
        Stroke(can.mask(dice(0.75, 0.92)), grey(light * 0.92)),
        Stroke(inside.mask(dice(0.6, 0.9)), grey(light * 0.6)),
    ]


def _root(value: float) -> float:
    return math.copysign(abs(value) ** 0.6, value)


def burnt_in_text(dice: Dice, size: int) -> list[Stroke]:
    """Words or a time in a corner, as a device writes them into the picture."""
    canvas, plate = Canvas(size), Canvas(size)
    clock = f"{int(dice(0, 24)):02d}:{int(dice(0, 60)):02d}"
    phrase = dice.one_of(PHRASES)
    lines = [phrase, clock] if dice() < 0.5 else [phrase]
    if len(phrase) < 4:
        lines = [f"{phrase} {clock}"]
    high = dice(0.062, 0.085)
    margin, below = dice(0.02, 0.06), dice() < 0.5
    right = dice() < 0.5
    for place, text in enumerate(lines):
        y = margin + place * high * 1.35
        if below:
            y = 1 - margin - (len(lines) - place) * high * 1.35
        wide, edge = width(text, high), 0.25 * high
        x = 1 - margin - wide if right else margin
        written(canvas, text, (x, y), high)
        ends = (x - edge, y - edge), (x + wide + edge, y + high + edge)
        plate.polygon([ends[0], (ends[1][0], ends[0][1]), ends[1], (ends[0][0], ends[1][1])])
    # Devices write on a darker field, so that the letters show on white, too.
    return [
        Stroke(plate.mask(dice(0.4, 0.75)), grey(8)),
        Stroke(canvas.mask(dice(0.85, 1)), grey(dice(215, 255))),
    ]
