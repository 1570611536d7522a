from ._attribute_use import USE_METRICS as USE_METRICS
from ._attribute_use import AttributeUse as AttributeUse
from ._attribute_use import UseReading as UseReading
from ._attribute_use import use_of_attribute as use_of_attribute
from ._directions import Directions as Directions
from ._directions import DirectionsTried as DirectionsTried
from ._directions import choose_directions as choose_directions
from ._disentanglement import Disentanglement as Disentanglement
from ._disentanglement import disentanglement as disentanglement
from ._eraser import WholeSpaceWarning as WholeSpaceWarning
from ._erasers import Leace as Leace
from ._erasers import MeanDifferences as MeanDifferences
from ._erasers import Splince as Splince
from ._erasers import mean_differences as mean_differences
from ._erasure import LeaceEraser as LeaceEraser
from ._erasure import fit_leace as fit_leace
from ._fit_eraser import fit_eraser as fit_eraser
from ._kernel_eraser import KernelEraser as KernelEraser
from ._leakage import Leakage as Leakage
from ._leakage import probe as probe
from ._measured_erasure import ErasureReport as ErasureReport
from ._measured_erasure import TooFewPatientsError as TooFewPatientsError
from ._measured_erasure import expected_auroc as expected_auroc
from ._measured_erasure import measure_erasure as measure_erasure
from ._probes import PROBES as PROBES
from ._probes import fit_probe as fit_probe
from ._probes import macro_auroc as macro_auroc
from ._probes import probabilities as probabilities
from ._registry import ERASERS as ERASERS
from ._tables import join_labels as join_labels
from ._unseen_patients import ErasureReading as ErasureReading

__all__ = [
    "ERASERS",
    "PROBES",
    "USE_METRICS",
    "AttributeUse",
    "Directions",
    "DirectionsTried",
    "Disentanglement",
    "ErasureReading",
    "ErasureReport",
    "KernelEraser",
    "Leace",
    "LeaceEraser",
    "Leakage",
    "MeanDifferences",
    "Splince",
    "TooFewPatientsError",
    "UseReading",
    "WholeSpaceWarning",
    "choose_directions",
    "disentanglement",
    "expected_auroc",
    "fit_eraser",
    "fit_leace",
    "fit_probe",
    "join_labels",
    "macro_auroc",
    "mean_differences",
    "measure_erasure",
    "probabilities",
    "probe",
    "use_of_attribute",
]
