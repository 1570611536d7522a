"""Mitigation methods: one file each, and the table ``METHODS`` of them."""

from __future__ import annotations

from fairthesis.methods.adversarial import Adversarial
from fairthesis.methods.base import Method
from fairthesis.methods.erm import ERM

METHODS: dict[str, type[Method]] = {
    "erm": ERM,
    "adversarial": Adversarial,
}

__all__ = ["METHODS", "Method"]
