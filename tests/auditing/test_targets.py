"""Several targets together: each as by itself, and what stands beside them."""

import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from support.targets import CLASSES, TARGETS, classes, long, wide

import fairthesis
from fairthesis import stats
from fairthesis.auditing import audit, audit_targets
from fairthesis.auditing._averages import correlations, mean_interval
from fairthesis.auditing._target_files import folder_names
from fairthesis.errors import InputError

FINDINGS = {t: (t, f"p_{t}") for t in TARGETS}
QUICK = {"groups": ["sex", "age_group"], "patient": "patient_id", "n_boot": 60}
QUICK |= {"n_permutations": 60}


@pytest.fixture(scope="module")
def found():
    return audit_targets(long(wide()), **QUICK)


def without(report, *keys):
    """What an audit found, with its settings but those of the columns' names.

    How many rows the table had before its target was chosen is the table's, not the target's.
    """
    gone = ("label", "score", "target", *keys)
    found = report.to_dict()
    del found["further"]["flow"]
    return found, {k: v for k, v in report.settings.items() if k not in gone}


def test_each_target_is_audited_as_by_itself(found):
    assert list(found.reports) == list(TARGETS) and found.failed == {}
    own = audit(long(wide()), target="Effusion", **QUICK)
    assert without(found.reports["Effusion"]) == without(own)
    assert found.reports["Effusion"].settings == own.settings


def test_a_wide_table_is_its_long_form(found):
    other = audit_targets(wide(), findings=FINDINGS, **QUICK)
    for name in TARGETS:
        assert without(other.reports[name]) == without(found.reports[name])
    for part in ("macro", "p_over_targets", "n_comparisons", "warnings"):
        assert other.to_dict()[part] == found.to_dict()[part]
    assert other.reports["Mass"].settings["target"] == "Mass"


def test_the_order_of_rows_does_not_count(found):
    mixed = audit_targets(long(wide()).sample(frac=1, random_state=1), **QUICK)
    assert mixed.to_dict() == found.to_dict()


def test_means_are_those_of_the_targets(found):
    auroc = [r.overall["auroc"].value for r in found.reports.values()]
    assert found.averages["", "auroc"].value == pytest.approx(np.mean(auroc))
    gaps = [r.disparities["sex"]["auroc_gap"] for r in found.reports.values()]
    average = found.averages["sex", "auroc_gap"]
    assert average.value == pytest.approx(np.mean([g.value for g in gaps]))
    assert average.null_mean == pytest.approx(np.mean([g.null_mean for g in gaps]))
    assert average.n_targets == 3
    # Gaps err together: the means of the ends, where the values lie between them.
    low, high = np.array([g.ci for g in gaps]).T
    value = np.array([g.value for g in gaps])
    expected = value.mean() - np.maximum(value - low, 0).mean()
    assert average.ci[0] == pytest.approx(expected)
    expected = value.mean() + np.maximum(high - value, 0).mean()
    assert average.ci[1] == pytest.approx(expected)


def test_the_same_target_twice_has_its_own_interval_as_that_of_the_mean():
    table = wide().assign(Effusion=lambda t: t["Edema"], p_Effusion=lambda t: t["p_Edema"])
    pair = {t: FINDINGS[t] for t in ("Edema", "Effusion")}
    found = audit_targets(table, findings=pair, **(QUICK | {"n_boot": 200, "n_permutations": 0}))
    own = found.reports["Edema"].overall["auroc"]
    assert found.averages["", "auroc"].ci == pytest.approx(own.ci)


def test_targets_of_other_patients_average_out():
    one, two = wide(seed=1), wide(seed=2)
    two["patient_id"] += "-b"
    two["image_id"] += "-b"
    both = pd.concat([long(one).query("target == 'Edema'"), long(two).query("target == 'Mass'")])
    found = audit_targets(both, **(QUICK | {"n_boot": 400, "n_permutations": 0, "groups": ["sex"]}))
    own = [r.overall["auroc"] for r in found.reports.values()]
    reach = np.hypot(*(e.value - e.ci[0] for e in own)) / 2
    average = found.averages["", "auroc"]
    assert average.value - average.ci[0] == pytest.approx(reach, rel=0.1)
    # Without keys nothing is known of who is who, and the interval is the widest.
    keyless = both.drop(columns="image_id")
    blind = audit_targets(keyless, **(QUICK | {"patient": None, "n_permutations": 0}))
    own = [r.overall["auroc"] for r in blind.reports.values()]
    low = np.mean([e.ci[0] for e in own])
    assert blind.averages["", "auroc"].ci[0] == pytest.approx(low)


def test_mean_interval_in_closed_form():
    values, ends = [0.5, 0.7, 0.9], [(0.4, 0.6), (0.65, 0.8), (0.9, 0.9)]
    together = np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
    low, high = mean_interval(values, ends, together)
    assert low == pytest.approx(0.7 - np.sqrt(0.01 + 0.0025 + 0.005) / 3)
    assert high == pytest.approx(0.7 + np.sqrt(0.01 + 0.01 + 0.01) / 3)
    assert mean_interval(values, [*ends[:2], None], together) is None
    constant = correlations([np.ones(5), np.arange(5.0)])
    assert constant.tolist() == [[1, 1], [1, 1]]


def test_p_values_are_corrected_over_the_targets(found):
    for (attribute, name), row in found.p_over_targets.items():
        own = [found.reports[t].disparities[attribute][name].p_value for t in row]
        assert list(row.values()) == stats.holm(own)
    assert found.n_comparisons == 3 * 2 * 10
    p = found.p_over_targets["sex", "auroc_gap"]
    assert p["Mass"] <= 0.05  # planted
    raw = found.reports["Mass"].disparities["sex"]["auroc_gap"].p_value
    assert p["Mass"] == pytest.approx(3 * raw)


def test_a_target_that_cannot_be_audited_does_not_stop_the_others(tmp_path):
    table = long(wide())
    table.loc[table["target"] == "Effusion", "y_true"] = 0.0
    found = audit_targets(table, **QUICK)
    assert list(found.reports) == ["Edema", "Mass"]
    assert "All 600 labels in y_true are 0" in found.failed["Effusion"]
    found.write(tmp_path)
    written = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    assert written["failed"] == dict(found.failed) and list(written["targets"]) == ["Edema", "Mass"]
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "Not audited" in page and "All 600 labels in y_true are 0" in page
    with pytest.raises(InputError, match=r"^All 600 labels"):
        audit_targets(table, targets=["Effusion"], **QUICK)
    table.loc[table["target"] == "Mass", "y_true"] = np.nan
    with pytest.raises(InputError, match=r"None of the 2 targets can be audited\. Effusion: All"):
        audit_targets(table, targets=["Effusion", "Mass"], **QUICK)


def test_a_gap_that_a_target_lacks_is_left_out_of_the_mean():
    table = long(wide())
    few = (table["target"] == "Mass") & (table["y_true"] == 1) & (table["sex"] == "F")
    table.loc[table[few].index[20:], "y_true"] = 0.0
    found = audit_targets(table, **QUICK)
    gaps = {t: r.disparities["sex"]["auroc_gap"].value for t, r in found.reports.items()}
    assert np.isnan(gaps["Mass"])
    average = found.averages["sex", "auroc_gap"]
    assert average.n_targets == 2
    assert average.value == pytest.approx(np.mean([gaps["Edema"], gaps["Effusion"]]))
    assert "2 targets" in found.to_html()


def test_the_folder(found, tmp_path):
    written = found.write(tmp_path)
    assert {p.name for p in written} >= {"audit.json", "audit.html", "macro.csv", "Edema"}
    whole = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    assert whole["schema"] == "fairthesis.audits/1"
    for name, report in found.reports.items():
        folder = tmp_path / whole["folders"][name]
        one = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
        assert one == whole["targets"][name] == report.to_dict()
        assert (folder / "audit.html").read_text(encoding="utf-8") == report.to_html()
        for table, frame in report.tables().items():
            mine = pd.read_csv(folder / f"{table}.csv", keep_default_na=False)
            every = pd.read_csv(tmp_path / f"{table}.csv", keep_default_na=False)
            assert every.columns[0] == "target"
            part = every[every["target"] == name].drop(columns="target").reset_index(drop=True)
            pd.testing.assert_frame_equal(part[list(frame.columns)], mine, check_dtype=False)
    gaps = pd.read_csv(tmp_path / "disparities.csv").set_index(["target", "attribute", "name"])
    p = gaps["p_value_targets"]
    corrected = found.p_over_targets["sex", "auroc_gap"]["Mass"]
    assert p["Mass", "sex", "auroc_gap"] == pytest.approx(corrected)


@pytest.mark.parametrize("of", ["targets", "classes"])
def test_contract(found, of):
    if of == "classes":
        columns = {c: f"p_{c}" for c in CLASSES}
        options = {"groups": ["sex"], "label": "dx", "n_boot": 20, "n_permutations": 0}
        found = audit_targets(classes(), classes=columns, **options)
    written = json.loads(found.to_json())
    folder = Path(fairthesis.__file__).parent / "auditing"
    schemas = {
        name: json.loads((folder / f"{name}.schema.json").read_text(encoding="utf-8"))
        for name in ("audit", "audits")
    }
    jsonschema.validate(written, schemas["audits"])
    for report in written["targets"].values():
        jsonschema.validate(report, schemas["audit"])
    assert ("decisions" in written) == (of == "classes")


def test_what_an_older_audit_left_goes_and_nothing_else(found, tmp_path):
    found.write(tmp_path)
    (tmp_path / "Mass" / "notes.txt").write_text("mine")
    other = audit_targets(long(wide()), targets=["Edema"], **(QUICK | {"n_permutations": 0}))
    other.write(tmp_path)
    assert not (tmp_path / "Effusion").exists()
    assert [p.name for p in (tmp_path / "Mass").iterdir()] == ["notes.txt"]
    assert (tmp_path / "Edema" / "audit.json").exists()
    # A name in a damaged or foreign file leads nowhere else.
    (tmp_path / "in" / "x").mkdir(parents=True)
    (tmp_path / "audit.html").write_text("of somebody else")
    stray = {"schema": "fairthesis.audits/1", "folders": {"a": "..", "b": "x/../.."}}
    (tmp_path / "in" / "audit.json").write_text(json.dumps(stray))
    other.write(tmp_path / "in")
    assert (tmp_path / "audit.html").read_text() == "of somebody else"


def test_the_page_stands_alone_and_leads_to_the_targets(found):
    page = found.to_html()
    for name in TARGETS:
        assert f'<a href="{name}/audit.html">{name}</a>' in page
    assert set(re.findall(r'href="([^"]*)"', page)) == {f"{t}/audit.html" for t in TARGETS}
    assert not re.search(r"https?://|@import|url\(|<script", page)
    assert "default-src 'none'" in page
    assert page.count("●") >= 2 and "60 gaps tested" in page
    assert page == audit_targets(long(wide()), **QUICK).to_html()


def test_hostile_names_stay_text(tmp_path):
    table = long(wide()).replace({"target": {"Edema": "<script>../x", "Mass": "=1+1"}})
    found = audit_targets(table, **(QUICK | {"n_permutations": 0}))
    found.write(tmp_path)
    assert "<script" not in found.to_html()
    assert found.folders["<script>../x"] == "script_x"
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == [
        "1_1",
        "Effusion",
        "script_x",
    ]
    assert "'=1+1" in (tmp_path / "overall.csv").read_text(encoding="utf-8")


def test_folder_names_are_safe_and_tell_targets_apart():
    names = ["a/b", "a?b", "A_B", "CON", "..", "", "胸水", "胸", "Épanchement", "x" * 300]
    found = folder_names(names)
    folders = list(found.values())
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", f) for f in folders)
    assert len({f.lower() for f in folders}) == len(names)
    assert found["CON"].lower() != "con" and found["Épanchement"] == "Epanchement"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"targets": ["Hernia"]}, "Unknown target 'Hernia': expected one of Edema, Effusion, Mass"),
        ({"targets": ["Edema"], "findings": FINDINGS}, "expected one of them"),
        ({"findings": {"Edema": "p_Edema"}}, "expected two columns"),
        ({"groups": ["sexx"]}, "Did you mean 'sex'"),
        ({"n_boot": -1}, "^n_boot is -1"),
        ({"score": "p"}, "Unknown column"),
        ({"findings": {"y": ("y_true", "y_score")}}, "holds 3 targets"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(options, words):
    with pytest.raises(InputError, match=words):
        audit_targets(long(wide()), **(QUICK | options))


def test_all_is_a_word_unless_a_target_is_called_so(found):
    table = long(wide())
    quick = QUICK | {"n_boot": 0, "n_permutations": 0}
    assert list(audit_targets(table, targets="all", **quick).reports) == list(TARGETS)
    named = table.replace({"target": {"Mass": "all"}})
    assert list(audit_targets(named, targets=["all"], **quick).reports) == ["all"]


def test_a_table_of_one_finding(found):
    table = long(wide()).query("target == 'Mass'").drop(columns="target")
    one = audit_targets(table, **QUICK)
    assert without(one.reports["y_true"]) == without(found.reports["Mass"])
