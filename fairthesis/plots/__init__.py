"""Figures: a table in, matplotlib Axes out, in one style; and sheets of images."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
