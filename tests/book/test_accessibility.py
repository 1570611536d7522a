"""The pages of audit, search and monitor in a browser, on a desk and a phone; no name is run."""

import re

import pytest
from support import targets
from support.accessibility import violations
from support.predictions import run, table
from support.transfer import cohort

from fairthesis import auditing
from fairthesis.auditing import audit_targets

pytestmark = pytest.mark.browser


def seen(browser, file, width):
    """What axe finds, what the console says, what is asked for, pixels that stick out sideways."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri(), wait_until="networkidle")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    sideways = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    found = violations(page)
    page.close()
    return found, said, asked, sideways


@pytest.fixture(scope="module")
def text():
    """Two attributes, an intersection with groups too small to compare, and warnings."""
    return run(table(), groups=["sex", "age_group", "sex*age_group"], floor=40).to_html()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_audit_can_be_read_by_everyone(text, width, browser, tmp_path):
    file = tmp_path / "audit.html"
    file.write_text(text, encoding="utf-8")
    found, said, asked, sideways = seen(browser, file, width)
    assert found == []
    assert said == []
    assert asked == [file.as_uri()]
    assert sideways <= 0


def searched():
    """Groups found, and groups explained by these."""
    frame = table(3000, effect=2)
    frame = frame[frame["split"] == "test"]
    planted = (frame["sex"] == "F") & (frame["age_group"] == ">60") & (frame["y_true"] == 1)
    frame["y_score"] = frame["y_score"].mask(planted, 0.3 * frame["y_score"])
    quick = {"patient": "patient_id", "n_permutations": 99}
    report = auditing.search(frame, groups=["sex", "age_group"], **quick)
    assert report.found()["explained_by"].notna().any()
    return report.to_html()


def monitored():
    """An alarm, labels that are not known, a shift, and a group without cases in a period."""
    frame = table(3000)
    frame["day"] = [f"2024-{1 + k * 9 // len(frame)}".replace("-", "-0") for k in range(len(frame))]
    frame.loc[frame["day"] > "2024-06", "y_score"] *= 0.5
    frame.loc[frame["day"] == "2024-09", "y_true"] = None
    limits = {"tpr": 0.6, "fpr": 0.5, "auroc": 0.6, "oe": 1.3}
    kept = frame[(frame["sex"] == "F") | (frame["day"] != "2024-05")]
    report = auditing.monitor(
        kept, time="day", groups=["sex"], limits=limits, patient="patient_id", split="test"
    )
    assert report.alarms
    return report.to_html()


def outcomes():
    """Numbers per case: missing ones, an undefined one, a group that is too small, no side said."""
    frame = table(1200)
    frame["loss"] = (frame["y_score"] - frame["y_true"]) ** 2
    frame.loc[frame["sex"] == "F", "y_true"] = None
    report = auditing.audit_outcomes(
        frame,
        groups=["sex", "age_group", "sex*age_group"],
        metrics=["mean:loss:lower", "median:y_score", "mae:y_true,y_score"],
        patient="patient_id",
        n_boot=60,
        n_permutations=60,
        floor=60,
    )
    return report.to_html()


def transferred():
    """Two models, a shift of both kinds, a group of one cohort only, long names."""
    (own, _), (other, _) = cohort(600, 0.3), cohort(500, 0.6, 0.6, seed=1, tag="b", worse=0.5)
    other.loc[::9, "sex"] = "a group with a rather long name of its own"
    models = {name: auditing.TransferTables(own, other) for name in ("erm", "adversarial_weight_4")}
    return auditing.transfer(
        models, groups=["sex"], n_boot=60, n_permutations=0, n_shift=99
    ).to_html()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("made", [searched, monitored, outcomes, transferred])
def test_search_and_monitor_can_be_read_by_everyone(made, width, browser, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(made(), encoding="utf-8")
    found, said, asked, sideways = seen(browser, file, width)
    assert (found, said, asked) == ([], [], [file.as_uri()])
    assert sideways <= 0


@pytest.mark.parametrize(
    ("part", "other", "rule"),
    [
        (r'<label for="a0-t">(.*?)</label>', r"<p>\1</p>", "label at #a0-t"),
        (r' role="img" aria-label="ROC curves', ' role="img" lang="ROC curves', "svg-img-alt"),
        (r"--soft: #57606a", "--soft: #c0c8d0", "color-contrast"),
        (r'<html lang="en">', "<html>", "html-has-lang"),
    ],
    ids=["label", "picture", "contrast", "language"],
)
def test_what_is_taken_away_is_missed(part, other, rule, browser, tmp_path):
    broken, times = re.subn(part, other, run(table()).to_html())
    assert times
    file = tmp_path / "audit.html"
    file.write_text(broken, encoding="utf-8")
    assert any(line.startswith(rule) for line in seen(browser, file, 1280)[0])


def test_no_name_in_the_table_is_run(browser, tmp_path):
    run_me = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    end = "</script></title></textarea><script>alert(3)</script>"
    quoted = "\" autofocus onfocus='alert(4)' x=\""
    frame = table().rename(columns={"sex": run_me, "y_true": end, "y_score": quoted})
    frame[run_me] = frame[run_me].replace({"F": quoted, "M": end + "{{ 7*7 }}${7*7}"})
    frame["split"] = frame["split"].replace("test", end)
    frame["target"] = quoted
    options = {
        "label": end,
        "score": quoted,
        "split": end,
        "groups": [run_me, f"{run_me}*age_group"],
    }
    found = run(frame, floor=40, **options)
    file = tmp_path / "audit.html"
    file.write_text(found.to_html(), encoding="utf-8")
    page = browser.new_page()
    ran, said, asked = [], [], []
    page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri(), wait_until="networkidle")
    page.fill("#a0-t", "0.3")
    page.locator("textarea").first.fill(end)
    with page.expect_download():
        page.click("#save-card")
    scripts = page.locator("script").count()
    shown = page.inner_text("#a0")
    tables = page.locator("#a0 [role=region]").first.get_attribute("aria-label")
    page.close()
    assert ran == [] and said == []
    assert all(url == file.as_uri() or url.startswith("blob:") for url in asked)
    assert scripts == 2
    assert run_me in tables and run_me in shown and quoted in shown and "{{ 7*7 }}" in shown


@pytest.mark.parametrize("width", [1280, 390])
def test_so_can_the_audits_of_several_targets_and_classes(width, browser, tmp_path):
    quick = {"groups": ["sex"], "patient": "patient_id", "n_boot": 40, "n_permutations": 99}
    reports = {
        "targets": audit_targets(targets.long(targets.wide(900)), **quick),
        "classes": audit_targets(
            targets.classes(), label="dx", classes={c: f"p_{c}" for c in targets.CLASSES}, **quick
        ),
    }
    for name, found in reports.items():
        file = tmp_path / f"{name}.html"
        file.write_text(found.to_html(), encoding="utf-8")
        assert seen(browser, file, width) == ([], [], [file.as_uri()], 0)
