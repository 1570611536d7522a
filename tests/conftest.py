"""What several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Decoded images go to a folder of this session, never to the user's cache."""
    import os

    os.environ["FAIRTHESIS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
