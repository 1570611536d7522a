"""Kills a command at every change of a file, then gives the same command again.

``python tests/support/killing.py [SCENARIO[:MOST]...]``; without a number at every single
change. All is imported once, and each attempt is a fork of this process, ended by SIGKILL just
before its k-th change (an ``open`` for writing, rename, removal or new folder) below its folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}


def changed(event: str, arguments: tuple) -> str | None:
    """The path that an audit event is about to change."""
    if event == "open":
        path, mode, flags = arguments
        written = set(mode or "") & set("wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR)
        return os.fsdecode(path) if written and isinstance(path, str | bytes) else None
    if event not in CHANGES:
        return None
    name = Path(os.fsdecode(arguments[0]))
    if not name.is_absolute() and isinstance(arguments[-1], int) and arguments[-1] >= 0:
        return str(Path(f"/proc/self/fd/{arguments[-1]}").readlink() / name)  # of rmtree
    return str(name.absolute())


def attempt(action: Callable[[Path], object], root: Path, kill: int = 0) -> tuple[int, int]:
    """Run ``action(root)`` in a fork: its exit status (-9: killed) and how many changes it made."""
    told = root.with_name("told")
    told.unlink(missing_ok=True)
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return status, int(told.read_text()) if told.exists() else 0
    seen = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        path = changed(event, arguments)
        if path is not None and path.startswith(f"{root}{os.sep}"):
            seen += 1
            if seen == kill:
                os.kill(os.getpid(), signal.SIGKILL)

    code = 0
    try:
        sys.addaudithook(hook)
        action(root)
        told.write_text(str(seen))
    except BaseException:
        traceback.print_exc()
        code = 1
    os._exit(code)


def content(root: Path) -> dict[str, str]:
    """The files below ``root`` by checksum, times left out; what is temporary by its name."""
    from fairthesis.storage import content_digest, is_partial

    paths = sorted(root.rglob("*"))
    temporary = {str(p.relative_to(root)): "left over" for p in paths if is_partial(p.name)}
    files = [p for p in paths if p.is_file() and not any(map(is_partial, p.parts))]
    return temporary | {
        str(p.relative_to(root)): content_digest(p.name, p.read_bytes()) for p in files
    }


def mixed(root: Path, before: dict[str, str], after: dict[str, str]) -> str:
    """What a kill may never leave: a marker over files that are not all of one making."""
    from fairthesis.storage import damage_in_words

    now = content(root)
    if {name: value for name, value in now.items() if value != "left over"} == before:
        return ""  # as it was, damaged or not
    for done in root.rglob("[!.]*/DONE"):
        if found := damage_in_words(done.parent):
            return f"DONE in {done.parent}: {found}"
    for marker in ("audit.json", "comparison.json", "leakage.json"):
        sides = (before, after)
        if marker in now and not any(all(now.get(n) == side[n] for n in side) for side in sides):
            return f"{marker} beside files of another making"
    return ""


@dataclass(frozen=True)
class Scenario:
    """``first`` makes what is there before; ``action`` is the command that is killed."""

    action: Callable[[Path], object]
    first: Callable[[Path], object] = lambda root: None


def kills(scenario: Scenario, most: int = 0) -> tuple[int, int, list[str]]:
    """Changes of the undisturbed command, kills tried, and what was wrong after one of them."""
    with tempfile.TemporaryDirectory() as folder:
        start, whole, root = (Path(folder) / name for name in ("start", "whole", "root"))
        start.mkdir()
        assert attempt(scenario.first, start)[0] == 0
        before = content(start)
        shutil.copytree(start, whole)
        status, number = attempt(scenario.action, whole)
        assert status == 0
        after = content(whole)
        wrong = []
        chosen = range(1, number + 1)
        if most and number > most:
            chosen = sorted({round(k) for k in np.linspace(1, number, most)})
        for k in chosen:
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(start, root)
            status, _ = attempt(scenario.action, root, k)
            if status != -signal.SIGKILL:
                wrong.append(f"{k}: not killed, {status}")
                continue
            left = mixed(root, before, after)
            status, _ = attempt(scenario.action, root)
            now = content(root)
            differ = sorted(n for n in now.keys() | after.keys() if now.get(n) != after.get(n))
            if left or status or differ:
                wrong.append(f"{k}: left {left!r}; again: exit {status}, other {differ[:4]}")
    return number, len(chosen), wrong


def scenarios() -> dict[str, Scenario]:
    import pyarrow.parquet  # noqa: F401 (imported before the forks, not in each of them)
    import torch
    import torch._dynamo

    from fairthesis import provenance, study
    from fairthesis.auditing import audit, compare
    from fairthesis.embeddings import probe
    from fairthesis.training import TrainConfig, apply_posthoc, train
    from support.cohorts import planted_cohort

    torch.set_num_threads(1)
    for name in ("TRAINING", "AUDITING", "PROBING", "TWINS"):
        provenance.code_fingerprint(getattr(provenance, name))
    provenance.git_commit = cache(provenance.git_commit)
    provenance.git_commit()
    config = TrainConfig(
        backbone="small",
        size=16,
        epochs=3,
        batch_size=64,
        disease_dim=8,
        sensitive_dim=4,
        threads=1,
    )
    cohort = planted_cohort(200)

    def trained(
        root: Path, epochs: int = 3, seed: int = 0, name: str = "run", **more: bool
    ) -> None:
        settings = replace(config, epochs=epochs, seed=seed)
        train(settings, root / name, cohort=cohort, progress=False, **more)

    def cut(root: Path) -> None:
        trained(root)
        file = root / "run" / "embeddings.parquet"
        file.write_bytes(file.read_bytes()[:100])

    def table(seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, 300)
        columns = {"image_id": range(300), "patient_id": range(300), "y_true": y}
        columns |= {"y_score": np.clip(0.3 * y + 0.7 * rng.random(300), 0, 1)}
        return pd.DataFrame(columns).assign(sex=np.where(np.arange(300) % 2, "F", "M"))

    def audited(seed: int) -> Callable[[Path], object]:
        return lambda root: audit(
            table(seed), groups=["sex"], patient="patient_id", n_boot=20, n_permutations=20
        ).write(root)

    def compared(seed: int) -> Callable[[Path], object]:
        models = {"a": table(seed), "b": table(seed).assign(y_score=0.5)}
        return lambda root: compare(models, group="sex", n_boot=20).write(root)

    def probed(seed: int) -> Callable[[Path], object]:
        def action(root: Path) -> None:
            run = root.parent / "of-probe"
            trained(run, 1)
            tables = (
                pd.read_parquet(run / f"run/{n}.parquet") for n in ("embeddings", "predictions")
            )
            names = ("logistic",)
            probe(*tables, attribute="site", names=names, n_boot=5, n_shuffles=1, seed=seed).write(
                root
            )

        return action

    base = {"dataset_options": {"n_train": 120, "n_val": 80, "n_test": 120}, "backbone": "small"}
    base |= {"dataset": "synthetic-cxr", "size": 16, "epochs": 1, "batch_size": 60, "threads": 1}
    variants = {"erm": {"method": "erm"}, "leace": {"posthoc": "leace", "of": "erm"}}
    plan = study.Plan("synthetic-cxr", "quick", base, variants, (0,), "0.5", 10, 10)
    probes = replace(plan, probes={"n_boot": 5, "n_shuffles": 1})
    changed_plan = replace(plan, base=base | {"learning_rate": 0.002})

    def leace(root: Path, method: str = "leace", **more: bool) -> None:
        apply_posthoc(method, root / "parent", root / "run", **more)

    def parent(root: Path) -> None:
        trained(root, 1, name="parent")

    def another(root: Path) -> None:
        parent(root)
        leace(root, "orthogonalised")

    def repeated(action: Callable[..., object], **more: bool) -> Callable[[Path], object]:
        return lambda root: action(root, **more)

    return {
        "train": Scenario(trained),
        "overwrite": Scenario(
            repeated(trained, overwrite=True), lambda root: trained(root, 1, seed=5)
        ),
        "damaged": Scenario(trained, cut),
        "posthoc": Scenario(leace, parent),
        "posthoc-overwrite": Scenario(repeated(leace, overwrite=True), another),
        "audit": Scenario(audited(1), audited(0)),
        "compare": Scenario(compared(1), compared(0)),
        "probe": Scenario(probed(1), probed(0)),
        "experiment": Scenario(lambda root: study.run_experiment(plan, root, progress=False)),
        "experiment-probes": Scenario(
            lambda root: study.run_experiment(probes, root, progress=False),
            lambda root: study.run_experiment(plan, root, progress=False),
        ),
        "experiment-overwrite": Scenario(
            lambda root: study.run_experiment(changed_plan, root, progress=False, overwrite=True),
            lambda root: study.run_experiment(plan, root, progress=False),
        ),
    }


def main() -> int:
    warnings.simplefilter("ignore")
    os.environ["FAIRTHESIS_CACHE"] = tempfile.mkdtemp()
    known = scenarios()
    bad = 0
    for word in sys.argv[1:] or known:
        name, _, most = word.partition(":")
        number, tried, wrong = kills(known[name], int(most or 0))
        print(f"{name}: {number} changes, {tried} kills, {len(wrong)} wrong", *wrong, sep="\n  ")
        sys.stdout.flush()
        bad += len(wrong)
    shutil.rmtree(os.environ["FAIRTHESIS_CACHE"])
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
