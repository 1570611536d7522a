"""The pipeline runs again what depends on a change, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

pytest.importorskip("snakemake")

from fairthesis import study
from fairthesis.provenance import AUDITING
from fairthesis.study import load_results

sys.path.insert(0, str(ROOT / "workflow"))
from dependencies import notebook_modules, notebook_sources, sources

BUILT = (ROOT / "_build" / "html" / "index.html").exists()
needs_book = pytest.mark.skipif(not BUILT, reason="the book is not built: run `make book` first")


def planned(folder: Path, *words: str) -> set[str]:
    """The steps that a build in ``folder`` would run, as rule or rule:chapter."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(folder)
    command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile"]
    done = subprocess.run(
        [*command, "--dry-run", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(r"^Job \d+: (.*)$", done.stdout, re.MULTILINE))


def test_jobs_are_looked_for_when_one_ends_and_not_every_second_for_each(tmp_path):
    """With Snakemake's limit of jobs a second, the looks grow with every job that ends."""
    text = (ROOT / "workflow" / "Snakefile").read_text(encoding="utf-8")
    start = re.search(r"^onstart:\n(    .*\n)+", text, re.MULTILINE)
    rules = """
rule all:
    input: [f"{i}.txt" for i in range(8)]

rule one:
    output: "{i}.txt"
    shell: "sleep 1 && touch {output}"
"""
    (tmp_path / "Snakefile").write_text(f"{start.group()}\n{rules}", encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--verbose"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # One look at the beginning, and one for each of the eight jobs and of `all` that ends.
    assert 4 <= len(re.findall("^Ready jobs: ", done.stdout + done.stderr, re.MULTILINE)) <= 10


def test_a_module_depends_on_what_it_imports_directly_or_not():
    found = sources("fairthesis.train")
    assert "fairthesis/methods/_critics.py" in found
    assert "fairthesis/datasets/synthetic/cxr.py" in found  # imported by name only
    assert "fairthesis/inputs/_schema.py" in found
    assert "fairthesis/auditing/_html.py" not in found
    assert "fairthesis/cli/__init__.py" not in found


def test_a_notebook_depends_on_what_its_cells_import():
    notebook = ROOT / "notebooks" / "synthetic.ipynb"
    assert "fairthesis.study._experiment" in notebook_modules(notebook)
    found = notebook_sources(notebook)
    for name in ("plots/_experiment.py", "plots/style.mplstyle", "auditing/_audit.py"):
        assert f"fairthesis/{name}" in found
    for name in ("study/_summaries.py", "study/experiments.yml"):
        assert f"fairthesis/{name}" in found


def test_every_source_of_the_package_is_somebodys_dependency():
    everything = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "fairthesis").rglob("*.py")
        # What a room's __init__ offers counts by the name that is taken.
        if file.name not in ("__main__.py", "__init__.py") and "cli" not in file.parts
    }
    notebooks = (ROOT / "notebooks").glob("*.ipynb")
    found = set(sources("fairthesis.train", "fairthesis.audit", "fairthesis.study.execute_chapter"))
    found = found.union(*(notebook_sources(notebook) for notebook in notebooks))
    alone = everything - found
    # Rooms of the command line and of readers' own scripts: no chapter reads them.
    assert all(not name.startswith("fairthesis/methods") for name in alone), alone
    cohorts = ("fairthesis/datasets/loaders", "fairthesis/datasets/synthetic")
    assert all(not name.startswith(cohorts) for name in alone), alone


def reproduced(*config: str) -> list[str]:
    """The steps of a `make reproduce` from scratch, without those of the tables."""
    steps = planned(ROOT, "--forceall", "--config", *config, "--", "reproduce")
    return sorted(step for step in steps if step.startswith(("data: ", "run: ")))


def test_the_grid_is_data_sets_by_methods_by_seeds_by_weights():
    steps = reproduced("profile=full", "only=synthetic-derm")
    plan = study.plan("synthetic-derm", "grid")
    expected = [f"run: synthetic-derm grid, {v}, seed {s}" for v, s in plan.runs]
    expected += [f"data: synthetic-derm grid, seed {s}" for s in plan.seeds]
    assert steps == sorted(expected)  # those of `full` are among them, and not trained twice


def test_data_sets_that_are_not_at_hand_are_left_out(tmp_path):
    (tmp_path / "pad-ufes-20-of-mine").mkdir()
    steps = reproduced("profile=quick", f"data_root={tmp_path}")
    seen = {step.split()[1] for step in steps}
    assert seen == {"synthetic-cxr", "synthetic-derm", "pad-ufes-20"}
    runs = len([step for step in steps if step.startswith("run: ")])
    plans = [("synthetic-cxr", "quick"), ("synthetic-cxr", "quick-grid")]
    plans += [("synthetic-derm", "quick"), ("pad-ufes-20", "quick")]
    assert runs == sum(len(study.plan(*names).runs) for names in plans)


TINY = """
synthetic-cxr:
  quick:
    seeds: 1
    base:
      dataset_options: {n_train: 300, n_val: 150, n_test: 400}
      targets: [opacity]
      attributes: [sex]
      backbone: small
      size: 24
      epochs: 2
      threads: 1
    variants:
      erm: {method: erm}
      leace: {posthoc: leace, of: erm}
"""


def test_a_build_that_was_stopped_goes_on_and_says_how_far_it_is(tmp_path):
    for name in ("fairthesis", "workflow"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    (tmp_path / "fairthesis" / "study" / "experiments.yml").write_text(TINY)
    runs = tmp_path / "build/experiments/synthetic-cxr-quick/runs"

    def build(profile: str = "quick", target: str = "reproduce") -> tuple[int, str]:
        words = [sys.executable, "workflow/build.py", "--target", target]
        asked = ["--set", f"profile={profile}"] if target == "reproduce" else []
        done = subprocess.run(
            [*words, "--cores", "1", *asked],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout

    # The second run cannot be written: the first stays, and the build says what failed.
    runs.mkdir(parents=True)
    (runs / "leace-0").write_text("in the way")
    code, said = build()
    assert code == 1 and "2 of 8 steps done" in said and "The build stopped" in said, said
    assert "runs/leace-0" in said  # what stood in the way is named
    assert [file.parent.name for file in runs.glob("*/DONE")] == ["erm-0"]
    finished = (runs / "erm-0" / "DONE").stat().st_mtime_ns

    (runs / "leace-0").unlink()
    code, said = build()
    assert code == 0, said
    assert "run: synthetic-cxr quick, leace, seed 0" in said
    assert "run: synthetic-cxr quick, erm, seed 0" not in said and "data: " not in said
    assert re.search(r"(\d+) of \1 steps done", said)
    assert "new, results/ has none of this name" in said
    assert (runs / "erm-0" / "DONE").stat().st_mtime_ns == finished
    tables = load_results(tmp_path / "build/archive/synthetic-cxr-quick")
    assert set(tables.metrics["variant"]) == {"erm", "leace"}

    # The book's way to the same tables: one step, which keeps what is finished.
    metrics = runs.parent / "metrics.csv"
    numbers = metrics.read_bytes()
    metrics.unlink()
    code, said = build(target="build/experiments/synthetic-cxr-quick/metrics.csv")
    assert code == 0, said
    assert "experiment: synthetic-cxr quick\n" in said and "run: " not in said
    assert "    [2/2] synthetic-cxr quick: leace, seed 0\n" in said
    assert (runs / "erm-0" / "DONE").stat().st_mtime_ns == finished
    assert metrics.read_bytes() == numbers

    code, said = build("fast")
    assert code == 1
    assert "Unknown profile to reproduce 'fast': expected one of quick, full" in said


def test_the_profiles_of_the_machines_differ_in_where_steps_run_alone():
    local, slurm = (
        yaml.safe_load((ROOT / f"workflow/profiles/{name}/config.yaml").read_text())
        for name in ("local", "slurm")
    )
    where = {"executor", "jobs", "latency-wait", "retries", "default-resources", "set-resources"}
    where |= {key for key in slurm if key.startswith("slurm-")}
    assert {key: slurm[key] for key in slurm if key not in where} == local
    gpu = yaml.safe_load((ROOT / "workflow/profiles/slurm-gpu/config.yaml").read_text())
    assert gpu.pop("set-resources") == {
        name: asked | {"gres": "gpu:1"} for name, asked in slurm["set-resources"].items()
    }
    networks = {"train", "experiment", "embed"}  # all that computes with one
    assert set(slurm["set-resources"]) == networks
    assert gpu == {key: value for key, value in slurm.items() if key != "set-resources"}
    files = ("grid.smk", "embed.smk")
    text = "".join((ROOT / "workflow" / file).read_text() for file in files)
    rules = re.findall(r"^ *rule (\w+):", text, re.MULTILINE)
    assert set(slurm["set-resources"]) <= set(rules)


@pytest.fixture
def copy(tmp_path):
    """The built project, copied with its time stamps all made new."""
    folder = tmp_path / "project"
    ignored = shutil.ignore_patterns(
        ".venv", ".git", ".mypy_cache", "shared", ".pytest_cache", "locks", "incomplete"
    )
    shutil.copytree(ROOT, folder, ignore=ignored, copy_function=shutil.copy2)
    return folder


@needs_book
def test_nothing_runs_when_nothing_changed_and_time_stamps_do_not_count(copy):
    assert planned(copy) == set()
    for file in [
        *copy.glob("fairthesis/**/*.py"),
        *copy.glob("notebooks/*"),
        *copy.glob("book/*.md"),
    ]:
        file.touch()
    assert planned(copy) == set()


@needs_book
def test_a_changed_notebook_runs_that_chapter_and_the_book(copy):
    notebook = copy / "notebooks" / "chest_xray.ipynb"
    notebook.write_text(notebook.read_text().replace("# Chest X-rays", "# More chest X-rays"))
    assert planned(copy) == {"chapter: chest_xray", "book: the pages"}


@needs_book
def test_a_changed_page_runs_only_the_book(copy):
    page = copy / "book" / "guidelines.md"
    page.write_text(page.read_text() + "\nOne more word.\n")
    assert planned(copy) == {"book: the pages"}


@needs_book
def test_a_changed_module_runs_what_imports_it(copy):
    figures = copy / "fairthesis" / "plots" / "_experiment.py"
    figures.write_text(figures.read_text() + "\n# changed\n")
    steps = planned(copy)
    assert "chapter: synthetic" in steps and "book: the pages" in steps
    assert not any(step.startswith("experiment:") for step in steps)


@needs_book
def test_a_changed_method_trains_again(copy):
    critics = copy / "fairthesis" / "methods" / "_critics.py"
    critics.write_text(critics.read_text() + "\n# changed\n")
    steps = planned(copy)
    trained = {step for step in steps if step.startswith("experiment:")}
    assert trained == {"experiment: synthetic-cxr quick", "experiment: synthetic-cxr-epochs quick"}
    assert "book: the pages" in steps


def test_an_audit_is_made_anew_when_any_code_that_computes_it_changes():
    reported = {
        f"auditing/{name}"
        for name in (
            *("_forests.py", "_funnel.py", "_group_curves.py", "_html.py", "_page_parts.py"),
            *("_wording.py", "card.html", "report.html"),
        )
    }
    reported |= {"errors.py", "inputs/_schema.py", "metrics/_curves.py", "stats/_power.py"}
    reported |= {"machine.py"}  # replicates are the same on any number of processors
    # A table of validation rows may be a file, read as the audited table is before the audit.
    reported |= {f"inputs/{name}.py" for name in ("_delimited", "_encodings", "_tables")}
    reported |= {f"auditing/{name}" for name in ("_adjusted_page.py", "_weighted_page.py")}
    read = {file.removeprefix("fairthesis/") for file in sources("fairthesis.audit")}
    read = {file for file in read if not file.startswith("storage/")}
    assert read - reported == set(AUDITING)
