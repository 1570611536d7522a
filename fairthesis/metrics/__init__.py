"""Pure functions of labels and scores: rates, AUROC, calibration, operating points, disparities."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
