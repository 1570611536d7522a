from ._calibration import N_BINS as N_BINS
from ._calibration import bin_index as bin_index
from ._calibration import bin_sums as bin_sums
from ._calibration import ece as ece
from ._calibration import ece_debiased as ece_debiased
from ._calibration import ece_debiased_from_bins as ece_debiased_from_bins
from ._calibration import ece_from_bins as ece_from_bins
from ._curves import THRESHOLDS as THRESHOLDS
from ._curves import reliability_curve as reliability_curve
from ._curves import roc_curve as roc_curve
from ._curves import threshold_counts as threshold_counts
from ._disparities import DISPARITIES as DISPARITIES
from ._disparities import NEEDED as NEEDED
from ._disparities import SMALLER_IS_WORSE as SMALLER_IS_WORSE
from ._disparities import disparities as disparities
from ._disparities import equalized_odds_difference as equalized_odds_difference
from ._disparities import equalized_odds_difference_mean as equalized_odds_difference_mean
from ._disparities import lowest as lowest
from ._disparities import spread as spread
from ._operating_points import RATE as RATE
from ._operating_points import cross_auroc as cross_auroc
from ._operating_points import fpr_at_tpr as fpr_at_tpr
from ._operating_points import net_benefit as net_benefit
from ._operating_points import overdiagnosis_rate as overdiagnosis_rate
from ._operating_points import tpr_at_fpr as tpr_at_fpr
from ._operating_points import underdiagnosis_rate as underdiagnosis_rate
from ._rates import RATES as RATES
from ._rates import accuracy as accuracy
from ._rates import balanced_accuracy as balanced_accuracy
from ._rates import counts as counts
from ._rates import fnr as fnr
from ._rates import fpr as fpr
from ._rates import npv as npv
from ._rates import ppv as ppv
from ._rates import prevalence as prevalence
from ._rates import ratio as ratio
from ._rates import selection_rate as selection_rate
from ._rates import tnr as tnr
from ._rates import tpr as tpr
from ._recalibration import calibration_in_the_large as calibration_in_the_large
from ._recalibration import calibration_intercept as calibration_intercept
from ._recalibration import calibration_line as calibration_line
from ._recalibration import calibration_slope as calibration_slope
from ._recalibration import logit as logit
from ._recalibration import observed_expected as observed_expected
from ._recalibration import recalibration_line as recalibration_line
from ._recalibration import recalibration_offset as recalibration_offset
from ._scores import METRICS as METRICS
from ._scores import SCORES as SCORES
from ._scores import Ties as Ties
from ._scores import auroc as auroc
from ._scores import average_precision as average_precision
from ._scores import brier as brier
from ._scores import cumulate as cumulate
from ._scores import evaluate as evaluate
from ._scores import find_ties as find_ties
from ._scores import log_loss as log_loss
from ._scores import log_losses as log_losses
from ._scores import rank_sums as rank_sums
from ._scores import ranking as ranking
from ._smooth_calibration import grid_cell as grid_cell
from ._smooth_calibration import integrated_calibration_index as integrated_calibration_index
from ._smooth_calibration import smooth_curve as smooth_curve
from ._smooth_calibration import smooth_ece as smooth_ece
from ._smooth_calibration import smooth_error as smooth_error
from ._smooth_calibration import smoothed as smoothed
from ._thresholds import choose_threshold as choose_threshold
from ._thresholds import parse_threshold as parse_threshold

__all__ = [
    "DISPARITIES",
    "METRICS",
    "NEEDED",
    "N_BINS",
    "RATE",
    "RATES",
    "SCORES",
    "SMALLER_IS_WORSE",
    "THRESHOLDS",
    "Ties",
    "accuracy",
    "auroc",
    "average_precision",
    "balanced_accuracy",
    "bin_index",
    "bin_sums",
    "brier",
    "calibration_in_the_large",
    "calibration_intercept",
    "calibration_line",
    "calibration_slope",
    "choose_threshold",
    "counts",
    "cross_auroc",
    "cumulate",
    "disparities",
    "ece",
    "ece_debiased",
    "ece_debiased_from_bins",
    "ece_from_bins",
    "equalized_odds_difference",
    "equalized_odds_difference_mean",
    "evaluate",
    "find_ties",
    "fnr",
    "fpr",
    "fpr_at_tpr",
    "grid_cell",
    "integrated_calibration_index",
    "log_loss",
    "log_losses",
    "logit",
    "lowest",
    "net_benefit",
    "npv",
    "observed_expected",
    "overdiagnosis_rate",
    "parse_threshold",
    "ppv",
    "prevalence",
    "rank_sums",
    "ranking",
    "ratio",
    "recalibration_line",
    "recalibration_offset",
    "reliability_curve",
    "roc_curve",
    "selection_rate",
    "smooth_curve",
    "smooth_ece",
    "smooth_error",
    "smoothed",
    "spread",
    "threshold_counts",
    "tnr",
    "tpr",
    "tpr_at_fpr",
    "underdiagnosis_rate",
]
