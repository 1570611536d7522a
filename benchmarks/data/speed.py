"""What the cohorts cost: drawing, decoding once, reading batches, splitting a big table.

    python benchmarks/data/speed.py [--root FOLDER_OF_HAM10000] [--out benchmarks/data/speed.md]

Writes a table: limit, measured, ratio. What is compared runs by turns in one call, and medians are
taken, since other programs share the machine. Without a folder, 600 x 450 JPEG files of random
blobs are made in a temporary one.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from PIL import Image

from fairthesis import data, datasets
from fairthesis.data import Cohort

WORKERS = 2


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def by_turns(calls: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each call, the calls taking turns."""
    taken = [[seconds(call) for call in calls] for _ in range(repeats)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def made_files(folder: Path, n: int) -> Cohort:
    rng = np.random.default_rng(0)
    for i in range(n):
        blobs = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        blobs.resize((600, 450), Image.Resampling.BICUBIC).save(folder / f"{i}.jpg", quality=90)
    names = [f"{i}.jpg" for i in range(n)]
    frame = pd.DataFrame({"image_id": names, "patient_id": names, "path": names, "split": "test"})
    frame["y"], frame["sex"] = 0.0, "F"
    return Cohort("made", frame, ("y",), ("sex",), 3, folder)


def bare(path: Path, size: int, draft: bool = False) -> np.ndarray:
    """What a user would write: open, convert, resize; with JPEG's coarse decoding or without."""
    with Image.open(path) as image:
        if draft:
            image.draft(None, (2 * size, 2 * size))
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))


def fresh(cohort: Cohort, size: int) -> None:
    with tempfile.TemporaryDirectory() as cache:
        data.prepared_images(cohort, size, cache, workers=WORKERS)


def decoding(cohort: Cohort, size: int, repeats: int) -> list[tuple[str, str, str, str]]:
    n = len(cohort)
    assert cohort.root is not None
    paths = [cohort.root / name for name in cohort.frame["path"]]
    with ProcessPoolExecutor(WORKERS) as pool, tempfile.TemporaryDirectory() as cache:
        list(pool.map(partial(bare, size=size), paths[:8]))  # processes are started
        pixels, _ = data.prepared_images(cohort, size, cache, workers=WORKERS)
        batches = np.array_split(np.random.default_rng(0).permutation(n), max(1, n // 64))
        ours, theirs, drafted, read = by_turns(
            [
                lambda: fresh(cohort, size),
                lambda: list(pool.map(partial(bare, size=size), paths, chunksize=64)),
                lambda: list(pool.map(partial(bare, size=size, draft=True), paths, chunksize=64)),
                lambda: [np.array(pixels[np.sort(batch)]) for batch in batches],
            ],
            repeats,
        )
    coarse = f"{n / ours:,.0f} and {n / drafted:,.0f} images a second"
    rates = f"{n / ours:,.0f} and {n / theirs:,.0f} images a second"
    alone = f"{n / read:,.0f} and {n / theirs:,.0f} images a second"
    return [
        (
            f"preparing {n} files at {size} px, and bare Pillow in as many processes",
            *("at least 90 %", rates, f"{theirs / ours:.0%}"),
        ),
        (
            "the same, bare Pillow decoding JPEG at a fraction (`draft`), as we do",
            *("at least 90 %", coarse, f"{drafted / ours:.0%}"),
        ),
        (
            f"batches of 64 from the cache at {size} px, and decoding",
            *("at least 20 times", alone, f"{theirs / read:,.0f} times"),
        ),
    ]


def opening(n: int, repeats: int) -> list[tuple[str, str, str, str]]:
    """A finished cache opened for the first time in a process, when all checksums are compared."""
    kept: list[np.ndarray] = []

    def noise(rows: np.ndarray, size: int) -> np.ndarray:
        return np.random.default_rng(rows).integers(0, 256, (len(rows), size, size, 1), np.uint8)

    names = [str(i) for i in range(n)]
    frame = pd.DataFrame({"image_id": names, "patient_id": names, "split": "test"})
    cohort = Cohort("noise", frame.assign(y=0.0, sex="F"), ("y",), ("sex",), 1, None, noise)
    with tempfile.TemporaryDirectory() as cache:
        data.prepared_images(cohort, 224, cache, workers=WORKERS)
        [path] = data.cache_folder(cohort, 224, cache).glob("images*.npy")

        def opened(checked: bool) -> None:
            if not checked:
                data._verified.clear()
            kept[:] = [data.prepared_images(cohort, 224, cache, workers=WORKERS)[0]]

        def read() -> None:
            with path.open("rb", buffering=0) as handle:
                while handle.readinto(buffer):
                    pass

        buffer = bytearray(1 << 22)
        first, later, limit = by_turns([lambda: opened(False), lambda: opened(True), read], repeats)
        long = path.stat().st_size / 1e9
    said = f"{long / first:.1f} and {long / limit:.1f} GB a second"
    return [
        (
            f"{n} images at 224 px opened with all their checksums, and the file only read",
            *("at least 1 GB a second", said, f"{limit / first:.0%}"),
        ),
        (
            "the same once more in the process",
            "under 0.1 s",
            f"{later:.3f} s",
            f"{later / 0.1:.0%}",
        ),
    ]


def drawing(n: int, repeats: int) -> list[tuple[str, str, str, str]]:
    rows = []
    for name in ("synthetic-cxr", "synthetic-derm"):
        cohort = datasets.load(name, n_train=n, n_val=1, n_test=1)
        taken, used = [], []
        for _ in range(repeats):
            before = time.process_time()
            taken.append(seconds(partial(fresh, cohort, 64)))
            used.append(time.process_time() - before)
        rate = len(cohort) / statistics.median(taken)
        core = statistics.median(used) / len(cohort)
        said = f"{rate:,.0f} images a second; {core * 1e6:.0f} µs of a core each"
        goal = "goal 2,000 a second on 2 cores"
        rows.append((f"{name} at 64 px into the cache", goal, said, f"{rate / 2000:.0%}"))
    return rows


def big_table(repeats: int, n: int = 200_000) -> list[tuple[str, str, str, str]]:
    rng = np.random.default_rng(0)
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "i").mkdir()
        for i in range(n):
            (root / "i" / f"{i}.png").touch()
        frame = pd.DataFrame({"path": [f"i/{i}.png" for i in range(n)]})
        frame["patient"] = np.sort(rng.integers(0, n // 3, n))
        frame["y"] = rng.integers(0, 2, n)
        frame["sex"] = np.where(rng.random(n) < 0.5, "F", "M")
        frame.to_csv(root / "t.csv", index=False)
        peak, done = [process.memory_info().rss], threading.Event()

        def watch() -> None:
            while not done.wait(0.01):
                peak[0] = max(peak[0], process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        options = {"table": "t.csv", "patient": "patient", "targets": "y", "attributes": "sex"}
        before = time.process_time()
        [taken] = by_turns([lambda: datasets.load("csv", root, **options)], repeats)
        used = (time.process_time() - before) / repeats
        done.set()
        watcher.join()
    what = f"{n:,} rows of a CSV loaded, looked for on disk and split"
    memory = f"{peak[0] / 1e6:.0f} MB"
    return [
        (what, "under 5 s", f"{taken:.1f} s; {used:.1f} s of a core", f"{taken / 5:.0%}"),
        ("peak memory of that process", "under 500 MB", memory, f"{peak[0] / 5e8:.0%}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", help="folder of HAM10000; synthetic files without it")
    parser.add_argument("--n", type=int, default=1000, help="images drawn and decoded")
    parser.add_argument("--repeats", type=int, default=5, help="medians are of so many")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    given = parser.parse_args()
    at_first = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    rows = big_table(given.repeats)
    if given.root:
        rows += decoding(datasets.load("ham10000", given.root), 64, given.repeats)
    else:
        with tempfile.TemporaryDirectory() as folder:
            rows += decoding(made_files(Path(folder), given.n), 64, given.repeats)
    rows += opening(4 * given.n, given.repeats)
    rows += drawing(given.n, given.repeats)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("numpy", "pandas", "pillow")
    )
    files = "HAM10000 JPEG files" if given.root else f"{given.n} synthetic JPEG files of 600 x 450"
    memory = psutil.virtual_memory().total / 1e9
    text = [
        "# Speed of the data",
        "",
        f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB, "
        f"{platform.system()}, Python {platform.python_version()}, {versions}. {WORKERS} workers, "
        f"{files}, medians of {given.repeats}. The load of the machine was {at_first:.1f} before "
        f"and {load:.1f} at the end, up to 2 of it from this program: where others run, seconds "
        "of the clock get longer and those of a core hardly do. What is compared took turns.",
        "",
        "| what | limit | measured | ratio |",
        "|---|---|---|--:|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        "Ratio: of the measured to what it is compared with, or to the limit. Made by "
        "`python benchmarks/data/speed.py`.",
    ]
    print("\n".join(text))
    if given.out:
        given.out.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
