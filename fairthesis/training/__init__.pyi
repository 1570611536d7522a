from ._batches import augment as augment
from ._config import TrainConfig as TrainConfig, from_text as from_text, method_options as method_options
from ._posthoc import apply_posthoc as apply_posthoc
from ._selection import Rule as Rule, ideal_distance as ideal_distance, least_leaking as least_leaking, validation_gaps as validation_gaps, validation_leakage as validation_leakage, validation_scores as validation_scores
from ._train import train as train

__all__ = [
    "Rule",
    "TrainConfig",
    "apply_posthoc",
    "augment",
    "from_text",
    "ideal_distance",
    "least_leaking",
    "method_options",
    "train",
    "validation_gaps",
    "validation_leakage",
    "validation_scores",
]
