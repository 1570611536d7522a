from ._cohort import Cohort as Cohort
from ._dicom_header import dicom_elements as dicom_elements
from ._file_cohort import IMAGE_ENDINGS as IMAGE_ENDINGS
from ._file_cohort import cohort_of_files as cohort_of_files
from ._file_cohort import cohort_of_vectors as cohort_of_vectors
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
from ._overlay import Ink as Ink
from ._overlay import OverlaidImages as OverlaidImages
from ._overlay import Overlay as Overlay
from ._overlay import overlay_of as overlay_of
from ._read_vectors import read_vectors as read_vectors
from ._splits import FRACTIONS as FRACTIONS
from ._splits import folds_by_patient as folds_by_patient
from ._splits import split_by_patient as split_by_patient
from ._vectors import Vectors as Vectors
from ._vectors import VectorTable as VectorTable
from ._windows import Window as Window

__all__ = [
    "FRACTIONS",
    "IMAGE_ENDINGS",
    "OVERLAP_COLUMNS",
    "Cohort",
    "DamagedCacheWarning",
    "Ink",
    "OutsideFolderWarning",
    "OverlaidImages",
    "Overlay",
    "UnreadableImageWarning",
    "VectorTable",
    "Vectors",
    "Window",
    "cache_folder",
    "cohort_of_files",
    "cohort_of_vectors",
    "dicom_elements",
    "folds_by_patient",
    "images_fingerprint",
    "near_duplicates",
    "overlay_of",
    "prepared_images",
    "read_vectors",
    "shared_values",
    "split_by_patient",
    "split_parts",
    "unreadable_images",
]
