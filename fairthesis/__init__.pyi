from . import auditing as auditing
from . import data as data
from . import datasets as datasets
from . import embeddings as embeddings
from . import inputs as inputs
from . import methods as methods
from . import metrics as metrics
from . import models as models
from . import plots as plots
from . import postprocessing as postprocessing
from . import stats as stats
from . import storage as storage
from . import study as study
from . import training as training
from .auditing import FairnessReport as FairnessReport
from .auditing import audit as audit
from .auditing import compare as compare
from .auditing import power as power
from .data import Cohort as Cohort
from .embeddings import probe as probe
from .errors import InputError as InputError
from .models import FairEncoder as FairEncoder
from .training import TrainConfig as TrainConfig
from .training import load_run as load_run
from .training import train as train

__version__: str
