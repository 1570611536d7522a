"""Run the table half's tests in an environment of its own, without torch and the extras.

    python workflow/table_half.py lowest -q -n 2          with every dependency at its floor
    python workflow/table_half.py newest -q               with the newest that pyproject.toml allows
    python workflow/table_half.py newest --with python3.13 -q

What follows goes to pytest. The environments lie under ``build/table-half``. That of the lowest
versions has what these need in turn as pinned; it is made again where a floor, a pin or Python
changed, that of the newest in each call. Where no index can be reached, or the Python that is
asked for is not there, that is said and nothing is tested.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOME = ROOT / "build" / "table-half"
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "setuptools")
UNREACHED = re.compile(r"from versions: none|ConnectionError|ConnectTimeout|ReadTimeout|ProxyError")


def dependencies() -> list[str]:
    """What every installation has, as pyproject.toml names it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found: list[str] = tomllib.loads(text)["project"]["dependencies"]
    return found


def floors() -> dict[str, str]:
    """Each dependency of the table half and the lowest version that is promised to work."""
    found = [re.split("[>=,<]+", item) for item in dependencies()]
    return {name: floor for name, floor, *_ in found}


def pins() -> dict[str, str]:
    """Name to version of all that is pinned, names as an index writes them."""
    files = [ROOT / name for name in ("requirements.txt", "requirements-test.txt")]
    lines = "\n".join(file.read_text(encoding="utf-8") for file in files)
    found = re.findall(r"^([\w.-]+)==(\S+)$", lines, re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in found}


def wanted(versions: str = "lowest") -> tuple[list[str], list[str]]:
    """What is installed by name, and the pins of all else that comes with it."""
    if versions == "newest":
        return [*dependencies(), *TOOLS], []
    pinned, lowest = pins(), floors()
    names = [f"{name}=={floor}" for name, floor in lowest.items()]
    names += [f"{name}=={pinned[name]}" for name in TOOLS]
    return names, [f"{name}=={pinned[name]}" for name in pinned if name not in lowest]


def install(versions: str, interpreter: str, home: Path) -> Path | None:
    """The environment's Python; None where no index can be reached."""
    folder, suffix = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
    python = home / folder / f"python{suffix}"
    names, kept = wanted(versions)
    said = subprocess.run(
        [interpreter, "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()
    want = "\n".join([said, *names, *kept])
    stamp, constraints = home / "installed", home / "constraints.txt"
    kept_as_it_is = versions == "lowest" and stamp.is_file()
    if kept_as_it_is and stamp.read_text(encoding="utf-8") == want:
        return python
    print(f"{said}: installing the {versions} versions that pyproject.toml allows", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run([interpreter, "-m", "venv", str(home)], check=True)
    constraints.write_text("\n".join(kept), encoding="utf-8")
    # Wheels only: an old version that has to be built here is one that nobody can be promised.
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "-c", str(constraints), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and UNREACHED.search(done.stderr):
        print(f"SKIPPED: the {versions} versions are not tested, no package index can be reached")
        return None
    if done.returncode:
        raise SystemExit(f"The {versions} versions cannot be installed together:\n{done.stderr}")
    stamp.write_text(want, encoding="utf-8")
    return python


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("versions", choices=["lowest", "newest"])
    parser.add_argument("--with", dest="interpreter", default=sys.executable, help="a Python")
    given, rest = parser.parse_known_args()
    interpreter = shutil.which(given.interpreter)
    if interpreter is None:
        print(f"SKIPPED: there is no {given.interpreter} here")
        return 0
    name = given.versions
    if given.interpreter != sys.executable:
        name += f"-{Path(given.interpreter).name}"
    python = install(given.versions, interpreter, HOME / name)
    if python is None:
        return 0
    # The checkout itself is tested: nothing of it is installed, so that no stamp can be too old.
    command = [str(python), "-m", "pytest", "--table-half", "-W", "ignore::DeprecationWarning"]
    if given.versions == "newest":  # what a version of tomorrow will do, it says as a warning
        command += ["-W", "ignore::FutureWarning", "-W", "ignore::PendingDeprecationWarning"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONNOUSERSITE": "1"}
    return subprocess.run([*command, *rest], cwd=ROOT, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
