"""``fairthesis checklist``: one list, printed and written, whose commands are real."""

from __future__ import annotations

import csv
import html
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from fairthesis.auditing import CHECKLIST_FORMS, checklist, checklist_sources, checklist_text
from fairthesis.cli import cli, main

ROWS = checklist().to_dict("records")
COMMANDS = [row for row in ROWS if row["command"]]


def run(capsys: Any, *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["checklist", *map(str, words)])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_it_is_printed_by_stage(capsys: Any) -> None:
    code, out, _ = run(capsys)
    assert code == 0
    stages = [f"{stage[0].upper()}{stage[1:]}" for stage in checklist()["stage"].unique()]
    places = [out.index(f"{stage}\n{'=' * len(stage)}") for stage in stages]
    assert len(stages) == 4 and places == sorted(places)
    for row in ROWS:
        assert f"[ ] {row['id']:<3} {row['item']}" in out
        assert row["command"] in out


def test_every_file_holds_every_item(tmp_path: Path, capsys: Any) -> None:
    for form in CHECKLIST_FORMS:
        file = tmp_path / f"list.{form}"
        code, out, _ = run(capsys, "--out", file)
        text = file.read_text(encoding="utf-8")
        assert code == 0 and out.strip() == str(file) and text == checklist_text(form)
        assert all(row["item"] in html.unescape(text) for row in ROWS)
    with (tmp_path / "list.csv").open(newline="", encoding="utf-8") as table:
        assert list(csv.DictReader(table)) == ROWS


def test_a_file_that_is_there_is_kept(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "list.md"
    file.write_text("mine, filled in", encoding="utf-8")
    code, _, err = run(capsys, "--out", file)
    assert code == 2 and "--overwrite" in err and err.count("\n") == 1
    assert file.read_text(encoding="utf-8") == "mine, filled in"
    assert run(capsys, "--out", file, "--overwrite")[0] == 0
    assert file.read_text(encoding="utf-8") == checklist_text("md")


@pytest.mark.parametrize("name", ["list.pdf", "list"])
def test_another_ending_is_refused(name: str, tmp_path: Path, capsys: Any) -> None:
    code, _, err = run(capsys, "--out", tmp_path / name)
    assert code == 2 and ".html" in err
    assert not (tmp_path / name).exists()


def test_the_table_is_whole() -> None:
    ids = [row["id"] for row in ROWS]
    assert len(set(ids)) == len(ids)
    for row in ROWS:
        assert all(row[name].strip() for name in row if name != "command"), row["id"]
        assert row["ask_for"].endswith(".") and row["acceptable"].endswith("."), row["id"]
        assert not any("|" in value or "\n" in value for value in row.values()), row["id"]


def test_every_source_is_listed_and_used() -> None:
    sources = checklist_sources()
    named = {one.partition(":")[0].strip() for row in ROWS for one in row["sources"].split(";")}
    assert named == set(sources["name"]) and sources["name"].is_unique and sources["key"].is_unique
    links = [link for link in sources["link"] if link]
    assert all(re.fullmatch(r"https?://\S+", link) for link in links)


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row["id"])
def test_a_command_has_the_options_that_are_named(
    row: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, *words = shlex.split(row["command"])
    assert first == "fairthesis"
    command: click.Command | None = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        if command is not cli and words[0] not in command.list_commands(context):
            break  # a group that is a command as well, as `postprocess FILE`
        command = command.get_command(context, words.pop(0))
    assert command is not None
    command.make_context(row["id"], words)  # refuses an option or a choice that there is not


def test_the_page_makes_no_request_and_has_a_box_for_each() -> None:
    page = checklist_text("html")
    assert page.count('<input type="checkbox"') == len(ROWS)
    assert all(f'<label for="{row["id"]}">' in page for row in ROWS)
    assert not re.search(r"<(script|img|link|iframe)\b|url\(|@import", page)
    assert "default-src 'none'" in page and "@page" in page
