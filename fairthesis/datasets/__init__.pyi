from ._dicom_labels import DICOM_KEYS as DICOM_KEYS
from ._dicom_table import DICOM_COLUMNS as DICOM_COLUMNS
from ._dicom_table import dicom_table as dicom_table
from ._dicom_table import pseudonym as pseudonym
from ._registry import DATASETS as DATASETS
from ._registry import Seed as Seed
from ._registry import about as about
from ._registry import load as load
from ._registry import needs_root as needs_root
from ._registry import option_names as option_names
from ._registry import typed_options as typed_options
from ._twins import Change as Change
from ._twins import Twinned as Twinned
from ._twins import twin as twin
from ._twins import twin_changes as twin_changes
from ._twins import twin_scores as twin_scores
from .fetching._fetch import SOURCES as SOURCES
from .fetching._fetch import THEN as THEN
from .fetching._fetch import download_steps as download_steps
from .fetching._fetch import fetch as fetch
from .synthetic._drawing import Drawing as Drawing
from .synthetic._planting import Mechanisms as Mechanisms
from .synthetic.cxr import SETTINGS as SETTINGS
from .wrappers._markers import MARKERS as MARKERS
from .wrappers._markers import Marker as Marker

__all__ = [
    "DATASETS",
    "DICOM_COLUMNS",
    "DICOM_KEYS",
    "MARKERS",
    "SETTINGS",
    "SOURCES",
    "THEN",
    "Change",
    "Drawing",
    "Marker",
    "Mechanisms",
    "Seed",
    "Twinned",
    "about",
    "dicom_table",
    "download_steps",
    "fetch",
    "load",
    "needs_root",
    "option_names",
    "pseudonym",
    "twin",
    "twin_changes",
    "twin_scores",
    "typed_options",
]
