"""Drive the workflow and say, a line per step, what runs: ``python workflow/build.py``."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2, help="steps side by side")
    parser.add_argument("targets", nargs="*", help="files to make; default: the book")
    args = parser.parse_args()
    command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile"]
    command += ["--cores", str(args.cores), "--rerun-incomplete", "--keep-going", "--nocolor"]
    command += ["--rerun-triggers", "mtime", "params", "input", "code", "--", *args.targets]
    started = time.monotonic()
    log = ROOT / "build" / "logs" / "workflow.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    total = 0
    # The steps call `fairthesis` and `jupyter-book` of this very environment.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            elapsed = f"{time.monotonic() - started:5.0f} s"
            if match := re.match(r"Job \d+: (.*)", line):
                print(f"{elapsed}  {match.group(1).strip()}", flush=True)
            elif match := re.match(r"(\d+) of (\d+) steps", line):
                total = int(match.group(2))
                print(f"{elapsed}  {match.group(1)} of {total} steps done", flush=True)
            elif re.match(r"fairthesis: |Error: |\S*(Warning|Error|Exception)\b.*:", line):
                print(f"{elapsed}  {line.rstrip()}", file=sys.stderr, flush=True)
    if process.returncode:
        print(f"The build stopped; all that was said: {log.relative_to(ROOT)}", file=sys.stderr)
        return 1
    if not total:
        print("Nothing changed since the last build.")
    page = ROOT / "_build" / "html" / "index.html"
    if not args.targets:
        print(f"The book: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
