"""What a user is told when what they gave cannot be used."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Input that cannot be used.

    The message names the value, says what was expected and what to do. The command line prints
    it without a traceback and ends with exit code 2; in Python it is a ``ValueError``.
    """


def unknown(kind: str, value: object, choices: Iterable[object], hint: str = "") -> InputError:
    """An ``InputError`` for a name that is not one of ``choices``, with the nearest name.

    >>> print(unknown("method", "emr", ["adversarial", "erm"]))
    Unknown method 'emr': expected one of adversarial, erm. Did you mean 'erm'?
    """
    names = [str(choice) for choice in choices]
    listed = ", ".join(names[:30]) + (f", ... ({len(names)} in all)" if len(names) > 30 else "")
    near = difflib.get_close_matches(str(value), names, n=1)
    guess = f" Did you mean '{near[0]}'?" if near else ""
    tail = f" {hint}" if hint else ""
    expected = f"expected one of {listed}" if names else "there is none to choose from"
    return InputError(f"Unknown {kind} '{value}': {expected}.{guess}{tail}")
