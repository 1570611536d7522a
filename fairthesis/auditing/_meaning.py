"""What label 1 means: the disease, or its absence, as of the label "No Finding"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fairthesis.errors import unknown

MEANINGS = ("disease", "healthy")
#: Names of labels that are 1 for the healthy, as chest X-ray data sets write them.
HEALTHY = frozenset(
    ("nofinding", "nofindings", "normal", "healthy", "nodisease", "noabnormality", "negativeexam")
)


def meaning_of_positive(given: str | None, names: Sequence[str | None], warnings: list[str]) -> str:
    """``disease`` or ``healthy``: as given, or by the name of the target or the label column.

    A name that says healthy (``No Finding``) is told in ``warnings``, with how to say otherwise.

    Raises:
        InputError: for another meaning than these.

    >>> told = []
    >>> meaning_of_positive(None, ("No Finding", "y_true"), told), len(told)
    ('healthy', 1)
    >>> meaning_of_positive(None, ("Effusion", "y_true"), told)
    'disease'
    """
    if given is not None:
        if given not in MEANINGS:
            raise unknown("positive_means", given, MEANINGS)
        return given
    for name in names:
        if name is not None and re.sub(r"[^a-z]", "", name.lower()) in HEALTHY:
            warnings.append(
                f"1 of the label is taken to mean healthy, for it is called {name!r}: the sick who "
                "are called healthy are then the false positives, and underdiagnosis is the false "
                "positive rate. Confirm with --positive-means healthy, or say --positive-means "
                "disease."
            )
            return "healthy"
    return "disease"
