"""What is written stays whole: files, folders and their checksums, one writer at a time."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
