"""Faults of names: hostile words as values, columns, files and targets, through every output."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import trying
from made import FEW, TRAIN, files, fresh, table
from PIL import Image
from trying import Ended, Row, call

HOSTILE = {
    "script": "<script>document.title='ran'</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "formula": "=1+1",
    "command": "@SUM(1+1)*cmd|' /C calc'!A0",
    "path": "../../out",
    "shell": '"; rm -rf "$HOME"; touch ran; "',
    "substitution": "$(touch ran)`touch ran`",
    "latex": "\\input{/etc/passwd}",
    "mathtext": "$\\frac{1}{$",
    "template": "{{ 7*7 }}{% raw %}",
    "markdown": "[a](javascript:alert(1)) | b",
    "long": "x" * 500,
    "emoji": "👩🏽‍⚕️ ñ 胸 \u202eabc",
    "newline": "two\nlines",
    "escape": "\x1b[2J\x1b]0;ran\x07",
}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
EXPECTED = "nothing run, nothing outside the folder; {} are valid and hold the names as text"


class Page(HTMLParser):
    """What a page is made of: its elements, handlers, addresses, text, and what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts, self.handlers, self.addresses = 0, 0, 0
        self.open: list[str] = []
        self.words: list[str] = []
        self.wrong = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag in ("script", "iframe", "object", "embed")
        self.handlers += sum(name.startswith("on") for name, _ in attrs)
        self.addresses += sum(
            name in ("href", "src")
            and (value == "x" or str(value).lower().startswith("javascript:"))
            for name, value in attrs
        )
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.wrong = True

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def same_page(text: str, plain: str, word: str) -> bool:
    """Whether a page has no more that runs than one of harmless names, and holds the word."""
    page, other = Page(text), Page(plain)
    runs = (page.scripts, page.handlers, page.addresses)
    flat = " ".join("".join(page.words).split())
    return (
        runs == (other.scripts, other.handlers, other.addresses)
        and not page.wrong
        and not page.open
        and " ".join(word.split())[:40] in flat
    )


def quoted_cells(path: Path) -> bool:
    """Whether no cell of a CSV is a formula for a spreadsheet, and all rows are of one length."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    numbers = re.compile(r"-?(\d+\.?\d*(e[+-]?\d+)?|inf)")
    cells = [cell for row in rows for cell in row if not numbers.fullmatch(cell)]
    return len({len(row) for row in rows}) <= 1 and not any(
        cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells
    )


def wrong_outputs(folder: Path, plain: Path, word: str) -> list[str]:
    """The files of a folder that are not valid, or in which a name is more than text."""
    wrong = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.suffix == ".html":
            twins = list(plain.rglob(path.name))
            twin = min(twins, key=lambda p: abs(len(p.parts) - len(path.parts)))
            right = same_page(path.read_text("utf-8"), twin.read_text("utf-8"), word)
        elif path.suffix == ".svg":
            tags = {element.tag.rpartition("}")[2] for element in ElementTree.parse(path).iter()}
            right = "script" not in tags and "foreignObject" not in tags
        elif path.suffix == ".csv":
            right = quoted_cells(path)
        elif path.suffix == ".json":
            right = bool(json.loads(path.read_text("utf-8")))
        elif path.suffix == ".md":
            text = path.read_text("utf-8")
            right = not re.search(r"(?<!\\)(<script|\]\(javascript)", text.lower())
        else:
            right = True
        if not right:
            wrong.append(str(name))
    return wrong


def judged(fault: str, words: str, ended: Ended, at: Path, plain: Path, word: str) -> Row:
    """The row of a command that wrote ``out`` in ``at``."""
    kinds = sorted({p.suffix[1:].upper() for p in (at / "out").rglob("*") if p.is_file()})
    wrong = wrong_outputs(at / "out", plain / "out", word) if ended.code == 0 else []
    ran = [p.name for p in at.parent.rglob("ran")] + [p.name for p in at.parent.glob("out*")]
    told = f"; wrong: {trying.escaped(', '.join(wrong))}" if wrong else ""
    happened = "exit 0" if ended.code == 0 else ended.message
    return Row(
        fault,
        words,
        EXPECTED.format(", ".join(kinds)),
        f"{happened}{told}{'; something ran' if ran else ''}",
        ended.code in (0, 3) and ended.in_words and not wrong and not ran,
    )


def predictions(word: str) -> pd.DataFrame:
    """Predictions whose group, columns and keys are hostile; dates and a finding beside them."""
    frame = table(240)
    frame["sex"] = frame["sex"].replace("F", word)
    frame["patient_id"] = word + frame["patient_id"].astype(str)
    frame["date"] = [f"2024-{1 + k // 60:02d}-15" for k in range(len(frame))]
    return frame.rename(columns={"sex": f"sex {word}", "image_id": f"{word} id"})


def tables_of(at: Path, word: str) -> None:
    """The table, as Parquet: CSV would trim the ends of the words."""
    predictions(word).to_parquet(at / "t.parquet", index=False)


def words_of(command: str, word: str) -> list[str]:
    """A command on that table."""
    group = ["--group", f"sex {word}", "--patient", "patient_id", "--out", "out"]
    more = {
        "audit": FEW,
        "compare": ("--n-boot", "20", "--name", word, "--name", f"{word} 2"),
        "monitor": ("--time", "date", "--limit", "tpr=0.1"),
        "search": ("--n-permutations", "20", "--minimum", "10"),
    }[command]
    tables = ["t.parquet"] * (2 if command == "compare" else 1)
    if command == "compare":
        group += ["--key", f"{word} id"]
    return [command, *tables, *group, *more, "--quiet"]


def hostile_groups(command: str = "audit", only: tuple[str, ...] = ()) -> Iterator[Row]:
    """Each word as a group, as part of columns' names and keys, and on the command line."""
    with fresh() as plain:
        tables_of(plain, "F")
        first = call(plain, *words_of(command, "F"))
        assert first.code in (0, 3), first.said
        for name, word in HOSTILE.items():
            if only and name not in only:
                continue
            with fresh() as at:
                tables_of(at, word)
                ended = call(at, *words_of(command, word))
                shown = trying.escaped(word if len(word) < 60 else f"{word[:9]}... (500 letters)")
                fault = f"{shown} as group, column and key"
                yield judged(fault, f"`{command}`", ended, at, plain, word)


def hostile_pages() -> Iterator[Row]:
    """The other commands that write a page or tables."""
    for command in ("compare", "monitor", "search"):
        yield from hostile_groups(command, ("script", "formula", "newline"))


def hostile_targets() -> Row:
    """Findings named by the words: one folder each, all inside."""
    with fresh() as at, fresh() as plain:
        ended = _findings(plain, list(HOSTILE))
        assert ended.code == 0, ended.said
        ended = _findings(at, list(HOSTILE.values()))
        row = judged("all of them as findings", "`audit --finding`", ended, at, plain, "")
        folders = [path for path in (at / "out").glob("*") if path.is_dir()]
        right = row.as_expected and len(folders) == len(HOSTILE)
        return Row(row.fault, row.command, row.expected, row.happened, right)


def _findings(at: Path, listed: list[str]) -> Ended:
    frame = table(240)
    words = ["audit", "t.parquet", "--group", "sex", "--patient", "patient_id", *FEW, "--quiet"]
    for k, name in enumerate(listed):
        frame[name], frame[f"p{k}"] = frame["y_true"], frame["y_score"]
        words += ["--finding", f"{name}:p{k}"]
    frame.to_parquet(at / "t.parquet", index=False)
    return call(at, *words, "--out", "out")


def hostile_files() -> Iterator[Row]:
    """Each word as the name of the table and of the folder of the report."""
    for name, word in HOSTILE.items():
        plain = word.replace("/", "_").replace("..", ".")
        with fresh() as at:
            before = set(files(at.parent))
            long = len(plain.encode()) > 250
            given = "table.csv"
            if not long:
                given = f"{plain}.csv"
                (at / "table.csv").rename(at / given)
            words = ["audit", "--group", "sex", "--patient", "patient_id", *FEW, "--quiet"]
            ended = call(at, *words, "--out", f"out {plain}", "--", given)
            new = set(files(at.parent)) - before
            inside = all(n.startswith((f"here/out {plain}/", f"here/{plain}.csv")) for n in new)
            shown = trying.escaped(plain if len(plain) < 60 else f"{name} ({len(plain)} letters)")
            yield Row(
                f"{shown} as the name of the table and of the folder",
                "`audit`",
                "refused with exit 2: too long a name; nothing written"
                if long
                else "read and written under that name; nothing else is",
                ended.message,
                inside and (ended.refused("too long") if long else ended.code == 0),
            )


def own_pictures(at: Path, words: dict[str, str]) -> list[str]:
    """A data set of a user's own with hostile groups, and the options that name it."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(40 * len(words)):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(at / f"{k}.png")
        who = list(words.values())[k % len(words)]
        rows.append((f"{k}.png", f"p{k}", k // len(words) % 2, who))
    columns = ["path", "patient", "=cancer<b>", "<i>sex"]
    pd.DataFrame(rows, columns=columns).to_csv(at / "labels.csv", index=False)
    return ["table=labels.csv", "patient=patient", "targets==cancer<b>", "attributes=<i>sex"]


def hostile_data() -> Iterator[Row]:
    """A data set of a user's own: described, drawn as SVG, trained on, exported with its card."""
    chosen = {k: v for k, v in HOSTILE.items() if k not in ("long", "escape")}
    with fresh() as at:
        options = own_pictures(at, chosen)
        (at / "out").mkdir()
        data = ["csv", "--data-root", "."]
        described = [word for option in options for word in ("--option", option)]
        ended = call(at, "datasets", "describe", *data, *described, "--plot", "out/counts.svg")
        fault = f"{len(chosen)} of them as groups of a user's own pictures"
        yield judged(fault, "`datasets describe --plot counts.svg`", ended, at, at, "")
        trained = [word for option in options for word in ("--dataset-option", option)]
        own = ["train", "--dataset", *data, *trained, *TRAIN[3:-6], "--epochs", "1"]
        ended = call(at, *own, "--out", "out/run")
        yield judged(fault, "`train`", ended, at, at, "")
        ended = call(at, "export", "out/run", "--format", "hub-folder", "--n-boot", "20",
                     "--out", "out/shared")  # fmt: skip
        yield judged(fault, "`export`, with its model card", ended, at, at, "")


FAULTS = (hostile_groups, hostile_pages, hostile_targets, hostile_files, hostile_data)
