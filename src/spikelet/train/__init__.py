"""Training: one loop, typed configurations, exact resume."""

from spikelet.base import torch_needed as torch_needed
from spikelet.base.errors import CheckpointError as CheckpointError
from spikelet.train.checkpoint import load_run as load_run
from spikelet.train.config import TrainConfig as TrainConfig
from spikelet.train.config import Training as Training
from spikelet.train.distillation import Distillation as Distillation
from spikelet.train.evaluate import evaluate as evaluate
from spikelet.train.finetune import further as further
from spikelet.train.finetune import train_further as train_further
from spikelet.train.gram import TokenFeature as TokenFeature
from spikelet.train.lessons import GramMatrices as GramMatrices
from spikelet.train.lessons import HardLogits as HardLogits
from spikelet.train.lessons import SoftLogits as SoftLogits
from spikelet.train.loop import Loop as Loop
from spikelet.train.progress import Reporter as Reporter
from spikelet.train.progress import Silent as Silent
from spikelet.train.run import Run as Run
from spikelet.train.settings import DualRegulation as DualRegulation
from spikelet.train.settings import Optimizer as Optimizer
from spikelet.train.settings import Phase as Phase
from spikelet.train.settings import Teacher as Teacher
from spikelet.train.settings import Unpruned as Unpruned
