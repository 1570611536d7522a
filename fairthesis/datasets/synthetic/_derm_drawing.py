"""Drawing of synthetic skin lesions: skin tone, light, hair, a pigmented lesion, a ruler, noise."""

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
    rise,
    wave,
)
from fairthesis.datasets.synthetic._planting import ANATOMY, GRAIN, IMAGE, LESION, TEXTURE

# red, green, blue of light and of dark skin, of pigment (subtracted) and of a dark patch in it
LIGHT = (0.90, 0.74, 0.66)
DARK = (0.70, 0.53, 0.44)
PIGMENT = (0.22, 0.27, 0.25)
PATCH = (0.16, 0.13, 0.06)


@dataclass(frozen=True)
class DermRender(Drawing):
    """Synthetic skin lesions; the smaller group is ``dark``."""

    channels = 3
    target = "malignant"
    group = "skin_tone"
    group_names = ("light", "dark")

    def draw(self, size: int) -> Field:
        """The images from 0 to 1, shape (n_images, size, size, 3)."""
        axis = ((np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / size)) - 1
        x, y = axis[None, None, :], axis[None, :, None]
        tone = normals(streams(self.seed, ANATOMY, self.patient), 2)[0]
        shift = np.where(self.minority, 0.5, -0.5)[:, None, None].astype(np.float32)
        melanin = np.clip(0.5 + np.float32(self.anatomy) * shift + 0.16 * tone, 0, 1)
        light = normals(streams(self.seed, IMAGE, self.image), 2, start=8)
        coarse = noise(streams(self.seed, TEXTURE, self.image), (2, 16, 16))
        shade = 0.02 * enlarge(coarse[:, 0], size) + 0.025 * (light[0] * x + light[1] * y)
        shade = shade - 0.10 * bump(2.2 - 0.8 * (x * x + y * y)) + 0.0
        pigment, patches = self.lesion(x, y, enlarge(coarse[:, 1], size))
        hair = 0.30 * self.hair(x, y)
        marking = 0.45 * self.marking(x, y)
        grain = noise(streams(self.seed, GRAIN, self.image), (size, size, 3))
        # a plane for each colour, its numbers side by side in memory: twice as fast as in threes
        out = np.empty((3, len(self.image), size, size), dtype=np.float32)
        for c, plane in enumerate(out):
            np.add(LIGHT[c] + (DARK[c] - LIGHT[c]) * melanin, shade, out=plane)
            plane -= PIGMENT[c] * pigment + PATCH[c] * patches + hair
            # the ruler is printed in violet ink: it takes green most
            plane -= marking * (0.8, 1.0, 0.35)[c]
            plane += np.float32(self.noise) * grain[..., c]
        return np.moveaxis(out, 0, -1)

    def lesion(self, x: Field, y: Field, texture: Field) -> tuple[Field, Field]:
        """Pigment and dark patches, each (n_images, size, size) from 0 to about 1.

        Every image has a lesion. The disease makes its border ragged, one half darker than the
        other and its colour uneven, each by ``lesion_contrast`` times ``contrast``.
        """
        u = uniform(streams(self.seed, LESION, self.image), 24).astype(np.float32)
        u = u[:, :, None, None]
        sick = (self.disease * self.contrast)[:, None, None].astype(np.float32)
        degree = np.float32(self.lesion_contrast) * (0.4 + 1.2 * u[:, 20]) * sick
        radius = 0.30 + 0.16 * u[:, 0]
        dx, dy = x - 0.24 * (u[:, 1] - 0.5), y - 0.24 * (u[:, 2] - 0.5)
        stretch = 0.85 + 0.3 * u[:, 3]
        dx, dy = dx * stretch, dy / stretch
        reach = np.sqrt(dx * dx + dy * dy) + np.float32(1e-6)
        c, s = dx / reach, dy / reach
        c2, s2 = c * c - s * s, 2 * c * s
        c3, s3 = c * c2 - s * s2, s * c2 + c * s2
        c5, s5 = c2 * c3 - s2 * s3, s2 * c3 + c2 * s3
        v = u[:, 4:12] * 2 - 1
        smooth = 0.10 * (v[:, 0] * c + v[:, 1] * s + v[:, 2] * c2 + v[:, 3] * s2)
        ragged = v[:, 4] * c3 + v[:, 5] * s3 + v[:, 6] * c5 + v[:, 7] * s5
        edge = radius * (1 + smooth + (0.05 + 0.5 * degree) * ragged)
        soft = 0.06 + 0.05 * u[:, 12]
        inside = rise((edge - reach) / soft)
        depth = 0.55 + 0.45 * u[:, 13]
        lean = v[:, 0] * c3 + v[:, 6] * c + v[:, 7] * s
        pigment = inside * (depth + 0.10 * texture + 0.9 * degree * lean * reach / radius)
        centre = radius * 0.55 * (v[:, 4] * c + v[:, 5] * s)
        spot = bump((reach - centre) * (reach - centre) / (radius * radius * 0.6))
        patches = inside * (2.2 * degree * spot + 0.08 * np.abs(texture))
        return pigment, patches

    def hair(self, x: Field, y: Field) -> Field:
        """Up to five thin dark hairs, by chance in every group: from 0 to 1."""
        u = uniform(streams(self.seed, IMAGE, self.image), 26, start=40).astype(np.float32)
        u = u[:, :, None, None]
        total = np.zeros((len(self.image), y.shape[1], x.shape[2]), dtype=np.float32)
        for k in range(5):
            on = np.flatnonzero(u[:, 25, 0, 0] > 0.4 + 0.12 * k)
            a = u[on, 5 * k : 5 * k + 5] * 2 - 1
            across = np.where(a[:, 0] > 0, x, y)
            along = np.where(a[:, 0] > 0, y, x)
            line = across - a[:, 1] - 0.7 * a[:, 2] * along - 0.3 * a[:, 3] * along * along
            total[on] = np.maximum(total[on], rise((0.018 - np.abs(line)) / 0.02))
        return total

    def marking(self, x: Field, y: Field) -> Field:
        """A ruler along the upper or lower edge, outside every lesion: from 0 to 1."""
        u = uniform(streams(self.seed, IMAGE, self.image), 4, start=16).astype(np.float32)
        u = u[:, :, None, None]
        total = np.zeros((len(self.image), y.shape[1], x.shape[2]), dtype=np.float32)
        on = np.flatnonzero(self.device)
        u = u[on]
        side = np.where(u[:, 0] < 0.5, np.float32(-1), np.float32(1))
        from_edge = 1 - side * y - 0.04 * u[:, 1]
        ticks = rise((wave(x * 4 + u[:, 2]) - 0.80) / 0.08) * rise((0.13 - from_edge) / 0.02)
        total[on] = np.maximum(ticks, rise((0.025 - np.abs(from_edge - 0.03)) / 0.02))
        return total
