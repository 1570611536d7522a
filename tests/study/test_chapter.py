"""Notebooks: thin, stripped, refused where wrong, the same bytes when run again."""

import ast
import json
import re
import sys

import nbformat
import pytest
from conftest import ROOT

from fairthesis.errors import InputError
from fairthesis.study._chapter import execute_chapter
from fairthesis.study._notebooks import check_notebook, notebook_parameters

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CODE = 'x: int = 1  # how many\nname: str = "a"  # who'


def notebook(path, *cells, tag="parameters"):
    book = nbformat.v4.new_notebook()
    book.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    for number, text in enumerate(cells):
        cell = nbformat.v4.new_code_cell(text)
        if number == 0:
            cell.metadata["tags"] = [tag]
        book.cells.append(cell)
    nbformat.write(book, path)
    return path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_thin_stripped_and_parameterised(path):
    book = json.loads(path.read_text())
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    for cell in code:
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            forbidden = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Lambda)
            assert not isinstance(node, forbidden), "".join(cell["source"])
    known = notebook_parameters(path)
    assert {"dataset", "profile", "seed", "out_dir"} <= set(known)
    assert all(item["help"] for item in known.values())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_figures_have_captions_and_alternative_texts(path):
    for cell in json.loads(path.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and re.search(r"\bplots\.(?!use_style)\w+\(", source):
            described = cell["metadata"]["mystnb"]
            assert described["figure"]["caption"] and described["image"]["alt"], source


def test_two_runs_give_the_same_bytes(tmp_path):
    path = notebook(tmp_path / "n.ipynb", CODE, "print(x, name)")
    for out in ("a", "b"):
        execute_chapter(path, tmp_path / f"{out}.ipynb", {"x": 3})
    assert (tmp_path / "a.ipynb").read_bytes() == (tmp_path / "b.ipynb").read_bytes()
    assert "3 a" in (tmp_path / "a.ipynb").read_text()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"y": 1}, "Unknown parameter of n.ipynb 'y': expected one of x, name"),
        ({"x": "many"}, "Expected x to be a whole number, but got 'many'"),
        ({"x": True}, "Expected x to be a whole number, but got True"),
    ],
)
def test_wrong_parameters_are_refused(given, words, tmp_path):
    path = notebook(tmp_path / "n.ipynb", CODE, "print(x)")
    with pytest.raises(InputError) as error:
        execute_chapter(path, tmp_path / "out.ipynb", given)
    assert words in str(error.value)
    assert not (tmp_path / "out.ipynb").exists()


def test_a_failing_cell_leaves_no_file_and_is_named(tmp_path):
    path = notebook(tmp_path / "n.ipynb", CODE, "1 / (x - 1)")
    with pytest.raises(InputError, match=r"n.ipynb failed with ZeroDivisionError"):
        execute_chapter(path, tmp_path / "out.ipynb")
    assert {file.name for file in tmp_path.iterdir()} == {"n.ipynb"}


def test_a_notebook_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match=r"Unknown notebook .m\.ipynb."):
        notebook_parameters(tmp_path / "m.ipynb")
    (tmp_path / "m.ipynb").write_text("not json")
    with pytest.raises(InputError, match="as a notebook"):
        notebook_parameters(tmp_path / "m.ipynb")
    with pytest.raises(InputError, match="takes no parameters"):
        notebook_parameters(notebook(tmp_path / "n.ipynb", "x = 1", tag="other"))


def test_the_command_lists_parameters_and_refuses_unknown_ones(capsys):
    from fairthesis.cli import main

    path = str(NOTEBOOKS[0])
    with pytest.raises(SystemExit) as end:
        main(["chapter", path, "--show-parameters"])
    assert end.value.code == 0
    assert "profile" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        main(["chapter", path, "-p", "sed=1"])
    assert end.value.code == 2
    assert "Did you mean 'seed'?" in capsys.readouterr().err


def test_the_audit_chapter_takes_another_table(tmp_path):
    from support.predictions import table

    frame = table(1500).drop(columns="target").rename(columns={"age_group": "age"})
    frame.to_csv(tmp_path / "mine.csv", index=False)
    given = {"predictions": str(tmp_path / "mine.csv"), "groups": "sex,age", "profile": "quick"}
    chapter = ROOT / "notebooks" / "audit.ipynb"
    execute_chapter(chapter, tmp_path / "out.ipynb", given | {"out_dir": str(tmp_path / "report")})
    text = (tmp_path / "out.ipynb").read_text()
    assert "60 numbers in 5 groups were compared" in text
    assert "17 differences were compared; all agree" in text
    assert (tmp_path / "report" / "ham10000" / "audit.html").is_file()


def test_the_audit_chapter_stops_where_a_number_differs(tmp_path):
    book = json.loads((ROOT / "notebooks" / "audit.ipynb").read_text())
    for cell in book["cells"]:
        cell["source"] = "".join(cell["source"]).replace(
            "tables = report.tables()\n",
            "tables = report.tables()\ntables['groups'].loc[3, 'value'] += 1e-9\n",
        )
    (tmp_path / "wrong.ipynb").write_text(json.dumps(book))
    given = {"profile": "quick", "out_dir": str(tmp_path / "report")}
    with pytest.raises(InputError, match="AssertionError"):
        execute_chapter(tmp_path / "wrong.ipynb", tmp_path / "out.ipynb", given, cwd=ROOT)


PARAMETERS = """\
count = 1  # how many
rate: float = 1  # a number
url = "http://x?a=b#c"  # where
root = None
groups = ["sex"]
cuts: "list[int]" = []
some: Optional[int] = None
mode: Literal["quick", "full"] = "quick"
limit = 60 * 60
old = 1e-3  # type: float  # as it was
several = [
    1,  # one
    2,
]  # more
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("count=3", 3),
        ("rate=1e-3", 0.001),
        ("url=A: B", "A: B"),
        ("root=/data/Study #2/nih", "/data/Study #2/nih"),
        ("root=none", None),
        ("root=007", "007"),
        ("groups=no,1", ["no", "1"]),
        ("cuts=[4, 5]", [4, 5]),
        ("some=5", 5),
        ("some=none", None),
        ("mode=full", "full"),
        ("old=1e-4", 1e-4),
        ("several=3", [3]),
    ],
)
def test_text_is_read_as_the_notebook_says(text, value, tmp_path):
    known = notebook_parameters(notebook(tmp_path / "n.ipynb", PARAMETERS))
    name, _, given = text.partition("=")
    assert check_notebook(known, {name: given}, "n.ipynb", text=True) == {name: value}
    assert known["url"]["default"] == '"http://x?a=b#c"' and known["url"]["help"] == "where"
    assert known["several"]["help"] == "more"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("count=0.5", "count to be a whole number, but got '0.5'"),
        ("rate=fast", "rate to be a number, but got 'fast'"),
        ("mode=ful", "mode to be one of quick, full, but got 'ful'"),
        ("limit=5", "Cannot tell what limit is in n.ipynb"),
        ("cuts=a", "cuts to be a list of whole numbers, but got 'a'"),
    ],
)
def test_text_of_another_type_is_refused(text, words, tmp_path):
    known = notebook_parameters(notebook(tmp_path / "n.ipynb", PARAMETERS))
    name, _, given = text.partition("=")
    with pytest.raises(InputError) as error:
        check_notebook(known, {name: given}, "n.ipynb", text=True)
    assert words in str(error.value)


def test_a_chapter_runs_with_this_very_python(tmp_path, monkeypatch):
    kernel = tmp_path / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text('{"argv": ["/usr/bin/false"], "display_name": "x", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    path = notebook(tmp_path / "{n}.ipynb", "%matplotlib inline\nx = 1", "import sys\nsys.prefix")
    book = json.loads(path.read_text())
    book["metadata"] = {}  # and no kernel is named
    path.write_text(json.dumps(book))
    text = execute_chapter(path, tmp_path / "{out}.ipynb", {"x": 2}).read_text()
    assert sys.prefix in text and "x = 2" in text


V3 = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}}
V3_CELL = {"cell_type": "code", "input": "x = 1", "language": "python", "outputs": []}
V3_CELL |= {"metadata": {"tags": ["parameters"]}, "collapsed": False, "prompt_number": None}
V4 = {"nbformat": 4, "nbformat_minor": 4, "cells": []}


def test_a_notebook_of_version_3_is_read(tmp_path):
    old = V3 | {"worksheets": [{"cells": [V3_CELL], "metadata": {}}]}
    (tmp_path / "n.ipynb").write_text(json.dumps(old))
    assert list(notebook_parameters(tmp_path / "n.ipynb")) == ["x"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (V4 | {"metadata": {"kernelspec": {"name": "ir", "display_name": "R"}}}, "in 'ir'"),
        (V4 | {"metadata": {"language_info": {"name": "julia"}}}, "in 'julia'"),
        (V4 | {"metadata": [], "cells": [5]}, "as a notebook"),
        ({"nbformat": 4, "nbformat_minor": 5, "metadata": {}}, "as a notebook"),
        ([], "as a notebook"),
        ({}, "as a notebook"),
        ({"nbformat": 9, "nbformat_minor": 0, "metadata": {}, "cells": []}, "as a notebook"),
    ],
)
def test_other_notebooks_are_refused_in_words(content, words, tmp_path):
    (tmp_path / "n.ipynb").write_text(json.dumps(content))
    with pytest.raises(InputError) as error:
        notebook_parameters(tmp_path / "n.ipynb")
    assert words in str(error.value) and "object has no" not in str(error.value)


def test_a_kernel_that_dies_is_named(tmp_path):
    path = notebook(tmp_path / "n.ipynb", "x = 1", "import os\nos._exit(3)")
    with pytest.raises(InputError, match=r"The kernel of n\.ipynb did not start, or ended"):
        execute_chapter(path, tmp_path / "out.ipynb")
    assert not (tmp_path / "out.ipynb").exists()
