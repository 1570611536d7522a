from ._archive import every_variant as every_variant, opponents as opponents, pareto as pareto
from ._experiment import examples as examples, group_change as group_change, headlines as headlines, leakage as leakage, over_epochs as over_epochs, pictures as pictures
from ._figures import critical_difference as critical_difference, curves_over_epochs as curves_over_epochs, forest as forest, gaps as gaps, reliability as reliability, roc as roc, trade_off as trade_off, use_style as use_style
from ._gallery import count_table as count_table, counts as counts, sheet as sheet

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
