"""Cohorts by name: loaders of official releases, your own CSV, synthetic cohorts, and downloads."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
