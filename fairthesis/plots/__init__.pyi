from ._archive import every_variant as every_variant
from ._archive import opponents as opponents
from ._archive import pareto as pareto
from ._experiment import examples as examples
from ._experiment import group_change as group_change
from ._experiment import headlines as headlines
from ._experiment import leakage as leakage
from ._experiment import over_epochs as over_epochs
from ._experiment import pictures as pictures
from ._figures import critical_difference as critical_difference
from ._figures import curves_over_epochs as curves_over_epochs
from ._figures import forest as forest
from ._figures import gaps as gaps
from ._figures import reliability as reliability
from ._figures import roc as roc
from ._figures import trade_off as trade_off
from ._figures import use_style as use_style
from ._gallery import count_table as count_table
from ._gallery import counts as counts
from ._gallery import sheet as sheet

__all__ = [
    "count_table",
    "counts",
    "critical_difference",
    "curves_over_epochs",
    "every_variant",
    "examples",
    "forest",
    "gaps",
    "group_change",
    "headlines",
    "leakage",
    "opponents",
    "over_epochs",
    "pareto",
    "pictures",
    "reliability",
    "roc",
    "sheet",
    "trade_off",
    "use_style",
]
