"""The page stands alone, says what the numbers say, and lets no name through as markup."""

import json
import re
from html.parser import HTMLParser

import pytest
from test_audit import run, table

from fairthesis import curves, report, wording

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
        assert wording.number(value) in text
    for words in ("What cannot be concluded", "Holm", "patients", "By age_group", "n_boot"):
        assert words in text


def test_hostile_names_stay_text():
    frame = table()
    frame["sex"] = frame["sex"].replace("F", HOSTILE)
    frame = frame.rename(columns={"sex": "<img src=x>"})
    text = run(frame, groups=["<img src=x>"]).to_html()
    page = Page(text)
    assert page.tags.count("script") == 1 and "img" not in page.tags
    assert HOSTILE in "".join(page.words)


def test_a_page_from_a_read_audit(found):
    text = report.render(json.loads(found.to_json()))
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
    told = str(wording.summary(run(same).to_dict()))
    assert "cannot be told from chance" in told and "is not excluded" in told


def test_curves():
    y, s = [0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8]
    roc = curves.roc_curve(y, s)
    assert roc[["fpr", "tpr"]].to_numpy().tolist() == [[0, 0], [0, 0.5], [0.5, 1], [1, 1]]
    counts = curves.threshold_counts(y, s).set_index("threshold")
    assert counts.loc[0.4].tolist() == [2, 1] and counts.loc[0.41].tolist() == [1, 0]
    reliability = curves.reliability_curve(y, s)
    assert reliability["n"].sum() == 4
    assert (reliability["low"] <= reliability["rate"]).all()
