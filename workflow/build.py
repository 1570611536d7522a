"""Drive the workflow and say, a line per step, what runs: ``python workflow/build.py``."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What is shown beside the steps: what the workflow, the commands and Python have to say.
SAID = r"left out: |archived: |failed: |fairthesis: |Error: |\S*(Warning|Error|Exception)\b.*:"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2, help="steps side by side")
    parser.add_argument("--on", default="local", help="a folder of workflow/profiles")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="configuration")
    parser.add_argument("--target", default="book", help="rule or file to make")
    args = parser.parse_args()
    machines = sorted(path.name for path in (ROOT / "workflow" / "profiles").iterdir())
    if args.on not in machines:
        parser.error(f"ON is {args.on!r}: expected one of {', '.join(machines)}")
    if wrong := [pair for pair in args.set if "=" not in pair]:
        parser.error(f"--set {wrong[0]!r}: expected NAME=VALUE")
    settings = ROOT / "build" / "settings.json"
    command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile"]
    command += ["--workflow-profile", f"workflow/profiles/{args.on}", "--cores", str(args.cores)]
    command += ["--nolock", "--configfile", str(settings), "--", args.target]
    started = time.monotonic()
    log = ROOT / "build" / "logs" / "workflow.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Snakemake's own lock would outlive a killed build; this one goes with the process.
    lock = (ROOT / "build" / "lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("Another build is running in this folder: wait for it to end.", file=sys.stderr)
        return 1
    # In a file: on the command line Snakemake reads values as YAML, where `#` begins a comment.
    given = dict(pair.split("=", 1) for pair in args.set)
    settings.write_text(json.dumps(given), encoding="utf-8")
    total = 0
    said: set[str] = set()
    cause = False  # whether the line is what Snakemake says after "InputError in file ..., line 4:"
    # The steps call `fairthesis` and `jupyter-book` of this very environment.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (
        log.open("w", buffering=1, encoding="utf-8") as file,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            pass_fds=[lock.fileno()],  # steps that outlive this process keep the lock
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
            elif match := re.match(r"    output: (\S+?),? ", line + " "):  # told of failed steps
                line = f"failed: {match.group(1)}"
            if (cause or re.match(SAID, line)) and line not in said:
                said.add(line)
                print(f"{elapsed}  {line.rstrip()}", file=sys.stderr, flush=True)
            cause = bool(re.match(r"\w+ in file .*:$", line))
    if process.returncode:
        print(f"The build stopped; all of its output: {log.relative_to(ROOT)}", file=sys.stderr)
        return 1
    if not total:
        print("Nothing changed since the last build.")
    if args.target == "book":
        print(f"The book: {ROOT / '_build' / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        sys.exit(130)
