from ._averaging import AVERAGING as AVERAGING, Averager as Averager, EMA as EMA, SWAD as SWAD, averager as averager, estimate_statistics as estimate_statistics, norms_of as norms_of, put as put, valley as valley
from ._encoder import BACKBONES as BACKBONES, FairEncoder as FairEncoder, INPUT_NORMS as INPUT_NORMS, NORMS as NORMS, PRECISIONS as PRECISIONS, Whitening as Whitening
from ._weights import check_weights as check_weights, described_weights as described_weights, is_weights_file as is_weights_file

__all__ = [
    "AVERAGING",
    "Averager",
    "BACKBONES",
    "EMA",
    "FairEncoder",
    "INPUT_NORMS",
    "NORMS",
    "PRECISIONS",
    "SWAD",
    "Whitening",
    "averager",
    "check_weights",
    "described_weights",
    "estimate_statistics",
    "is_weights_file",
    "norms_of",
    "put",
    "valley",
]
