"""The book's experiments: planned, run, collected, archived, tested over seeds and cohorts."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
