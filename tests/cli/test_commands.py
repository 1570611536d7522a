"""A command line that answers at once, and in words."""

from __future__ import annotations

import subprocess
import sys

import pytest


def test_help_loads_neither_torch_nor_pandas():
    code = (
        "import sys, click.testing as t, fairthesis.cli as c;"
        "r = t.CliRunner().invoke(c.cli, ['--help']); assert r.exit_code == 0, r.output;"
        "print(sorted({'torch', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_command_has_help_with_an_example():
    import click
    from click.testing import CliRunner

    from fairthesis.cli import COMMANDS, cli

    assert "fairthesis audit" in CliRunner().invoke(cli, ["--help"]).output
    for name in COMMANDS:
        result = CliRunner().invoke(cli, [name, "--help"])
        assert result.exit_code == 0, result.output
        command = cli.get_command(click.Context(cli), name)
        assert f"fairthesis {name}" in result.output, name
        assert command is not None and command.help


def test_an_unknown_command_names_itself(capsys):
    from fairthesis.cli import main

    with pytest.raises(SystemExit) as end:
        main(["adit"])
    assert end.value.code == 2
    assert "adit" in capsys.readouterr().err


def test_without_torch_the_training_command_says_what_to_install():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from fairthesis.cli import main\n"
        "try: main(['train', '--out', 'x'])\n"
        "except SystemExit as end: print(end.code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "2"
    assert "pip install 'fairthesis[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_warnings_are_reported_in_words():
    code = (
        "import warnings, fairthesis.cli as c, sys; sys.argv = ['fairthesis', '--version']\n"
        "try: c.main()\n"
        "except SystemExit: warnings.warn('two images were left out', UserWarning)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "fairthesis: two images were left out"


@pytest.mark.parametrize(("words", "shown"), [([], True), (["--quiet"], False)])
def test_long_work_of_every_command_shows_bars_unless_it_is_to_be_quiet(words, shown, monkeypatch):
    """And afterwards none: a function called from Python says nothing of its own accord."""
    import contextlib

    import click
    from click.testing import CliRunner

    from fairthesis import stats
    from fairthesis.cli import _options

    seen = []

    @contextlib.contextmanager
    def noted(whether):
        seen.append(whether)
        yield
        seen.append("over")

    monkeypatch.setattr(stats, "progress_shown", noted)

    @click.command()
    @_options.quiet()
    def command(quiet):
        seen.append("at work")

    assert CliRunner().invoke(command, words).exit_code == 0
    assert seen == [shown, "at work", "over"]
