from ._arrays import check_binary as check_binary, check_cases as check_cases, check_probabilities as check_probabilities, check_same_length as check_same_length, check_scores as check_scores, check_weights as check_weights
from ._columns import KeyWarning as KeyWarning, as_text as as_text, filled as filled, is_empty as is_empty, key_column as key_column, label_column as label_column, number_column as number_column, probability_column as probability_column, shortest as shortest, text_column as text_column
from ._delimited import Latin1Warning as Latin1Warning
from ._documents import parse_document as parse_document, read_document as read_document
from ._kinds import Range as Range, kinds as kinds
from ._options import fit_option as fit_option, option_pairs as option_pairs, shown_value as shown_value, typed_option as typed_option
from ._rows import WHAT as WHAT, group_of as group_of, labels_of as labels_of, of_split as of_split, of_target as of_target, part_of as part_of, scores_of as scores_of, with_keys as with_keys
from ._schema import EMBEDDING_KEYS as EMBEDDING_KEYS, PREDICTION_COLUMNS as PREDICTION_COLUMNS, SPLITS as SPLITS, as_frame as as_frame, attribute_columns as attribute_columns, attribute_parts as attribute_parts, check_predictions as check_predictions, embedding_columns as embedding_columns, embedding_values as embedding_values, group_values as group_values, numbered_columns as numbered_columns, require_columns as require_columns
from ._tables import SpreadsheetWarning as SpreadsheetWarning, read_table as read_table, table_columns as table_columns

__all__ = [
    "EMBEDDING_KEYS",
    "KeyWarning",
    "Latin1Warning",
    "PREDICTION_COLUMNS",
    "Range",
    "SPLITS",
    "SpreadsheetWarning",
    "WHAT",
    "as_frame",
    "as_text",
    "attribute_columns",
    "attribute_parts",
    "check_binary",
    "check_cases",
    "check_predictions",
    "check_probabilities",
    "check_same_length",
    "check_scores",
    "check_weights",
    "embedding_columns",
    "embedding_values",
    "filled",
    "fit_option",
    "group_of",
    "group_values",
    "is_empty",
    "key_column",
    "kinds",
    "label_column",
    "labels_of",
    "number_column",
    "numbered_columns",
    "of_split",
    "of_target",
    "option_pairs",
    "parse_document",
    "part_of",
    "probability_column",
    "read_document",
    "read_table",
    "require_columns",
    "scores_of",
    "shortest",
    "shown_value",
    "table_columns",
    "text_column",
    "typed_option",
    "with_keys",
]
