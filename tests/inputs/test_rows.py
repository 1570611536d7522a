"""What is refused in words where rows are taken from a table, and how a range is worded."""

import pandas as pd
import pytest

from fairthesis import inputs
from fairthesis.errors import InputError
from fairthesis.inputs import Range, as_frame, row_labels


def test_no_rows_are_refused_in_words():
    with pytest.raises(InputError, match="No rows in the predictions table"):
        row_labels(pd.DataFrame({"y": []}), "y")
    assert len(row_labels(pd.DataFrame({"y": []}), "y", both=False)) == 0


def test_a_path_is_answered_with_a_function_that_there_is():
    with pytest.raises(InputError, match=r"fairthesis\.inputs\.read_table\('t\.csv'\)"):
        as_frame("t.csv", "the table")
    assert callable(inputs.read_table)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (Range(least=16), " of 16 or larger"),
        (Range(above=0), " above 0"),
        (Range(least=0, most=2**32 - 1), " from 0 to 4294967295"),
        (Range(above=0, below=1), " between 0 and 1"),
        (Range(least=0, below=1), " of 0 or larger and below 1"),
        (Range(above=0, most=1), " above 0 and of 1 or smaller"),
        (Range(most=1), " of 1 or smaller"),
        (Range(), ""),
    ],
)
def test_a_range_names_every_bound(bounds, words):
    assert str(bounds) == words
