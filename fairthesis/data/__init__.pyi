from ._cohort import Cohort as Cohort
from ._image_cache import DamagedCacheWarning as DamagedCacheWarning, OutsideFolderWarning as OutsideFolderWarning, cache_folder as cache_folder
from ._images import UnreadableImageWarning as UnreadableImageWarning, images_fingerprint as images_fingerprint, prepared_images as prepared_images, unreadable_images as unreadable_images
from ._overlap import COLUMNS as COLUMNS, near_duplicates as near_duplicates, parts_of as parts_of, shared_values as shared_values
from ._splits import FRACTIONS as FRACTIONS, by_patient as by_patient

__all__ = [
    "COLUMNS",
    "Cohort",
    "DamagedCacheWarning",
    "FRACTIONS",
    "OutsideFolderWarning",
    "UnreadableImageWarning",
    "by_patient",
    "cache_folder",
    "images_fingerprint",
    "near_duplicates",
    "parts_of",
    "prepared_images",
    "shared_values",
    "unreadable_images",
]
