"""Weighted rows: as repeated ones in values, no surer than the patients there are."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from support.predictions import run, table, two

import fairthesis
from fairthesis import cli, metrics, stats
from fairthesis.auditing import RESAMPLED_METRICS, TESTED_METRICS, compare, group_sizes
from fairthesis.errors import InputError

# What rests on numbers of cases, not on shares: 5 rows twice are no 10 cases.
OF_NUMBERS = {"ece_debiased", "integrated_calibration_index"}


def weighted(n=900, seed=0):
    frame = table(n, seed)
    frame["w"] = np.random.default_rng(seed + 1).integers(1, 5, n)
    return frame


def repeated(frame):
    """Every row as often as its weight says, each copy an image of its own."""
    rows = frame.loc[frame.index.repeat(frame["w"])].reset_index(drop=True)
    return rows.assign(image_id=[f"r{k}" for k in range(len(rows))])


def test_a_weight_is_as_many_rows_in_every_value():
    frame = weighted()
    options = {"groups": ["sex"], "threshold": "fpr=0.2", "split": "test"}
    one, many = run(frame, weight="w", **options), run(repeated(frame), **options)
    assert one.threshold == many.threshold
    assert one.n_rows < many.n_rows
    for found, expected in ((one, many),):
        pairs = [(found.overall, expected.overall)]
        pairs += [(found.groups["sex"][g].metrics, expected.groups["sex"][g].metrics) for g in "FM"]
        pairs += [
            (found.additional["groups"]["sex"][g], expected.additional["groups"]["sex"][g])
            for g in "FM"
        ]
        for own, other in pairs:
            for name in set(own) - OF_NUMBERS:
                assert own[name].value == pytest.approx(other[name].value, rel=1e-9), name
    crossed = [r.additional["cross_auroc"]["sex"]["F"]["M"] for r in (one, many)]
    assert crossed[0] == pytest.approx(crossed[1])
    assert all(
        one.groups["sex"][g].n == int(((frame.sex == g) & (frame.split == "test")).sum())
        for g in "FM"
    )


def test_resamples_of_weighted_rows_are_those_of_repeated_ones():
    """Patients are drawn alike, and each brings all of its rows: so all intervals agree."""
    rng = np.random.default_rng(3)
    n = 300
    patient, w = np.arange(n) % 120, rng.integers(1, 5, n)
    y = (rng.random(n) < 0.4) * 1.0
    s = np.round(rng.random(n) * 0.6 + 0.4 * rng.random(n) * y, 2)
    rows = np.repeat(np.arange(n), w)
    counts = stats.patient_counts(120, range(8), seed=1)
    one = stats.prepare(y, s, patient, 0.5, w * 1.0).resampled(counts)
    many = stats.prepare(y[rows], s[rows], patient[rows], 0.5).resampled(counts)
    for name, of in RESAMPLED_METRICS.items():
        if name in OF_NUMBERS:
            continue
        # The recalibration line is fitted at points that hold equal numbers of rows.
        close = 0.02 if name.startswith("calibration_") else 2e-5
        assert of(one) == pytest.approx(of(many), abs=close), name
    grids = [
        stats.residual_histograms(y[k], s[k], patient[k], [np.ones(len(k), bool)], 5, 0, v)
        for k, v in ((np.arange(n), w * 1.0), (rows, None))
    ]
    assert grids[0] == pytest.approx(grids[1], abs=1e-6)
    crossed = [
        stats.cross_auroc_statistic(y[k], s[k], patient[k], patient[k] % 2, 2, v)(counts)
        for k, v in ((np.arange(n), w * 1.0), (rows, None))
    ]
    assert crossed[0] == pytest.approx(crossed[1], abs=0.01)


@pytest.mark.parametrize("within", [True, False])
def test_standard_errors_of_weighted_rows_are_those_of_repeated_ones(within):
    """The jackknife leaves out a patient, whose rows are repeated: nothing else is different."""
    rng = np.random.default_rng(4)
    n = 200
    patient, w = rng.integers(0, 60, n), rng.integers(1, 4, n)
    y, s = (rng.random(n) < 0.5) * 1.0, np.round(rng.random(n), 1)
    group = patient % 3 if within else rng.integers(0, 3, n)
    rows = np.repeat(np.arange(n), w)
    for name, of in TESTED_METRICS.items():
        one = stats.group_values(of(y, s, 0.5, w * 1.0), patient, group)
        many = stats.group_values(of(y[rows], s[rows], 0.5), patient[rows], group[rows])
        assert one.value == pytest.approx(many.value), name
        assert one.variance == pytest.approx(many.variance), name
        assert (one.covariance is None) == (many.covariance is None)
        assert not (within and one.covariance is not None)
        if one.covariance is not None:
            assert one.covariance == pytest.approx(many.covariance), name


def test_the_scale_of_weights_does_not_count_and_equal_ones_change_nothing():
    frame = weighted()
    plain = run(frame)
    same = run(frame.assign(w=2.5), weight="w")
    found = same.to_dict()
    told = found["warnings"].pop(-1) if "2.5" in found["warnings"][-1] else None
    told = told or next(w for w in found["warnings"] if "2.5" in w)
    assert "as if they had no weights" in told
    found["warnings"] = [w for w in found["warnings"] if w != told]
    found["further"]["flow"].pop("left out: no w, or one of 0")
    assert found == plain.to_dict()  # to the bit
    one, other = run(frame, weight="w"), run(frame.assign(w=frame["w"] * 1e-7), weight="w")
    for m, estimate in one.overall.items():
        assert other.overall[m].value == pytest.approx(estimate.value), m
        assert other.overall[m].ci == pytest.approx(estimate.ci), m
    for name, gap in one.disparities["sex"].items():
        assert other.disparities["sex"][name].p_value == gap.p_value


def test_a_case_control_sample_leads_back_to_its_population():
    """1 of 50 is diseased; all of them are taken, and 1 of 49 others, weighted by 49."""
    rng = np.random.default_rng(0)
    n = 400_000
    y = (rng.random(n) < 0.02) * 1.0
    s = 1 / (1 + np.exp(-(rng.normal(size=n) + 2 * y - 2.5)))
    sex = rng.choice(["F", "M"], n)
    of_all = metrics.evaluate(y, s, threshold=0.2)
    taken = (y > 0) | (rng.random(n) < 1 / 49)
    sample = pd.DataFrame({"y_true": y[taken], "y_score": s[taken], "sex": sex[taken]})
    sample["w"] = np.where(sample["y_true"] > 0, 1.0, 49.0)
    options = {"groups": ["sex"], "n_boot": 300, "n_permutations": 20, "threshold": 0.2}
    naive = fairthesis.audit(sample, **options)
    report = fairthesis.audit(sample, weight="w", **options)
    assert of_all["prevalence"] == pytest.approx(0.02, abs=0.001)
    assert naive.overall["ppv"].value > 5 * of_all["ppv"]
    for m in ("prevalence", "ppv", "npv", "auroc", "selection_rate", "brier", "ece"):
        low, high = report.overall[m].ci
        assert low < of_all[m] < high, m
    line = [report.overall["calibration_intercept"].value, of_all["calibration_intercept"]]
    assert line[0] == pytest.approx(line[1], abs=0.05)


def test_few_heavy_rows_make_wide_intervals():
    frame = table(900).drop(columns="split")
    heavy = frame.assign(w=np.where(np.arange(900) % 30 == 0, 100.0, 1.0))
    plain, found = run(frame), run(heavy, weight="w")
    for m in ("tpr", "accuracy", "auroc"):
        width = [np.subtract(*r.overall[m].ci[::-1]) for r in (plain, found)]
        assert width[1] > 2 * width[0], m
    before, after = (r.groups["sex"]["F"] for r in (plain, found))
    assert after.n == before.n
    assert after.effective_patients < before.effective_patients / 4


def test_the_debiased_error_knows_that_weights_make_no_cases():
    rng = np.random.default_rng(2)
    n, found = 400, []
    for _ in range(60):
        s = rng.random(n)
        y = (rng.random(n) < s) * 1.0
        w = np.where(rng.random(n) < 0.1, 30.0, 1.0)
        sums = metrics.bin_sums(y, s, w)
        squares = metrics.bin_sums(y, s, w * w)[0]
        noise = [
            float(metrics.ece_debiased_from_bins(*sums, squares=q)) ** 2 for q in (None, squares)
        ]
        found.append(noise)
    counted, kish = np.mean(found, axis=0)
    assert kish < 0.5 * counted  # of a calibrated model


def test_p_values_of_weighted_rows_hold_their_level():
    rng = np.random.default_rng(5)
    p = []
    for k in range(150):
        n = 160
        w = rng.choice([1.0, 4.0], n)
        group = (rng.random(n) < np.where(w > 1, 0.6, 0.3)).astype(int)
        y, s = (rng.random(n) < 0.5) * 1.0, rng.random(n)
        tests = stats.permuted_tests(
            {"tpr": TESTED_METRICS["tpr"](y, s, 0.5, w)},
            np.arange(n), group, n_permutations=99, seed=k, stream="g", within=y > 0,
        )  # fmt: skip
        p.append(tests["tpr"].rest_p[0])
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.10


def test_rows_without_a_weight_are_left_out_and_counted():
    frame = weighted().astype({"w": float})
    frame.loc[frame.index[:20], "w"] = np.nan
    frame.loc[frame.index[20:60], "w"] = 0
    test = frame["split"] == "test"
    report = run(frame, weight="w")
    known = frame[test & (frame["w"] > 0)]
    assert report.n_rows == len(known)
    told = " ".join(report.warnings)
    assert f"{int(test[:20].sum())} of {test.sum()} rows have no w and are left out." in told
    assert "have a w of 0 and are left out." in told and "Rows are weighted by w" in told
    assert report.overall == run(known, weight="w", split="test").overall


@pytest.mark.parametrize(
    ("value", "words"), [(-1, "w is -1"), (np.inf, "w is inf"), ("x", "w is 'x'")]
)
def test_what_is_no_weight_is_refused(value, words):
    frame = weighted().astype({"w": object})
    frame.loc[frame.index[5], "w"] = value
    frame.loc[frame.index[5], "split"] = "test"
    with pytest.raises(InputError, match=words):
        run(frame, weight="w")
    with pytest.raises(InputError, match="above 0"):
        run(frame.assign(w=0), weight="w")


def test_the_order_of_weighted_rows_does_not_count():
    frame = weighted().drop(columns="image_id")
    turned = frame.sample(frac=1, random_state=0)
    first, second = (run(f, weight="w", patient=None).to_json() for f in (frame, turned))
    assert first == second


def test_a_metric_of_your_own_must_know_weights():
    frame = weighted()

    def share(y_true, y_score, weight=None):
        return float(np.average(y_true == (y_score > 0.5), weights=weight))

    report = run(frame, weight="w", extra_metrics={"share": share}, threshold=0.5)
    assert report.overall["share"].value == pytest.approx(report.overall["accuracy"].value)
    assert report.overall["share"].ci == pytest.approx(report.overall["accuracy"].ci, abs=0.02)
    with pytest.raises(InputError, match="knows no weights"):
        run(frame, weight="w", extra_metrics={"mine": lambda y, s: 1.0})


def test_compare_counts_a_case_as_often_as_its_weight_says():
    first, other = two()
    w = np.random.default_rng(1).integers(1, 5, len(first))
    options = {"group": "sex", "n_boot": 80, "threshold": "fpr=0.2"}
    one = compare({"a": first.assign(w=w), "b": other.assign(w=w)}, weight="w", **options)
    many = compare({"a": repeated(first.assign(w=w)), "b": repeated(other.assign(w=w))}, **options)
    assert one.thresholds == many.thresholds
    both = one.changes.merge(many.changes, on=["group", "metric"])
    both = both[~both["metric"].isin([*OF_NUMBERS, "ece_gap"])]
    for column, close in (("reference", 1e-9), ("change", 1e-9), ("ci_low", 0.03)):
        if column == "ci_low":  # copies are other images, so patients are numbered differently
            both = both[both["metric"].isin(["auroc", "tpr", "fpr", "accuracy", "brier"])]
        assert both[f"{column}_x"].to_numpy() == pytest.approx(
            both[f"{column}_y"].to_numpy(), abs=close, nan_ok=True
        )
    assert any("weighted by w" in text for text in one.warnings)
    lacking = first.assign(w=np.where(np.arange(len(first)) < 30, 0, w))
    less = compare({"a": lacking, "b": other}, group="sex", n_boot=0, weight="w")
    assert less.n_images < one.n_images


def test_power_knows_what_unequal_weights_cost():
    frame = table(900).drop(columns="split")
    # A weight for each label, as of a case-control sample, costs neither metric anything.
    by_label = frame.assign(w=np.where(frame["y_true"] > 0, 1.0, 40.0))
    assert group_sizes(by_label, group="sex", weight="w").design(0.5) == pytest.approx(
        group_sizes(frame, group="sex").design(0.5)
    )
    mixed = frame.assign(w=np.where(np.arange(900) % 2, 1.0, 3.0))
    found = group_sizes(mixed, group="sex", weight="w")
    assert found.weighting == pytest.approx(2 * (1 + 9) / 4**2, abs=0.02)  # 1 + cv^2
    assert found.design(0.5)["auroc"] == found.weighting
    gaps = [
        fairthesis.power(f, group="sex", **o)["gap"]
        for f, o in ((frame, {}), (mixed, {"weight": "w"}))
    ]
    assert (gaps[1] > gaps[0] * 1.05).all()


def said(capsys, *argv):
    with pytest.raises(SystemExit) as ended:
        cli.main([*map(str, argv)])
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    return out


def test_command_lines_say_that_rows_are_weighted(tmp_path, capsys):
    file, out = tmp_path / "p.csv", tmp_path / "out"
    weighted().to_csv(file, index=False)
    quick = ["--n-boot", "40", "--n-permutations", "40"]
    args = [file, "--group", "sex", "--patient", "patient_id", "--weight", "w"]
    assert "Rows are weighted by w" in said(capsys, "audit", *args, "--out", out, *quick)
    assert json.loads((out / "audit.json").read_text())["further"]["weight"] == "w"
    assert "Rows are weighted by w" in (out / "audit.html").read_text()
    assert "Weighted by w" in said(capsys, "power", *args)
    names = ["--name", "a", "--name", "b", "--n-boot", "20", "--out", tmp_path / "c"]
    assert "weighted by w" in said(capsys, "compare", file, *args, *names)


def test_sums_of_weights_do_not_tell_small_counts():
    frame = table(900).assign(w=np.where(np.arange(900) % 2, 1.0, 3.0))
    options = {"weight": "w", "split": "test"}
    sums = r"<td>\d[\d,]*\.\d</td>"
    assert re.search(sums, run(frame, **options).to_html())
    assert not re.search(sums, run(frame, small_cells=True, **options).to_html())


def test_the_page_draws_weighted_counts():
    frame = weighted()
    report = run(frame, weight="w")
    page = report.to_html()
    script = page[page.index("const counts = ") + 15 :]
    counts = json.loads(script[: script.index(";\n")])["a0"]
    data = report.data
    own = data.groups["sex"].codes == 0
    assert counts[0]["tp"][0] == pytest.approx(data.weight[own & (data.y > 0)].sum(), abs=1e-3)
