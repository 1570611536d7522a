"""A command of ``fairthesis datasets``: its exit code and what it said."""

from __future__ import annotations

import pytest

from fairthesis.cli import main


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["datasets", *map(str, words)])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err
