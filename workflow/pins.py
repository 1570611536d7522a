"""Write requirements.txt and requirements-test.txt from the extras of pyproject.toml.

torch and torchvision keep the versions that are pinned, so that both stay a matching pair.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PINS, TEST_PINS = ROOT / "requirements.txt", ROOT / "requirements-test.txt"


def resolve(extra: str, kept: Path) -> dict[str, str]:
    """Name to version of all that an extra needs, as pip chooses it in an empty environment."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        command += ["--ignore-installed", "--report", report.name, f".[{extra}]", "-c", str(kept)]
        subprocess.run(command, cwd=ROOT, check=True)
        found = json.loads(Path(report.name).read_text(encoding="utf-8"))["install"]
    pairs = {item["metadata"]["name"]: item["metadata"]["version"] for item in found}
    pairs.pop("fairthesis")
    # A local label such as +cpu names a build of one machine.
    return {name: version.partition("+")[0] for name, version in pairs.items()}


def lines(pins: dict[str, str]) -> str:
    order = sorted(pins, key=lambda name: name.lower().replace("_", "-"))
    return "".join(f"{name}=={pins[name]}\n" for name in order)


def main() -> None:
    pair = re.findall(r"^torch(?:vision)?==.*$", PINS.read_text(encoding="utf-8"), re.MULTILINE)
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch) / "kept.txt"
        kept.write_text("\n".join(pair) + "\n", encoding="utf-8")
        book, test = resolve("book", kept), resolve("test", kept)
    comments = [
        text
        for text in PINS.read_text(encoding="utf-8").splitlines(keepends=True)
        if text[0] == "#"
    ]
    PINS.write_text("".join(comments) + lines(book), encoding="utf-8")
    head = "# What the tests need besides requirements.txt, pinned.\n-r requirements.txt\n"
    rest = {name: version for name, version in test.items() if name not in book}
    TEST_PINS.write_text(head + lines(rest), encoding="utf-8")


if __name__ == "__main__":
    main()
