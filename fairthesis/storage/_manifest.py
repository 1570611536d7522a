"""``DONE``: the file that says that a folder is finished, with checksums of the files in it.

The first line is what the folder was made of (of a run: the fingerprint of its data). A line per
file follows, ``SHA-256  NAME``, and one for the lines before it. Times and memory do not count in
JSON, so two runs that compute the same have the same checksums.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from fairthesis.errors import InputError
from fairthesis.storage._files import write_atomically

#: Name of the file that says that a run is finished: checksums of the files it vouches for.
DONE = "DONE"
TIMES = ("seconds", "wall_seconds", "peak_memory_mb")
#: Names of the files that every run has; a trained one has ``model.safetensors`` as well.
RUN = ("config.json", "log.jsonl", "predictions.parquet", "embeddings.parquet", "provenance.json")
# Where a run reads and computes is not what it computes.
PLACES = ("data_root", "device", "threads")


def content_digest(name: str, content: bytes) -> str:
    """SHA-256 of a file's content; of JSON, by the ending of ``name``, of its values without times.

    Args:
        name: the file's name; ``.json`` and ``.jsonl`` (JSON line by line) are read as JSON.
        content: its bytes.

    Returns:
        64 hexadecimal digits. In JSON ``seconds``, ``wall_seconds`` and ``peak_memory_mb`` do not
        count, nor do the order of keys and layout.

    Raises:
        ValueError: where the content of a JSON name is no JSON.

    >>> content_digest("a.json", b'{"x": 1, "seconds": 2}') == content_digest("a.json", b'{"x": 1}')
    True
    """
    if name.endswith(".json"):
        content = _plain(content)
    elif name.endswith(".jsonl"):
        content = b"\n".join(map(_plain, content.splitlines()))
    return hashlib.sha256(content).hexdigest()


def _of(path: Path) -> str:
    if path.suffix in (".json", ".jsonl"):
        return content_digest(path.name, path.read_bytes())
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(content: bytes) -> bytes:
    return json.dumps(_timeless(json.loads(content)), sort_keys=True).encode()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in TIMES}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def marker_text(first: str, checksums: Mapping[str, str], marker: str = DONE) -> str:
    """The text of a marker: ``first``, the files' checksums, and its own.

    Args:
        first: what the folder was made of, as a fingerprint, on one line.
        checksums: file name -> SHA-256 (``content_digest``).
        marker: the name of the marker, beside its own checksum in the last line.

    >>> text = marker_text("0a1b2c", {"log.jsonl": content_digest("log.jsonl", b"{}")})
    >>> [line.rpartition(" ")[2] for line in text.splitlines()]
    ['0a1b2c', 'log.jsonl', 'DONE']
    """
    lines = [first, *(f"{value}  {name}" for name, value in checksums.items())]
    return "".join(f"{line}\n" for line in (*lines, _own(lines, marker)))


def _own(lines: list[str], marker: str) -> str:
    return f"{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}  {marker}"


def mark_finished(folder: Path, first: str, names: Collection[str]) -> None:
    """Write ``DONE`` over the files ``names`` of ``folder``: from here on it is finished.

    Args:
        folder: the folder, which exists and holds the files.
        first: what it was made of, as a fingerprint, on one line.
        names: the files that ``DONE`` vouches for.

    Raises:
        InputError: where ``DONE`` cannot be written.

    >>> import tempfile
    >>> from fairthesis.storage import write_text
    >>> with tempfile.TemporaryDirectory() as name:
    ...     write_text('{"seed": 1}', Path(name) / "config.json")
    ...     mark_finished(Path(name), "0a1b2c", ["config.json"])
    ...     (Path(name) / DONE).read_text().split()[0]
    '0a1b2c'
    """
    text = marker_text(first, {name: _of(folder / name) for name in names})
    write_atomically(folder / DONE, lambda to: to.write_bytes(text.encode()), make_folder=False)


def damage_in_words(folder: Path, only: Collection[str] = (), marker: str = DONE) -> str | None:
    """What is wrong with the files that a marker vouches for, in words; None where nothing is.

    A run of an older version, whose ``DONE`` has no checksums, is whole where no file is missing or
    empty.

    Args:
        folder: the folder that holds the marker.
        only: names of the files to look at; by default all that the marker lists.
        marker: the marker's name.

    Returns:
        For example ``config.json was changed``, ``log.jsonl is missing`` or ``DONE was cut or
        changed``: the first that is found.

    >>> import tempfile
    >>> from fairthesis.storage import write_text
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     write_text('{"seed": 1}', folder / "config.json")
    ...     mark_finished(folder, "0a1b2c", ["config.json"])
    ...     write_text('{"seed": 1, "wall_seconds": 9}', folder / "config.json")
    ...     print(damage_in_words(folder))  # times do not count
    ...     write_text('{"seed": 2}', folder / "config.json")
    ...     print(damage_in_words(folder))
    None
    config.json was changed
    """
    try:
        text, end, rest = (folder / marker).read_bytes().decode().rpartition("\n")
        lines = text.split("\n")  # not ``splitlines``, which parts at other signs too
    except (OSError, UnicodeDecodeError) as error:
        return f"{marker} cannot be read ({error})"
    if end and not rest and marker == DONE and len(lines) == 1 and _older(folder):
        checksums = dict.fromkeys(RUN, "")
    else:
        *above, last = lines
        if rest or not end or last != _own(above, marker):
            return f"{marker} was cut or changed"
        checksums = {name: value for value, _, name in (ln.partition("  ") for ln in above[1:])}
    for name, value in checksums.items():
        if only and name not in only:
            continue
        wrong = _wrong(folder / name, value)
        if wrong:
            return f"{name} {wrong}"
    return None


def _older(folder: Path) -> bool:
    """Whether a run is of a version that wrote no checksums: it recorded no threads either."""
    try:
        return "threads" not in json.loads((folder / "provenance.json").read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def _wrong(path: Path, checksum: str) -> str | None:
    try:
        if path.stat().st_size == 0:
            return "is empty"
        return None if not checksum or _of(path) == checksum else "was changed"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError:  # no JSON any more
        return "was cut or changed"


def check_finished(folder: Path, only: Collection[str] = ()) -> None:
    """Refuse a folder that is no finished run, or one that was damaged since.

    Args:
        folder: a run directory.
        only: names of the files to look at, where not all are needed.

    Raises:
        InputError: where ``DONE`` is missing, or a file is not what it vouches for.

    >>> import tempfile
    >>> from fairthesis.storage import write_text
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     write_text("{}", folder / "log.jsonl")
    ...     mark_finished(folder, "0a1b2c", ["log.jsonl"])
    ...     check_finished(folder)
    ...     (folder / "log.jsonl").unlink()
    ...     try:
    ...         check_finished(folder)
    ...     except InputError as error:
    ...         print(str(error).partition(" is damaged: ")[2])
    log.jsonl is missing. Make it again with the command that made it, or bring the file back.
    """
    if not (folder / DONE).exists():
        raise InputError(f"No finished run in {str(folder)!r}: expected a run directory with DONE.")
    found = damage_in_words(folder, only)
    if found:
        raise InputError(
            f"The run in {str(folder)!r} is damaged: {found}. Make it again with the command that "
            "made it, or bring the file back."
        )


def warn_of_damage(table: Path) -> None:
    """Warn where a table lies in a finished run and is no longer what the run wrote.

    Args:
        table: the file of a table; outside of a finished run, and for a name that is not one of
            ``RUN``, nothing is looked at.

    >>> import tempfile
    >>> from fairthesis.storage import write_text
    >>> with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     log = Path(name) / "log.jsonl"
    ...     write_text('{"epoch": 0}', log)
    ...     mark_finished(Path(name), "0a1b2c", ["log.jsonl"])
    ...     warn_of_damage(log)
    ...     write_text('{"epoch": 1}', log)
    ...     warn_of_damage(log)
    >>> [str(one.message).partition(": ")[2] for one in caught]
    ['log.jsonl was changed. The numbers are of the file as it is now.']
    """
    folder = table.resolve().parent
    if table.name in RUN and (folder / DONE).exists() and table.is_file():
        found = damage_in_words(folder, (table.name,))
        if found:
            warnings.warn(
                f"{str(table)!r} is not what the run wrote: {found}. The numbers are of the file "
                "as it is now.",
                stacklevel=3,
            )


def same_run(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two configurations compute the same: where they run and read does not count.

    ``data_root``, ``device`` and ``threads`` are left out: the data's fingerprint says what was
    read, the provenance with how many threads.

    >>> same_run({"seed": 1, "data_root": "data"}, {"seed": 1, "data_root": "./data/"})
    True
    """
    return not config_differences(a, b)


def config_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """The names of what differs between two configurations, apart from where they run.

    Args:
        a: a run's configuration, as in its ``config.json``.
        b: another; a name that only one has counts as None in the other.

    >>> config_differences({"seed": 1, "size": 64, "device": "cpu"}, {"seed": 2, "size": 64})
    ['seed']
    """
    names = [name for name in dict.fromkeys((*a, *b)) if name not in PLACES]
    return [name for name in names if _placeless(a.get(name)) != _placeless(b.get(name))]


def _placeless(value: Any) -> Any:
    """A parent's configuration in that of a post-hoc run, without its places."""
    if not isinstance(value, Mapping) or not isinstance(value.get("config"), Mapping):
        return value
    return {**value, "config": {k: v for k, v in value["config"].items() if k not in PLACES}}
