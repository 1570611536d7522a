"""Drive the workflow and say, a line per step, what runs: ``python workflow/build.py``."""

from __future__ import annotations

import argparse
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
    total, done = 0, 0
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        assert process.stdout is not None
        said = False
        for line in process.stdout:
            file.write(line)
            elapsed = f"{time.monotonic() - started:6.0f} s"
            if match := re.match(r"(?:local)?rule \w+:|Job \d+: (.*)", line):
                if match.group(1):
                    print(f"{elapsed}  {match.group(1).strip()}", flush=True)
            elif match := re.match(r"(\d+) of (\d+) steps", line):
                done, total = int(match.group(1)), int(match.group(2))
                print(f"{elapsed}  step {done} of {total} done", flush=True)
            elif "fairthesis: " in line or "Error" in line or said:
                print(line.rstrip(), flush=True)
                said = "Error in rule" in line or (said and line.startswith(" "))
    if process.returncode:
        print(f"The build stopped: see {log.relative_to(ROOT)}", file=sys.stderr)
        return 1
    if not total:
        print("Nothing changed since the last build.")
    page = ROOT / "_build" / "html" / "index.html"
    print(f"The book: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
