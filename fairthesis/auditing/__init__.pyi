from ._audit import audit as audit
from ._compare import Comparison as Comparison
from ._compare import compare as compare
from ._estimates import unanimous_interval as unanimous_interval
from ._multitarget import macro as macro
from ._multitarget import multiclass_table as multiclass_table
from ._multitarget import multilabel_table as multilabel_table
from ._pairs import Levelling as Levelling
from ._pairs import levelling as levelling
from ._predictions import read_predictions as read_predictions
from ._report import Estimate as Estimate
from ._report import FairnessReport as FairnessReport
from ._report import Gap as Gap
from ._report import Group as Group
from ._wording import LABELS as LABELS
from ._wording import limits as limits
from ._wording import p_value as p_value
from ._wording import summary as summary

__all__ = [
    "LABELS",
    "Comparison",
    "Estimate",
    "FairnessReport",
    "Gap",
    "Group",
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
