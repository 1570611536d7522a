"""One loop: a configuration in, a run directory out, with the epoch that a fixed rule selects."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
