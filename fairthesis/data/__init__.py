"""What a cohort is: its table, its split, overlap between the parts, and its decoded images."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
