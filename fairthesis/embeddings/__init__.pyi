from ._erasure import LeaceEraser as LeaceEraser
from ._erasure import fit_leace as fit_leace
from ._leakage import Leakage as Leakage
from ._leakage import probe as probe
from ._probes import PROBES as PROBES
from ._probes import fit_probe as fit_probe
from ._probes import macro_auroc as macro_auroc
from ._probes import probabilities as probabilities
from ._tables import join_labels as join_labels

__all__ = [
    "PROBES",
    "LeaceEraser",
    "Leakage",
    "fit_leace",
    "fit_probe",
    "join_labels",
    "macro_auroc",
    "probabilities",
    "probe",
]
