"""Add a built book to a site that keeps one of every release, and let its pages name each other.

    python workflow/versions.py SITE BOOK VERSION

SITE/VERSION becomes the book, SITE/index.html leads to the newest release (to ``latest`` where
there is none), and SITE/versions.html lists all. Every page links that list, and one of an older
release, or of what is not released yet, says so above its title. Nothing needs a script or a
server.
"""

from __future__ import annotations

import html
import re
import shutil
import sys
from pathlib import Path

from packaging.version import InvalidVersion, Version

LATEST = "latest"  # what is on the main branch
LINK = re.compile(r'<span class="versions">.*?</span>', re.DOTALL)
NOTE = re.compile(r'<p class="version-note" role="note">.*?</p>\n', re.DOTALL)
ARTICLE = '<article class="bd-article">\n'
STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem;"
    "color-scheme:light dark}"
)


def release(name: str) -> Version | None:
    """The release that a folder's name is; None where it is none."""
    try:
        return Version(name)
    except InvalidVersion:
        return None


def kept(site: Path) -> tuple[list[str], str]:
    """Versions in a site, newest first and ``latest`` before them, and the one that is led to."""
    there = [path.parent.name for path in site.glob("*/index.html")]
    numbers = {name: found for name in there if (found := release(name)) is not None}
    ordered = sorted(numbers, key=lambda name: numbers[name], reverse=True)
    final = [name for name in ordered if not numbers[name].is_prerelease]
    first = [LATEST] if LATEST in there else []
    return first + ordered, (final or first or ordered)[0]


def note(name: str, newest: str, up: str) -> str:
    """What stands above a page's title where it is not of the newest release."""
    if name == newest:
        return ""
    what = "of what is not released yet" if name == LATEST else f"of version {html.escape(name)}"
    link = f'<a href="{up}{newest}/index.html">{html.escape(newest)}</a>'
    said = f"This page is {what}. The newest release: {link}."
    return f'<p class="version-note" role="note">{said}</p>\n'


def written(path: Path, text: str) -> None:
    """A file that is whole or as it was."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def name_each_other(site: Path) -> None:
    """Links, notes and the site's two own pages, for the versions that are there now."""
    names, newest = kept(site)
    for name in names:
        for page in sorted((site / name).rglob("*.html")):
            old = page.read_text(encoding="utf-8")
            up = "../" * len(page.relative_to(site / name).parts)
            link = f'<span class="versions"> <a href="{up}versions.html">Other versions</a>.</span>'
            text = LINK.sub(link, NOTE.sub("", old))
            said = note(name, newest, up)
            text = text.replace(ARTICLE, ARTICLE + said, 1)  # the page's other title is for print
            if text != old:
                written(page, text)
    items = "\n".join(
        f'<li><a href="{name}/index.html">{html.escape(name)}</a>'
        f"{' (newest release)' if name == newest != LATEST else ''}"
        f"{' (not released yet)' if name == LATEST else ''}</li>"
        for name in names
    )
    head = f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<style>{STYLE}</style>\n'
    head += '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    title = "<title>Versions of fairthesis</title>\n<h1>Versions of the book</h1>\n"
    written(site / "versions.html", f"{head}{title}<ul>\n{items}\n</ul>\n</html>\n")
    lead = f'<meta http-equiv="refresh" content="0; url={newest}/index.html">\n'
    moved = f'<title>fairthesis</title>\n<p><a href="{newest}/index.html">The book</a></p>\n'
    written(site / "index.html", f"{head}{lead}{moved}</html>\n")


def main(words: list[str]) -> int:
    if len(words) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    site, book, name = Path(words[0]), Path(words[1]), words[2]
    if not (book / "index.html").is_file():
        print(f"No index.html in {str(book)!r}: call `make book` first.", file=sys.stderr)
        return 1
    if name != LATEST and release(name) is None:
        print(f"{name!r} is no version: expected {LATEST!r} or one such as 0.2.0.", file=sys.stderr)
        return 1
    site.mkdir(parents=True, exist_ok=True)
    part, place = site / f".{name}.part", site / name
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(book, part)
    shutil.rmtree(place, ignore_errors=True)
    part.rename(place)
    name_each_other(site)
    names, newest = kept(site)
    print(f"{site}: {', '.join(names)}; its front page leads to {newest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
