"""A site that keeps the book of every release."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

pytest.importorskip("packaging")
PAGE = """<html><body><h1>{0}, for print</h1><article class="bd-article">
<section><h1>{0}</h1>{0}</section></article><p>Foot.<span class="versions"></span></p>"""


def built(folder: Path, text: str) -> Path:
    (folder / "executed").mkdir(parents=True, exist_ok=True)
    for name in ("index.html", "executed/why.html"):
        (folder / name).write_text(PAGE.format(text), encoding="utf-8")
    return folder


def add(site: Path, book: Path, version: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "workflow/versions.py", str(site), str(book), version]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def note(site: Path, page: str) -> str:
    text = (site / page).read_text(encoding="utf-8")
    found = re.findall(r'<p class="version-note" role="note">(.*?)</p>\n<section><h1', text)
    assert len(found) <= 1 and text.count('<span class="versions">') == 1
    for link in re.findall(r'href="([^"]+)"', text):
        assert ((site / page).parent / link).resolve().is_file(), link
    return re.sub("<.*?>", "", found[0]) if found else ""


def test_every_release_stays_and_its_pages_know_the_newest(tmp_path: Path) -> None:
    site, book = tmp_path / "site", tmp_path / "book"
    front = lambda: re.findall(r"url=(\S+?)/index", (site / "index.html").read_text())  # noqa: E731
    added = add(site, built(book, "first"), "latest")
    assert added.returncode == 0, added.stderr
    assert front() == ["latest"] and note(site, "latest/index.html") == ""
    for version, text in (("0.9.0", "nine"), ("0.10.0", "ten"), ("1.0.0rc1", "soon")):
        assert add(site, built(book, text), version).returncode == 0
    # Ten is newer than nine, and a candidate is no release.
    assert front() == ["0.10.0"] and note(site, "0.10.0/executed/why.html") == ""
    for page in ("0.9.0/index.html", "0.9.0/executed/why.html"):
        said = "This page is of version 0.9.0. The newest release: 0.10.0."
        assert note(site, page) == said
    assert "not released yet" in note(site, "latest/executed/why.html")
    listed = re.findall(r'<a href="(.*?)/index.html">', (site / "versions.html").read_text())
    assert listed == ["latest", "1.0.0rc1", "0.10.0", "0.9.0"]
    # The main branch moves on: its pages are the new ones, and all others are as they were.
    old = (site / "0.9.0" / "index.html").read_bytes()
    (book / "executed" / "why.html").unlink()
    built(book, "second")
    assert add(site, book, "latest").returncode == 0
    assert "second" in (site / "latest" / "executed" / "why.html").read_text()
    assert (site / "0.9.0" / "index.html").read_bytes() == old
    assert not [path for path in site.rglob("*") if path.name.endswith(".part")]


def test_what_is_no_book_or_no_version_is_refused_and_nothing_written(tmp_path: Path) -> None:
    empty = add(tmp_path / "site", tmp_path, "latest")
    assert empty.returncode == 1 and "call `make book` first" in empty.stderr
    wrong = add(tmp_path / "site", built(tmp_path / "book", "x"), "../main")
    assert wrong.returncode == 1 and "'../main' is no version" in wrong.stderr
    assert not (tmp_path / "site").exists()
    assert add(tmp_path / "site", tmp_path, "").returncode == 1
