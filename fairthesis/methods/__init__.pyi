from ._base import Method as Method
from ._base import MethodOptions as MethodOptions
from ._batch import Batch as Batch
from ._batch import Values as Values
from ._critics import Critic as Critic
from ._critics import confusion_loss as confusion_loss
from ._critics import critic_input as critic_input
from ._critics import critic_loss as critic_loss
from ._dependence import conditional_hsic as conditional_hsic
from ._dependence import cross_covariance as cross_covariance
from ._dependence import normalised_hsic as normalised_hsic
from ._dependence import target_hsic as target_hsic
from ._dependence import unbiased_hsic as unbiased_hsic
from ._discrepancy import conditional_mmd as conditional_mmd
from ._discrepancy import squared_mmd as squared_mmd
from ._losses import masked_bce as masked_bce
from ._opposed import OpposedOptions as OpposedOptions
from ._opposed import SteppedOptions as SteppedOptions
from ._penalised import Penalised as Penalised
from ._penalised import PenaltyOptions as PenaltyOptions
from ._registry import METHODS as METHODS
from ._setting import Setting as Setting
from ._setting import subgroup_probabilities as subgroup_probabilities
from ._subgroups import subgroup_codes as subgroup_codes
from .adversarial import Adversarial as Adversarial
from .adversarial import AdversarialOptions as AdversarialOptions
from .alternating import Alternating as Alternating
from .alternating import AlternatingOptions as AlternatingOptions
from .balanced import Balanced as Balanced
from .balanced import BalancedOptions as BalancedOptions
from .cdann import CDANN as CDANN
from .dann import DANN as DANN
from .dann import reverse_gradient as reverse_gradient
from .domain_independent import DomainIndependent as DomainIndependent
from .erm import ERM as ERM
from .fairdisco import FairDisCo as FairDisCo
from .fairdisco import FairDisCoOptions as FairDisCoOptions
from .fairdisco import contrastive_loss as contrastive_loss
from .groupdro import GroupDRO as GroupDRO
from .groupdro import GroupDROOptions as GroupDROOptions
from .hsic import HSIC as HSIC
from .hsic import HSICOptions as HSICOptions
from .jtt import JTT as JTT
from .jtt import JTTOptions as JTTOptions
from .laftr import LAFTR as LAFTR
from .laftr import laftr_objective as laftr_objective
from .last_layer import LastLayer as LastLayer
from .last_layer import LastLayerOptions as LastLayerOptions
from .mmd import MMD as MMD
from .orthogonal import Orthogonal as Orthogonal
from .orthogonal import OrthogonalOptions as OrthogonalOptions
from .orthogonal import column_loss as column_loss
from .projection import Projection as Projection
from .projection import ProjectionOptions as ProjectionOptions
from .projection import projected as projected
from .reweighted import Reweighted as Reweighted
from .reweighted import ReweightedOptions as ReweightedOptions

__all__ = [
    "CDANN",
    "DANN",
    "ERM",
    "HSIC",
    "JTT",
    "LAFTR",
    "METHODS",
    "MMD",
    "Adversarial",
    "AdversarialOptions",
    "Alternating",
    "AlternatingOptions",
    "Balanced",
    "BalancedOptions",
    "Batch",
    "Critic",
    "DomainIndependent",
    "FairDisCo",
    "FairDisCoOptions",
    "GroupDRO",
    "GroupDROOptions",
    "HSICOptions",
    "JTTOptions",
    "LastLayer",
    "LastLayerOptions",
    "Method",
    "MethodOptions",
    "OpposedOptions",
    "Orthogonal",
    "OrthogonalOptions",
    "Penalised",
    "PenaltyOptions",
    "Projection",
    "ProjectionOptions",
    "Reweighted",
    "ReweightedOptions",
    "Setting",
    "SteppedOptions",
    "Values",
    "column_loss",
    "conditional_hsic",
    "conditional_mmd",
    "confusion_loss",
    "contrastive_loss",
    "critic_input",
    "critic_loss",
    "cross_covariance",
    "laftr_objective",
    "masked_bce",
    "normalised_hsic",
    "projected",
    "reverse_gradient",
    "squared_mmd",
    "subgroup_codes",
    "subgroup_probabilities",
    "target_hsic",
    "unbiased_hsic",
]
