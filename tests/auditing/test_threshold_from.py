"""A threshold rule applied to the validation part of a run or another table."""

import numpy as np
import pandas as pd
import pytest
from support.predictions import table

from fairthesis import audit, cli
from fairthesis.errors import InputError

QUICK = {"groups": ["sex"], "n_boot": 50, "n_permutations": 20, "patient": "patient_id"}


def two():
    """A table with a validation part, and one of other patients without."""
    own, new = table(900), table(600, 5).drop(columns="split")
    return own, new.assign(patient_id="new " + new["patient_id"].astype(str))


def test_it_is_the_threshold_that_the_run_itself_is_audited_at():
    own, new = two()
    at_home = audit(own, threshold="fpr=0.2", **QUICK)
    away = audit(new, threshold="fpr=0.2", threshold_from=own, **QUICK)
    assert away.threshold == at_home.threshold and away.rule == "fpr=0.2"
    assert away.overall["tpr"].value == pytest.approx(
        (new.loc[new["y_true"] == 1, "y_score"] >= at_home.threshold).mean()
    )
    # What the rule promises is as uncertain as there: the same validation patients are resampled.
    assert away.additional["rule"]["threshold"] == at_home.additional["rule"]["threshold"]
    assert away.settings["threshold_from"] == "another table"
    assert "threshold_from" not in at_home.settings


def test_a_validation_part_of_the_table_itself_is_not_looked_at():
    own, new = two()
    with_part = pd.concat([new.assign(split="test"), own.assign(split="val", y_score=0.5)])
    found = audit(with_part, threshold="youden", threshold_from=own, **QUICK)
    assert found.threshold == audit(own, threshold="youden", **QUICK).threshold


def test_a_table_of_validation_rows_need_not_say_so_and_may_have_the_names_of_a_run(tmp_path):
    own, new = two()
    held = own[own["split"] == "val"].drop(columns="split")
    held.to_csv(tmp_path / "held.csv", index=False)
    renamed = new.rename(columns={"y_true": "disease", "y_score": "p"})
    found = audit(
        renamed, label="disease", score="p", threshold="youden",
        threshold_from=tmp_path / "held.csv", **QUICK,
    )  # fmt: skip
    assert found.threshold == audit(own, threshold="youden", **QUICK).threshold
    assert found.settings["threshold_from"] == "held.csv"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(split="test"), "no rows with split == 'val'"),
        (lambda t: t.drop(columns="y_score"), "y_score"),
        (lambda t: t.assign(y_true=np.nan), "No row"),
    ],
)
def test_what_no_threshold_can_be_chosen_on_is_refused(change, words):
    own, new = two()
    with pytest.raises(InputError, match=words):
        audit(new, threshold="youden", threshold_from=change(own), **QUICK)


def test_a_number_and_a_source_of_a_rule_do_not_go_together(tmp_path):
    own, new = two()
    with pytest.raises(InputError, match="expected a rule"):
        audit(new, threshold=0.4, threshold_from=own, **QUICK)
    with pytest.raises(InputError, match="No file"):
        audit(new, threshold="youden", threshold_from=tmp_path / "nothing", **QUICK)


def test_the_command_takes_youden_where_no_rule_is_said(tmp_path, capsys):
    own, new = two()
    own.to_csv(tmp_path / "own.csv", index=False)
    new.to_csv(tmp_path / "new.csv", index=False)
    arguments = ["audit", str(tmp_path / "new.csv"), "--group", "sex", "--patient", "patient_id"]
    arguments += ["--threshold-from", str(tmp_path / "own.csv"), "--n-boot", "20"]
    with pytest.raises(SystemExit) as ended:
        cli.main([*arguments, "--n-permutations", "20", "--out", str(tmp_path / "out")])
    assert not ended.value.code
    assert "(youden, chosen on split = val of own.csv)" in capsys.readouterr().out
    page = (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
    assert "youden, chosen on the validation part of own.csv" in page
