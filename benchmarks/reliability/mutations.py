"""Faults of chance: files of every kind that is read, damaged at random.

Each is read in this one process by the reader that commands use; whatever it raises but an
``InputError`` would end a command with a traceback.
"""

from __future__ import annotations

import collections
import gzip
import io
import random
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from made import table
from safetensors.numpy import save
from trying import Row

from fairthesis import datasets
from fairthesis.errors import InputError
from fairthesis.inputs import read_table, table_columns

TIMES = 60


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Cut, some bytes changed, some made 0 or inserted, or some taken out."""
    own = bytearray(content)
    place, kind = chance.randrange(len(own)), chance.randrange(4)
    if kind == 0:
        del own[place:]
    elif kind == 1:
        for _ in range(chance.randrange(1, 8)):
            own[chance.randrange(len(own))] = chance.randrange(256)
    elif kind == 2:
        own[place : place + chance.randrange(1, 200)] = bytes(chance.randrange(200))
    else:
        del own[place : place + chance.randrange(1, 60)]
    return bytes(own)


def inside(content: bytes, chance: random.Random) -> bytes:
    """A zip file of which one member is damaged, with the right checksum."""
    to = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as whole, zipfile.ZipFile(to, "w") as made:
        hit = chance.choice(whole.namelist())
        for name in whole.namelist():
            own = whole.read(name)
            made.writestr(name, damaged(own, chance) if name == hit else own)
    return to.getvalue()


def contents() -> dict[str, bytes]:
    """A whole file of each kind, by its ending."""
    parquet, sheet, arrays, array = (io.BytesIO() for _ in range(4))
    frame, x = table(40), np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    frame.to_parquet(parquet, index=False)
    frame.to_excel(sheet, index=False)
    np.savez(arrays, X=x, image_id=frame["image_id"].to_numpy(str))
    np.save(array, x)
    text = frame.to_csv(index=False).encode()
    found = {"csv": text, "csv.gz": gzip.compress(text, mtime=0), "parquet": parquet.getvalue()}
    found |= {"xlsx": sheet.getvalue(), "npz": arrays.getvalue(), "npy": array.getvalue()}
    return found | {"safetensors": save({"X": x})}


def reader(folder: Path, name: str) -> Callable[[], object]:
    """What reads a file as a command does: as a table, or as vectors of a labelled data set."""
    if name.endswith(("npz", "npy", "safetensors")):
        options = {"table": "labels.csv", "patient": "patient_id", "targets": "y_true"}
        options |= {"attributes": "sex", "vectors": name}
        return lambda: datasets.load("embeddings", folder, **options)
    return lambda: (read_table(folder / name), table_columns(folder / name))


def at_random() -> Iterator[Row]:
    """Each kind of file, and of packed ones also a member."""
    with tempfile.TemporaryDirectory(prefix="fault-") as at:
        folder = Path(at)
        table(40).to_csv(folder / "labels.csv", index=False)
        for ending, whole in contents().items():
            for way in (damaged, inside) if ending in ("xlsx", "npz") else (damaged,):
                chance, found = random.Random(0), collections.Counter[str]()
                for _ in range(TIMES):
                    (folder / f"t.{ending}").write_bytes(way(whole, chance))
                    try:
                        with warnings.catch_warnings():
                            warnings.simplefilter("ignore")
                            reader(folder, f"t.{ending}")()
                        found["read"] += 1
                    except InputError:
                        found["refused in words"] += 1
                    except Exception as error:
                        found[f"{type(error).__name__}"] += 1
                where = "in a member" if way is inside else "anywhere"
                yield Row(
                    f"a .{ending} file, {where} cut, changed, zeroed or shortened at random, "
                    f"{TIMES} times",
                    "the readers of `audit` and of `embeddings`",
                    "read, or refused in words",
                    ", ".join(f"{count} {what}" for what, count in found.most_common()),
                    not set(found) - {"read", "refused in words"},
                )


FAULTS = (at_random,)
