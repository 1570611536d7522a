from ._cohort import Cohort as Cohort
from ._dicom_header import dicom_elements as dicom_elements
from ._image_cache import DamagedCacheWarning as DamagedCacheWarning
from ._image_cache import OutsideFolderWarning as OutsideFolderWarning
from ._image_cache import cache_folder as cache_folder
from ._images import UnreadableImageWarning as UnreadableImageWarning
from ._images import images_fingerprint as images_fingerprint
from ._images import prepared_images as prepared_images
from ._images import unreadable_images as unreadable_images
from ._overlap import OVERLAP_COLUMNS as OVERLAP_COLUMNS
from ._overlap import near_duplicates as near_duplicates
from ._overlap import shared_values as shared_values
from ._overlap import split_parts as split_parts
from ._splits import FRACTIONS as FRACTIONS
from ._splits import split_by_patient as split_by_patient
from ._windows import Window as Window

__all__ = [
    "FRACTIONS",
    "OVERLAP_COLUMNS",
    "Cohort",
    "DamagedCacheWarning",
    "OutsideFolderWarning",
    "UnreadableImageWarning",
    "Window",
    "cache_folder",
    "dicom_elements",
    "images_fingerprint",
    "near_duplicates",
    "prepared_images",
    "shared_values",
    "split_by_patient",
    "split_parts",
    "unreadable_images",
]
