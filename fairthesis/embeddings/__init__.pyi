from ._erasure import Eraser as Eraser, fit_leace as fit_leace
from ._leakage import Leakage as Leakage, probe as probe
from ._probes import PROBES as PROBES, fit_probe as fit_probe, macro_auroc as macro_auroc, probabilities as probabilities

__all__ = [
    "Eraser",
    "Leakage",
    "PROBES",
    "fit_leace",
    "fit_probe",
    "macro_auroc",
    "probabilities",
    "probe",
]
