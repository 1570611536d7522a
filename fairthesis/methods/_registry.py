"""Mitigation methods: one file each, and the table ``METHODS`` of them."""

from __future__ import annotations

import warnings

from fairthesis.inputs import PluginWarning, load_plugin, plugins
from fairthesis.methods._base import Method
from fairthesis.methods.adversarial import Adversarial
from fairthesis.methods.alternating import Alternating
from fairthesis.methods.balanced import Balanced
from fairthesis.methods.cdann import CDANN
from fairthesis.methods.dann import DANN
from fairthesis.methods.domain_independent import DomainIndependent
from fairthesis.methods.erm import ERM
from fairthesis.methods.fairdisco import FairDisCo
from fairthesis.methods.groupdro import GroupDRO
from fairthesis.methods.hsic import HSIC
from fairthesis.methods.jtt import JTT
from fairthesis.methods.laftr import LAFTR
from fairthesis.methods.last_layer import LastLayer
from fairthesis.methods.mmd import MMD
from fairthesis.methods.orthogonal import Orthogonal
from fairthesis.methods.projection import Projection
from fairthesis.methods.reweighted import Reweighted

#: Every method by its name in a configuration. A new one is a file, a class and a line here; the
#: tests run over all of them. ``METHODS[name].Options`` is the class of its options,
#: ``METHODS[name].summary`` one line for tables. Another package adds its own by an entry point of
#: the group ``fairthesis.methods`` that names a subclass of ``Method``.
METHODS: dict[str, type[Method]] = {
    "erm": ERM,
    "balanced": Balanced,
    "reweighted": Reweighted,
    "groupdro": GroupDRO,
    "domain_independent": DomainIndependent,
    "jtt": JTT,
    "last_layer": LastLayer,
    "alternating": Alternating,
    "dann": DANN,
    "cdann": CDANN,
    "laftr": LAFTR,
    "projection": Projection,
    "fairdisco": FairDisCo,
    "hsic": HSIC,
    "mmd": MMD,
    "orthogonal": Orthogonal,
    "adversarial": Adversarial,
}


def _installed() -> dict[str, type[Method]]:
    """Methods of other packages (entry points of ``fairthesis.methods``)."""
    found = {}
    for name, point in plugins("methods", METHODS).items():
        kind = load_plugin(point, "methods")
        if isinstance(kind, type) and issubclass(kind, Method):
            found[name] = kind
        elif kind is not None:
            warnings.warn(
                f"{name!r} ({point.value}) is passed over: expected a subclass of "
                f"fairthesis.methods.Method, but got {kind!r}.",
                PluginWarning,
                stacklevel=2,
            )
    return found


METHODS |= _installed()

__all__ = ["METHODS", "Method"]
