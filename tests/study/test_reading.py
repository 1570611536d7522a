"""What a reader is shown: tables that can be downloaded whole, and answers that are checked."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest

from fairthesis.study import check_answer, shown


def downloaded(table):
    found = re.search(r'download="([^"]+)" href="data:text/csv;base64,([^"]+)"', table)
    whole = io.BytesIO(base64.b64decode(found[2]))
    return found[1], pd.read_csv(whole, dtype=str)


def test_the_page_has_the_first_rows_and_the_download_has_all():
    frame = pd.DataFrame({"gap": np.linspace(0, 1, 44)}, index=pd.RangeIndex(44, name="cohort"))
    page = shown(frame, "gaps", rows=10)._repr_html_()
    assert page.count("<tr") == 11 and "10 of 44 rows shown" in page
    name, whole = downloaded(page)
    assert name == "gaps.csv"
    assert whole["gap"].map(float).tolist() == frame["gap"].tolist()  # not rounded
    assert "0.023" in page and str(frame["gap"][1]) not in page


def test_rows_after_the_tenth_are_folded_and_none_is_lost():
    frame = pd.DataFrame({"gap": np.linspace(0, 1, 44)}, index=pd.RangeIndex(44, name="cohort"))
    page = shown(frame, rows=14)._repr_html_()
    before, folded = page.split("<details")
    assert before.count("<tr") == 11 and folded.count("<tr") == 5
    assert "4 more rows" in folded and "14 of 44 rows shown" in folded
    cells = re.findall(r"<td>(.*?)</td>", page)
    assert cells == [f"{value:.3f}" for value in frame["gap"][:14]]
    assert "<details" not in shown(frame.head(10), rows=14)._repr_html_()


def test_names_are_text_wherever_they_stand():
    frame = pd.DataFrame({"<script>": ["<b>x</b>"]}, index=pd.Index(["&"], name="a<b"))
    page = shown(frame, '"><script>../../x')._repr_html_()
    assert "<script>" not in page and "<b>" not in page
    assert downloaded(page)[0] == "script-x.csv"


def test_several_levels_and_missing_values():
    index = pd.MultiIndex.from_product([["a", "b"], ["f", "m"]], names=["cohort", "sex"])
    page = shown(pd.DataFrame({"AUROC": [0.5, np.nan, 1, 0.25]}, index=index))._repr_html_()
    assert page.count("–") == 1 and "0.250" in page
    heads = re.findall(r"<th>(.*)</th>", page.split("</thead>")[0])
    assert heads == ["cohort", "sex", "AUROC"]  # in one row
    assert page.count("<tr") == page.count("</tr>") == 5


@pytest.mark.parametrize(
    ("answer", "right", "said"),
    [
        (None, 1, "No answer yet"),
        (0.2, 0.204, "Right: 0.2."),
        (0.2, 0.206, "too low"),
        (3, 2, "too high"),
        ("0.2", 0.2, "Right"),
        ("many", 0.2, "expected a number, but got 'many'"),
        (float("nan"), 0.2, "got nan"),
        ("FLIPS ", "flips", "Right"),
        (True, True, "Right"),
        ("no", "yes", "Not yet: no is not it"),
    ],
)
def test_answers(answer, right, said):
    told = check_answer(answer, right)
    assert said in told and repr(told) == told
