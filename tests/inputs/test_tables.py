"""The one reader: the same table, however it was written, gives the same audit to the bit."""

from __future__ import annotations

import gzip
import string
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.predictions import run, table

import fairthesis
from fairthesis.auditing import AuditedRows, audited_rows, read_predictions
from fairthesis.errors import InputError
from fairthesis.inputs import _delimited, _tables
from fairthesis.inputs._columns import KeyWarning, key_column, probability_column, text_column
from fairthesis.inputs._tables import read_table, table_columns

COLUMNS = {"label": "y_true", "score": "y_score", "groups": ["site", "skin"], "patient": "pid"}


def text_of(frame: pd.DataFrame) -> list[list[str]]:
    """Head and cells as pandas writes them, without quotes or separators."""
    return [
        list(map(str, frame.columns)),
        *(["" if pd.isna(v) else str(v) for v in row] for row in frame.itertuples(index=False)),
    ]


def quoted(cell: str, separator: str) -> str:
    special = separator in cell or '"' in cell or "\n" in cell or "\r" in cell
    return '"' + cell.replace('"', '""') + '"' if special else cell


def delimited(
    frame: pd.DataFrame, separator: str = ",", end: str = "\n", tail: str = "", always: bool = False
) -> str:
    def cell(value: str) -> str:
        plain = quoted(value, separator)
        return f'"{plain}"' if always and plain == value else plain

    lines = [separator.join(cell(c) for c in row) for row in text_of(frame)]
    return end.join([lines[0], *(line + tail for line in lines[1:]), ""])


def r_names(frame: pd.DataFrame, separator: str = ",") -> str:
    """As R's ``write.table(col.names = TRUE)`` does: row names without a head."""
    head, *rows = text_of(frame)
    lines = [separator.join(f'"{c}"' for c in head)]
    for k, row in enumerate(rows, 1):
        cells = [quoted(c, separator) if c else "NA" for c in row]
        lines.append(separator.join([f'"{k}"', *cells]))
    return "\n".join([*lines, ""])


def comma_decimals(frame: pd.DataFrame) -> str:
    changed = frame.assign(y_score=frame["y_score"].map(lambda v: repr(v).replace(".", ",")))
    return delimited(changed, ";")


def as_bytes(make: Callable[[pd.DataFrame], str], encoding: str) -> Callable[..., None]:
    def write(frame: pd.DataFrame, path: Path) -> None:
        path.write_bytes(make(frame).encode(encoding))

    return write


def packed(frame: pd.DataFrame, path: Path) -> None:
    path.write_bytes(gzip.compress(delimited(frame).encode()))


def in_parts(frame: pd.DataFrame, path: Path) -> None:
    path.mkdir()
    (path / "_SUCCESS").touch()
    half = len(frame) // 2
    for k, part in enumerate((frame.iloc[:half], frame.iloc[half:])):
        (path / f"part-{k:05d}.csv").write_text(delimited(part), encoding="utf-8")


def arrow(frame: pd.DataFrame, path: Path, **kinds: pa.DataType) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for name, kind in kinds.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table.column(name).cast(kind))
    pq.write_table(table, path)


def as_spark(frame: pd.DataFrame, path: Path) -> None:
    """A folder of parts; text without the mark that it is text."""
    path.mkdir()
    (path / "_SUCCESS").touch()
    for k in range(2):
        arrow(frame.iloc[k::2], path / f"part-{k:05d}.snappy.parquet", site=pa.binary())


def as_polars(frame: pd.DataFrame, path: Path) -> None:
    arrow(frame, path, site=pa.dictionary(pa.uint32(), pa.large_string()), pid=pa.int64())


def with_index(frame: pd.DataFrame, path: Path) -> None:
    frame.set_index("pid").to_parquet(path)


def workbook(frame: pd.DataFrame, path: Path) -> None:
    frame.to_excel(path, index=False, engine="openpyxl")


DIALECTS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "semicolons": as_bytes(lambda f: delimited(f, ";"), "utf-8"),
    "tabs": as_bytes(lambda f: delimited(f, "\t"), "utf-8"),
    "bars": as_bytes(lambda f: delimited(f, "|"), "utf-8"),
    "crlf": as_bytes(lambda f: delimited(f, end="\r\n"), "utf-8"),
    "mark": as_bytes(delimited, "utf-8-sig"),
    "utf-16": as_bytes(lambda f: delimited(f, "\t"), "utf-16"),
    "utf-16 without a mark": as_bytes(delimited, "utf-16-le"),
    "Windows": as_bytes(delimited, "cp1252"),
    "trailing comma": as_bytes(lambda f: delimited(f, tail=","), "utf-8"),
    "trailing semicolon": as_bytes(lambda f: delimited(f, ";", tail=";"), "utf-8"),
    "all quoted": as_bytes(lambda f: delimited(f, always=True), "utf-8"),
    "sep line": as_bytes(lambda f: "sep=;\n" + delimited(f, ";"), "utf-8"),
    "decimal commas": as_bytes(comma_decimals, "utf-8"),
    "row names of R": as_bytes(r_names, "utf-8"),
    "gzip": packed,
    "folder": in_parts,
    "Parquet": lambda f, p: f.to_parquet(p, index=False),
    "Parquet of pandas, key as index": with_index,
    "Parquet of Spark": as_spark,
    "Parquet of polars": as_polars,
    "workbook": workbook,
}

SITES = st.sampled_from(
    ["Köln", "Málaga", "St. Mary's", 'the "old" one', "a, b", "x;y", "é è", None]
)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Predictions of 24 to 40 images: integer keys of up to 15 digits, text with anything in it."""
    n = draw(st.integers(24, 40))
    seed = draw(st.integers(0, 999))
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    base = draw(st.sampled_from([0, 10**5, 10**14]))
    frame = pd.DataFrame(
        {
            "pid": base + rng.integers(0, n, n),
            "image_id": rng.permutation(n),
            "site": pd.Series(draw(st.lists(SITES, min_size=n, max_size=n)), dtype=object),
            "skin": np.where(rng.random(n) < 0.2, np.nan, rng.integers(1, 4, n)),
            "y_true": y,
            "y_score": np.round(np.clip(0.4 * y + 0.6 * rng.random(n), 0, 1), 3),
        }
    )
    frame.loc[[0, 1], "site"] = ["Köln", "Málaga"]
    frame.loc[[2, 3], "skin"] = [1.0, 2.0]
    return frame


def taken(path: Path) -> AuditedRows:
    """All that an audit is made of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Latin-1
        frame = read_predictions(path, **COLUMNS)
    return audited_rows(frame, groups=["site", "skin"], patient="pid")


def same(a: AuditedRows, b: AuditedRows) -> bool:
    """Whether two audits begin with the same bits."""
    arrays = all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("y", "s", "patient")
    )
    groups = all(
        x.categories.tolist() == y.categories.tolist() and (x.codes == y.codes).all()
        for x, y in zip(a.groups.values(), b.groups.values(), strict=True)
    )
    return arrays and groups and a.warnings == b.warnings


def audited(path: Path) -> str:
    frame = read_predictions(path, **COLUMNS)
    options = {"n_boot": 10, "n_permutations": 10, "floor": 1}
    report = fairthesis.audit(frame, groups=["site", "skin"], patient="pid", **options)
    return report.to_json()


# Not shrunk: a table is told by its seed, and each try writes it in twenty dialects.
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(tables())
def test_a_table_in_every_dialect_gives_the_same_audit(tmp_path_factory, frame):
    home = tmp_path_factory.mktemp("dialects")
    (home / "plain.csv").write_text(delimited(frame), encoding="utf-8")
    plain = taken(home / "plain.csv")
    for name, write in DIALECTS.items():
        path = home / f"{name}.csv"  # what it is is told by its content
        path = path.with_suffix(".xlsx") if name == "workbook" else path
        write(frame, path)
        assert same(taken(path), plain), name
    shuffled = frame.sample(frac=1, random_state=0)
    (home / "shuffled.csv").write_text(delimited(shuffled), encoding="utf-8")
    assert same(taken(home / "shuffled.csv"), plain), "the order of rows moves the audit"


def test_the_report_is_the_same_to_the_last_byte(tmp_path):
    frame = table(160)
    frame = frame.rename(columns={"patient_id": "pid", "sex": "site"}).assign(skin=1.0)
    frame.loc[frame.index[::3], "skin"] = 2.0
    found = set()
    for name in ("semicolons", "Parquet of Spark", "row names of R"):
        DIALECTS[name](frame.sample(frac=1, random_state=len(name)), tmp_path / name)
        found.add(audited(tmp_path / name))
    assert len(found) == 1


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("a,b\n1,2\n", [["1", "2"]]),
        ("a\n1\n2\n", [["1"], ["2"]]),
        ('a,b\n"x\ny",2\n', [["x\ny", "2"]]),
        ('a,b\n"say ""hi""",2\n', [['say "hi"', "2"]]),
        ("\n\na,b\n\n 1 , NA\n", [["1", None]]),
        ("a,b\n1\n", [["1", None]]),
        ("a,b\n1,2,\n3,4\n", [["1", "2"], ["3", "4"]]),
        ("a,b,\n1,2,\n", [["1", "2", None]]),
        ("a,b\rc,2\r", [["c", "2"]]),
        ("patient name;score\nA B;0,5\n", [["A B", "0,5"]]),
        ("a,b\nr1,1,2\nr2,3,4\n", [["1", "2"], ["3", "4"]]),
        ("a,b\nr1,1,2\nr2,3,\n", [["1", "2"], ["3", None]]),
        ("a,b\n", []),
    ],
)
def test_text_is_read_as_it_stands(tmp_path, content, rows):
    found = read_table(written(tmp_path / "t.csv", content))
    assert found.astype(object).where(found.notna(), None).to_numpy().tolist() == rows


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n3,4,5\n", r"Row 2 .* has more values than the head"),
        ("a,b\n1,2\n3,4,5,6,7\n", r"Row 2 .* has more values than the head"),
        ("a,b\nr1,1,2\nr2,3,4,5\n", "has more values than the head"),
        ('"a","b"\n"1",1,\n"2",3,\n', "may be row names"),
        ('a,b\n"x,2\n3,4\n', "EOF inside string"),
        (b"\x00\x01\x02" * 9, "no text"),
        (b"\xff\xfea\x00,\x00b\x00\n", "begins as utf-16 text and is none"),
        (b"\x1f\x8b\x08broken", "Cannot read"),
        ("a,b\nKöln,1\n".encode() + "Málaga,2\n".encode("latin-1"), "two encodings joined"),
        ("<html><body>sign in</body></html>", "a web page"),
        (b"PK\x03\x04broken", "broken zip"),
        (b"\x80\x04\x95", "pickle"),
        ('{"a": 1}', "JSON"),
        ("version https://git-lfs.github.com/spec/v1\n", "pointer"),
        (b"PAR1broken", "Cannot read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls"),
    ],
)
def test_what_is_no_table_is_refused_in_words(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        read_table(written(tmp_path / "t.csv", content))


def test_parts_that_do_not_belong_together_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no table"):
        read_table(tmp_path / "empty")
    for name, content in (("a.csv", "x,y\n1,2\n"), ("b.csv", "x,z\n1,2\n")):
        written(tmp_path / name, content)
    with pytest.raises(InputError, match="differ: 'y' is a column of only one"):
        read_table(tmp_path)
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "b.csv")
    with pytest.raises(InputError, match="several kinds"):
        read_table(tmp_path)


def test_folders_of_parts_may_name_a_column(tmp_path):
    for split in ("val", "test"):
        (tmp_path / f"split={split}").mkdir()
        written(tmp_path / f"split={split}" / "part-0.csv", "x,y\n1,2\n")
    found = read_table(tmp_path)
    assert sorted(found["split"]) == ["test", "val"]
    assert table_columns(tmp_path) == ["x", "y", "split"]


def test_lists_and_structures_are_refused_where_they_are_used(tmp_path):
    frame = pd.DataFrame({"y_true": [0, 1], "y_score": [0.2, 0.7], "sex": ["f", "m"]})
    frame["z"], frame["who"] = [[1, 2], [3]], [{"a": 1}, {"a": 2}]
    frame.to_parquet(tmp_path / "t.parquet")
    found = read_table(tmp_path / "t.parquet")
    assert len(found.columns) == 5  # nothing is wrong with them where they are not used
    for column, words in (("z", "'z' of .* holds lists"), ("who", "holds structures")):
        with pytest.raises(InputError, match=words):
            fairthesis.audit(found, groups=[column])


def test_a_wide_embedding_is_read_as_numbers(tmp_path):
    text = "image_id,disease_000,disease_001\n007,0.5,1e-3\n008,,x\n"
    found = read_table(written(tmp_path / "e.csv", text), numeric="disease_[0-9]+")
    assert found["image_id"].tolist() == ["007", "008"]
    assert found["disease_000"].dtype == np.float64
    assert found["disease_001"].tolist() == ["1e-3", "x"]  # said where it is used


# Keys


@pytest.mark.parametrize(
    ("column", "same"),
    [
        (["100", "100.0", " 100 ", 100, 100.0], [0, 0, 0, 0, 0]),
        (["7", "007"], [0, 1]),
        ([20230000000000001, None, 20230000000000002], [0, -1, 1]),
        (pd.array([20230000000000001, None, 20230000000000002], dtype="Int64"), [0, -1, 1]),
        (["", " ", None, np.nan], [-1, -1, -1, -1]),
        ([b"a", "a", "\ufeffa"], [0, 0, 0]),
        (["1.0.0", "1.0", "1"], [0, 1, 1]),
        (["P\u00e9", "P\u00e9 "], [0, 0]),
    ],
)
def test_one_notion_of_a_key(column, same):
    data = column if isinstance(column, pd.api.extensions.ExtensionArray) else list(column)
    kind = None if isinstance(column, pd.api.extensions.ExtensionArray) else object
    found = key_column(pd.DataFrame({"k": pd.Series(data, dtype=kind)}), "k", "the table")
    assert pd.factorize(found)[0].tolist() == same


def test_keys_whose_digits_are_lost_are_reported():
    lost = pd.DataFrame({"k": [20230000000000001, None, 20230000000000003]})
    assert lost["k"].dtype == np.float64
    with pytest.warns(KeyWarning, match="last digits were rounded away"):
        key_column(lost, "k", "the table")
    with pytest.warns(KeyWarning, match=r"2\.023E\+16"):
        key_column(pd.DataFrame({"k": ["2.023E+16", "P1"]}), "k", "the table")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        key_column(pd.DataFrame({"k": [2.0**53, 1.0]}), "k", "the table")
        key_column(pd.DataFrame({"k": ["1E5", "2e3"]}), "k", "the table")
    y = [0, 1] * 40
    frame = pd.DataFrame(
        {"y_true": y, "y_score": np.linspace(0, 1, 80), "sex": ["f"] * 40 + ["m"] * 40}
    )
    frame["k"] = 2.0e16 + np.arange(80)
    report = fairthesis.audit(frame, groups=["sex"], patient="k", n_boot=0, n_permutations=0)
    assert any("rounded away" in warning for warning in report.warnings)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(string.printable, max_size=6) | st.integers() | st.none(), max_size=9))
def test_a_key_is_the_same_read_again(column):
    first = text_column(pd.Series(column, dtype=object))
    again = text_column(pd.Series(first.tolist(), dtype=object))
    assert first.isna().tolist() == again.isna().tolist()
    assert first.dropna().tolist() == again.dropna().tolist()


# Numbers


def test_numbers_of_32_bits_are_those_of_the_text():
    score = np.round(np.linspace(0, 1, 101), 2)
    for kind in (np.float32, np.float64, "float32[pyarrow]", object, "string", "category"):
        frame = pd.DataFrame(
            {"s": pd.Series(score.astype(np.float32) if "32" in str(kind) else score).astype(kind)}
        )
        assert probability_column(frame, "s", "the table").tolist() == score.tolist(), kind


@pytest.mark.parametrize(
    ("given_", "found"),
    [
        ([1.0000000000000002], [1.0]),
        ([-1e-9, 0.5], [0.0, 0.5]),
        (["0,5", "1"], [0.5, 1.0]),
        (["1e-3", " .5 "], [0.001, 0.5]),
        ([True, False], [1.0, 0.0]),
    ],
)
def test_numbers_are_read_as_they_are_meant(given_, found):
    assert probability_column(pd.DataFrame({"s": given_}), "s", "t").tolist() == found


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.001, "s is 1.001 in"),
        (-3, "logistic"),
        (75.0, "percentages"),
        ("high", "'high'"),
        ("0,7", "'0,7'"),  # beside a value with a point
        (np.inf, "inf"),
        ("nan", "'nan'"),
        (pd.Timestamp("2020-01-01"), "2020"),
    ],
)
def test_other_values_are_named(value, words):
    frame = pd.DataFrame({"s": pd.Series(["0.5", value], dtype=object)})
    with pytest.raises(InputError, match=words):
        probability_column(frame, "s", "the table")


def test_a_column_that_stands_twice_is_refused():
    table = pd.DataFrame([[0, 0.1, "f", "m"], [1, 0.9, "m", "f"]])
    table.columns = pd.Index(["y_true", "y_score", "sex", "sex"])
    with pytest.raises(InputError, match="'sex' stands 2 times"):
        fairthesis.audit(table, groups=["sex"])


def test_a_label_may_be_called_target_and_a_target_column_still_chooses():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"target": [0, 1] * 50, "p": rng.random(100), "sex": ["f", "f", "m", "m"] * 25}
    )
    options = {"groups": ["sex"], "score": "p", "n_boot": 0, "n_permutations": 0, "floor": 1}
    assert fairthesis.audit(frame, label="target", **options).n_rows == 100
    with pytest.raises(InputError, match="names no targets"):
        fairthesis.audit(frame, label="target", target="1", **options)


# What cannot be read is left as it is by the table half of other commands too: one reader.


def test_every_command_takes_the_same_tables(tmp_path, capsys):
    from fairthesis.cli import main

    rng = np.random.default_rng(0)
    n = 240
    frame = pd.DataFrame({"image_id": range(n), "patient_id": [f"P{i // 2} " for i in range(n)]})
    frame["split"] = np.where(np.arange(n) < n // 2, "val", "test")
    frame["sex"] = np.where(rng.random(n) < 0.5, "F", "M")
    frame["y_true"] = np.arange(n) % 2
    frame["y_score"] = np.clip(0.3 * frame["y_true"] + 0.7 * rng.random(n), 0, 1).round(3)
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    written(a, delimited(frame, tail=","))
    written(
        b, comma_decimals(frame.assign(image_id=frame["image_id"].astype(float))).encode("utf-16")
    )
    quick = ["--n-boot", "20", "--quiet"]
    embedding = frame[["image_id", "patient_id", "split"]].assign(disease_0=rng.normal(size=n))
    embedding["disease_1"] = frame["sex"].eq("F") + rng.normal(size=n)
    e = written(tmp_path / "e.csv", r_names(embedding.assign(image_id=embedding["image_id"] + 0.0)))
    for command in (
        ["compare", a, b, "--group", "sex", *quick, "--out", tmp_path / "c"],
        ["power", b, "--group", "sex", "--patient", "patient_id"],
        ["postprocess", b, "--group", "sex", "--method", "level_up", "--out", tmp_path / "u.csv"],
        [
            *("probe", e, "--labels", b, "--attribute", "sex", "--probe", "logistic"),
            *("--n-shuffles", "1", *quick, "--out", tmp_path / "l"),
        ],
        ["datasets", "check-leaks", b],
    ):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in command])
        assert ended.value.code == 0, (command[0], capsys.readouterr().err)


class Polars:
    """A table of another library."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def to_pandas(self) -> pd.DataFrame:
        return self.frame


def test_other_tables_and_paths_in_python(tmp_path):
    frame = table(120)
    options = {"groups": ["sex"], "patient": "patient_id", "n_boot": 0, "n_permutations": 0}
    plain = fairthesis.audit(frame, **options).to_json()
    assert fairthesis.audit(Polars(frame), **options).to_json() == plain
    with pytest.raises(InputError, match=r"got str\. Read the file first"):
        fairthesis.audit("predictions.csv", **options)
    with pytest.raises(InputError, match="got dict"):
        fairthesis.audit({"y_true": [0]}, **options)
    with pytest.raises(InputError, match=r"It is the index: call reset_index\(\) first"):
        fairthesis.audit(frame.set_index("patient_id"), **options)


def test_lists_of_arrow_are_refused_too():
    frame = pd.DataFrame({"y_true": [0, 1], "y_score": [0.2, 0.7]})
    kind = pd.ArrowDtype(pa.list_(pa.int64()))
    frame["z"] = pd.Series([[1], [2, 3]], dtype=kind)
    with pytest.raises(InputError, match="holds lists"):
        fairthesis.audit(frame, groups=["z"])


@pytest.mark.parametrize("name", ["folder", "Parquet of Spark"])
def test_the_command_takes_a_folder_of_parts(tmp_path, capsys, name):
    from fairthesis.cli import main

    DIALECTS[name](table(200).rename(columns={"sex": "site"}), tmp_path / "parts")
    with pytest.raises(SystemExit) as ended:
        main(
            [
                *("audit", str(tmp_path / "parts"), "--group", "site", "--patient", "patient_id"),
                *("--n-boot", "20", "--n-permutations", "20", "--out", str(tmp_path / "o")),
            ]
        )
    assert ended.value.code == 0, capsys.readouterr().err


@pytest.mark.parametrize("command", ["audit", "power", "compare"])
def test_a_file_in_which_a_column_stands_twice_is_refused(tmp_path, capsys, command):
    from fairthesis.cli import main

    frame = table(60)
    frame = pd.concat([frame, frame[["y_score", "y_true"]]], axis=1)
    file = str(tmp_path / "t.csv")
    frame.to_csv(file, index=False)
    words = {
        "audit": ["audit", file, "--group", "sex"],
        "power": ["power", file, "--group", "sex"],
        "compare": ["compare", file, file, "--name", "a", "--name", "b", "--group", "sex"],
    }
    out = [] if command == "power" else ["--out", str(tmp_path / "o")]
    with pytest.raises(SystemExit) as ended:
        main([*words[command], *out])
    assert ended.value.code == 2
    assert "stands 2 times" in capsys.readouterr().err


def test_pieces_are_the_table_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.concat([table()] * 4, ignore_index=True)
    frame["image_id"] = range(len(frame))
    frame["skin"] = np.where(np.arange(len(frame)) % 3, 1.0, 2.0)
    frame.loc[5, "skin"] = np.nan
    frame.loc[3580, "patient_id"] = "text among numbers"
    frame["patient_id"] = frame["patient_id"].str.removeprefix("p")
    frame.to_csv(tmp_path / "p.csv", index=False)
    asked: dict[str, Any] = COLUMNS | {"groups": ["sex*skin"], "patient": "patient_id"}
    at_once = read_predictions(tmp_path / "p.csv", **asked)
    monkeypatch.setattr(_delimited, "CELLS", 100)  # a piece has 1,000 rows at least
    in_pieces = read_predictions(tmp_path / "p.csv", **asked)
    pd.testing.assert_frame_equal(at_once, in_pieces)
    options = {"groups": ["sex*skin"]}
    assert run(at_once, **options).to_json() == run(in_pieces, **options).to_json()


def test_memory_follows_the_needed_columns_not_the_file(tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    rows = table(2000)
    rows["report"] = "a long radiology report, " * 160
    text = rows.to_csv(index=False, header=False)
    with file.open("w") as out:
        out.write(",".join(rows.columns) + "\n")
        for _ in range(25):
            out.write(text)
    size = file.stat().st_size
    assert size > 200_000_000
    code = (
        "import resource, sys, pandas\n"
        "from fairthesis.auditing import read_predictions\n"
        "from fairthesis.inputs import _delimited\n"
        "_delimited.CELLS = 10_000\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak()\n"
        f"f = read_predictions({str(file)!r}, label='y_true', score='y_score', groups=['sex'])\n"
        "print(len(f), peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    n, grown = map(int, done.stdout.split())
    assert n == 50_000
    assert grown < size / 3


def test_a_workbook_that_fills_the_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.xlsx"
    workbook(table(20), path)
    monkeypatch.setattr(_tables, "UNPACKED", 10_000)
    assert len(read_table(path)) == 20
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as made:
        made.writestr("xl/media/picture", bytes(10**7))
    with pytest.raises(InputError, match=r"unpacks to 10,\d{3},\d{3}: .* Save it as CSV"):
        read_table(path)


@pytest.mark.parametrize("damage", ["packed", "text", "unknown"])
def test_a_damaged_workbook_is_refused_in_words(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    workbook(table(20), path)
    with zipfile.ZipFile(path) as whole:
        contents = {name: whole.read(name) for name in whole.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    if damage == "packed":  # in the middle of the sheet's packed bytes
        with zipfile.ZipFile(path) as whole:
            start = whole.getinfo(sheet).header_offset
        content = bytearray(path.read_bytes())
        content[start + 60 : start + 90] = bytes(30)
        path.write_bytes(content)
    else:
        if damage == "text":
            contents[sheet] = contents[sheet][: len(contents[sheet]) // 2]
        else:  # what openpyxl does not know is a TypeError
            contents["xl/workbook.xml"] = contents["xl/workbook.xml"].replace(
                b"visibility=", b"visibilisy="
            )
        with zipfile.ZipFile(path, "w") as made:
            for name, content in contents.items():
                made.writestr(name, content)
    with pytest.raises(InputError, match="is not a readable workbook"):
        read_table(path)


def test_what_pandas_noted_in_a_parquet_file_may_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    whole = pa.Table.from_pandas(table(20))
    pq.write_table(whole.replace_schema_metadata({b"pandas": b"{\xb0"}), path)
    pq.write_table(whole, tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(read_table(path), read_table(tmp_path / "whole.parquet"))
