"""The table of embeddings: probes, leakage of attributes through them, and erasers."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
