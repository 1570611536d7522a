from ._archive import adversary_and_probe as adversary_and_probe
from ._archive import all_variants as all_variants
from ._archive import pareto as pareto
from ._differences import differences as differences
from ._embedded import EmbeddedPage as EmbeddedPage
from ._embedded import embedded_page as embedded_page
from ._embedding_planes import embedding_planes as embedding_planes
from ._embeddings import two_embeddings as two_embeddings
from ._experiment import cohort_examples as cohort_examples
from ._experiment import group_change as group_change
from ._experiment import headline_dots as headline_dots
from ._experiment import image_grid as image_grid
from ._experiment import over_epochs as over_epochs
from ._experiment import probe_aurocs as probe_aurocs
from ._figures import critical_difference as critical_difference
from ._figures import curves_over_epochs as curves_over_epochs
from ._figures import forest as forest
from ._figures import gaps as gaps
from ._figures import reliability_by_group as reliability_by_group
from ._figures import roc_by_group as roc_by_group
from ._figures import trade_off as trade_off
from ._figures import use_style as use_style
from ._gallery import count_table as count_table
from ._gallery import group_counts as group_counts
from ._gallery import image_sheet as image_sheet
from ._markers import marker_pictures as marker_pictures
from ._methods_figure import methods_forest as methods_forest
from ._settings import outcome_map as outcome_map
from ._sliders import ThresholdSliders as ThresholdSliders
from ._sliders import threshold_sliders as threshold_sliders
from ._twins import twins as twins
from ._why import group_pictures as group_pictures
from ._why import interval_dots as interval_dots

__all__ = [
    "EmbeddedPage",
    "ThresholdSliders",
    "adversary_and_probe",
    "all_variants",
    "cohort_examples",
    "count_table",
    "critical_difference",
    "curves_over_epochs",
    "differences",
    "embedded_page",
    "embedding_planes",
    "forest",
    "gaps",
    "group_change",
    "group_counts",
    "group_pictures",
    "headline_dots",
    "image_grid",
    "image_sheet",
    "interval_dots",
    "marker_pictures",
    "methods_forest",
    "outcome_map",
    "over_epochs",
    "pareto",
    "probe_aurocs",
    "reliability_by_group",
    "roc_by_group",
    "threshold_sliders",
    "trade_off",
    "twins",
    "two_embeddings",
    "use_style",
]
