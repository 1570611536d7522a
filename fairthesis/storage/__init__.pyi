from ._files import check_writable as check_writable, clear_partials as clear_partials, in_words as in_words, is_partial as is_partial, make_folders as make_folders, partial_name as partial_name, sync_folder as sync_folder, write_atomically as write_atomically, write_together as write_together
from ._locks import BusyError as BusyError, alone as alone
from ._manifest import DONE as DONE, RUN as RUN, check_finished as check_finished, damage as damage, differences as differences, digest as digest, finish as finish, same_run as same_run, sealed as sealed, tell_damage as tell_damage
from ._writers import table_writer as table_writer, text_writer as text_writer, without_formulas as without_formulas, write_table as write_table, write_text as write_text

__all__ = [
    "BusyError",
    "DONE",
    "RUN",
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
