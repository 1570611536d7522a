"""What the sensitive head reads: the shared encoder's features, or those of a branch of its own."""

from __future__ import annotations

from fairthesis.errors import InputError, unknown

#: What the sensitive head reads: ``detached``, the features of the shared encoder, through which
#: it sends no gradient; ``own``, those of a small encoder that nothing but the attribute trains.
SENSITIVE_BRANCHES = ("detached", "own")


def check_sensitive_branch(branch: str, has_images: bool) -> None:
    """Refuse a branch that there is not.

    An own branch reads images: vectors, and the features of a frozen backbone, are cleared by
    nobody, and a head on them holds what a branch would.

    Raises:
        InputError: for an unknown name, and for ``own`` where ``has_images`` is False.

    >>> check_sensitive_branch("own", has_images=True)
    >>> check_sensitive_branch("own", has_images=False)
    Traceback (most recent call last):
    fairthesis.errors.InputError: sensitive_branch own reads images, ...
    """
    if branch not in SENSITIVE_BRANCHES:
        raise unknown("sensitive_branch", branch, SENSITIVE_BRANCHES)
    if branch == "own" and not has_images:
        raise InputError(
            "sensitive_branch own reads images, and this model is given vectors, or features of a "
            "frozen backbone: expected detached. Nothing clears those, so a head on them does."
        )
