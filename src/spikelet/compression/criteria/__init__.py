"""How much a channel is worth: what is removed first has the lowest score."""

from spikelet.compression.criteria.criterion import Criterion as Criterion
from spikelet.compression.criteria.criterion import Scores as Scores
from spikelet.compression.criteria.criterion import unit_scores as unit_scores
from spikelet.compression.criteria.membrane_l1 import MembraneL1 as MembraneL1
from spikelet.compression.criteria.norm_scale import NormScale as NormScale
from spikelet.compression.criteria.random_order import Random as Random
from spikelet.compression.criteria.stability import stability as stability
from spikelet.compression.criteria.svs import SVS as SVS
from spikelet.compression.criteria.svs import Absolute as Absolute
from spikelet.compression.criteria.svs import Relative as Relative
from spikelet.compression.criteria.weight_l1 import WeightL1 as WeightL1
