"""Hypotheses that were written down before the runs, held against what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from fairthesis.errors import unknown
from fairthesis.study._archive import Results
from fairthesis.study._contrasts import NARROW, told_of
from fairthesis.study._settings import settings_numbers

#: What a hypothesis may expect of a difference, and which verdicts on its interval meet that; what
#: is neither in here nor refuted ``cannot be told``.
EXPECTED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "lower": (("lower",), ("higher", "nothing")),
    "higher": (("higher",), ("lower", "nothing")),
    "not lower": (("higher", "nothing"), ("lower",)),
    "not higher": (("lower", "nothing"), ("higher",)),
    # where an interval that holds 0 was agreed to be enough, however wide
    "not shown lower": (("higher", "nothing", "cannot be told"), ("lower",)),
    "not shown higher": (("lower", "nothing", "cannot be told"), ("higher",)),
    "not shown different": (("nothing", "cannot be told"), ("lower", "higher")),
}

ANSWERS = ("yes", "no", "cannot be told")
MANY = 5  # settings, of which more are counted instead of listed where all agree


@dataclass(frozen=True)
class Hypothesis:
    """What was expected of the difference between two variants, in some settings.

    Args:
        text: the hypothesis in words.
        variant, than: the numbers of the first less those of the second, by their names in the
            first setting.
        number: of ``settings_numbers``, or several of them, which must all be as expected.
        expected: ``lower`` or ``higher``: the interval lies there; ``not lower``, ``not higher``:
            it lies on the other side or holds 0 and is narrow; ``not shown lower``, ``not shown
            higher``: it does not lie there, and may hold 0 and be wide; ``not shown different``:
            it holds 0.
        settings: where.
        against: the setting of ``than``; by default the same.

    Raises:
        InputError: for another ``expected``.

    >>> Hypothesis("It helps.", "adversarial", "erm", "AUROC gap", "smaller", ("reversed",))
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: Unknown expectation 'smaller': expected one of lower, higher, ...
    """

    text: str
    variant: str
    than: str
    number: str | tuple[str, ...]
    expected: str
    settings: tuple[str, ...]
    against: str | None = None

    def __post_init__(self) -> None:
        if self.expected not in EXPECTED:
            raise unknown("expectation", self.expected, EXPECTED)

    @property
    def numbers(self) -> tuple[str, ...]:
        """All of its numbers."""
        return (self.number,) if isinstance(self.number, str) else self.number


def hypotheses_told(
    results: Results, asked: Sequence[Hypothesis], narrow: float = NARROW
) -> pd.DataFrame:
    """Every hypothesis held against the runs: a row per setting and number.

    Differences are paired by seed; their mean has Student's interval at 95 % (see ``contrasts``).
    Nothing is corrected for how many are asked.

    Args:
        results: an experiment whose plan has ``settings``.
        asked: the hypotheses.
        narrow: as of ``contrasts``.

    Returns:
        The columns ``hypothesis, setting, number, difference, lo, hi, seeds, verdict, holds``;
        ``holds`` is ``yes``, ``no`` or ``cannot be told``.

    Raises:
        InputError: for a variant, a setting or a number that the experiment lacks.

    >>> from fairthesis.study import load_archived
    >>> asked = [Hypothesis("It helps.", "adversarial", "erm", "AUROC gap", "lower", ("first",))]
    >>> table = hypotheses_told(load_archived("synthetic-cxr", "quick"), asked)
    >>> table[["hypothesis", "setting", "seeds"]].values.tolist()
    [['It helps.', 'first', 2]]
    """
    table = settings_numbers(results)
    known = {name: table[name].unique().tolist() for name in ("variant", "setting", "number")}
    values = {
        key: part.set_index("seed")["value"]
        for key, part in table.groupby(["setting", "variant", "number"])
    }
    rows = []
    for one in asked:
        places = [*one.settings, *([one.against] if one.against else [])]
        for what, names in {
            "variant": [one.variant, one.than], "setting": places, "number": one.numbers
        }.items():  # fmt: skip
            for name in names:
                if name not in known[what]:
                    raise unknown(what, name, known[what])
        for setting in one.settings:
            for number in one.numbers:
                own = values[setting, one.variant, number]
                other = values[one.against or setting, one.than, number]
                told = told_of((own - other).dropna().tolist(), results, narrow)
                holds = _holds(one.expected, str(told[-1]))
                rows.append([one.text, setting, number, *told, holds])
    columns = ["difference", "lo", "hi", "seeds", "verdict", "holds"]
    return pd.DataFrame(rows, columns=["hypothesis", "setting", "number", *columns])


def _holds(expected: str, verdict: str) -> str:
    met, refuted = EXPECTED[expected]
    return "yes" if verdict in met else "no" if verdict in refuted else "cannot be told"


def hypothesis_sentences(table: pd.DataFrame) -> str:
    """What ``hypotheses_told`` found, as a numbered list in Markdown.

    Of several numbers in one setting, all must be as expected; one that is not decides. Where all
    were asked in one and the same setting it is not named.

    >>> columns = ["hypothesis", "setting", "number", "holds"]
    >>> rows = [["It helps.", "reversed", "AUROC gap", "yes"]]
    >>> rows += [["It helps.", "same", "AUROC gap", "no"], ["It costs.", "none", "AUROC", "yes"]]
    >>> print(hypothesis_sentences(pd.DataFrame(rows, columns=columns)))
    1. It helps. *Holds* in `reversed`. *Does not hold* in `same`.
    2. It costs. *Holds* in `none`.
    """
    words = {"yes": "Holds", "no": "Does not hold", "cannot be told": "Cannot be told"}
    lines = []
    alone = table["setting"].nunique() == 1
    for place, (text, part) in enumerate(table.groupby("hypothesis", sort=False), 1):
        found: dict[str, list[str]] = {name: [] for name in words}
        for setting, whole in _by_setting(part).items():
            found[whole].append(f"`{setting}`")
        everywhere = part["setting"].nunique()
        told = [
            f"*{words[name]}*."
            if alone
            else f"*{words[name]}* in all {len(at)} settings."
            if len(at) == everywhere > MANY
            else f"*{words[name]}* in {', '.join(at)}."
            for name, at in found.items()
            if at
        ]
        lines.append(f"{place}. {text} " + " ".join(told))
    return "\n".join(lines)


def hypotheses_across(told: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The answers of several experiments that were asked the same, beside one another.

    Args:
        told: title of an experiment -> its ``hypotheses_told``.

    Returns:
        A row per hypothesis, numbered from 1, with its words and a column per experiment: the
        answer, or how many settings have which; empty where an experiment was not asked.

    >>> columns = ["hypothesis", "setting", "number", "holds"]
    >>> rows = [["It helps.", "reversed", "AUROC gap", "yes"]]
    >>> first = pd.DataFrame(rows, columns=columns)
    >>> rows += [["It helps.", "same", "AUROC gap", "no"]]
    >>> second = pd.DataFrame(rows, columns=columns)
    >>> hypotheses_across({"skin": first, "chest": second}).loc[1].tolist()
    ['It helps.', 'yes', 'yes in 1, no in 1']
    """
    found: dict[str, dict[str, str]] = {}
    for title, table in told.items():
        for text, part in table.groupby("hypothesis", sort=False):
            counted = pd.Series(_by_setting(part)).value_counts(sort=False)
            words = [f"{name} in {counted[name]}" for name in ANSWERS if name in counted]
            alone = str(counted.index[0])
            found.setdefault(str(text), {})[title] = ", ".join(words) if len(words) > 1 else alone
    rows = [[text, *(answers.get(title, "") for title in told)] for text, answers in found.items()]
    return pd.DataFrame(rows, columns=["hypothesis", *told], index=range(1, len(rows) + 1))


def _by_setting(part: pd.DataFrame) -> dict[str, str]:
    """Setting -> the answer to one hypothesis there: all of its numbers are to be as expected."""
    found = {}
    for setting, rows in part.groupby("setting", sort=False):
        said = set(rows["holds"])
        found[str(setting)] = (
            "no" if "no" in said else "yes" if said == {"yes"} else "cannot be told"
        )
    return found
