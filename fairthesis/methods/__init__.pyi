from ._base import Method as Method, MethodOptions as MethodOptions, Setting as Setting, cell_probabilities as cell_probabilities
from ._batch import Batch as Batch
from ._cells import cell_codes as cell_codes
from ._critics import confusion_loss as confusion_loss
from ._dependence import conditional_hsic as conditional_hsic, cross_covariance as cross_covariance, normalised_hsic as normalised_hsic, unbiased_hsic as unbiased_hsic
from ._discrepancy import conditional_mmd as conditional_mmd, squared_mmd as squared_mmd
from ._penalised import PenaltyOptions as PenaltyOptions
from ._registry import METHODS as METHODS
from .adversarial import Adversarial as Adversarial, AdversarialOptions as AdversarialOptions
from .alternating import Alternating as Alternating, AlternatingOptions as AlternatingOptions
from .balanced import Balanced as Balanced, BalancedOptions as BalancedOptions
from .cdann import CDANN as CDANN
from .dann import DANN as DANN, reverse as reverse
from .domain_independent import DomainIndependent as DomainIndependent
from .erm import ERM as ERM
from .fairdisco import FairDisCo as FairDisCo, FairDisCoOptions as FairDisCoOptions, contrastive_loss as contrastive_loss
from .groupdro import GroupDRO as GroupDRO, GroupDROOptions as GroupDROOptions
from .hsic import HSIC as HSIC
from .jtt import JTT as JTT, JTTOptions as JTTOptions
from .laftr import LAFTR as LAFTR, laftr_objective as laftr_objective
from .last_layer import LastLayer as LastLayer, LastLayerOptions as LastLayerOptions
from .mmd import MMD as MMD
from .orthogonal import Orthogonal as Orthogonal, OrthogonalOptions as OrthogonalOptions, column_loss as column_loss
from .projection import Projection as Projection, ProjectionOptions as ProjectionOptions, projected as projected
from .reweighted import Reweighted as Reweighted, ReweightedOptions as ReweightedOptions

__all__ = [
    "Adversarial",
    "AdversarialOptions",
    "Alternating",
    "AlternatingOptions",
    "Balanced",
    "BalancedOptions",
    "Batch",
    "CDANN",
    "DANN",
    "DomainIndependent",
    "ERM",
    "FairDisCo",
    "FairDisCoOptions",
    "GroupDRO",
    "GroupDROOptions",
    "HSIC",
    "JTT",
    "JTTOptions",
    "LAFTR",
    "LastLayer",
    "LastLayerOptions",
    "METHODS",
    "MMD",
    "Method",
    "MethodOptions",
    "Orthogonal",
    "OrthogonalOptions",
    "PenaltyOptions",
    "Projection",
    "ProjectionOptions",
    "Reweighted",
    "ReweightedOptions",
    "Setting",
    "cell_codes",
    "cell_probabilities",
    "column_loss",
    "conditional_hsic",
    "conditional_mmd",
    "confusion_loss",
    "contrastive_loss",
    "cross_covariance",
    "laftr_objective",
    "normalised_hsic",
    "projected",
    "reverse",
    "squared_mmd",
    "unbiased_hsic",
]
