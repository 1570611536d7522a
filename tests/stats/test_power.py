"""Power against simulations and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.predictions import table

import fairthesis
from fairthesis import cli, metrics
from fairthesis.auditing import group_sizes
from fairthesis.errors import InputError
from fairthesis.stats import _power as power
from fairthesis.stats._power import Size


def test_hanley_mcneil_is_the_variance_for_exponential_scores():
    rng = np.random.default_rng(0)
    positive, negative, a = 40, 120, 0.8
    y = np.repeat([1, 0], [positive, negative])
    drawn = []
    for _ in range(3000):
        # Exponential scores with rates 1 and r: P(X > Y) = r / (1 + r).
        s = np.concatenate([rng.exponential(a / (1 - a), positive), rng.exponential(1, negative)])
        drawn.append(float(metrics.auroc(y, s)))
    assert np.mean(drawn) == pytest.approx(a, abs=0.003)
    assert np.var(drawn) == pytest.approx(power.auroc_variance(a, positive, negative), rel=0.08)
    # At 0.5 it is nearly the Mann-Whitney variance, (P + N + 1) / (12 P N).
    exact = (positive + negative + 1) / (12 * positive * negative)
    assert power.auroc_variance(0.5, positive, negative) == pytest.approx(exact)


def test_power_of_a_tpr_difference_is_that_of_simulated_tests():
    rng = np.random.default_rng(1)
    n, m, r, gap = 200, 300, 0.8, 0.12
    p, q = rng.binomial(n, r, 40_000) / n, rng.binomial(m, r - gap, 40_000) / m
    pooled = (p * n + q * m) / (n + m)
    z = (p - q) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    seen = (np.abs(z) > stats.norm.ppf(0.975)).mean()
    assert power.power("tpr", gap, r, Size(n, 1), Size(m, 1)) == pytest.approx(seen, abs=0.015)
    assert power.power("tpr", 0.0, r, Size(n, 1), Size(m, 1)) == pytest.approx(0.05)
    assert power.power("fpr", gap, r, Size(1, n), Size(1, m)) == pytest.approx(seen, abs=0.015)


def test_power_of_an_auroc_gap_is_that_of_simulated_tests():
    from fairthesis.stats._delong import delong

    rng = np.random.default_rng(2)
    size, hits, rounds = Size(80, 160), 0, 600
    y = np.repeat([1, 0], [size.positive, size.negative])
    gap = power.smallest_gap("auroc", 0.85, size, size)
    for _ in range(rounds):
        found = []
        for a in (0.85, 0.85 - gap):
            s = np.concatenate(
                [rng.exponential(a / (1 - a), size.positive), rng.exponential(1, size.negative)]
            )
            found.append(delong(y, s))
        error = np.hypot(found[0].standard_error, found[1].standard_error)
        hits += abs(found[0].value - found[1].value) > 1.96 * error
    assert hits / rounds == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("metric", ["auroc", "tpr", "fpr"])
def test_the_smallest_gap_has_the_power_asked_for(metric):
    first, second = Size(150, 400), Size(60, 300)
    gap = power.smallest_gap(metric, 0.9, first, second, design=1.5)
    assert power.power(metric, gap, 0.9, first, second, design=1.5) == pytest.approx(0.8)
    assert gap > power.smallest_gap(metric, 0.9, first, second)
    assert gap < power.smallest_gap(metric, 0.9, first, second, design=1.5, wanted=0.9)
    assert np.isnan(power.smallest_gap(metric, 0.9, Size(2, 2), Size(2, 2)))


def test_closed_form_for_many_cases():
    # Small gaps in large groups: (z_a + z_b) times the standard error of the difference.
    n = 10**7
    gap = power.smallest_gap("tpr", 0.8, Size(n, 1), Size(n, 1))
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert gap == pytest.approx(z * np.sqrt(2 * 0.8 * 0.2 / n), rel=1e-3)


@pytest.mark.parametrize("metric", ["auroc", "tpr"])
def test_patients_needed_is_the_smallest_number_that_does(metric):
    n = power.patients_needed(metric, 0.08, 0.85, (0.2, 0.3), share=0.4)

    def reached(patients):
        sizes = [
            Size(int(patients * s * p), int(patients * s * (1 - p)))
            for s, p in ((0.4, 0.2), (0.6, 0.3))
        ]
        return power.power(metric, 0.08, 0.85, *sizes)

    assert reached(n) >= 0.8 > reached(n - 25)
    double = power.patients_needed(
        metric, 0.08, 0.85, (0.2, 0.3), share=0.4, images_per_patient=2, correlation=1.0
    )
    assert double == pytest.approx(n, rel=0.03)  # a patient's second image then says nothing


def test_the_design_effect_of_unequal_patients_is_that_of_a_mean_over_images():
    images, rho = np.repeat([1, 41], [90, 10]), 0.5
    design = power.design_effect(power.cluster_size(images), rho)
    assert design == pytest.approx(17.4)
    patient = np.repeat(np.arange(100), images)
    same = patient[:, None] == patient
    covariance = np.where(same, rho, 0.0) + (1 - rho) * np.eye(len(patient))
    assert covariance.mean() * len(patient) == pytest.approx(design)
    assert power.cluster_size([3] * 7) == 3
    kw = {"images_per_patient": 5.0, "correlation": rho}
    equal, unequal = (
        power.patients_needed("tpr", 0.1, 0.8, (0.5, 0.5), cluster=m, **kw) for m in (None, 33.8)
    )
    assert unequal / equal == pytest.approx(17.4 / 3, rel=0.01)


def test_nonsense_is_refused():
    size = Size(50, 50)
    for bad in (
        lambda: Size(0, 5),
        lambda: power.smallest_gap("auroc", 1.2, size, size),
        lambda: power.smallest_gap("auroc", 0.4, size, size),
        lambda: power.smallest_gap("accuracy", 0.8, size, size),
        lambda: power.smallest_gap("tpr", 0.8, size, size, alpha=0),
        lambda: power.smallest_gap("tpr", 0.8, size, size, design=0.5),
        lambda: power.patients_needed("tpr", 0.9, 0.8, (0.5, 0.5)),
        lambda: power.patients_needed("tpr", -0.1, 0.8, (0.5, 0.5)),
        lambda: power.design_effect(0.5, 0.5),
        lambda: power.cluster_size([]),
        lambda: power.cluster_size([1, 0]),
        lambda: power.patients_needed(
            "tpr", 0.1, 0.8, (0.5, 0.5), images_per_patient=3, cluster=2, correlation=0.5
        ),
    ):
        with pytest.raises(InputError):
            bad()


def run(capsys, *argv):
    with pytest.raises(SystemExit) as ended:
        cli.main(["power", *map(str, argv)])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_the_command(tmp_path, capsys):
    frame = table()
    file, out = tmp_path / "p.csv", tmp_path / "power.csv"
    frame.to_csv(file, index=False)
    argv = ["--group", "sex", "--patient", "patient_id", "--out", out, "--gap", 0.05]
    code, text, _ = run(capsys, file, *argv)
    assert code == 0
    women = frame[(frame["split"] == "test") & (frame["sex"] == "F")]
    assert f"F: {int(women['y_true'].sum())} positive" in text
    assert "design effect 2.04" in text and "patients." in text
    assert pd.read_csv(out)["metric"].tolist() == ["auroc", "tpr"]
    code, text, _ = run(capsys, "--size", "f=100,900", "--size", "m=150,1200")
    assert code == 0 and "f and m" in text


def test_the_command_weighs_patients_by_their_images(tmp_path, capsys):
    images = np.repeat([1, 41], [90, 10])
    patient = np.repeat(np.arange(100.0), images)
    frame = pd.DataFrame({"key": patient, "sex": np.where(patient % 2, "F", "M")})
    frame["y_true"] = np.arange(len(frame)) % 2
    file = tmp_path / "p.csv"
    argv = ["--group", "sex", "--patient", "key"]
    frame.to_csv(file, index=False)
    _, text, _ = run(capsys, file, *argv)
    assert "5.00 images per patient (33.80 weighted by image)" in text
    assert "design effect 17.40" in text
    # Rows without a key are patients of their own, as in an audit.
    frame["key"] = frame["key"].where(frame["key"] < 90)
    frame.to_csv(file, index=False)
    _, text, _ = run(capsys, file, *argv)
    assert "1.00 images per patient, correlation 0.5: design effect 1.00" in text
    _, text, _ = run(capsys, file, *argv, "--images-per-patient", 3)
    assert "3.00 images per patient, correlation 0.5: design effect 2.00" in text


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "either a FILE"),
        (["--size", "f=1"], "expected NAME=POSITIVE,NEGATIVE"),
        (["--size", "f=10,20"], "at least two groups"),
        (["--size", "f=10,20", "--size", "m=0,20"], "positive cases is 0"),
        (["--size", "f=9,9", "--size", "m=9,9", "--power", "2"], "power is 2"),
        (["missing.csv", "--group", "sex"], "No file"),
    ],
)
def test_the_command_refuses_in_one_line(capsys, argv, message):
    code, _, err = run(capsys, *argv)
    assert code == 2 and message in err and len(err.splitlines()) == 1


def test_the_true_positive_rate_rests_on_positive_images_alone():
    # Six images of each patient, one of them positive: for the TPR as one image each.
    n = 300
    one = pd.DataFrame({"patient_id": range(n), "y_true": 1, "sex": ["F", "M"] * (n // 2)})
    more = pd.concat([one, *[one.assign(y_true=0)] * 5], ignore_index=True)
    alone = fairthesis.power(
        pd.concat([one, one.assign(y_true=0, patient_id=-1 - one["patient_id"])]),
        group="sex",
        patient="patient_id",
    )
    found = fairthesis.power(more, group="sex", patient="patient_id")
    gap = {name: part.set_index("metric")["gap"] for name, part in (("a", alone), ("b", found))}
    assert gap["b"]["tpr"] == pytest.approx(gap["a"]["tpr"])
    sizes = group_sizes(more, group="sex", patient="patient_id")
    assert (sizes.images, sizes.cluster, sizes.positive_cluster) == (6.0, 6.0, 1.0)
    assert sizes.design(0.5) == {"auroc": 3.5, "tpr": 1.0}
    # Two positive images of each patient count as two.
    twice = pd.concat([more, one], ignore_index=True)
    assert group_sizes(twice, group="sex", patient="patient_id").positive_cluster == 2.0


def test_a_group_without_cases_is_left_out_and_named():
    frame = pd.DataFrame({"y_true": [1, 1, 0, 0] * 10, "age": ["young", "old"] * 20})
    more = pd.DataFrame({"y_true": [0] * 5, "age": ["child"] * 5})
    with pytest.warns(UserWarning, match=r"Left out of age.*'child' \(0 positive, 5 negative\)"):
        shown = fairthesis.auditing.power(pd.concat([frame, more]), group="age")
    pd.testing.assert_frame_equal(shown, fairthesis.auditing.power(frame, group="age"))
    only = pd.concat([frame[frame["age"] == "old"], more])
    with pytest.raises(InputError, match=r"but got 1: 'child' \(0 positive, 5 negative\) left out"):
        fairthesis.auditing.power(only, group="age")
