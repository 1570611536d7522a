"""Values are typed by the parameter that they are for: from text, from files, from Python."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairthesis import datasets
from fairthesis.errors import InputError
from fairthesis.inputs._documents import parse_document, read_document
from fairthesis.inputs._kinds import Range, parameter_kinds
from fairthesis.inputs._options import fit_option, option_pairs
from fairthesis.methods import METHODS
from fairthesis.study import Plan, experiments, plan
from fairthesis.training import TrainConfig

Three = tuple[float, float, float]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str, "/data/Study #2/nih", "/data/Study #2/nih"),
        (str, "007", "007"),
        (str, "A: B", "A: B"),
        (str, "*.csv", "*.csv"),
        (str, "@x", "@x"),
        (str, "no", "no"),
        (str, "1e-3", "1e-3"),
        (str, "none", "none"),
        (str | None, "none", None),
        (str | None, "", ""),
        (float, "1e-3", 0.001),
        (float, "3", 3.0),
        (float | None, "null", None),
        (int, "007", 7),
        (int, "1e4", 10000),
        (bool, "No", False),
        (bool, "true", True),
        (int | str | None, "2020", 2020),
        (str | Sequence[str], "a,b", "a,b"),
        (str | Sequence[str], "[a, 'b, c']", ["a", "b, c"]),
        (Sequence[str], "no, 1", ["no", "1"]),
        (Sequence[int], "45", [45]),
        (Sequence[int], "[40, 60]", [40, 60]),
        (Sequence[str], "[]", []),
        (Three, "0.6,0.2,0.2", (0.6, 0.2, 0.2)),
        (Literal["a", "b"], "b", "b"),
        (Mapping[str, float], '{"a": 1}', {"a": 1}),
        (list, "[1, 2]", [1, 2]),
        (list, "a,b", ["a", "b"]),
    ],
)
def test_text_is_read_as_the_parameter_says(kind: Any, text: str, value: Any) -> None:
    found = fit_option("x", kind, text, text=True)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (float, "fast", "Expected x to be a number, but got 'fast'."),
        (float, "nan", "a number, but got 'nan'"),
        (float, ".inf", "a number, but got '.inf'"),
        (float, "0,5", "a number, but got '0,5'"),
        (float, "", "a number, but got ''"),
        (float, "true", "a number, but got 'true'"),
        (int, "1.5", "a whole number, but got '1.5'"),
        (int, "9" * 5000, "a whole number, but got '999"),
        (bool, "2", "true or false, but got '2'"),
        (Three, "0.5,0.5", "3 numbers, but got '0.5,0.5'"),
        (Sequence[int], "40,x", "a list of whole numbers, but got '40,x'"),
        (Literal["a", "b"], "c", "one of a, b, but got 'c'"),
        (Annotated[float, Range(above=0)], "0", "a number above 0, but got '0'"),
        (Annotated[int, Range(least=16)], "8", "a whole number of 16 or larger, but got '8'"),
        (dict, "x", "names and values, but got 'x'"),
        (str, "a\0b", "text"),
    ],
)
def test_text_that_does_not_fit_is_named(kind: Any, text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        fit_option("x", kind, text, text=True)
    assert words in str(error.value)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (int, np.int64(3), 3),
        (int, 224.0, 224),
        (float, np.float32(0.5), 0.5),
        (float, 1, 1),
        (bool, np.True_, True),
        (str, Path("a/b"), "a/b"),
        (Three, [1, 2, 3], (1, 2, 3)),
        (Sequence[int], np.array([40, 60]), [40, 60]),
        (Sequence[int], range(2), [0, 1]),
    ],
)
def test_values_of_python_come_through(kind: Any, given: Any, value: Any) -> None:
    found = fit_option("x", kind, given)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": "224"}, "size to be a whole number of 16 or larger, but got '224'"),
        ({"size": 224.5}, "size to be a whole number of 16 or larger, but got 224.5"),
        ({"size": 8}, "size to be a whole number of 16 or larger, but got 8"),
        ({"epochs": True}, "epochs to be a whole number of 1 or larger, but got True"),
        ({"learning_rate": math.nan}, "learning_rate to be a number above 0, but got nan"),
        ({"learning_rate": "fast"}, "learning_rate to be a number above 0, but got 'fast'"),
        ({"learning_rate": 10**400}, "learning_rate to be a number above 0"),
        ({"weight_decay": math.inf}, "weight_decay to be a number of 0 or larger, but got inf"),
        ({"targets": "pneumonia"}, "a list of texts, but got 'pneumonia'. Put it in a list"),
        ({"attributes": [1]}, "attributes to be a list of texts, but got [1]"),
        ({"seed": -1}, "seed to be a whole number from 0 to 4294967295, but got -1"),
        ({"seed": 2**32}, "seed to be a whole number from 0 to 4294967295"),
        ({"data_root": 5}, "data_root to be text or none, but got 5"),
        ({"method": None}, "method to be text, but got None"),
        ({"backbone": "resnet5"}, "Unknown backbone 'resnet5'"),
        ({"sensitive_dim": 0}, "sensitive_dim to be a whole number of 1 or larger, but got 0"),
        ({"method_options": [1]}, "method_options to be names and values, but got [1]"),
        ({"dataset_options": "a=1"}, "dataset_options to be names and values, but got 'a=1'"),
        ({"dataset_options": {"n_train": "9"}}, "n_train to be a whole number, but got '9'"),
        ({"dataset_options": {"oracle": 1}}, "oracle to be true or false, but got 1"),
        ({"dataset_options": {"shortcut": math.nan}}, "shortcut to be a number, but got nan"),
        ({"dataset_options": {"shortcutt": 1}}, "Did you mean 'shortcut'?"),
        (
            {"method": "adversarial", "epochs": 8, "method_options": {"warmup_epochs": 3}},
            "expected more epochs than that",
        ),
        (
            {"method": "dann", "epochs": 8, "method_options": {"ramp_epochs": 5}},
            "expected more epochs than that",
        ),
        ({"method": "jtt", "epochs": 3}, "expected more epochs than that"),
        ({"method": "last_layer", "epochs": 3}, "expected more epochs than that"),
        ({"method": "dann", "method_options": {"weight": math.nan}}, "weight to be a number"),
        ({"method": "dann", "method_options": {"weight": True}}, "weight to be a number"),
        ({"method": "dann", "method_options": {"weight": math.inf}}, "weight to be a number"),
    ],
)
def test_a_configuration_is_checked_before_anything_is_read(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError) as error:
        TrainConfig(**changes)
    assert words in str(error.value)


def test_a_configuration_keeps_its_fields_and_its_json() -> None:
    first = TrainConfig(
        dataset="pad-ufes-20",
        dataset_options={"fractions": (0.35, 0.15, 0.5), "age_cuts": np.array([45])},
        targets=["malignant"],  # type: ignore[arg-type]
        method="adversarial",
        method_options={"critic_steps": 3.0},
        learning_rate=1,
    )
    text = json.dumps(first.to_dict())
    assert (
        TrainConfig(**json.loads(text))
        == TrainConfig(**first.to_dict())
        == dataclasses.replace(
            first, dataset_options={"fractions": [0.35, 0.15, 0.5], "age_cuts": [45]}
        )
    )
    fields = [item.name for item in dataclasses.fields(TrainConfig)]
    assert (
        list(
            dataclasses.replace(
                first, train_backbone="last", weights="random", sensitive_branch="own",
                sensitive_hsic=1.0,
            ).to_dict()
        )
        == fields
    )  # fmt: skip
    # Left out where it is what it always was, so that older runs are still the same run.
    added = ("train_backbone", "sensitive_branch", "sensitive_hsic")
    assert list(first.to_dict()) == [name for name in fields if name not in added]
    assert '"critic_steps": 3}' in text and '"learning_rate": 1,' in text


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_every_option_of_every_data_set_can_be_read(name: str) -> None:
    """Text that is of no type comes back as text or is refused in words: no kind is unheard of."""
    for option in datasets.option_names(name):
        for text in ("1e-3", "no", "[a", "*x", "{a: 1}", "none", "1,2,3", ""):
            try:
                datasets.typed_options(name, {option: text}, text=True)
            except InputError as error:
                assert f"Expected {option} to be" in str(error)


@given(st.text(max_size=12), st.sampled_from([*parameter_kinds(TrainConfig).values(), list, dict]))
@settings(deadline=None, max_examples=300)
def test_any_text_is_read_or_refused_in_words(text: str, kind: Any) -> None:
    try:
        found = fit_option("x", kind, text, text=True)
    except InputError:
        return
    if kind is str:
        assert found == text
    assert fit_option("x", kind, found) == found


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=20))
@settings(deadline=None, max_examples=200)
def test_text_on_the_command_line_stays_what_it_is(text: str) -> None:
    given = option_pairs([f"target={text}"], "--option")
    assert datasets.typed_options("nih-cxr14", given, text=True) == {"target": text}


def test_pairs_that_are_none_or_double_are_named() -> None:
    with pytest.raises(InputError, match=r"Cannot read --option 'a': expected NAME=VALUE"):
        option_pairs(["a"], "--option")
    with pytest.raises(InputError, match=r"--option a is given twice, as '1' and '2'"):
        option_pairs(["a=1", "a=2"], "--option")


def test_yaml_stays_text_and_json_keeps_its_types(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(
        "\ufefflearning_rate: 1e-3\npatient: 007\nsex: NO\nday: 2020-01-01\nroot: ~\nempty:\n"
        "quoted: 'none'\nlist: [1, no]\n",
        encoding="utf-8",
    )
    found, text = read_document(tmp_path / "a.yml")
    assert text and found == {
        **{"learning_rate": "1e-3", "patient": "007", "sex": "NO", "day": "2020-01-01"},
        **{"root": None, "empty": None, "quoted": "none", "list": ["1", "no"]},
    }
    assert fit_option("quoted", str | None, found["quoted"], text=True) == "none"
    (tmp_path / "a.json").write_text('{"rate": 1e-3, "on": true}')
    assert read_document(tmp_path / "a.json") == ({"rate": 1e-3, "on": True}, False)
    assert parse_document("a: 1e-3\nb: 5", "a file", typed=True) == {"a": 0.001, "b": 5}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yml", "a: 1\na: 2", "the name 'a' stands there twice"),
        ("a.json", '{"a": 1, "a": 2}', "the name 'a' stands there twice"),
        ("a.json", '{"a": NaN}', "NaN is no number"),
        ("a.yml", "a: [1", "not readable as YAML"),
        ("a.yml", "a: *x", "undefined alias"),
        ("a.yml", "a: @x", "not readable as YAML"),
        ("a.yml", "a: !!python/object/apply:os.system ['true']", "not readable as YAML"),
        ("a.yml", "a: !!timestamp x", "not readable as YAML"),
        ("a.yml", "a: !!bool x", "not readable as YAML"),
        ("a.yml", "? [a]\n: b", "not readable as YAML"),
        ("a.yml", "[" * 5000, "nested too deeply"),
        ("a.json", "[" * 100000, "nested too deeply"),
        ("a.yml", "- a", "Expected names and values"),
        ("a.yml", "", "Expected names and values"),
        ("a.json", "{", "not readable as JSON"),
        ("a.yml", b"\xff\xfea\0", "not readable as YAML"),
    ],
)
def test_files_that_cannot_be_read_are_named(
    name: str, content: str | bytes, words: str, tmp_path: Path
) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as error:
        read_document(tmp_path / name)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def command(words: list[str], capsys: Any) -> str:
    """What a command says that is refused."""
    from fairthesis.cli import main

    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    return str(capsys.readouterr().err)


def test_a_file_and_options_become_one_typed_configuration(tmp_path: Path) -> None:
    from fairthesis.cli.train import configured

    (tmp_path / "a.yml").write_text(
        "dataset: ham10000\ndata_root: /data/no\nlearning_rate: 1e-3\nseed: 1\n"
        "targets: [no]\nweights: null\nmethod: adversarial\nmethod_options: {critic_steps: 2}\n"
        "dataset_options: {age_cuts: [40, 60], target: 1e3}\n"
    )
    config = configured(
        str(tmp_path / "a.yml"),
        {"seed": 7},
        ["fractions=.6,.2,.2"],
        ["hsic_weight=3e-1", "warmup_epochs=0", "ramp_epochs=2"],
        0.5,
    )
    assert (config.data_root, config.targets, config.weights) == ("/data/no", ("no",), None)
    assert (config.learning_rate, config.seed) == (0.001, 7)
    assert config.dataset_options == {
        **{"age_cuts": [40, 60], "target": "1e3", "fractions": (0.6, 0.2, 0.2)}
    }
    assert config.method_options == {
        **{"critic_steps": 2, "hsic_weight": 0.3, "adversary_weight": 0.5},
        **{"warmup_epochs": 0, "ramp_epochs": 2},
    }
    (tmp_path / "b.json").write_text(json.dumps(config.to_dict()))
    assert configured(str(tmp_path / "b.json"), {}).to_dict() == config.to_dict()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yml", "learning_rate: fast", "learning_rate to be a number above 0, but got 'fast'"),
        ("a.yml", "size: [1]", "size to be a whole number of 16 or larger, but got ['1']"),
        ("a.yml", "sede: 1", "Did you mean 'seed'?"),
        ("a.json", '{"sede": 1}', "Did you mean 'seed'?"),
        ("a.json", '{"size": "224"}', "size to be a whole number of 16 or larger, but got '224'"),
        ("a.json", '{"data_root": 5}', "data_root to be text or none, but got 5"),
        ("a.yml", "method_options: 3", "method_options to be names and values, but got '3'"),
        ("a.json", '{"method_options": {"weight": "1"}, "method": "dann"}', "but got '1'"),
        ("a.yml", "dataset_options: {n_train: many}", "n_train to be a whole number"),
        (
            "a.yml",
            "method: dann\nepochs: 2\nmethod_options: {ramp_epochs: 5}",
            "expected more epochs than that",
        ),
        ("a.json", '{"method": ["erm"]}', "method to be text, but got ['erm']"),
        ("a.yml", "weights: nowhere.pth", "No weights file at 'nowhere.pth'"),
    ],
)
def test_a_wrong_configuration_file_ends_with_one_message(
    name: str, content: str, words: str, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / name).write_text(content)
    out = str(tmp_path / "run")
    assert words in command(["train", "--config", str(tmp_path / name), "--out", out], capsys)
    assert not Path(out).exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("table=[t.csv", "No [t.csv in"),
        ("table=!!python/object/apply:os.system ['false']", "No !!python"),
        ("channels=three", "channels to be a whole number, but got 'three'"),
        ("fractions=1,2", "fractions to be 3 numbers, but got '1,2'"),
        ("config=none.yml", "No such file"),
        ("config=mine.yml", "mine.yml is not readable as YAML: the name 'table' stands there"),
    ],
)
def test_wrong_options_of_a_data_set_end_with_one_message(
    option: str, words: str, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "mine.yml").write_text("table: a.csv\ntable: b.csv")
    base = ["datasets", "describe", "csv", "--data-root", str(tmp_path)]
    base += ["--option", "patient=pid", "--option", "targets=no"]
    assert words in command([*base, "--option", option], capsys)


def test_columns_called_no_or_1_are_found(tmp_path: Path, capsys: Any) -> None:
    from support.layouts import picture

    from fairthesis.cli import cli

    picture(tmp_path / "a.png")
    (tmp_path / "t #1.csv").write_text("path,007,no,NO\na.png,p,1,F\n")
    options = ["table=t #1.csv", "patient=007", "targets=no", "attributes=NO"]
    words = [word for option in options for word in ("--option", option)]
    cli.main(["datasets", "describe", "csv", "--data-root", str(tmp_path), *words],
             standalone_mode=False)  # fmt: skip
    assert "1 images of 1 patients" in capsys.readouterr().out
    (tmp_path / "o.yml").write_text("table: 't #1.csv'\npatient: 007\ntargets: no\nattributes: NO")
    cohort = datasets.load("csv", tmp_path, config="o.yml")
    assert (cohort.targets, cohort.attributes) == (("no",), ("NO",))


def test_an_experiment_is_checked_whole_before_its_first_run() -> None:
    for name, profiles in experiments().items():
        for profile in profiles:
            plan(name, profile).check()
    base = {"dataset": "synthetic-cxr"}
    for variants, words in (
        ({"erm": {}, "bad": {"size": "224"}}, "size to be a whole number"),
        ({"bad": {"sise": 224}}, "Did you mean 'size'?"),
        ({"erm": {}, "x": {"posthoc": "lace", "of": "erm"}}, "Did you mean 'leace'?"),
    ):
        with pytest.raises(InputError) as error:
            Plan("x", "quick", base, variants, (0,)).check()
        assert words in str(error.value)
    for changes, words in (
        ({"seeds": (-1,)}, "seeds to be a list of whole numbers"),
        ({"n_boot": "2000"}, "n_boot to be a whole number"),
        ({"probes": {"n_bot": 1}}, "Did you mean 'n_boot'?"),
        ({"variants": {"a": {"posthoc": "leace", "off": "erm"}}}, "Did you mean 'of'?"),
    ):
        known: dict[str, Any] = {"variants": {"erm": {}}, "seeds": (0,)}
        with pytest.raises(InputError) as error:
            Plan("x", "quick", base, **(known | changes))
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["experiment", "train", "synthetic-cxr", "emr", "--out", "x"], "Did you mean 'erm'?"),
        (["experiment", "run", "synthetic-cxr", "--seed", "-1", "--out", "x"], "seeds to be"),
        (["datasets", "describe", "synthetic-cxr", "--option", "n_val=1e30"], "smaller than 2**32"),
        (["datasets", "describe", "synthetic-cxr", "--seed", "-1"], "seed to be a whole number"),
        (
            ["power", "--size", "a=9,9", "--size", "b=9,9", "--images-per-patient", "nan"],
            "1 or more",
        ),
    ],
)
def test_values_out_of_range_end_with_one_message(
    words: list[str], message: str, capsys: Any
) -> None:
    assert message in command(words, capsys)


@pytest.mark.parametrize("method", ["adversarial", "dann", "hsic"])
def test_a_default_schedule_fits_a_short_run(method):
    full = METHODS[method].Options()
    for epochs in range(1, 12):
        options = TrainConfig(method=method, epochs=epochs).options()
        assert options.warmup_epochs + options.ramp_epochs < epochs
        assert (options == full) == (epochs > full.warmup_epochs + full.ramp_epochs)
    given = TrainConfig(method=method, epochs=9, method_options={"ramp_epochs": 4}).options()
    assert (given.warmup_epochs, given.ramp_epochs) == (full.warmup_epochs, 4)
