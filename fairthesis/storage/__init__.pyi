from ._files import check_writable as check_writable
from ._files import clear_partials as clear_partials
from ._files import in_words as in_words
from ._files import is_partial as is_partial
from ._files import make_folders as make_folders
from ._files import partial_name as partial_name
from ._files import sync_folder as sync_folder
from ._files import write_atomically as write_atomically
from ._files import write_together as write_together
from ._locks import BusyError as BusyError
from ._locks import alone as alone
from ._manifest import DONE as DONE
from ._manifest import RUN as RUN
from ._manifest import check_finished as check_finished
from ._manifest import damage as damage
from ._manifest import differences as differences
from ._manifest import digest as digest
from ._manifest import finish as finish
from ._manifest import same_run as same_run
from ._manifest import sealed as sealed
from ._manifest import tell_damage as tell_damage
from ._writers import table_writer as table_writer
from ._writers import text_writer as text_writer
from ._writers import without_formulas as without_formulas
from ._writers import write_table as write_table
from ._writers import write_text as write_text

__all__ = [
    "DONE",
    "RUN",
    "BusyError",
    "alone",
    "check_finished",
    "check_writable",
    "clear_partials",
    "damage",
    "differences",
    "digest",
    "finish",
    "in_words",
    "is_partial",
    "make_folders",
    "partial_name",
    "same_run",
    "sealed",
    "sync_folder",
    "table_writer",
    "tell_damage",
    "text_writer",
    "without_formulas",
    "write_atomically",
    "write_table",
    "write_text",
    "write_together",
]
