"""What other packages add to the registries: entry points of ``fairthesis.methods`` and so on."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any


class PluginWarning(UserWarning):
    """An installed plug-in that cannot be used: it fails when loaded, or its name is taken.

    Meet it by mending or removing the package that is named.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     gone = load_plugin(EntryPoint("mine", "no_such:thing", "fairthesis.methods"), "methods")
    >>> gone is None, [one.category.__name__ for one in caught]
    (True, ['PluginWarning'])
    """


def plugins(registry: str, taken: Collection[str]) -> dict[str, EntryPoint]:
    """The entry points that other packages have for a registry, not loaded yet.

    Args:
        registry: ``methods``, ``datasets``, ``metrics`` or ``backbones``; the group of entry points
            is ``fairthesis.`` and this.
        taken: names that are built in, which a plug-in cannot replace.

    Warns:
        PluginWarning: A name is taken.

    >>> plugins("a registry that no package adds to", ())
    {}
    """
    found = {}
    for point in entry_points(group=f"fairthesis.{registry}"):
        if point.name in taken or point.name in found:
            _warn(point, registry, "is passed over: the name is taken")
        else:
            found[point.name] = point
    return found


def load_plugin(point: EntryPoint, registry: str) -> Any | None:
    """What an entry point names; None, with a warning, where it cannot be loaded.

    Warns:
        PluginWarning: Loading it fails.

    >>> load_plugin(EntryPoint("join", "os.path:join", "fairthesis.metrics"), "metrics")("a", "b")
    'a/b'
    """
    try:
        return point.load()
    except Exception as error:  # whatever another package's import ends in
        _warn(point, registry, f"cannot be loaded: {type(error).__name__}: {error}")
        return None


def _warn(point: EntryPoint, registry: str, what: str) -> None:
    source = getattr(point.dist, "name", None) or "an installed package"
    warnings.warn(
        f"{point.name!r} ({point.value}) of {source}, an entry point of fairthesis.{registry}, "
        f"{what}.",
        PluginWarning,
        stacklevel=4,
    )
