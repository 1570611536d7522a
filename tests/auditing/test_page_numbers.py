"""What the page says of small thresholds, of ties, and of rows without a group."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from support.predictions import run, table

import fairthesis
from fairthesis.auditing._wording import summary_sentences, threshold_text


def rare(scale=1000.0):
    frame = table()
    return frame.assign(y_score=frame["y_score"] / scale)


@pytest.mark.parametrize("value", [0.0, 1e-9, 0.0004, 0.05, 0.5, 0.99987, 1 - 1e-6, 1.0])
def test_a_threshold_can_be_told_from_0_and_1(value):
    said = float(threshold_text(value))
    assert (said == 0) == (value == 0) and (said == 1) == (value == 1)
    assert said == pytest.approx(value, rel=1e-5) or abs(said - value) < 5e-4 * min(
        value, 1 - value
    )


def test_the_page_opens_at_the_audits_own_threshold():
    report = run(rare(), threshold=0.0004)
    page = report.to_html()
    assert "threshold 0.0004 (fixed" in page
    assert re.search(r'type="range"[^>]* value="0.0004"', page)
    cuts = json.loads(re.search(r"const cuts = (\[.*?\])", page)[1])
    assert cuts == sorted({*np.round(np.linspace(0, 1, 101), 2), 0.0004})
    line = next(text for text in page.splitlines() if text.startswith("const counts ="))
    counts = json.loads(line.removeprefix("const counts =").rstrip(" ;"))["a0"]
    k = cuts.index(0.0004)
    for group, found in zip(counts, report.groups["sex"].values(), strict=True):
        assert group["tp"][k] / found.n_positive == pytest.approx(found.metrics["tpr"].value)


def test_keys_meet_the_audits_own_threshold(browser, tmp_path):
    run(rare(), threshold=0.0004).write(tmp_path)
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((tmp_path / "audit.html").as_uri())
    slider, out = page.locator("input[type=range]").first, page.locator("#a0-o")
    seen = [out.inner_text()]
    slider.focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
        seen.append(out.inner_text())
    assert seen == ["0.0004", "0.00", "0.00", "0.0004", "0.01", "0.02"]
    assert slider.get_attribute("aria-valuetext") == "0.02" and not errors
    page.close()


def test_of_equal_groups_none_is_the_lowest():
    frame = table(400)
    both = pd.concat([frame.assign(site="A"), frame.assign(site="B")], ignore_index=True)
    both["image_id"] = np.arange(len(both)).astype(str)
    report = fairthesis.audit(
        both, groups=["site"], patient="patient_id", n_boot=0, n_permutations=0
    )
    sentences = dict(summary_sentences(report.to_dict()))["site"]
    assert sentences and all("lowest in" not in sentence for sentence in sentences)
    unequal = dict(summary_sentences(run(frame).to_dict()))["sex"]
    assert any("lowest in" in sentence for sentence in unequal)


def test_rows_without_a_group_are_reported_beside_the_others():
    n = 400
    frame = pd.DataFrame({"y_true": [1, 0] * (n // 2), "p": range(n), "sex": ["f", "m"] * (n // 2)})
    frame["sex"] = np.where(np.arange(n) % 4 < 2, "f", "m")
    frame["y_score"] = 0.9 * frame["y_true"]
    lost = frame.index[frame["y_true"] == 1][:40]
    frame.loc[lost, "sex"] = None
    frame.loc[lost[:30], "y_score"] = 0.1
    report = fairthesis.audit(frame, groups=["sex"], patient="p", n_boot=0, n_permutations=0)
    (said,) = [text for text in report.warnings if "have no sex" in text]
    assert "40 of 400 rows have no sex" in said
    assert "Positive are 40 of 40 (100%) of them and 160 of 360 (44%) of the others" in said
    assert "10 of 40 (25%) of these positives and 160 of 160 (100%) of the others'" in said
