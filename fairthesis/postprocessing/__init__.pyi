from ._by_group import CALIBRATIONS as CALIBRATIONS, apply_thresholds as apply_thresholds, equalize as equalize, erase as erase, level_up_thresholds as level_up_thresholds, recalibrate as recalibrate
from ._posthoc import POSTHOC as POSTHOC, Run as Run, exponentiated_gradient as exponentiated_gradient, leace as leace, mean_differences as mean_differences, orthogonalised as orthogonalised, threshold_optimizer as threshold_optimizer

__all__ = [
    "CALIBRATIONS",
    "POSTHOC",
    "Run",
    "apply_thresholds",
    "equalize",
    "erase",
    "exponentiated_gradient",
    "leace",
    "level_up_thresholds",
    "mean_differences",
    "orthogonalised",
    "recalibrate",
    "threshold_optimizer",
]
