"""Sliders and embedded pages: the same numbers with and without scripts, in a real browser."""

from __future__ import annotations

import html
import re

import numpy as np
import pandas as pd
import pytest
from support.accessibility import violations

from fairthesis.errors import InputError
from fairthesis.plots import embedded_page, threshold_sliders

T = np.linspace(0.05, 0.95, 19)
CURVE = pd.DataFrame({"threshold": T, "tpr": 1 - T**2, "fpr": (1 - T) ** 2})
SLIDERS = threshold_sliders({"women": CURVE, "<men>": CURVE}, {"women": 0.1, "<men>": 0.4}, 0.5)


def document(body: str, dark: bool = False) -> str:
    colours = "background:#14181e;color:#ced6dd" if dark else "background:#fff;color:#323232"
    head = '<meta name="viewport" content="width=device-width"><title>A chapter</title>'
    return (
        f'<!doctype html><html lang="en"><head>{head}</head>'
        f'<body style="{colours};font:16px sans-serif"><main><h1>A chapter</h1>{body}</main></body>'
    )


def cells(page) -> list[list[str]]:
    rows = "[...document.querySelectorAll('tbody tr')].map(r => [...r.cells].map(c => c.innerText))"
    return [[text.strip() for text in row] for row in page.evaluate(rows)]


def expected(thresholds, prevalences) -> list[list[float]]:
    found = []
    for t, p in zip(thresholds, prevalences, strict=True):
        tpr, fpr = 1 - t**2, (1 - t) ** 2
        called = p * tpr + (1 - p) * fpr
        found.append([tpr, fpr, p * tpr / called, called])
    return [[*row, max(row) - min(row)] for row in zip(*found, strict=True)]


def close(shown: list[list[str]], wanted: list[list[float]]) -> bool:
    numbers = [[float(text) for text in row[1:]] for row in shown]
    return np.allclose(numbers, wanted, atol=0.0051)


def test_the_table_that_is_sent_is_complete():
    text = SLIDERS._repr_html_()
    wanted = expected((0.5, 0.5), (0.1, 0.4))
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", text)
    assert [[f"{v:.2f}" for v in row] for row in wanted] == [
        re.findall(r">(\d\.\d\d)<", row) for row in rows
    ]
    assert "&lt;men&gt;" in text and "<men>" not in text
    assert "Equal to within 0.01: true positive rate, false positive rate. Different:" in text
    assert not re.findall(r"https?://", text)


def test_names_of_groups_are_shown_as_they_are():
    shown = threshold_sliders(
        {"</script>": CURVE, "difference": CURVE}, dict.fromkeys(("</script>", "difference"), 0.5)
    )
    assert shown._repr_html_().count("</script>") == 2
    assert next(iter(shown.frame.columns)) == "</script>"


def test_what_cannot_be_shown_is_refused():
    both = {"a": CURVE, "b": CURVE}
    with pytest.raises(InputError, match="two groups or more"):
        threshold_sliders({"a": CURVE}, {"a": 0.1})
    with pytest.raises(InputError, match="prevalence of b"):
        threshold_sliders(both, {"a": 0.1})
    with pytest.raises(InputError, match="the same in all"):
        threshold_sliders({"a": CURVE, "b": CURVE.iloc[1:]}, {"a": 0.1, "b": 0.1})
    with pytest.raises(InputError, match=r"outside \[0, 1\]"):
        threshold_sliders({"a": CURVE, "b": CURVE.assign(tpr=np.nan)}, {"a": 0.1, "b": 0.1})
    with pytest.raises(InputError, match="fpr"):
        threshold_sliders({"a": CURVE, "b": CURVE.drop(columns="fpr")}, {"a": 0.1, "b": 0.1})


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
def test_sliders_follow_the_keyboard_and_fit_a_phone(dark, browser):
    page = browser.new_page(viewport={"width": 390, "height": 800})
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(document(SLIDERS._repr_html_() * 2, dark))  # twice: no key is taken twice
    first = page.locator(".ft-sliders").first
    assert close(cells(page)[:4], expected((0.5, 0.5), (0.1, 0.4)))
    first.locator("input").nth(0).focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    first.locator("input").nth(3).focus()
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    assert close(cells(page)[:4], expected((0.7, 0.5), (0.1, 0.1)))
    assert close(cells(page)[4:], expected((0.5, 0.5), (0.1, 0.4)))
    bar = float(first.locator(".ft-bar").first.get_attribute("width"))
    assert bar == pytest.approx(100 * (1 - 0.7**2), abs=0.01)
    page.wait_for_timeout(400)
    assert first.locator("[aria-live]").inner_text().startswith("Equal to within 0.01: none")
    sideways = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    wrong = violations(page)
    page.close()
    assert sideways <= 0 and not said and not asked and wrong == []


@pytest.mark.browser
def test_without_scripts_the_table_stands_and_no_slider(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(document(SLIDERS._repr_html_()))
    assert page.locator("input").count() == 4 and not page.locator("input").first.is_visible()
    assert page.locator("tbody td").first.inner_text().strip() == "0.75"
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_an_embedded_report_works_in_its_frame_and_nowhere_else(width, browser, tmp_path):
    report = (
        "<!doctype html><html lang=en><title>R</title><body><h1>Report &amp; more</h1>"
        "<p id=p>off</p><script>p.textContent = 'on';"
        "try { parent.document.title = 'taken' } catch (e) {}</script>"
    )
    (tmp_path / "audit.html").write_text(report, encoding="utf-8")
    shown = embedded_page(tmp_path / "audit.html", 'The "report"')
    assert shown.text == report and html.escape(report) in shown._repr_html_()
    page = browser.new_page(viewport={"width": width, "height": 800})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(document(shown._repr_html_()))
    frame = page.frame_locator("iframe")
    assert frame.locator("#p").inner_text() == "on"
    assert frame.locator("h1").inner_text() == "Report & more"
    assert page.title() == "A chapter"
    sideways = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    found = page.locator("iframe").get_attribute("title")
    page.close()
    assert sideways <= 0 and found == 'The "report"'
    assert not [url for url in asked if not url.startswith("about:")]


def test_a_frame_needs_words_a_length_and_a_page(tmp_path):
    with pytest.raises(InputError, match="no title"):
        embedded_page("<p>", " ")
    with pytest.raises(InputError, match="height"):
        embedded_page("<p>", "report", '1px" onload="x')
    with pytest.raises(InputError, match="Cannot read the page"):
        embedded_page(tmp_path / "none.html", "report")
