"""The built pages in a real browser: no error, no foreign request, no sideways scroll."""

import functools
import http.server
import threading

import pytest
from conftest import ROOT
from support.accessibility import violations

HTML = ROOT / "_build" / "html"
PAGES = sorted(
    str(page.relative_to(HTML)) for page in HTML.rglob("*.html") if "_static" not in page.parts
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not PAGES, reason="the book is not built: run `make book` first"),
]
# What the theme and docutils get wrong themselves, by page; "" is every page.
KNOWN = {
    "": ("aria-required-children", "empty-table-header", "label-content-name-mismatch", "region"),
    "bibliography.html": ("aria-allowed-role", "aria-deprecated-role"),
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address():
    handler = functools.partial(Quiet, directory=str(HTML))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", PAGES)
def test_page_opens_without_error(path, width, address, browser):
    page = browser.new_page(viewport={"width": width, "height": 900})
    said, asked, failed = [], [], []
    page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda r: failed.append(r.url) if r.status >= 400 else None)
    page.goto(f"{address}/{path}", wait_until="networkidle", timeout=120_000)
    # A formula that is not set yet is one long word.
    page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
    foreign = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    sideways = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    wrong = violations(page, known=(*KNOWN[""], *KNOWN.get(path, ())))
    page.close()
    assert not failed
    assert not foreign
    assert not said
    assert sideways <= 0
    assert wrong == []


def test_formulas_are_set(address, browser):
    page = browser.new_page()
    page.goto(f"{address}/thesis.html", wait_until="networkidle")
    page.wait_for_selector("mjx-container", timeout=20_000)
    page.close()


@pytest.mark.parametrize("chapter", sorted(n.stem for n in (ROOT / "notebooks").glob("*.ipynb")))
def test_chapters_show_their_figures_and_launch_the_notebook(chapter, address, browser):
    page = browser.new_page()
    page.goto(f"{address}/executed/{chapter}.html", wait_until="networkidle")
    widths = page.evaluate("[...document.querySelectorAll('figure img')].map(i => i.naturalWidth)")
    texts = page.evaluate("[...document.querySelectorAll('figure img')].map(i => i.alt)")
    links = page.evaluate("[...document.querySelectorAll('a')].map(a => a.href)")
    page.close()
    assert widths and min(widths) > 100
    assert all(len(text) > 20 for text in texts)
    launch = [link for link in links if "mybinder.org" in link]
    assert launch and all(f"notebooks/{chapter}.ipynb" in link for link in launch)
    assert not [link for link in links if "book/executed" in link]
