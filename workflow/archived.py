"""Say how rebuilt tables compare with the archive: ``python workflow/archived.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from fairthesis.study import compare_results, load_results

ROOT = Path(__file__).parent.parent


def main(folder: Path) -> None:
    old = ROOT / "results" / folder.name
    if not old.is_dir():
        print(f"archived: {folder}: new, results/ has none of this name")
        return
    table = compare_results(load_results(old), load_results(folder))
    print(
        f"archived: {folder}: {table['agrees'].sum()} of {len(table)} numbers as in "
        f"results/{folder.name}, within its tolerance"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
