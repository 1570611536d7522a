from ._files import check_writable as check_writable
from ._files import clear_partials as clear_partials
from ._files import errors_in_words as errors_in_words
from ._files import is_partial as is_partial
from ._files import make_folders as make_folders
from ._files import partial_name as partial_name
from ._files import sync_folder as sync_folder
from ._files import write_atomically as write_atomically
from ._files import write_together as write_together
from ._interrupts import uninterrupted as uninterrupted
from ._locks import BusyError as BusyError
from ._locks import hold_folder as hold_folder
from ._manifest import DONE as DONE
from ._manifest import RUN as RUN
from ._manifest import check_finished as check_finished
from ._manifest import config_differences as config_differences
from ._manifest import content_digest as content_digest
from ._manifest import damage_in_words as damage_in_words
from ._manifest import mark_finished as mark_finished
from ._manifest import marker_text as marker_text
from ._manifest import same_run as same_run
from ._manifest import warn_of_damage as warn_of_damage
from ._writers import table_writer as table_writer
from ._writers import text_writer as text_writer
from ._writers import without_formulas as without_formulas
from ._writers import write_table as write_table
from ._writers import write_text as write_text

__all__ = [
    "DONE",
    "RUN",
    "BusyError",
    "check_finished",
    "check_writable",
    "clear_partials",
    "config_differences",
    "content_digest",
    "damage_in_words",
    "errors_in_words",
    "hold_folder",
    "is_partial",
    "make_folders",
    "mark_finished",
    "marker_text",
    "partial_name",
    "same_run",
    "sync_folder",
    "table_writer",
    "text_writer",
    "uninterrupted",
    "warn_of_damage",
    "without_formulas",
    "write_atomically",
    "write_table",
    "write_text",
    "write_together",
]
