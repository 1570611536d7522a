from ._dicom_labels import DICOM_KEYS as DICOM_KEYS
from ._dicom_table import DICOM_COLUMNS as DICOM_COLUMNS
from ._dicom_table import dicom_table as dicom_table
from ._dicom_table import pseudonym as pseudonym
from ._registry import DATASETS as DATASETS
from ._registry import Seed as Seed
from ._registry import about as about
from ._registry import has_twins as has_twins
from ._registry import load as load
from ._registry import needs_root as needs_root
from ._registry import option_names as option_names
from ._registry import typed_options as typed_options
from ._twins import Change as Change
from ._twins import Twinned as Twinned
from ._twins import twin as twin
from ._twins import twin_changes as twin_changes
from ._twins import twin_scores as twin_scores
from ._twins import twin_values as twin_values
from .fetching._fetch import SOURCES as SOURCES
from .fetching._fetch import THEN as THEN
from .fetching._fetch import download_steps as download_steps
from .fetching._fetch import fetch as fetch
from .synthetic._drawing import Drawing as Drawing
from .synthetic._planting import Mechanisms as Mechanisms
from .synthetic.cxr import SETTINGS as SETTINGS
from .wrappers._cells import association as association
from .wrappers._folding import fold_of as fold_of
from .wrappers._markers import MARKERS as MARKERS
from .wrappers._markers import Marker as Marker
from .wrappers._mechanisms import PLANS as PLANS
from .wrappers._planting import Planted as Planted
from .wrappers._planting import marked_shares as marked_shares
from .wrappers._planting import planted as planted
from .wrappers._selecting import ASSOCIATIONS as ASSOCIATIONS
from .wrappers._selecting import select as select

__all__ = [
    "ASSOCIATIONS",
    "DATASETS",
    "DICOM_COLUMNS",
    "DICOM_KEYS",
    "MARKERS",
    "PLANS",
    "SETTINGS",
    "SOURCES",
    "THEN",
    "Change",
    "Drawing",
    "Marker",
    "Mechanisms",
    "Planted",
    "Seed",
    "Twinned",
    "about",
    "association",
    "dicom_table",
    "download_steps",
    "fetch",
    "fold_of",
    "has_twins",
    "load",
    "marked_shares",
    "needs_root",
    "option_names",
    "planted",
    "pseudonym",
    "select",
    "twin",
    "twin_changes",
    "twin_scores",
    "twin_values",
    "typed_options",
]
