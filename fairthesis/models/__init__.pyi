from ._averaging import AVERAGING as AVERAGING
from ._averaging import CONVERGED as CONVERGED
from ._averaging import EMA as EMA
from ._averaging import SWAD as SWAD
from ._averaging import TOLERATED as TOLERATED
from ._averaging import Averager as Averager
from ._averaging import estimate_statistics as estimate_statistics
from ._averaging import make_averager as make_averager
from ._averaging import norm_layers as norm_layers
from ._averaging import set_weights as set_weights
from ._averaging import valley as valley
from ._averaging import weights_of as weights_of
from ._backbones import BACKBONES as BACKBONES
from ._backbones import NONE as NONE
from ._encoder import INPUT_NORMS as INPUT_NORMS
from ._encoder import PRECISIONS as PRECISIONS
from ._encoder import FairEncoder as FairEncoder
from ._normalising import NORMS as NORMS
from ._normalising import Standardise as Standardise
from ._normalising import Whitening as Whitening
from ._weights import check_weights as check_weights
from ._weights import described_weights as described_weights
from ._weights import is_weights_file as is_weights_file

__all__ = [
    "AVERAGING",
    "BACKBONES",
    "CONVERGED",
    "EMA",
    "INPUT_NORMS",
    "NONE",
    "NORMS",
    "PRECISIONS",
    "SWAD",
    "TOLERATED",
    "Averager",
    "FairEncoder",
    "Standardise",
    "Whitening",
    "check_weights",
    "described_weights",
    "estimate_statistics",
    "is_weights_file",
    "make_averager",
    "norm_layers",
    "set_weights",
    "valley",
    "weights_of",
]
