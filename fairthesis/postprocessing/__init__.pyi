from ._by_group import apply_thresholds as apply_thresholds
from ._by_group import equalize as equalize
from ._by_group import erase_attribute as erase_attribute
from ._by_group import level_up_thresholds as level_up_thresholds
from ._by_group import recalibrate as recalibrate
from ._erasing import ErasureRows as ErasureRows
from ._erasing import erase_file as erase_file
from ._erasing import erasure_rows as erasure_rows
from ._fitted import KINDS as KINDS
from ._fitted import fitted_card as fitted_card
from ._fitted import load_fitted as load_fitted
from ._fitted import save_fitted as save_fitted
from ._frontier import equalized_odds_frontier as equalized_odds_frontier
from ._kept_by_group import BY_GROUP as BY_GROUP
from ._kept_by_group import apply_by_group as apply_by_group
from ._kept_by_group import fit_by_group as fit_by_group
from ._posthoc import DRAWN as DRAWN
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
    "BY_GROUP",
    "CALIBRATIONS",
    "DRAWN",
    "KINDS",
    "POSTHOC",
    "ErasureRows",
    "GroupRecalibration",
    "LevelUpThresholds",
    "RandomizedThresholds",
    "RunTables",
    "apply_by_group",
    "apply_thresholds",
    "equalize",
    "equalized_odds_frontier",
    "erase_attribute",
    "erase_file",
    "erasure_rows",
    "exponentiated_gradient",
    "fit_by_group",
    "fitted_card",
    "kernel",
    "leace",
    "level_up_thresholds",
    "load_fitted",
    "mean_differences",
    "orthogonalised",
    "recalibrate",
    "save_fitted",
    "threshold_optimizer",
]
