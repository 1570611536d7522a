"""What the cohorts cost: drawing, decoding once, reading batches, splitting a big table.

    python benchmarks/data_speed.py [--root FOLDER_OF_HAM10000]

Prints one line per measurement with what it is measured against. Without a folder, 600 x 450 JPEG
files of random blobs are made in a temporary one.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fairthesis import datasets, images
from fairthesis.cohort import Cohort
from fairthesis.splits import by_patient


def seconds(call: Callable[[], object], repeats: int = 1) -> float:
    """The fastest of ``repeats`` calls."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


def made_files(folder: Path, n: int) -> Cohort:
    rng = np.random.default_rng(0)
    for i in range(n):
        blobs = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        blobs.resize((600, 450), Image.Resampling.BICUBIC).save(folder / f"{i}.jpg", quality=90)
    names = [f"{i}.jpg" for i in range(n)]
    frame = pd.DataFrame({"image_id": names, "patient_id": names, "path": names, "split": "test"})
    frame["y"], frame["sex"] = 0.0, "F"
    return Cohort("made", frame, ("y",), ("sex",), 3, folder)


def bare_pillow(cohort: Cohort, size: int) -> None:
    """What a user would write: open, convert, resize, one after the other."""
    assert cohort.root is not None
    for name in cohort.frame["path"]:
        with Image.open(cohort.root / name) as image:
            np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))


def drawing(n: int) -> None:
    for name in ("synthetic-cxr", "synthetic-derm"):
        cohort = datasets.load(name, n_train=n, n_val=1, n_test=1)
        used = time.process_time()
        with tempfile.TemporaryDirectory() as cache:
            taken = seconds(lambda cache=cache, c=cohort: images.prepared(c, 64, cache))  # type: ignore[misc]
        used = time.process_time() - used
        print(
            f"{name}: {len(cohort) / taken:.0f} images a second at 64 px into the cache, "
            f"{len(cohort) / used:.0f} for each second of a core"
        )


def decoding(cohort: Cohort, size: int) -> None:
    n = len(cohort)
    bare = seconds(lambda: bare_pillow(cohort, size))
    with tempfile.TemporaryDirectory() as cache:
        ours = seconds(lambda: images.prepared(cohort, size, cache))
        pixels, _ = images.prepared(cohort, size, cache)
        order = np.random.default_rng(0).permutation(n)
        batches = np.array_split(order, max(1, n // 64))
        read = seconds(lambda: [pixels[np.sort(batch)].sum() for batch in batches], 3)
        again = seconds(lambda: images.prepared(cohort, size, cache))
    print(f"prepare, {n} files at {size} px: {n / ours:.0f} a second; bare Pillow {n / bare:.0f}")
    print(f"one epoch from the cache: {n / read:.0f} a second; decoding {n / bare:.0f}")
    print(f"opening a cache that is there: {again * 1000:.0f} ms")


def big_table(n: int = 200_000) -> None:
    rng = np.random.default_rng(0)
    owner = np.sort(rng.integers(0, n // 3, n))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        frame = pd.DataFrame({"path": [f"{i}.png" for i in range(n)], "patient": owner})
        frame["y"] = rng.integers(0, 2, n)
        frame["sex"] = np.where(rng.random(n) < 0.5, "F", "M")
        frame.to_csv(root / "t.csv", index=False)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        def load() -> None:
            table = pd.read_csv(root / "t.csv", dtype=str)
            table["patient_id"], table["image_id"] = table["patient"], table["path"]
            table["split"] = by_patient(table, ["patient_id"], ["y", "sex"])
            table["y"] = table["y"].astype(float)
            Cohort("big", table, ("y",), ("sex",), 1, root).fingerprint()

        taken = seconds(load)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1024 if sys.platform != "darwin" else 1024**2
    print(f"{n} rows read, split, checked, fingerprinted: {taken:.1f} s")
    print(f"peak memory of the process: {peak / unit:.0f} MB, {(peak - before) / unit:.0f} more")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", help="folder of HAM10000; made files without it")
    parser.add_argument("--n", type=int, default=1000, help="images drawn and decoded")
    given = parser.parse_args()
    big_table()
    drawing(given.n)
    if given.root:
        decoding(datasets.load("ham10000", given.root), 64)
    else:
        with tempfile.TemporaryDirectory() as folder:
            decoding(made_files(Path(folder), given.n), 64)


if __name__ == "__main__":
    main()
