from ._arrays import check_binary as check_binary
from ._arrays import check_cases as check_cases
from ._arrays import check_probabilities as check_probabilities
from ._arrays import check_same_length as check_same_length
from ._arrays import check_scores as check_scores
from ._arrays import check_weights as check_weights
from ._columns import KeyWarning as KeyWarning
from ._columns import as_text as as_text
from ._columns import filled as filled
from ._columns import is_empty as is_empty
from ._columns import key_column as key_column
from ._columns import label_column as label_column
from ._columns import number_column as number_column
from ._columns import probability_column as probability_column
from ._columns import shortest as shortest
from ._columns import text_column as text_column
from ._delimited import Latin1Warning as Latin1Warning
from ._documents import parse_document as parse_document
from ._documents import read_document as read_document
from ._kinds import Range as Range
from ._kinds import parameter_kinds as parameter_kinds
from ._options import fit_option as fit_option
from ._options import option_pairs as option_pairs
from ._options import shown_value as shown_value
from ._options import typed_option as typed_option
from ._order import in_order as in_order
from ._plugins import PluginWarning as PluginWarning
from ._plugins import load_plugin as load_plugin
from ._plugins import plugins as plugins
from ._rows import OTHERS as OTHERS
from ._rows import PREDICTIONS_TABLE as PREDICTIONS_TABLE
from ._rows import row_groups as row_groups
from ._rows import row_labels as row_labels
from ._rows import row_scores as row_scores
from ._rows import rows_of_part as rows_of_part
from ._rows import rows_of_split as rows_of_split
from ._rows import rows_of_target as rows_of_target
from ._rows import with_keys as with_keys
from ._schema import EMBEDDING_KEYS as EMBEDDING_KEYS
from ._schema import PREDICTION_COLUMNS as PREDICTION_COLUMNS
from ._schema import SPLITS as SPLITS
from ._schema import as_frame as as_frame
from ._schema import attribute_columns as attribute_columns
from ._schema import attribute_parts as attribute_parts
from ._schema import check_predictions as check_predictions
from ._schema import embedding_columns as embedding_columns
from ._schema import embedding_values as embedding_values
from ._schema import group_values as group_values
from ._schema import numbered_columns as numbered_columns
from ._schema import require_columns as require_columns
from ._tables import SpreadsheetWarning as SpreadsheetWarning
from ._tables import parquet_files as parquet_files
from ._tables import read_table as read_table
from ._tables import table_columns as table_columns

__all__ = [
    "EMBEDDING_KEYS",
    "OTHERS",
    "PREDICTIONS_TABLE",
    "PREDICTION_COLUMNS",
    "SPLITS",
    "KeyWarning",
    "Latin1Warning",
    "PluginWarning",
    "Range",
    "SpreadsheetWarning",
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
    "group_values",
    "in_order",
    "is_empty",
    "key_column",
    "label_column",
    "load_plugin",
    "number_column",
    "numbered_columns",
    "option_pairs",
    "parameter_kinds",
    "parquet_files",
    "parse_document",
    "plugins",
    "probability_column",
    "read_document",
    "read_table",
    "require_columns",
    "row_groups",
    "row_labels",
    "row_scores",
    "rows_of_part",
    "rows_of_split",
    "rows_of_target",
    "shortest",
    "shown_value",
    "table_columns",
    "text_column",
    "typed_option",
    "with_keys",
]
