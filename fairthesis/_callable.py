"""Lets ``fairthesis.audit(frame)`` work although ``fairthesis.audit`` is also a module."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class _CallableModule(ModuleType):
    def __reduce__(self) -> tuple[Callable[[str], ModuleType], tuple[str]]:
        return importlib.import_module, (self.__name__,)  # for joblib and process pools

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **kwargs)


def make_callable(name: str) -> None:
    """Calling the module ``name`` calls the function in it that bears the module's own name.

    A submodule replaces a function of the same name in its package as soon as it is imported, so
    the module itself has to answer the call.
    """
    sys.modules[name].__class__ = _CallableModule
