"""The page of faults: some are tried again here, and its table holds none that went wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

FOLDER = ROOT / "benchmarks" / "reliability"
# A few of each kind that need no training, no mount and little time.
QUICK = """
import names, places, tables, archives
rows = [tables.damaged_table(*one) for one in tables.DAMAGED if one[1] in TABLES]
rows += [archives.hostile_archive(*one) for one in archives.HOSTILE[:1]]
rows += names.hostile_groups("audit", ("script", "formula"))
rows += places.short_files()
print(*(row.line() for row in rows), sep="\\n")
"""
TABLES = ["a workbook whose sheet ends in a cell", "Parquet, cut to half"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: not on this system")
def test_faults_of_each_kind_end_as_expected() -> None:
    code = f"TABLES = {TABLES!r}\n{QUICK}"
    path = os.pathsep.join([str(ROOT), str(FOLDER)])
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = done.stdout.strip().splitlines()
    assert len(rows) == len(TABLES) + 4
    assert [row for row in rows if not row.endswith("| yes |")] == []


def test_no_fault_of_the_page_went_wrong() -> None:
    text = (FOLDER / "faults.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| (?!fault )", line)]
    assert [row for row in rows if not row.endswith(("| yes |", "| not tried |"))] == []
    said = re.search(r"(\d+) rows: (\d+) as expected, 0 not, (\d+) not tried", text)
    assert said is not None
    tried = sum(row.endswith("| yes |") for row in rows)
    assert [int(number) for number in said.groups()] == [len(rows), tried, len(rows) - tried]
    page = (ROOT / "book" / "reliability.md").read_text(encoding="utf-8")
    assert "{include} ../benchmarks/reliability/faults.md" in page
