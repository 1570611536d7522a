"""fairthesis: fair and accurate medical image embeddings, trained, probed and audited.

The names below are imported when they are first used, so that ``import fairthesis`` and
``fairthesis --help`` load neither torch nor pandas.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fairthesis.audit import FairnessReport as FairnessReport
    from fairthesis.audit import audit as audit
    from fairthesis.cohort import Cohort as Cohort
    from fairthesis.config import TrainConfig as TrainConfig
    from fairthesis.encoder import FairEncoder as FairEncoder
    from fairthesis.errors import InputError as InputError
    from fairthesis.train import train as train

# `audit` and `train` are modules as well as functions of the same name: see `fairthesis._callable`.
_HOMES = {
    "audit": "audit",
    "Cohort": "cohort",
    "FairEncoder": "encoder",
    "FairnessReport": "audit",
    "InputError": "errors",
    "train": "train",
    "TrainConfig": "config",
}
__all__ = ["__version__", *_HOMES]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fairthesis' has no attribute {name!r}")
    module = importlib.import_module(f"fairthesis.{_HOMES[name]}")
    return module if name == _HOMES[name] else getattr(module, name)
