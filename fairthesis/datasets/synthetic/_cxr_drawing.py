"""Drawing of synthetic chest X-rays: anatomy, opacities, a treatment device, noise. 0 is air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairthesis.datasets.synthetic._counter import noise, streams, uniform
from fairthesis.datasets.synthetic._drawing import (
    Drawing,
    Field,
    bump,
    enlarge,
    normals,
    posed,
    rise,
    wave,
)
from fairthesis.datasets.synthetic._planting import ANATOMY, GRAIN, IMAGE, LESION, TEXTURE


@dataclass(frozen=True)
class CxrRender(Drawing):
    """Synthetic chest X-rays; the smaller group is ``F``."""

    target = "opacity"
    group = "sex"
    group_names = ("M", "F")

    def draw(self, size: int) -> Field:
        """The images from 0 to 1, shape (n_images, size, size)."""
        anatomy = normals(streams(self.seed, ANATOMY, self.patient), 12)
        pose = normals(streams(self.seed, IMAGE, self.image), 4, start=8)
        axis = ((np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / size)) - 1
        x, y = posed(axis[None, None, :], axis[None, :, None], pose)
        picture, air = self._body(x, y, anatomy)
        coarse = noise(streams(self.seed, TEXTURE, self.image), (2, 14, 14))
        markings = enlarge(coarse[:, 0], size) + np.float32(0.7) * enlarge(
            coarse[:, 1, :6, :6], size
        )
        picture += np.float32(0.045) * markings * air
        picture += self.opacity(x, y)
        picture += np.float32(0.30) * self.marking(x, y)
        picture += np.float32(self.noise) * noise(
            streams(self.seed, GRAIN, self.image), (size, size)
        )
        return picture

    def _body(self, x: Field, y: Field, a: Field) -> tuple[Field, Field]:
        """The healthy picture, and the share of air (lung) in each pixel."""
        sex = (np.where(self.minority, 1, -1) * np.float32(self.anatomy))[:, None, None]
        sex = sex.astype(np.float32)
        age = self.age[:, None, None]
        side = np.abs(x)
        width = 0.30 + (0.62 + 0.04 * a[0] - 0.02 * sex) * rise((y + 0.86) / 0.14)
        body = rise((width - side) / 0.05)
        # lungs: an oval on each side, narrower at the apex, cut off by the dome of the diaphragm
        lung_x = 0.41 + 0.02 * a[1] - 0.008 * sex + 0.05 * y
        lung_w = 0.29 + 0.02 * a[2] - 0.008 * sex
        u = (side - lung_x) / lung_w
        v = (y + 0.10) / (0.66 + 0.03 * a[3])
        dome = 0.52 + 0.05 * a[4] + 0.02 * rise(x * 8) - 0.15 * (1 - u * u * 0.7)
        lungs = rise((1 - u * u - v * v * v * v) / 0.22) * rise((dome - y) / 0.045)
        # heart, to the right of the picture, and the mediastinum with the spine
        heart_r = 0.27 + 0.025 * a[5] - 0.012 * sex + 0.02 * age
        hx, hy = (x - 0.13) / heart_r, (y - 0.27) / (0.29 + 0.02 * a[6])
        heart = rise((1 - hx * hx - hy * hy) / 0.45)
        middle = rise((0.15 + 0.015 * a[7] + 0.015 * age + 0.05 * y - np.abs(x - 0.01)) / 0.055)
        air = lungs * (1 - heart) * (1 - middle)
        picture = 0.05 + body * (0.50 + 0.09 * rise((y - dome) / 0.1))
        picture -= (0.31 - 0.02 * age + 0.02 * a[8]) * air
        picture += (0.11 * heart + 0.12 * middle) * body
        picture += 0.06 * wave(y * 4.3 + a[9]) * rise((0.075 - np.abs(x)) / 0.03) * body
        picture += 0.10 * bump(((side - 0.22) / 0.17) ** 2 + ((y - 0.0) / 0.24) ** 2) * air
        # ribs: arches that fall to the side; they are seen best against the lungs
        arch = (y - 0.42 * (side - 0.12) * (side - 0.12) * 1.4 + 0.02 * a[10]) * 3.5
        cage = rise((0.80 - side) / 0.05) * rise((dome + 0.12 - y) / 0.1) * rise((y + 0.80) / 0.05)
        strength = (0.075 - 0.012 * age) * (0.35 + 0.65 * air)
        picture += strength * wave(arch) * wave(arch) * cage * rise((side - 0.1) / 0.04)
        # collar bones
        collar = y + 0.66 - 0.16 * (side - 0.3) + 0.02 * a[11]
        picture += 0.09 * bump((collar / 0.05) ** 2) * rise((side - 0.1) / 0.05) * body
        # breast tissue: a broad veil over the lower fields
        veil = bump(((side - 0.43) / 0.40) ** 2 + ((y - 0.34) / 0.32) ** 2)
        picture += (0.035 + 0.035 * sex) * veil
        return picture.astype(np.float32, copy=False), air.astype(np.float32, copy=False)

    def opacity(self, x: Field, y: Field) -> Field:
        """One to three soft opacities inside a lung; zero in images without disease."""
        u = uniform(streams(self.seed, LESION, self.image), 16).astype(np.float32)
        u = u[:, :, None, None]
        total = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
        sick = np.flatnonzero(self.disease)
        x, y, u = x[sick], y[sick], u[sick]
        side = np.where(u[:, 0] < 0.5, np.float32(-1), np.float32(1))
        spots = np.zeros(total[sick].shape, dtype=np.float32)
        for k in range(3):
            first = 1 + 4 * k
            present = (u[:, 13] > (0.0, 0.55, 0.85)[k]).astype(np.float32)
            cx = side * (np.float32(0.34) + np.float32(0.20) * u[:, first])
            cy = np.float32(-0.45) + np.float32(0.72) * u[:, first + 1]
            radius = np.float32(0.13) + np.float32(0.11) * u[:, first + 2]
            shape = np.float32(0.75) + np.float32(0.5) * u[:, first + 3]
            dx, dy = (x - cx) / (radius * shape), (y - cy) / radius * shape
            spots += present * bump(dx * dx + dy * dy)
        np.minimum(spots, np.float32(1.2), out=spots)
        height = np.float32(self.lesion_contrast) * (np.float32(0.4) + np.float32(1.2) * u[:, 14])
        total[sick] = spots * height * self.contrast[sick, None, None]
        return total

    def marking(self, x: Field, y: Field) -> Field:
        """An electrode on the flank with its lead: from 0 to 1, below and outside the lungs."""
        u = uniform(streams(self.seed, IMAGE, self.image), 3, start=16).astype(np.float32)
        u = u[:, :, None, None]
        total = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
        on = np.flatnonzero(self.device)
        x, y, u = x[on], y[on], u[on]
        side = np.where(u[:, 0] < 0.5, np.float32(-1), np.float32(1))
        cx = side * (np.float32(0.38) + np.float32(0.24) * u[:, 1])
        cy = np.float32(0.76) + np.float32(0.08) * u[:, 2]
        dx, dy = (x - cx) * side, y - cy
        disc = rise((np.float32(0.0056) - dx * dx - dy * dy) / np.float32(0.003))
        line = np.abs(dy - np.float32(0.12) * dx - np.float32(0.5) * dx * dx)
        lead = rise((np.float32(0.022) - line) / np.float32(0.02)) * (dx > 0)
        total[on] = np.maximum(disc, np.float32(0.8) * lead)
        return total
