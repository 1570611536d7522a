"""The guidelines and the printable checklist say what the package's one list says."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT

from fairthesis.auditing import checklist, checklist_sources, checklist_text

BOOK = ROOT / "book"
GUIDELINES = (BOOK / "guidelines.md").read_text(encoding="utf-8")
PRINTED = (BOOK / "checklist.md").read_text(encoding="utf-8")
CITE = (BOOK / "cite.md").read_text(encoding="utf-8")
TEACHING = (BOOK / "teaching.md").read_text(encoding="utf-8")
BIB = (BOOK / "references.bib").read_text(encoding="utf-8")
ROWS = checklist().to_dict("records")
SOURCES = checklist_sources().set_index("name")


def cited(sources: str) -> str:
    """A row's sources as citations: the part that is meant stands in brackets."""
    parts = []
    for source in sources.split(";"):
        name, _, part = source.strip().partition(": ")
        text = f"{{cite}}`{SOURCES.loc[name, 'key']}`"
        if not re.search(r" \d{4}$", name):  # a study is cited by author and year as it is
            text = f"{name} {text}"
        parts.append(f"{text} ({part})" if part else text)
    return "; ".join(parts)


def block(row: dict[str, str]) -> str:
    """The block of a question on the page of guidelines."""
    lines = [f":::{{dropdown}} **{row['id']}** {row['item']}", f":name: item-{row['id'].lower()}"]
    lines += ["", f"**Who.** {row['who'][0].upper()}{row['who'][1:]}.", ""]
    lines += [f"**Ask for.** {row['ask_for']}", ""]
    if row["command"]:
        command = textwrap.wrap(
            row["command"], 84, break_on_hyphens=False, break_long_words=False,
            subsequent_indent="    ",
        )  # fmt: skip
        lines += ["**Evidence.**", "", "```bash", " \\\n".join(command), "```", ""]
    lines += [f"**Acceptable.** {row['acceptable']}", ""]
    return "\n".join([*lines, f"**Sources.** {cited(row['sources'])}.", ":::"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_the_page_has_each_question_as_the_list_has_it(row: dict[str, str]) -> None:
    assert block(row) in GUIDELINES


def test_the_page_has_no_question_of_its_own_and_keeps_the_order() -> None:
    assert re.findall(r"\{dropdown\} \*\*(\w+)\*\*", GUIDELINES) == [row["id"] for row in ROWS]
    places = []
    for stage in checklist()["stage"].unique():
        places.append(GUIDELINES.index(f"\n## {stage[0].upper()}{stage[1:]}\n"))
    assert places == sorted(places)


def test_the_printable_page_is_the_list() -> None:
    title, _, rest = checklist_text("md").partition("\n")
    listed, _, exercises = PRINTED.partition("\n## Exercises\n")
    assert listed.startswith(f"{title}\n")
    assert listed.rstrip().endswith(rest.rstrip())
    assert exercises and "section#exercises { display: none; }" in listed  # not on paper


def exercises(page: str) -> str:
    return page.split("\n## Exercises\n")[1]


@pytest.mark.parametrize("page", [GUIDELINES, PRINTED], ids=["guidelines", "checklist"])
def test_exercises_have_solutions_that_name_questions_there_are(page: str) -> None:
    part = exercises(page)
    labels = re.findall(r":::\{exercise\}\n:label: (ex-\S+)", part)
    assert len(labels) == 2
    assert re.findall(r":::\{solution\} (\S+)\n:class: dropdown", part) == labels
    assert set(re.findall(r"\b[BGMC]\d+\b", part)) <= {row["id"] for row in ROWS}
    for name, place in re.findall(r"\[(\w+)\]\(item-(\w+)\)", part):
        assert name.lower() == place


def test_an_exercise_touches_every_stage() -> None:
    solution = (
        exercises(GUIDELINES).split(":::{solution} ex-guidelines-stages")[1].split("\n:::")[0]
    )
    stages = {row["id"]: row["stage"] for row in ROWS}
    for stage in checklist()["stage"].unique():
        line = next(one for one in solution.splitlines() if f"**{stage.capitalize()}.**" in one)
        assert {stages[name] for name in re.findall(r"\[([BGMC]\d+)\]", line)} == {stage}


def test_the_numbers_of_the_exercise_on_power_are_printed(capsys: pytest.CaptureFixture) -> None:
    from fairthesis.cli import main

    part = exercises(GUIDELINES)
    blocks = re.findall(
        r"```bash\n(fairthesis power [^\n]*)\n```.*?```text\n(.*?)\n```", part, re.S
    )
    assert len(blocks) == 2
    for command, lines in blocks:
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(command)[1:])
        assert not ended.value.code
        assert set(lines.splitlines()) <= set(capsys.readouterr().out.splitlines()), command
    needed, women, everybody = map(int, re.findall(r"`(\d+) \* (\d+) / (\d+)`", part)[0])
    assert f"needs {needed:,} patients" in part
    assert f"is {needed * women / everybody:g} women with melanoma" in part


def test_the_rows_that_people_answer_are_named() -> None:
    named = re.search(r"These are (.*?):", exercises(PRINTED))
    assert named is not None
    assert re.findall(r"[BGMC]\d+", named[1]) == [row["id"] for row in ROWS if not row["command"]]


def test_sources_are_in_the_bibliography_with_the_same_link() -> None:
    entries = dict(re.findall(r"^@\w+\{(\w+),(.*?)^\}", BIB, re.M | re.S))
    for name, row in SOURCES.iterrows():
        text = entries[row["key"]]
        doi = re.search(r"\bdoi = \{(.*?)\}", text)
        if doi and row["link"]:
            assert row["link"] == f"https://doi.org/{doi[1]}", name
        year = re.search(r"\byear = \{(\d+)\}", text)
        assert year is not None and year[1] in row["citation"], name


def mapped(heading: str) -> list[tuple[str, list[str]]]:
    """The rows of a table of the section on other guidelines: its topic and our questions."""
    part = GUIDELINES.split(f"\n### {heading}")[1].split("\n##")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", part, re.M)
    return [(topic, re.findall(r"\b[BGMC]\d+\b", ids)) for topic, ids in rows if ids != "questions"]


@pytest.mark.parametrize(
    ("heading", "rows"),
    [
        ("FUTURE-AI", 30),
        ("TRIPOD+AI", 27),
        ("The FDA's guiding principles", 10),
        ("STARD-AI", None),
        ("CLAIM", None),
        ("DECIDE-AI", None),
        ("CONSORT-AI", None),
    ],
)
def test_other_guidelines_are_mapped_to_questions_that_exist(heading: str, rows: int) -> None:
    known = {row["id"] for row in ROWS}
    found = mapped(heading)
    assert found and (rows is None or len(found) == rows)
    for topic, ids in found:
        assert set(ids) <= known, topic
    if heading == "TRIPOD+AI":
        assert [int(topic.split()[0]) for topic, _ in found] == list(range(1, 28))


def test_numbered_items_of_tripod_are_named_alike_everywhere() -> None:
    topics = [topic.split(maxsplit=1) for topic, _ in mapped("TRIPOD+AI")]
    names = {number: name.lower() for number, name in topics}
    for row in ROWS:
        for source in row["sources"].split("; "):
            if source.startswith("TRIPOD+AI: "):
                for one in source.removeprefix("TRIPOD+AI: ").split(", "):
                    number, name = one.split(maxsplit=1)
                    assert names[number].startswith(name), (row["id"], one)


def test_a_question_stands_in_the_table_of_each_part_that_it_rests_on() -> None:
    headings = {"TRIPOD+AI": "TRIPOD+AI", "GMLP": "The FDA's guiding principles"}
    numbered = {
        name: {topic.split()[0]: ids for topic, ids in mapped(heading)}
        for name, heading in headings.items()
    }
    principles: dict[str, set[str]] = {}
    for topic, ids in mapped("FUTURE-AI"):
        principles.setdefault(topic.split()[0].lower(), set()).update(ids)
    for row in ROWS:
        for source in row["sources"].split("; "):
            name, _, part = source.partition(": ")
            if name in numbered:
                for one in part.split(", "):
                    assert row["id"] in numbered[name][one.split()[0]], (row["id"], source)
            if name == "FUTURE-AI":
                assert row["id"] in principles[part], (row["id"], source)


def test_practices_of_future_ai_are_numbered_within_their_principle() -> None:
    seen: dict[str, list[int]] = {}
    for topic, _ in mapped("FUTURE-AI"):
        principle, number = topic.split(":")[0].split()
        seen.setdefault(principle, []).append(int(number))
    assert {name: len(numbers) for name, numbers in seen.items()} == {
        **{"Fairness": 3, "Universality": 4, "Traceability": 6, "Usability": 5},
        **{"Robustness": 3, "Explainability": 2, "General": 7},
    }
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in seen.values())


def test_what_hiding_does_is_left_to_the_map() -> None:
    assert "executed/boundary.ipynb" in GUIDELINES
    assert "helps against" not in GUIDELINES


def fields_of(kind: str) -> dict[str, str]:
    """The fields of the page's entry of this kind."""
    entry = CITE.split(kind)[1].split("```")[0]
    return dict(re.findall(r"^  (\w+)\s*= \{(.*)\},?$", entry, re.M))


def test_the_page_on_citing_agrees_with_the_citation_file() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    thesis = citation["references"][0]
    fields = fields_of("@software")
    assert fields["title"].replace("{", "").replace("}", "") == citation["title"]
    assert fields["version"] == citation["version"] and fields["url"] == citation["repository-code"]
    assert fields["year"] == str(citation["date-released"])[:4]
    assert fields["author"] == "{" + citation["authors"][0]["name"] + "}"
    fields = fields_of("@misc")
    assert fields["title"] == thesis["title"] and fields["year"] == str(thesis["year"])
    assert thesis["institution"]["name"] in fields["note"]
    doi = citation.get("doi")
    assert (doi or "not yet assigned") in CITE
    assert f"{citation['license']} licence" in CITE
    assert citation["license"] in (ROOT / "LICENSE").read_text(encoding="utf-8").splitlines()[0]
    assert "CC BY 4.0" in CITE and "not a medical device" in CITE


def test_the_teaching_page_names_chapters_and_parameters_that_exist() -> None:
    from fairthesis.study import notebook_parameters

    named = set(re.findall(r"executed/([a-z_]+)\.ipynb", TEACHING))
    named |= set(re.findall(r"notebooks/([a-z_]+)\.ipynb", TEACHING))
    assert named
    for name in named:
        assert (ROOT / "notebooks" / f"{name}.ipynb").is_file(), name
    commands = re.findall(r"^papermill .*(?:\\\n.*)*", TEACHING, re.M)
    assert commands
    for command in commands:
        path = re.search(r"notebooks/\w+\.ipynb", command)
        assert path is not None, command
        known = notebook_parameters(ROOT / path[0])
        assert set(re.findall(r" -p (\w+) ", command)) <= set(known), command


def test_the_filled_example_takes_another_table(tmp_path: Path) -> None:
    pytest.importorskip("papermill")
    from support.predictions import table

    from fairthesis.study import execute_chapter

    frame = table(1500).drop(columns="target")
    frame.to_csv(tmp_path / "mine.csv", index=False)
    given = {"predictions": str(tmp_path / "mine.csv"), "profile": "quick", "groups": "sex"}
    given["out_dir"] = str(tmp_path / "out")
    chapter = ROOT / "notebooks" / "filled_example.ipynb"
    execute_chapter(chapter, tmp_path / "done.ipynb", given, cwd=ROOT)
    filled = pd.read_csv(tmp_path / "out" / "checklist-filled.csv")
    assert list(filled["id"]) == [row["id"] for row in ROWS]
    verdicts = {"acceptable", "not acceptable", "cannot be told", "open"}
    assert set(filled["verdict"]) <= verdicts and (filled["verdict"] == "open").sum() < len(filled)
    assert (filled["evidence"].isna() == (filled["verdict"] == "open")).all()
