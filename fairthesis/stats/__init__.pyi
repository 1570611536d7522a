from ._clusters import Assignment as Assignment
from ._clusters import Clustered as Clustered
from ._clusters import Values as Values
from ._concordance import ConcordantPairs as ConcordantPairs
from ._delong import Normal as Normal
from ._delong import delong as delong
from ._delong import delong_paired as delong_paired
from ._delong import obuchowski as obuchowski
from ._delong import obuchowski_paired as obuchowski_paired
from ._functions import bootstrap_functions as bootstrap_functions
from ._functions import jackknife_functions as jackknife_functions
from ._functions import value_of as value_of
from ._gap_intervals import GroupEnds as GroupEnds
from ._gap_intervals import gap_interval as gap_interval
from ._gap_intervals import larger_gap as larger_gap
from ._gap_intervals import mean_gap as mean_gap
from ._histograms import GRID as GRID
from ._histograms import cross_auroc_statistic as cross_auroc_statistic
from ._histograms import residual_histograms as residual_histograms
from ._histograms import residual_statistic as residual_statistic
from ._intervals import cases_of_patients as cases_of_patients
from ._intervals import degrees_of_freedom as degrees_of_freedom
from ._intervals import effective_patients as effective_patients
from ._intervals import expanded_level as expanded_level
from ._intervals import quantile_of as quantile_of
from ._inversion import Interval as Interval
from ._inversion import calibration_intervals as calibration_intervals
from ._inversion import smooth_interval as smooth_interval
from ._label_shift import LabelShift as LabelShift
from ._label_shift import label_shift_prevalence as label_shift_prevalence
from ._largest import LargestChange as LargestChange
from ._max_t import step_down_max_t as step_down_max_t
from ._medians import MedianOfCases as MedianOfCases
from ._p_values import benjamini_hochberg as benjamini_hochberg
from ._p_values import bootstrap_p_value as bootstrap_p_value
from ._p_values import holm as holm
from ._p_values import permutation_p_value as permutation_p_value
from ._p_values import step_down as step_down
from ._permutations import MAX_PAIRED as MAX_PAIRED
from ._permutations import GroupTest as GroupTest
from ._permutations import group_values as group_values
from ._permutations import permuted_tests as permuted_tests
from ._power import EFFECTIVE_GAPS as EFFECTIVE_GAPS
from ._power import Size as Size
from ._power import auroc_variance as auroc_variance
from ._power import cluster_size as cluster_size
from ._power import corrected_level as corrected_level
from ._power import design_effect as design_effect
from ._power import patients_needed as patients_needed
from ._power import power as power
from ._power import rate_variance as rate_variance
from ._power import smallest_gap as smallest_gap
from ._power import smallest_gaps as smallest_gaps
from ._progress import progress_of_all as progress_of_all
from ._progress import progress_shown as progress_shown
from ._progress import round_of as round_of
from ._ranked_cases import RankedCases as RankedCases
from ._ranks import Ranks as Ranks
from ._ranks import friedman_nemenyi as friedman_nemenyi
from ._ratio_of_sums import RatioOfSums as RatioOfSums
from ._replicates import GroupRows as GroupRows
from ._replicates import Resampled as Resampled
from ._replicates import bootstrap_at as bootstrap_at
from ._replicates import bootstrap_groups as bootstrap_groups
from ._replicates import jackknife_groups as jackknife_groups
from ._replicates import of_groups as of_groups
from ._replicates import prepare as prepare
from ._resampling import LEVEL as LEVEL
from ._resampling import Counts as Counts
from ._resampling import bca_interval as bca_interval
from ._resampling import bootstrap as bootstrap
from ._resampling import bootstrap_together as bootstrap_together
from ._resampling import generator as generator
from ._resampling import jackknife as jackknife
from ._resampling import label_permuter as label_permuter
from ._resampling import patient_counts as patient_counts
from ._resampling import patient_index as patient_index
from ._resampling import percentile_interval as percentile_interval
from ._sequential import BETS as BETS
from ._sequential import drift_evidence as drift_evidence
from ._squared_calibration import SquaredCalibrationError as SquaredCalibrationError
from ._sums import FunctionOfSums as FunctionOfSums
from ._two_samples import ScoreMany as ScoreMany
from ._two_samples import TwoSample as TwoSample
from ._two_samples import classifier_two_sample as classifier_two_sample
from ._two_samples import mmd as mmd
from ._two_samples import one_row_per_patient as one_row_per_patient
from ._two_samples import ridge_scores as ridge_scores
from ._within_strata import StratifiedPairs as StratifiedPairs

__all__ = [
    "BETS",
    "EFFECTIVE_GAPS",
    "GRID",
    "LEVEL",
    "MAX_PAIRED",
    "Assignment",
    "Clustered",
    "ConcordantPairs",
    "Counts",
    "FunctionOfSums",
    "GroupEnds",
    "GroupRows",
    "GroupTest",
    "Interval",
    "LabelShift",
    "LargestChange",
    "MedianOfCases",
    "Normal",
    "RankedCases",
    "Ranks",
    "RatioOfSums",
    "Resampled",
    "ScoreMany",
    "Size",
    "SquaredCalibrationError",
    "StratifiedPairs",
    "TwoSample",
    "Values",
    "auroc_variance",
    "bca_interval",
    "benjamini_hochberg",
    "bootstrap",
    "bootstrap_at",
    "bootstrap_functions",
    "bootstrap_groups",
    "bootstrap_p_value",
    "bootstrap_together",
    "calibration_intervals",
    "cases_of_patients",
    "classifier_two_sample",
    "cluster_size",
    "corrected_level",
    "cross_auroc_statistic",
    "degrees_of_freedom",
    "delong",
    "delong_paired",
    "design_effect",
    "drift_evidence",
    "effective_patients",
    "expanded_level",
    "friedman_nemenyi",
    "gap_interval",
    "generator",
    "group_values",
    "holm",
    "jackknife",
    "jackknife_functions",
    "jackknife_groups",
    "label_permuter",
    "label_shift_prevalence",
    "larger_gap",
    "mean_gap",
    "mmd",
    "obuchowski",
    "obuchowski_paired",
    "of_groups",
    "one_row_per_patient",
    "patient_counts",
    "patient_index",
    "patients_needed",
    "percentile_interval",
    "permutation_p_value",
    "permuted_tests",
    "power",
    "prepare",
    "progress_of_all",
    "progress_shown",
    "quantile_of",
    "rate_variance",
    "residual_histograms",
    "residual_statistic",
    "ridge_scores",
    "round_of",
    "smallest_gap",
    "smallest_gaps",
    "smooth_interval",
    "step_down",
    "step_down_max_t",
    "value_of",
]
