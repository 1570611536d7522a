"""What a column's values mean: text, keys, numbers, labels, probabilities, whatever type they have.

The same table may come from CSV (all text), Parquet or a data frame (numbers, booleans, dates,
categories). These functions give the same values for all of them, so nothing else guesses a type.
"""

from __future__ import annotations

import datetime
import decimal
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.errors import InputError

# Shares of rounding error of a softmax in float32; further out a score is no probability.
ROUNDING = 1e-6
WHOLE = r"^([+-]?\d+)\.0+$"
EXACT = {2: 2.0**11, 4: 2.0**24, 8: 2.0**53}  # by bytes: the last of all whole numbers there are
TRUTH = {"true": 1.0, "false": 0.0}
_DECIMAL_COMMA = r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?"
# A spreadsheet shows a long number so, and saves what it shows.
_ROUNDED = re.compile(r"[+-]?\d(?:[.,]\d+)?[eE]\+?\d{2}")
OLD_PANDAS = pd.Series(["a"]).dtype == object
_NESTED = (list, tuple, dict, set, np.ndarray, pd.Series)


class KeyWarning(UserWarning):
    """Keys lost digits before the table was read, so that different ones may have become the same.

    Meet it by writing keys as text where they are made. Silence it where the keys are known to be
    whole, or hand ``key_column`` a list to collect it in.

    >>> table = pd.DataFrame({"patient": ["2.02E+16", "7"]})
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     _ = key_column(table, "patient", "the table")
    >>> caught[0].category.__name__
    'KeyWarning'
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", KeyWarning)
    ...     _ = key_column(table, "patient", "the table")
    """


def plain_column(frame: pd.DataFrame, column: str, what: str) -> pd.Series:
    """The one column of that name with one value a row, or an ``InputError``.

    Refused are a name that stands twice, and lists or structures in place of values.
    """
    times = int((frame.columns == column).sum())
    if times > 1:
        raise InputError(
            f"The column {column!r} stands {times} times in {what}: expected each name once. Leave "
            "out or rename the others."
        )
    found = frame[column]
    nested_type = str(found.dtype).startswith(("list", "large_list", "struct", "map"))  # Arrow's
    if nested_type or _kind_of(found).startswith("mixed"):
        nested = [value for value in found.array if isinstance(value, _NESTED)]
        if nested:
            raise InputError(
                f"The column {column!r} of {what} holds {_kind(nested[0])}: expected one value a "
                "row. Take the list or structure apart into columns first."
            )
    return found


def _kind_of(column: pd.Series) -> str:
    """What an ``object`` column holds, in pandas' words; nothing for any other."""
    objects = pd.api.types.is_object_dtype(column.dtype)
    return pd.api.types.infer_dtype(column, skipna=True) if objects else ""


def _kind(value: object) -> str:
    return "structures" if isinstance(value, dict) else "lists"


def text_column(column: pd.Series) -> pd.Series:
    """Values as text, ``string`` type: stripped, whole numbers without ``.0``, empty as null.

    The text is that of a CSV table, whatever type the column has: dates at midnight are dates,
    ``TRUE`` and ``true`` are ``True`` where a column holds nothing else.

    Args:
        column: Values of any type.

    Returns:
        Same index; ``pd.NA`` where there is no value.

    >>> text_column(pd.Series([100, 7.0, None, " a "], dtype=object)).tolist()
    ['100', '7', <NA>, 'a']
    >>> text_column(pd.Series(["100.0", "007", ""])).tolist()
    ['100', '007', <NA>]
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    kind = column.dtype
    if pd.api.types.is_bool_dtype(kind) or pd.api.types.is_integer_dtype(kind):
        return column.astype("string")
    if pd.api.types.is_float_dtype(kind):
        known = column.dropna().to_numpy()
        if np.isfinite(known).all() and (known % 1 == 0).all() and (np.abs(known) < 2**63).all():
            return column.astype("Int64").astype("string")
        return _folded(column.astype(object).map(_word, na_action="ignore").astype("string"))
    if pd.api.types.is_datetime64_any_dtype(kind):
        return column.astype(object).map(_word, na_action="ignore").astype("string")
    if _kind_of(column) not in ("", "string"):
        column = column.map(_word, na_action="ignore")
    return _folded(column.astype("string"))


def _word(value: Any) -> str:
    """One value as text; its shortest digits, as a CSV table would have them."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, decimal.Decimal):
        return str(int(value)) if value == value.to_integral_value() else str(value.normalize())
    if isinstance(value, float | np.floating):
        return str(int(value)) if float(value).is_integer() else str(value)
    if isinstance(value, datetime.datetime):  # pandas' own is one of these
        at_midnight = value.time() == datetime.time() and value.tzinfo is None
        return str(value.date() if at_midnight else value)
    return str(value)


def _folded(column: pd.Series) -> pd.Series:
    """Text stripped of blanks and marks of byte order, and of ``.0`` where it is a whole number."""
    found = column.str.strip()
    if found.str.contains("[\ufeff\u200b]", regex=True).any():
        found = found.str.strip("\ufeff\u200b").str.strip()
    if found.str.contains(".0", regex=False).any():
        found = found.str.replace(WHOLE, r"\1", regex=True)
    found = found.mask((found == "").fillna(False))
    known = found.dropna()
    # R writes TRUE, Spark true
    if len(known) and known.iloc[0].lower() in TRUTH and known.str.lower().isin(TRUTH).all():
        found = found.str.capitalize()
    return found


def as_text(column: pd.Series) -> pd.Series:
    """``text_column`` in pandas' ordinary type of text, whose nulls compare as False.

    Before pandas 3 that is ``object``, where ``astype(str)`` would write the word "nan".

    Args:
        column: Values of any type.

    Returns:
        Same index; NaN where there is no value.

    >>> found = as_text(pd.Series([1.0, None, 2.0]))
    >>> (found == "1").tolist(), found.isna().tolist()
    ([True, False, False], [False, True, False])
    """
    found = text_column(column)
    if OLD_PANDAS:
        return found.astype(object).where(found.notna(), np.nan)
    return found.astype("str")


def is_empty(column: pd.Series) -> NDArray[np.bool_]:
    """Where there is no value: a null, or text of blanks only.

    Args:
        column: Values of any type.

    Returns:
        Booleans, shape (n,).

    >>> is_empty(pd.Series(["a", " ", None])).tolist()
    [False, True, True]
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.isna().to_numpy(bool)
    return text_column(column).isna().to_numpy(bool)


def key_column(
    frame: pd.DataFrame, column: str, what: str, told: list[str] | None = None
) -> pd.Series:
    """Keys of patients, lesions, studies or images, as text and never as a guessed number.

    Two keys are the same where their text is: ``100`` and ``100.0`` are, ``7`` and ``007`` are not
    (see ``text_column``). A ``KeyWarning`` is given where digits were lost before the table was
    read: floating-point numbers beyond their precision, or ``2.02E+16`` from a spreadsheet.

    Args:
        frame: The table.
        column: The column of keys.
        what: What the table is called in a message.
        told: A list to which that warning is appended instead of being given.

    Returns:
        ``string`` type; ``pd.NA`` where there is no key.

    Raises:
        InputError: The table has the column twice, or it holds lists or structures.

    >>> key_column(pd.DataFrame({"patient": ["P1 ", "P1", None]}), "patient", "the table").tolist()
    ['P1', 'P1', <NA>]
    >>> reported = []
    >>> _ = key_column(pd.DataFrame({"id": ["2.02E+16"]}), "id", "the table", reported)
    >>> len(reported)
    1
    """
    values = plain_column(frame, column, what)
    found = text_column(values)
    lost = found.iloc[:0]
    if pd.api.types.is_float_dtype(values.dtype):
        exact = EXACT.get(getattr(values.dtype, "itemsize", 8), EXACT[8])
        lost = found[(values.abs() > exact).fillna(False).to_numpy(bool)]
    elif not pd.api.types.is_numeric_dtype(values.dtype):
        lost = found[found.str.fullmatch(_ROUNDED).fillna(False).to_numpy(bool)]
    if len(lost):
        message = (
            f"{len(lost)} values of {column} in {what}, {lost.iloc[0]} for one, are keys whose "
            "last digits were rounded away before the table was read: different ones may have "
            "become the same. Write the keys as text."
        )
        if told is None:
            warnings.warn(message, KeyWarning, stacklevel=3)
        else:
            told.append(message)
    return found


def filled(keys: pd.Series) -> pd.Series:
    """Keys without nulls: each null becomes a key of its own, shared with no other row.

    Args:
        keys: Keys as from ``key_column``.

    Returns:
        ``string`` type, same index.

    >>> filled(pd.Series(["a", None, None], dtype="string")).nunique()
    3
    """
    # Not NUL: pandas 2 counts texts as equal that differ after one.
    own = pd.Series([f"\x1f{i}" for i in range(len(keys))], index=keys.index, dtype="string")
    return keys.astype("string").fillna(own)


def number_column(frame: pd.DataFrame, column: str, what: str, expected: str = "a number") -> Any:
    """A column as float64, shape (n,); NaN where it is empty.

    Numbers of 32 or 16 bits are taken at their shortest decimal digits, so that a 0.7 is the 0.7
    that a CSV table has. Decimal commas are understood where no value has a point, and ``true`` and
    ``false`` are 1 and 0.

    Args:
        frame: The table.
        column: The column of numbers.
        what: What the table is called in a message.
        expected: What the values should be, for a message.

    Raises:
        InputError: A value is anything else; the message names the first. Or the table has the
            column twice.

    >>> number_column(pd.DataFrame({"s": ["1", "0,25", None]}), "s", "the table").tolist()
    [1.0, 0.25, nan]
    """
    values = plain_column(frame, column, what)
    kind = values.dtype
    if isinstance(kind, pd.CategoricalDtype):
        values, kind = (v := values.astype(values.cat.categories.dtype)), v.dtype
    if pd.api.types.is_bool_dtype(kind) or pd.api.types.is_integer_dtype(kind):
        return values.to_numpy(np.float64, na_value=np.nan)
    if pd.api.types.is_float_dtype(kind):
        found = values.to_numpy(na_value=np.nan)
        return shortest(found)
    if pd.api.types.is_datetime64_any_dtype(kind):
        raise InputError(f"{column} is {values.iloc[0]} in {what}: expected {expected}.")
    words = text_column(values)
    read = exact(words, pd.to_numeric(words, errors="coerce"))
    found = read.to_numpy(np.float64, na_value=np.nan)
    lost = np.isnan(found) & words.notna().to_numpy(bool)
    if lost.any():
        rest = words[lost]
        pointed = words.str.contains(".", regex=False).any()  # then a comma is none
        comma = rest.str.fullmatch(_DECIMAL_COMMA) & ~pointed
        made = rest.str.replace(",", ".").where(comma, rest.str.lower().map(TRUTH).astype("string"))
        read = exact(made, pd.to_numeric(made, errors="coerce"))
        found[lost] = read.to_numpy(np.float64, na_value=np.nan)
        lost = np.isnan(found) & words.notna().to_numpy(bool)
    if lost.any():
        raise InputError(f"{column} is {words[lost].iloc[0]!r} in {what}: expected {expected}.")
    return found


def exact(words: pd.Series, found: pd.Series) -> pd.Series:
    """``found``, the numbers that ``pd.to_numeric`` reads in ``words``, right to the last bit.

    Before pandas 3 that function errs in the last bit of every third number, so that a table in
    CSV gave other results than the same one in Parquet.

    >>> words = pd.Series(["0.6369616873214543", None], dtype="string")
    >>> exact(words, pd.to_numeric(words)).tolist()
    [0.6369616873214543, <NA>]
    """
    if not (OLD_PANDAS and pd.api.types.is_float_dtype(found.dtype)):
        return found
    known = found.notna().to_numpy(bool)
    found = found.copy()
    found[known] = words[known].to_numpy(object).astype(np.float64)
    return found


def shortest(values: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers as float64; those of fewer bits at their shortest decimal digits.

    float32 has no 0.7: the nearest, read as float64, is 0.699999988 and below a threshold of 0.7.

    Args:
        values: Numbers of any shape.

    Returns:
        Same shape.

    >>> shortest(np.array([0.7], np.float32)).tolist()
    [0.7]
    """
    if values.dtype.kind == "f" and values.dtype.itemsize < 8:
        return values.astype(str).astype(np.float64)
    return np.asarray(values, np.float64)


def label_column(frame: pd.DataFrame, column: str, what: str) -> NDArray[np.float64]:
    """Labels as 0 and 1 in float64, shape (n,); NaN where not stated.

    Args:
        frame: The table.
        column: The column of labels; ``true`` and ``false`` count as 1 and 0.
        what: What the table is called in a message.

    Raises:
        InputError: A value is none of these; the message names the first.

    >>> label_column(pd.DataFrame({"y": ["1", "0.0", "", "TRUE"]}), "y", "the table").tolist()
    [1.0, 0.0, nan, 1.0]
    """
    expected = "0 (absent), 1 (present) or empty (not stated). Map other codes to these first"
    found: NDArray[np.float64] = number_column(frame, column, what, expected)
    wrong = ~(np.isin(found, (0.0, 1.0)) | np.isnan(found))
    if wrong.any():
        bad = found[wrong][0]
        raise InputError(f"{column} is {_word(bad)} in {what}: expected {expected}.")
    return found


def probability_column(frame: pd.DataFrame, column: str, what: str) -> NDArray[np.float64]:
    """Probabilities as numbers from 0 to 1, shape (n,); NaN where empty.

    Args:
        frame: The table.
        column: The column of probabilities; what lies outside [0, 1] by less than a millionth is
            rounding, and counts as 0 or 1.
        what: What the table is called in a message.

    Raises:
        InputError: A value lies further outside, or is no number; the message says whether the
            values look like percentages or logits.

    >>> table = pd.DataFrame({"s": [1.0000000000000002, 0.5]})
    >>> probability_column(table, "s", "the table").tolist()
    [1.0, 0.5]
    """
    found: NDArray[np.float64] = number_column(frame, column, what, "a probability from 0 to 1")
    outside = (found < -ROUNDING) | (found > 1 + ROUNDING)
    if outside.any():
        percent = np.nanmin(found) >= 0 and 10 < np.nanmax(found) <= 100
        raise InputError(
            f"{column} is {_word(found[outside][0])} in {what}: expected a probability from 0 to "
            "1. "
            + (
                "If these are percentages, divide them by 100 first."
                if percent
                else "If these are logits, apply the logistic function 1 / (1 + exp(-x)) first."
            )
        )
    return np.clip(found, 0.0, 1.0)
