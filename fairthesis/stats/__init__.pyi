from ._delong import delong as delong, delong_paired as delong_paired, obuchowski as obuchowski, obuchowski_paired as obuchowski_paired
from ._histograms import GRID as GRID, cross_aurocs as cross_aurocs, residuals as residuals
from ._inversion import Interval as Interval, calibration_intervals as calibration_intervals, gap_interval as gap_interval, smooth_interval as smooth_interval
from ._power import Size as Size, auroc_variance as auroc_variance, cluster_size as cluster_size, design_effect as design_effect, patients_needed as patients_needed, power as power, rate_variance as rate_variance, smallest_gap as smallest_gap, smallest_gaps as smallest_gaps
from ._ranks import Ranks as Ranks, friedman_nemenyi as friedman_nemenyi
from ._replicates import FIXED as FIXED, NAMES as NAMES, bootstrap_metrics as bootstrap_metrics, bootstrap_metrics_and_bins as bootstrap_metrics_and_bins, jackknife_metrics as jackknife_metrics, permutation_null as permutation_null, prepare as prepare
from ._resampling import Counts as Counts, LEVEL as LEVEL, bca_interval as bca_interval, benjamini_hochberg as benjamini_hochberg, bootstrap as bootstrap, bootstrap_p_value as bootstrap_p_value, generator as generator, holm as holm, jackknife as jackknife, label_permuter as label_permuter, patient_index as patient_index, percentile_interval as percentile_interval, permutation_p_value as permutation_p_value

__all__ = [
    "Counts",
    "FIXED",
    "GRID",
    "Interval",
    "LEVEL",
    "NAMES",
    "Ranks",
    "Size",
    "auroc_variance",
    "bca_interval",
    "benjamini_hochberg",
    "bootstrap",
    "bootstrap_metrics",
    "bootstrap_metrics_and_bins",
    "bootstrap_p_value",
    "calibration_intervals",
    "cluster_size",
    "cross_aurocs",
    "delong",
    "delong_paired",
    "design_effect",
    "friedman_nemenyi",
    "gap_interval",
    "generator",
    "holm",
    "jackknife",
    "jackknife_metrics",
    "label_permuter",
    "obuchowski",
    "obuchowski_paired",
    "patient_index",
    "patients_needed",
    "percentile_interval",
    "permutation_null",
    "permutation_p_value",
    "power",
    "prepare",
    "rate_variance",
    "residuals",
    "smallest_gap",
    "smallest_gaps",
    "smooth_interval",
]
