from ._audit import audit as audit
from ._compare import Comparison as Comparison, compare as compare
from ._estimates import unanimous_interval as unanimous_interval
from ._multitarget import macro as macro, multiclass_table as multiclass_table, multilabel_table as multilabel_table
from ._pairs import Levelling as Levelling, levelling as levelling
from ._predictions import read_predictions as read_predictions
from ._report import Estimate as Estimate, FairnessReport as FairnessReport, Gap as Gap, Group as Group
from ._wording import LABELS as LABELS, limits as limits, p_value as p_value, summary as summary

__all__ = [
    "Comparison",
    "Estimate",
    "FairnessReport",
    "Gap",
    "Group",
    "LABELS",
    "Levelling",
    "audit",
    "compare",
    "levelling",
    "limits",
    "macro",
    "multiclass_table",
    "multilabel_table",
    "p_value",
    "read_predictions",
    "summary",
    "unanimous_interval",
]
