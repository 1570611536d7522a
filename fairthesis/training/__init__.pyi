from ._batches import Table as Table
from ._batches import augment as augment
from ._batches import in_batches as in_batches
from ._batches import make_table as make_table
from ._config import TrainConfig as TrainConfig
from ._config import config_from_text as config_from_text
from ._config import method_options as method_options
from ._embed import embed as embed
from ._exits import EXPORTS as EXPORTS
from ._exits import export as export
from ._inference import Outputs as Outputs
from ._load_run import load_run as load_run
from ._posthoc import apply_posthoc as apply_posthoc
from ._predict import predict as predict
from ._run import Run as Run
from ._selection import Rule as Rule
from ._selection import ideal_distance as ideal_distance
from ._selection import least_leaking as least_leaking
from ._selection import validation_gaps as validation_gaps
from ._selection import validation_leakage as validation_leakage
from ._selection import validation_scores as validation_scores
from ._trackers import TRACKERS as TRACKERS
from ._trackers import Tracker as Tracker
from ._trackers import make_tracker as make_tracker
from ._train import train as train
from ._twins import predict_twins as predict_twins
from ._twins import twins_of_run as twins_of_run

__all__ = [
    "EXPORTS",
    "TRACKERS",
    "Outputs",
    "Rule",
    "Run",
    "Table",
    "Tracker",
    "TrainConfig",
    "apply_posthoc",
    "augment",
    "config_from_text",
    "embed",
    "export",
    "ideal_distance",
    "in_batches",
    "least_leaking",
    "load_run",
    "make_table",
    "make_tracker",
    "method_options",
    "predict",
    "predict_twins",
    "train",
    "twins_of_run",
    "validation_gaps",
    "validation_leakage",
    "validation_scores",
]
