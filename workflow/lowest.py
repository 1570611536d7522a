"""Run the table half's tests with the lowest versions that ``pyproject.toml`` allows.

The environment under ``build/lowest`` has every dependency at its floor, what those need in turn as
pinned, and nothing of the extras. It is made again where a floor, a pin or Python changed. Where no
index can be reached, that is said and nothing is tested.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOME = ROOT / "build" / "lowest"
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "setuptools")
UNREACHED = re.compile(r"from versions: none|ConnectionError|ConnectTimeout|ReadTimeout|ProxyError")


def floors() -> dict[str, str]:
    """Each dependency of the table half and the lowest version that is promised to work."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = [re.split("[>=,<]+", item) for item in tomllib.loads(text)["project"]["dependencies"]]
    return {name: floor for name, floor, *_ in found}


def pins() -> dict[str, str]:
    """Name to version of all that is pinned, names as an index writes them."""
    files = [ROOT / name for name in ("requirements.txt", "requirements-test.txt")]
    lines = "\n".join(file.read_text(encoding="utf-8") for file in files)
    found = re.findall(r"^([\w.-]+)==(\S+)$", lines, re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in found}


def wanted() -> tuple[list[str], list[str]]:
    """What is installed by name, and the pins of all else that comes with it."""
    pinned, lowest = pins(), floors()
    names = [f"{name}=={floor}" for name, floor in lowest.items()]
    names += [f"{name}=={pinned[name]}" for name in TOOLS]
    return names, [f"{name}=={pinned[name]}" for name in pinned if name not in lowest]


def install(python: Path) -> bool:
    """Make the environment unless it is as wanted; False where no index can be reached."""
    names, kept = wanted()
    want = "\n".join([platform.python_version(), *names, *kept])
    stamp, constraints = HOME / "installed", HOME / "constraints.txt"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == want:
        return True
    print("Installing the lowest versions that pyproject.toml allows", flush=True)
    shutil.rmtree(HOME, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
    constraints.write_text("\n".join(kept), encoding="utf-8")
    # Wheels only: an old version that has to be built here is one that nobody can be promised.
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "-c", str(constraints), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and UNREACHED.search(done.stderr):
        print("SKIPPED: the lowest versions are not tested, for no package index can be reached")
        return False
    if done.returncode:
        raise SystemExit(f"The lowest versions cannot be installed together:\n{done.stderr}")
    stamp.write_text(want, encoding="utf-8")
    return True


def main() -> int:
    folder, suffix = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
    python = HOME / folder / f"python{suffix}"
    if not install(python):
        return 0
    # The checkout itself is tested: nothing of it is installed, so that no stamp can be too old.
    command = [
        str(python),
        "-m",
        "pytest",
        "--table-half",
        "-W",
        "ignore::DeprecationWarning",
        *sys.argv[1:],
    ]
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONNOUSERSITE": "1"}
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
