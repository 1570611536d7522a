"""Where a number came from: code, packages, machine, data, seed."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import json
import platform
import subprocess
import sys
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fairthesis import __version__
from fairthesis.machine import usable_cpus
from fairthesis.storage import text_writer, write_atomically

try:
    resource: Any = importlib.import_module("resource")
except ImportError:  # Windows
    resource = None

PACKAGES = (
    *("numpy", "pandas", "scikit-learn", "fairlearn", "torch", "torchvision", "pillow"),
    "pydicom",
)
_ROOT = Path(__file__).parent
# The files, and whole rooms, that decide what a training run computes, an audit and a probe.
TRAINING = (
    *("data", "datasets", "methods", "models"),
    *("embeddings/_probes.py", "inputs/_arrays.py"),
    *("metrics/_rates.py", "metrics/_scores.py", "metrics/_thresholds.py"),
    *("training/_batches.py", "training/_config.py", "training/_export.py"),
    *("training/_features.py", "training/_inference.py"),
    *("training/_selection.py", "training/_setup.py"),
    *("training/_train.py", "training/_validation.py"),
)
AUDITING = (
    *("auditing/_additional.py", "auditing/_audit.py", "auditing/_estimates.py"),
    *("auditing/_gaps.py", "auditing/_meaning.py", "auditing/_metrics.py"),
    *("auditing/_missing.py", "auditing/_report.py", "auditing/_row_warnings.py"),
    *("auditing/_rows.py", "auditing/_rule.py"),
    *("auditing/_comparing.py", "auditing/_hard.py", "auditing/_small_cells.py"),
    "auditing/_threshold_source.py",
    *("inputs/_arrays.py", "inputs/_columns.py", "inputs/_order.py", "inputs/_rows.py"),
    *("metrics/_calibration.py", "metrics/_disparities.py", "metrics/_operating_points.py"),
    *("metrics/_rates.py", "metrics/_recalibration.py", "metrics/_scores.py"),
    *("metrics/_smooth_calibration.py", "metrics/_thresholds.py"),
    *("stats/_clusters.py", "stats/_functions.py", "stats/_gap_intervals.py"),
    *("stats/_histograms.py", "stats/_intervals.py", "stats/_inversion.py"),
    *("stats/_p_values.py", "stats/_permutations.py", "stats/_replicates.py"),
    *("stats/_group_sums.py", "stats/_placements.py", "stats/_ranked_cases.py"),
    *("stats/_progress.py", "stats/_ratio_of_sums.py", "stats/_resampling.py"),
    "stats/_squared_calibration.py",
    *("auditing/_adjusted.py", "auditing/_strata.py", "auditing/_weights.py"),
    "metrics/_weighing.py",
)
PROBING = (
    *(
        "embeddings/_floors.py",
        "embeddings/_judging.py",
        "embeddings/_leakage.py",
        "embeddings/_probes.py",
        "embeddings/_tables.py",
    ),
    *("inputs/_arrays.py", "inputs/_columns.py", "inputs/_rows.py"),
    *("metrics/_rates.py", "metrics/_scores.py", "stats/_resampling.py"),
)
# What is erased and refitted beside the probes, and what both embeddings are asked for.
USING = (
    *("embeddings/_attribute_use.py", "embeddings/_disentanglement.py"),
    *("embeddings/_eraser.py", "embeddings/_erasers.py", "embeddings/_moments.py"),
    *("embeddings/_projections.py", "embeddings/_refitted_heads.py"),
    *("embeddings/_unseen_patients.py", "metrics/_thresholds.py", "stats/_intervals.py"),
    *PROBING,
)
# What twins are drawn and measured with, beside the cohorts and models themselves.
TWINS = (
    *("data", "datasets", "models"),
    *("training/_batches.py", "training/_export.py", "training/_inference.py"),
    *("training/_load_run.py", "training/_run.py", "training/_twins.py"),
    *("auditing/_estimates.py", "auditing/_twins.py"),
    *("inputs/_columns.py", "inputs/_rows.py"),
    *("metrics/_thresholds.py", "stats/_intervals.py", "stats/_resampling.py"),
)


def json_text(value: Mapping[str, Any]) -> str:
    """A mapping as indented JSON. NaN is refused."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(value: Mapping[str, Any], path: Path, *, make_folder: bool = True) -> None:
    """Write a mapping as indented JSON, whole or not at all. NaN is refused."""
    write_atomically(path, text_writer(json_text(value)), make_folder=make_folder)


def used_test_labels(folder: Path) -> bool:
    """Whether the run in ``folder`` chose its epoch on test labels; warns loudly where it did.

    False where the folder holds no run, or none whose provenance can be read.
    """
    file = folder / "provenance.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, ValueError):  # cut, or no file of ours
        return False
    if not (isinstance(found, dict) and found.get("uses_test_labels")):
        return False
    warnings.warn(
        f"{folder.name}: the epoch was chosen on TEST LABELS (selection: oracle). These numbers "
        "show what choosing could gain; they are no result and cannot be collected.",
        stacklevel=3,
    )
    return True


def code_fingerprint(modules: tuple[str, ...] = TRAINING) -> str:
    """SHA-256 over the code of modules of the package, 16 hexadecimal digits.

    Comments, docstrings and layout do not count: nothing is trained anew for a better explanation.
    """
    files = [
        file
        for name in modules
        for file in ([_ROOT / name] if name.endswith(".py") else (_ROOT / name).rglob("*.py"))
    ]
    gone = [name for name in modules if not (_ROOT / name).exists()]
    if gone:  # a file that moved must not fall out of the fingerprint unseen
        raise ValueError(
            f"No {', '.join(gone)} in {_ROOT}: expected files or rooms of the package."
        )
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.relative_to(_ROOT).as_posix().encode())
        digest.update(_statements(file.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


class _Alike(ast.NodeTransformer):
    """f-strings as their parts: versions of Python print them with other quotes."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        self.generic_visit(node)
        parts: list[ast.expr] = []
        for part in node.values:
            if isinstance(part, ast.Constant) and part.value == "":
                continue  # only Python 3.12 has these
            last = parts[-1] if parts else None
            if isinstance(part, ast.Constant) and isinstance(last, ast.Constant):
                parts[-1] = ast.Constant(str(last.value) + str(part.value))
            else:
                parts.append(part)
        return ast.Call(ast.Name("f"), parts, [])

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        self.generic_visit(node)
        shown = [node.format_spec] if node.format_spec else []
        return ast.Call(ast.Name("shown"), [node.value, ast.Constant(node.conversion), *shown], [])


@functools.cache
def _statements(source: str) -> str:
    """The code of a file, the same under every version of Python that reads it."""
    tree = ast.parse(source)
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(_Alike().visit(tree))


def git_commit() -> str | None:
    """The commit of the checkout that the package lies in, ``-dirty`` if the package was changed.

    None where the package is not in a git checkout (installed from an archive).
    """
    if not (_ROOT.parent / ".git").exists():
        return None

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(_ROOT.parent), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return commit + ("-dirty" if git("status", "--porcelain", "--", "fairthesis") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def package_versions() -> dict[str, str]:
    """Versions of Python, fairthesis and the installed packages that numbers depend on."""
    found = {"python": platform.python_version(), "fairthesis": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def peak_memory_mb() -> int | None:
    """The largest resident memory of this process so far, in MB; None where it is not told."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def provenance(**more: Any) -> dict[str, Any]:
    """Commit, code fingerprint, package versions and machine, and what ``more`` adds."""
    return {
        "git_commit": git_commit(),
        "code_fingerprint": code_fingerprint(),
        "packages": package_versions(),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": usable_cpus(),
        },
        **more,
    }
