"""Fill a file of pixels: images drawn, decoded, or taken over from another that holds them."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from fairthesis.data._cohort import Render
from fairthesis.data._decoding import Pixels
from fairthesis.data._image_files import (
    READY,
    RECORD,
    UNREADABLE,
    Files,
    Records,
    Told,
    key,
    load,
    own_mode,
    read,
    records_of,
)
from fairthesis.data._pixel_file import PixelFile
from fairthesis.storage import write_table

RUN = 16  # images that a worker takes at a time: handing over each by itself costs a tenth
DRAWN = 128  # of images that are drawn, whose costs are shared by a batch
PLACES = 16  # whose files are remembered; jobs on a cluster copy data to ever other folders
COLUMNS = ("image_id", "path", "reason")
Problem = tuple[int, str]


@dataclass(frozen=True)
class Source:
    """Where images come from.

    ``make`` gives for rows that follow one another their pixels and records, and why some cannot
    be read; ``run`` rows are asked for at a time.
    """

    make: Callable[[NDArray[np.intp]], tuple[Pixels, Records, list[Problem]]]
    run: int


def drawn(render: Render, size: int) -> Source:
    """Images that ``render`` makes."""

    def make(rows: NDArray[np.intp]) -> tuple[Pixels, Records, list[Problem]]:
        records = np.zeros(len(rows), RECORD)
        records["state"] = READY
        return render(rows, size), records, []

    return Source(make, DRAWN)


def from_files(files: Files, store: PixelFile, others: Sequence[PixelFile], window: str) -> Source:
    """Images in files; one whose very content was decoded into one of ``others`` is copied.

    What was found in the files is noted in ``files``.
    """
    size, channels = store.shape[2:]
    taken = [(other.images(), other.records()) for other in others]

    def copied(i: int) -> Pixels | None:
        for images, told in taken if files.known[i] else ():
            same = told["content"][i] == files.records["content"][i]
            sound = told["state"][i] == READY and zlib.crc32(images[i]) == told["pixels"][i]
            if same and sound:
                return images[i]
        return None

    def make(rows: NDArray[np.intp]) -> tuple[Pixels, Records, list[Problem]]:
        pixels = np.zeros((len(rows), size, size, channels), dtype=np.uint8)
        problems: list[Problem] = []
        new: dict[int, Told] = {}
        for place, i in enumerate(rows.tolist()):
            result: Pixels | str | None = copied(i)
            if result is None:
                new[i], result = read(files.paths[i], size, channels, window)
            if isinstance(result, str):
                problems.append((i, result))
            else:
                pixels[place] = result
        if new:
            files.records[list(new)] = records_of(list(new.values()))
            files.known[list(new)] = True
        records = files.records[rows]
        records["state"] = READY
        records["state"][[i - rows[0] for i, _ in problems]] = UNREADABLE
        return pixels, records, problems

    return Source(make, RUN)


def fill(
    store: PixelFile, rows: NDArray[np.intp], source: Source, workers: int, bar: tqdm[NoReturn]
) -> list[Problem]:
    """Write ``rows`` of an open file of pixels; gives what cannot be read, in order."""

    def write(run: NDArray[np.intp]) -> tuple[int, list[Problem]]:
        pixels, records, problems = source.make(run)
        store.write(int(run[0]), pixels, records)
        return len(run), problems

    found: list[Problem] = []
    with ThreadPoolExecutor(workers) as pool:
        for done, problems in pool.map(write, _runs(rows, source.run)):
            found += problems
            bar.update(done)
    return found


def _runs(rows: NDArray[np.intp], most: int) -> Iterator[NDArray[np.intp]]:
    """Rows that follow one another, at most so many together."""
    for part in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
        for start in range(0, len(part), most):
            yield part[start : start + most]


def done_before(store: PixelFile, files: Files | None, workers: int) -> NDArray[np.bool_]:
    """Which images a killed call left in the file, shape (n,).

    Their checksums are right, and their files are as they were.
    """
    told = store.records()
    done = told["state"] == READY
    if files is not None:
        done &= files.believe(told)
    rows = np.flatnonzero(done)
    done[rows] = store.right(told, rows, workers)
    return done


def reasons_beside(pixels: Path) -> Path:
    """The table of what cannot be read that belongs to a file of pixels."""
    return pixels.with_name(pixels.stem.replace("images", "unreadable") + ".csv")


def write_reasons(pixels: Path, frame: pd.DataFrame, problems: Sequence[Problem]) -> None:
    """Write which images cannot be read, and why; no file where all can be."""
    path = reasons_beside(pixels)
    if not problems:
        path.unlink(missing_ok=True)
        return
    rows = [(frame["image_id"].iloc[i], frame["path"].iloc[i], why) for i, why in sorted(problems)]
    write_table(pd.DataFrame(rows, columns=list(COLUMNS)), path)
    own_mode(path)


def read_reasons(pixels: Path) -> pd.DataFrame:
    """``image_id, path, reason`` of what cannot be read; no rows where there is no such table."""
    with contextlib.suppress(OSError, ValueError):
        table = pd.read_csv(reasons_beside(pixels), dtype=str, keep_default_na=False)
        if list(table) == list(COLUMNS):
            return table
    return pd.DataFrame({name: [] for name in COLUMNS}, dtype=str)


def forget(home: Path, n: int) -> None:
    """Remove arrays whose content lies in none of the places that are remembered.

    Who has one of them open keeps it until the process ends.
    """
    with contextlib.suppress(OSError):  # of others' files; on Windows, of one that is in use
        places = sorted(home.glob("files-*.bin"), key=lambda path: path.stat().st_mtime_ns)
        for path in places[:-PLACES]:
            path.unlink()
        used = {f"images-{key(load(path, n))}.npy" for path in places[-PLACES:]}
        for path in home.glob("images-*.npy"):
            if path.name not in used:
                path.unlink()
                reasons_beside(path).unlink(missing_ok=True)
