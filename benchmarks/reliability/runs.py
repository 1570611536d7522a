"""Faults of runs: two commands at once, other code, damaged files."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import trying
from made import (
    AUDIT,
    SMALL,
    TRAIN,
    WHOLE,
    copied,
    files,
    fresh,
    half,
    left_over,
    same_run,
    unbroken,
)
from trying import Row, call, end, start


def second_command() -> Row:
    """A second command where a first is at work."""
    with copied(unbroken()) as at:
        words = [*TRAIN, "--epochs", "1000", "--out", "long"]
        first = start(at, words, limit=trying.heard)
        trying.wait_for(first, at / "long" / "state.pt")
        second = call(at, *words)
        alive = first.poll() is None
        first.send_signal(signal.SIGTERM)
        end(first, at)
        return Row(
            "the same command begun while a first is at work",
            "`train`",
            "the second is refused with exit 2; the first goes on",
            f"second: {second.message}; first {'goes on' if alive else 'ended'}",
            second.refused("Another command is at work") and alive,
        )


def together(
    what: str, expected: str, words: list[list[str]], right: Callable[[Path], bool]
) -> Row:
    """Commands begun at one moment, in a folder with a table and without decoded images."""
    with fresh() as at:
        ended = [end(process, at) for process in [start(at, own) for own in words]]
        wrong = [one for one in ended if one.code and not one.refused("nother command")]
        whole = right(at) and not left_over(at)
        codes = " and ".join(one.message for one in ended)
        return Row(
            f"two processes begun at one moment, {what}",
            f"`{words[0][0]}`" + (" `prepare`" if words[0][1] == "prepare" else ""),
            expected,
            f"{codes}; {'whole' if whole else 'not whole'}",
            not wrong and whole,
        )


def _of_one(words: list[list[str]], name: str) -> Callable[[Path], bool]:
    """Whether ``name`` holds what one of the commands writes when it is alone."""
    alone = []
    for own in words:
        with fresh() as at:
            call(at, *own)
            alone.append({k: v for k, v in files(at).items() if k.startswith(name)})
    return lambda at: {k: v for k, v in files(at).items() if k.startswith(name)} in alone


def two_commands() -> Iterator[Row]:
    """Two at once: on one run, one cache, one folder of a report, one file."""
    run = [list(WHOLE)] * 2
    yield together(
        "one run",
        "one makes it, the other is refused in words or finds it; as an unbroken run, to the bit",
        run,
        lambda at: same_run(at / "run", unbroken() / "run"),
    )
    prepare = ["datasets", "prepare", "synthetic-cxr", "--size", "16", "--quiet"]
    prepare += [word.replace("--dataset-option", "--option") for word in SMALL]
    yield together(
        "one image cache",
        "both end; the decoded images are those of one process, to the bit",
        [prepare] * 2,
        lambda at: _cache(at / "cache") == _cache(unbroken() / "cache"),
    )
    audits = [[*AUDIT, "--quiet", "--seed", seed, "--out", "audit"] for seed in "01"]
    yield together(
        "one folder of an audit",
        "all files are of one of the two",
        audits,
        _of_one(audits, "audit"),
    )
    made = ["power", "table.csv", "--group", "sex", "--out", "one.csv", "--alpha"]
    single = [[*made, alpha] for alpha in ("0.05", "0.01")]
    yield together("one output file", "the file is one of the two", single, _of_one(single, "one"))


def _cache(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("images*.npy"))


def other_code() -> Iterator[Row]:
    """A run that was begun, or finished, by another configuration or other code."""
    with copied(unbroken()) as at:
        before = files(at)
        ended = call(at, *WHOLE, "--seed", "1")
        yield Row(
            "a finished run, another seed",
            "`train`",
            "refused with exit 2; the run stays as it is",
            ended.message,
            ended.refused("another run") and files(at) == before,
        )
    with copied(half()) as at:
        before = files(at)
        ended = call(at, *WHOLE, "--learning-rate", "0.1")
        yield Row(
            "an unfinished run, another learning rate",
            "`train`",
            "refused with exit 2; the run stays as it is",
            ended.message,
            ended.refused("another run") and files(at) == before,
        )
    for of in (unbroken, half):
        with copied(of()) as at:
            shutil.copytree(
                trying.ROOT / "fairthesis",
                at / "home" / "fairthesis",
                ignore=shutil.ignore_patterns("__pycache__"),
            )
            with (at / "home/fairthesis/methods/erm.py").open("a", encoding="utf-8") as file:
                file.write("\nCHANGED = True\n")
            before = files(at)
            ended = call(at, *WHOLE, PYTHONPATH=str(at / "home"))
            same = same_run(at / "run", unbroken() / "run")
            yield Row(
                f"{'a finished' if of is unbroken else 'an unfinished'} run, the package's code "
                "changed since",
                "`train`",
                "refused with exit 2; the run stays as it is"
                if of is unbroken
                else "said, and begun anew: no run is made by two codes",
                ended.message,
                ended.refused("code") and files(at) == before
                if of is unbroken
                else ended.code == 0 and "begins anew" in ended.said and same,
            )


def damaged() -> Iterator[Row]:
    """Files of a run that were cut or changed."""
    for name, how in (
        ("model.safetensors", "cut to half"),
        ("log.jsonl", "its last line cut"),
        ("predictions.parquet", "a byte changed"),
        ("config.json", "cut to half"),
        ("DONE", "cut to half"),
    ):
        with copied(unbroken()) as at:
            _damage(at / "run" / name, how)
            reader = call(at, "predict", "run", "--quiet", "--out", "scores")
            yield Row(
                f"`{name}` of a finished run, {how}",
                "`predict`",
                "refused with exit 2, the file named; nothing written",
                reader.message,
                reader.refused(name) and not (at / "scores").exists(),
            )
            again = call(at, *WHOLE)
            same = same_run(at / "run", unbroken() / "run")
            refused = name == "config.json"
            yield Row(
                f"`{name}` of a finished run, {how}",
                "`train`, the command that made it",
                "refused: whose run it is cannot be told"
                if refused
                else "said, and made again, the same to the bit",
                f"{again.message}; {'the same' if same else 'other'} bytes",
                again.refused("config.json")
                if refused
                else again.code == 0 and "damaged" in again.said and same,
            )
    with copied(half()) as at:
        _damage(at / "run" / "state.pt", "a byte changed")
        again = call(at, *WHOLE)
        same = same_run(at / "run", unbroken() / "run")
        yield Row(
            "`state.pt` of an unfinished run, a byte changed",
            "`train`",
            "said, and begun anew; the same to the bit",
            f"{again.message}; {'the same' if same else 'other'} bytes",
            again.code == 0 and "begins anew" in again.said and same,
        )
    yield from damaged_cache()


def damaged_cache() -> Iterator[Row]:
    """The decoded images, changed or cut."""
    for how in ("a byte changed", "cut to half"):
        with copied(unbroken()) as at:
            [pixels] = (at / "cache").rglob("images*.npy")
            _damage(pixels, how)
            ended = call(at, *TRAIN, "--epochs", "3", "--out", "again")
            same = same_run(at / "again", unbroken() / "run")
            yield Row(
                f"the file of decoded images, {how}",
                "`train`",
                "said, and decoded again; the run is the same to the bit",
                f"{ended.message}; {'the same' if same else 'other'} bytes",
                ended.code == 0 and "made again" in ended.said and same,
            )


def _damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "a byte changed":
        content[len(content) // 2] ^= 1
    else:
        del content[-9 if "line" in how else len(content) // 2 :]
    path.write_bytes(content)


FAULTS = (second_command, two_commands, other_code, damaged)
