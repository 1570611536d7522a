"""Plans of folds, their archive, and methods compared on out-of-fold predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairthesis import metrics
from fairthesis.errors import InputError
from fairthesis.metrics import choose_threshold
from fairthesis.study import (
    Plan,
    contrasts_out_of_fold,
    design_of,
    out_of_fold,
    plan,
    pooled_contrasts,
    run_experiment,
)

INNER = {"n_train": 200, "n_val": 60, "n_test": 60}
BASE: dict[str, Any] = {
    "dataset": "folds",
    "dataset_options": {"of": "synthetic-derm", "inner": INNER, "k": 2},
    "size": 16,
    "epochs": 1,
    "targets": ["malignant"],
    "attributes": ["skin_tone"],
    "backbone": "small",
    "threads": 1,
    "batch_size": 64,
}
HYPOTHESIS = ("other", "erm", "skin_tone", "AUROC gap")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repeat of two folds, and another one like it with other scores."""
    variants = {"erm": {"method": "erm"}, "other": {"posthoc": "orthogonalised", "of": "erm"}}
    out = tmp_path_factory.mktemp("folds") / "tiny"
    tiny = Plan(
        "tiny", "quick", BASE, variants, (4, 5), n_boot=20, n_permutations=0, twins=0,
        groups={"skin_tone": ["dark", "light"]}, primary=(HYPOTHESIS,), margin=0.02,
    )  # fmt: skip
    run_experiment(tiny, out, progress=False)
    kept = pd.read_parquet(out / "predictions.parquet")
    noise = np.random.default_rng(0).normal(0, 0.01, len(kept))
    again = kept.assign(seed=kept["seed"] + 2, y_score=(kept["y_score"] + noise).clip(0, 1))
    pd.concat([kept, again]).to_parquet(out / "predictions.parquet")
    return out


def test_the_archive_alone_gives_every_image_once_in_a_repeat(archive: Path) -> None:
    assert design_of(archive) == {
        "k": 2, "threshold": "youden", "groups": {"skin_tone": ["dark", "light"]},
        "primary": [HYPOTHESIS], "margin": 0.02,
    }  # fmt: skip
    table = out_of_fold(archive)
    assert set(table["repeat"]) == {2, 3} and set(table["fold"]) == {0, 1}
    assert table.groupby(["variant", "repeat"])["image_id"].nunique().eq(320).all()
    assert len(table) == 2 * 2 * 320
    kept = pd.read_parquet(archive / "predictions.parquet")
    run = kept[(kept["variant"] == "other") & (kept["seed"] == 7)]
    val, test = (run[run["split"] == part] for part in ("val", "test"))
    cut = choose_threshold(val["y_true"], val["y_score"], "youden")
    own = table[(table["variant"] == "other") & (table["repeat"] == 3) & (table["fold"] == 1)]
    assert own["decision"].tolist() == (test["y_score"] >= cut).astype(float).tolist()


def test_the_table_of_an_archive_is_that_of_its_predictions(archive: Path) -> None:
    found = pooled_contrasts(archive, n_boot=100)
    assert found["family"].tolist() == ["primary"] + ["exploratory"] * 3
    row, table = found.iloc[0], out_of_fold(archive)
    means = []
    for variant in ("erm", "other"):
        of_groups = []
        for group in ("dark", "light"):
            values = []
            for repeat in (2, 3):
                one = table[
                    (table["variant"] == variant) & (table["repeat"] == repeat)
                    & (table["skin_tone"] == group)
                ]  # fmt: skip
                folds = [part for _, part in one.groupby("fold")]
                pairs = [(p["y_true"] == 1).sum() * (p["y_true"] == 0).sum() for p in folds]
                own = [float(metrics.auroc(p["y_true"], p["y_score"])) for p in folds]
                values.append(np.average(own, weights=pairs))
            of_groups.append(np.mean(values))
        means.append(np.ptp(of_groups))
    assert row[["first", "second"]].tolist() == pytest.approx(means)
    assert row["difference"] == pytest.approx(means[1] - means[0])
    assert row["lo"] <= row["difference"] <= row["hi"] and row["between_repeats"] >= 0


def test_an_archive_that_lacks_a_fold_is_refused(archive: Path, tmp_path: Path) -> None:
    described = json.loads((archive / "provenance.json").read_text())
    (tmp_path / "provenance.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match=r"keeps no predictions\.parquet"):
        out_of_fold(tmp_path)
    kept = pd.read_parquet(archive / "predictions.parquet")
    kept[kept["seed"] != 5].to_parquet(tmp_path / "predictions.parquet")
    with pytest.raises(InputError, match="has 1 of the 2 folds of repeat 2"):
        out_of_fold(tmp_path)


def test_a_plan_of_folds_has_a_seed_for_each_fold_of_each_repeat() -> None:
    full = plan("ham10000-folds", "full")
    assert full.seeds == tuple(range(600, 615))
    assert full.groups is not None and "80+" in full.groups["age_group"]
    assert len(full.primary) == 2 and full.margin == 0.02
    assert plan("ham10000-folds", "full", seed=603).seeds[0] == 603  # one run of the pipeline
    even = plan("nih-cxr14-folds", "full").config("erm_equalised", 601).dataset_options
    assert even["inner"] == {"window": "equalised"} and even["k"] == 5
    with pytest.raises(InputError, match="variant of a primary hypothesis 'mine'"):
        Plan("x", "quick", BASE, {"erm": {}}, (0,), primary=(("mine", "erm", "sex", "AUROC"),))


def cases(rng: np.random.Generator, better: float = 0.0, n: int = 600) -> pd.DataFrame:
    """Two methods on patients of two images; in ``other`` cases lie farther from controls."""
    who = np.arange(n) // 2
    y = rng.integers(0, 2, n).astype(float)
    rows = pd.DataFrame(
        {"image_id": np.arange(n), "patient_id": who, "fold": who % 3, "repeat": 0, "target": "ill",
         "y_true": y, "sex": np.where(who % 2, "F", "M"), "decision": y}
    )  # fmt: skip
    noise = rng.normal(size=n)
    parts = []
    for name, shift in (("erm", 1.0), ("other", 1.0 + better)):
        score = shift * y + noise + 0.1 * rng.normal(size=n)
        # The models of the folds are on scales of their own.
        parts.append(rows.assign(variant=name, y_score=score * 3.0 ** rows["fold"] + rows["fold"]))
    return pd.concat(parts, ignore_index=True)


def test_verdicts() -> None:
    groups = {"sex": ["F", "M"]}
    better = contrasts_out_of_fold(cases(np.random.default_rng(0), 1.0), groups, n_boot=200)
    assert better.set_index("number").loc["AUROC", "verdict"] == "higher"
    same = cases(np.random.default_rng(1))
    for margin, verdict in ((0.2, "no difference larger than 0.2"), (0.001, "cannot be told")):
        found = contrasts_out_of_fold(same, groups, margin=margin, n_boot=200)
        row = found.set_index("number").loc["AUROC"]
        assert row["verdict"] == verdict and row["lo"] < 0 < row["hi"]
        assert row["smallest_change"] == pytest.approx(
            (row["hi"] - row["lo"]) / 2 * (1.959964 + 0.841621) / 1.959964, rel=1e-5
        )
    odds = found.set_index("number").loc["equalized odds difference"]
    assert odds[["lo", "hi"]].tolist() == [0, 0]  # decisions are the labels: nothing varies


def test_hypotheses_are_corrected_among_themselves_and_have_wider_intervals() -> None:
    table = cases(np.random.default_rng(2), 0.2)
    groups = {"sex": ["F", "M"]}
    two = [("other", "erm", "all", "AUROC"), ("other", "erm", "sex", "AUROC gap")]
    plain = contrasts_out_of_fold(table, groups, n_boot=200).set_index("number")
    found = contrasts_out_of_fold(table, groups, primary=two, n_boot=200).set_index("number")
    assert found["family"].tolist() == ["primary"] * 2 + ["exploratory"] * 2
    p = found["p_value"].iloc[:2].to_numpy()
    assert found["p_corrected"].iloc[:2].min() == pytest.approx(min(2 * p.min(), 1))
    wide, narrow = (one.loc["AUROC", "hi"] - one.loc["AUROC", "lo"] for one in (found, plain))
    assert wide / narrow == pytest.approx(2.241403 / 1.959964, rel=1e-5)


def test_what_is_not_paired_or_unknown_is_refused() -> None:
    table, groups = cases(np.random.default_rng(3)), {"sex": ["F", "M"]}
    with pytest.raises(InputError, match="is not scored by all variants in repeat 0"):
        contrasts_out_of_fold(table.iloc[1:], groups, n_boot=50)
    with pytest.raises(InputError, match="more than once in repeat 0"):
        contrasts_out_of_fold(pd.concat([table, table.iloc[:1]]), groups, n_boot=50)
    with pytest.raises(InputError, match="sex = X has no case and control in the same fold"):
        contrasts_out_of_fold(table, {"sex": ["F", "X"]}, n_boot=50)
    with pytest.raises(InputError, match="variant to compare 'mine'"):
        contrasts_out_of_fold(table, groups, pairs=[("mine", "erm")], n_boot=50)
    with pytest.raises(InputError, match="number of a hypothesis on sex 'gap'"):
        contrasts_out_of_fold(table, groups, primary=[("other", "erm", "sex", "gap")], n_boot=50)
