from ._cohort import Cohort as Cohort
from ._image_cache import cache_folder as cache_folder
from ._images import UnreadableImageWarning as UnreadableImageWarning
from ._images import images_fingerprint as images_fingerprint
from ._images import prepared_images as prepared_images
from ._images import unreadable_images as unreadable_images
from ._overlap import COLUMNS as COLUMNS
from ._overlap import near_duplicates as near_duplicates
from ._overlap import parts_of as parts_of
from ._overlap import shared_values as shared_values
from ._splits import FRACTIONS as FRACTIONS
from ._splits import by_patient as by_patient

__all__ = [
    "COLUMNS",
    "FRACTIONS",
    "Cohort",
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
