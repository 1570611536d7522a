"""The whole book as one PDF: all pages as one, printed by a browser.

The chapters are those that `make book` executed. A browser prints formulas and figures as they are
on screen, and no LaTeX is needed; where none is found, that is said and the page is left for a
browser elsewhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "pdf"
PAGE = OUT / "_build" / "singlehtml" / "index.html"
PDF = ROOT / "_build" / "fairthesis.pdf"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def main() -> int:
    if not any((ROOT / "book" / "executed").glob("*.ipynb")):
        print("No executed chapters in book/executed: call `make book` first.", file=sys.stderr)
        return 1
    log = OUT / "pages.log"
    OUT.mkdir(parents=True, exist_ok=True)
    tool = Path(sys.executable).parent / "jupyter-book"
    command = [str(tool), "build", "book", "--config", "_config.yml"]
    command += ["--builder", "singlehtml", "--path-output", str(OUT), "-n", "--keep-going"]
    print("All pages as one", flush=True)
    with log.open("w", encoding="utf-8") as lines:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdout=lines,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": "workflow"},
        )
    if done.returncode or not PAGE.is_file():
        print(*log.read_text(encoding="utf-8").splitlines()[-20:], sep="\n", file=sys.stderr)
        return 1
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        print(f"No browser was found to print {PAGE}: install chromium, or print it elsewhere.")
        return 1
    print("Printing", flush=True)
    PDF.parent.mkdir(exist_ok=True)
    PDF.unlink(missing_ok=True)
    command = [browser, "--headless", "--disable-gpu", "--no-pdf-header-footer"]
    # Root has no sandbox in a container; formulas are set by a script, which needs its time.
    command += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command += ["--virtual-time-budget=120000", f"--print-to-pdf={PDF}", PAGE.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True)
    if not PDF.is_file():
        print(done.stderr[-2000:], file=sys.stderr)
        return 1
    print(f"The book: {PDF} ({PDF.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
