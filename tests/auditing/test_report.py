"""The page stands alone, says what the numbers say, and lets no name through as markup."""

import json
import re
from html.parser import HTMLParser

import pytest
from support.predictions import run, table

from fairthesis import metrics
from fairthesis.auditing import _wording as wording
from fairthesis.auditing._html import render

HOSTILE = "<script>alert('x')</script>\"&{{ 7*7 }}"


class Page(HTMLParser):
    """Collects tags, attributes and text, and sees that tags are closed in order."""

    EMPTY = ("meta", "input", "br", "rect", "line", "circle", "polyline")

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.words, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [
            v for k, v in attrs if k in ("src", "href", "srcset", "action", "xlink:href")
        ]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def found():
    return run(table(), groups=["sex", "age_group"])


def test_the_page_is_one_file_that_asks_for_nothing(found):
    text = found.to_html()
    page = Page(text)
    assert page.open == [] and page.links == []
    assert not re.search(r"https?://|@import|url\(", text)
    assert "default-src 'none'" in text
    assert len(text) < 400_000


def test_the_page_shows_what_the_audit_found(found):
    text = " ".join(Page(found.to_html()).words)
    gap = found.disparities["sex"]["auroc_gap"]
    for value in (gap.value, *gap.ci, gap.null_mean, found.overall["auroc"].value):
        assert wording.number_text(value) in text
    for words in (
        "What cannot be concluded",
        "Westfall and Young",
        "patients",
        "By age_group",
        "n_boot",
    ):
        assert words in text


def test_hostile_names_stay_text():
    frame = table()
    frame["sex"] = frame["sex"].replace("F", HOSTILE)
    frame = frame.rename(columns={"sex": "<img src=x>"})
    text = run(frame, groups=["<img src=x>"]).to_html()
    page = Page(text)
    assert page.tags.count("script") == 2 and "img" not in page.tags
    assert HOSTILE in "".join(page.words)


def test_a_page_from_a_read_audit(found):
    text = render(json.loads(found.to_json()))
    assert "<input" not in text and Page(text).open == []


def test_bold_marks_gaps_beyond_chance_only():
    bold = re.compile(r'class="clear"')
    assert not bold.search(run(table(effect=0.0)).to_html())
    assert bold.search(run(table(4000, effect=3.0), n_permutations=400).to_html())


def test_a_page_without_gaps():
    small = run(table(), floor=10_000, n_boot=0, n_permutations=0, patient=None)
    text = " ".join(Page(small.to_html()).words)
    assert "No gap in AUROC can be given" in text
    assert "too narrow" in text


def test_a_gap_within_chance_is_not_called_a_difference():
    same = table(effect=0.0)
    told = str(wording.summary_sentences(run(same).to_dict()))
    assert "cannot be told from chance" in told and "is not excluded" in told


def test_curves():
    y, s = [0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8]
    roc = metrics.roc_curve(y, s)
    assert roc[["fpr", "tpr"]].to_numpy().tolist() == [[0, 0], [0, 0.5], [0.5, 1], [1, 1]]
    counts = metrics.threshold_counts(y, s).set_index("threshold")
    assert counts.loc[0.4].tolist() == [2, 1] and counts.loc[0.41].tolist() == [1, 0]
    reliability = metrics.reliability_curve(y, s)
    assert reliability["n"].sum() == 4
    assert (reliability["low"] <= reliability["rate"]).all()


def test_the_model_card_says_what_was_measured_as_text():
    frame = table()
    frame["sex"] = frame["sex"].replace("F", HOSTILE + "|$x$")
    found = run(frame)
    card = wording.model_card(found.to_dict())
    assert wording.number_text(found.disparities["sex"]["auroc_gap"].value) in card
    assert "## Limits" in card and "all rows" in card
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}
    assert not re.search(r"(?<!\\)(<script|\$)", card)
    page = found.to_html()
    assert page.count("data-card=") == len(wording.CARD)
    assert "<script>alert" not in page


def test_every_metric_has_a_forest_and_additional_metrics_a_table(found):
    text = found.to_html()
    words = " ".join(Page(text).words)
    for metric in found.overall:
        rows = len(re.findall(rf'aria-label="{re.escape(wording.LABELS[metric])} of ', text))
        assert rows == sum(len(groups) for groups in found.groups.values()), metric
    for metric, estimate in found.additional["groups"]["sex"]["F"].items():
        assert wording.LABELS[metric] in words
        assert wording.number_text(estimate.value) in words
    assert wording.number_text(found.additional["cross_auroc"]["sex"]["F"]["M"]) in words
    assert found.settings["rows_fingerprint"] in words
    other = table()
    other.loc[other.index[other["split"] == "test"][0], "y_score"] += 1e-9
    again = run(other, groups=["sex", "age_group"])
    assert again.settings["rows_fingerprint"] != found.settings["rows_fingerprint"]


@pytest.mark.browser
def test_the_slider_shows_the_equalized_odds_difference(tmp_path, found, browser):
    file = tmp_path / "audit.html"
    file.write_text(found.to_html(), encoding="utf-8")
    page = browser.new_page(viewport={"width": 390, "height": 800})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    shown = {"0.5": page.inner_text("#a0-eo")}
    page.fill("#a0-t", "0.3")
    shown["0.3"] = page.inner_text("#a0-eo")
    rates = page.inner_text("[data-explorer=a0] tbody tr:first-child")
    sideways = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    folded = page.locator("details[open]").count()
    pages = page.pdf()
    unfolded = page.locator("details[open]").count()
    page.close()
    for threshold, text in shown.items():
        again = run(table(), threshold=float(threshold), n_boot=0, n_permutations=0)
        value = again.disparities["sex"]["equalized_odds_difference"].value
        assert text == f"{value:.3f}"
        last = again.groups["sex"]["F"].metrics["tpr"].value
    assert f"{last:.3f}" in rates
    assert asked == [file.as_uri()] and sideways <= 0
    assert folded == 0 and unfolded == 3 * len(found.groups)  # but the pairs of groups
    assert pages.startswith(b"%PDF")


@pytest.mark.browser
def test_on_paper_nothing_is_cut_and_what_cannot_be_used_is_left_out(tmp_path, browser):
    frame = table(3000)
    ward = frame["patient_id"].str.slice(1).astype(int) % 12
    frame["ward"] = "ward number " + ward.astype(str)  # twelve columns of the widest table
    file = tmp_path / "audit.html"
    found = run(frame, groups=["ward"], n_boot=20, n_permutations=20)
    file.write_text(found.to_html(), encoding="utf-8")
    page = browser.new_page(viewport={"width": 688, "height": 1000})  # A4 within its margins
    page.goto(file.as_uri())
    page.fill("#a0-t", "0.3")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    sideways = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    caption = page.inner_text("figcaption:has([data-threshold=a0])")
    hidden = [not page.is_visible(one) for one in ("#a0-t", ".card", "figcaption .screen")]
    page.emulate_media(media="screen")
    on_screen = page.inner_text("figcaption:has([data-threshold=a0])")
    page.get_by_label(wording.CARD[1]).fill("Triage by radiologists")
    page.emulate_media(media="print")
    card = [page.is_visible(one) for one in (".card h2", ".card button", "#card")]
    page.close()
    assert sideways <= 0
    assert caption.startswith("Dots: the threshold 0.30. ") and all(hidden)
    assert on_screen.startswith("Dots: the threshold set below. ")
    assert card == [True, False, False]


@pytest.mark.browser
def test_the_model_card_is_filled_in_and_saved(tmp_path, found, browser):
    file = tmp_path / "audit.html"
    file.write_text(found.to_html(), encoding="utf-8")
    page = browser.new_page()
    errors = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    page.get_by_label(wording.CARD[1]).fill("Triage by radiologists")
    with page.expect_download() as saved:
        page.click("#save-card")
    text = saved.value.path().read_text(encoding="utf-8")
    page.close()
    assert errors == []
    assert f"## {wording.CARD[1]}\n\nTriage by radiologists\n" in text
    assert text.endswith(wording.model_card(found.to_dict()))
    assert "Not stated." in text
