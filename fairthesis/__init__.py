"""fairthesis: fair and accurate medical image embeddings, trained, probed and audited.

What the package and its rooms offer is imported when it is first used, so that
``import fairthesis`` and ``fairthesis --help`` load neither torch nor pandas. ``__init__.pyi``
lists it, here and in each room.
"""

from __future__ import annotations

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
