"""Draw the README's picture from the archived quick experiment: book/assets/headlines.png."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from fairthesis.plots import headline_dots, use_style
from fairthesis.study import load_results

ROOT = Path(__file__).parent.parent


def main(to: Path = ROOT / "book" / "assets" / "headlines.png") -> None:
    use_style()
    results = load_results(ROOT / "results" / "synthetic-cxr-quick")
    headline_dots(results).savefig(to, metadata={})


if __name__ == "__main__":
    main()
