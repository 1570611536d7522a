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
from ._encoder import check_backbone as check_backbone
from ._freezing import TRAIN_BACKBONE as TRAIN_BACKBONE
from ._freezing import Frozen as Frozen
from ._freezing import last_stage as last_stage
from ._libraries import LIBRARIES as LIBRARIES
from ._libraries import PRETRAINED as PRETRAINED
from ._libraries import Built as Built
from ._libraries import has_pretrained as has_pretrained
from ._libraries import is_encoder_name as is_encoder_name
from ._load_encoder import Encoder as Encoder
from ._load_encoder import load_encoder as load_encoder
from ._load_encoder import public_name as public_name
from ._normalising import NORMS as NORMS
from ._normalising import Standardise as Standardise
from ._normalising import Whitening as Whitening
from ._pooling import Pooled as Pooled
from ._preprocessing import Preprocessing as Preprocessing
from ._sensitive_branch import SENSITIVE_BRANCHES as SENSITIVE_BRANCHES
from ._sensitive_branch import check_sensitive_branch as check_sensitive_branch
from ._weights import RANDOM as RANDOM
from ._weights import check_weights as check_weights
from ._weights import described_weights as described_weights
from ._weights import is_weights_file as is_weights_file
from ._weights import state_digest as state_digest

__all__ = [
    "AVERAGING",
    "BACKBONES",
    "CONVERGED",
    "EMA",
    "INPUT_NORMS",
    "LIBRARIES",
    "NONE",
    "NORMS",
    "PRECISIONS",
    "PRETRAINED",
    "RANDOM",
    "SENSITIVE_BRANCHES",
    "SWAD",
    "TOLERATED",
    "TRAIN_BACKBONE",
    "Averager",
    "Built",
    "Encoder",
    "FairEncoder",
    "Frozen",
    "Pooled",
    "Preprocessing",
    "Standardise",
    "Whitening",
    "check_backbone",
    "check_sensitive_branch",
    "check_weights",
    "described_weights",
    "estimate_statistics",
    "has_pretrained",
    "is_encoder_name",
    "is_weights_file",
    "last_stage",
    "load_encoder",
    "make_averager",
    "norm_layers",
    "public_name",
    "set_weights",
    "state_digest",
    "valley",
    "weights_of",
]
