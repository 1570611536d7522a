from ._by_group import apply_thresholds as apply_thresholds
from ._by_group import equalize as equalize
from ._by_group import erase_attribute as erase_attribute
from ._by_group import level_up_thresholds as level_up_thresholds
from ._by_group import recalibrate as recalibrate
from ._frontier import equalized_odds_frontier as equalized_odds_frontier
from ._posthoc import POSTHOC as POSTHOC
from ._posthoc import RunTables as RunTables
from ._posthoc import exponentiated_gradient as exponentiated_gradient
from ._posthoc import kernel as kernel
from ._posthoc import leace as leace
from ._posthoc import mean_differences as mean_differences
from ._posthoc import orthogonalised as orthogonalised
from ._posthoc import threshold_optimizer as threshold_optimizer
from ._randomized import RandomizedThresholds as RandomizedThresholds
from ._recalibration import CALIBRATIONS as CALIBRATIONS
from ._recalibration import GroupRecalibration as GroupRecalibration
from ._thresholds import LevelUpThresholds as LevelUpThresholds

__all__ = [
    "CALIBRATIONS",
    "POSTHOC",
    "GroupRecalibration",
    "LevelUpThresholds",
    "RandomizedThresholds",
    "RunTables",
    "apply_thresholds",
    "equalize",
    "equalized_odds_frontier",
    "erase_attribute",
    "exponentiated_gradient",
    "kernel",
    "leace",
    "level_up_thresholds",
    "mean_differences",
    "orthogonalised",
    "recalibrate",
    "threshold_optimizer",
]
