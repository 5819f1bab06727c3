"""How much a channel is worth: what is removed first has the lowest score."""

from spikelet.compress.criteria.criterion import Criterion as Criterion
from spikelet.compress.criteria.criterion import Scores as Scores
from spikelet.compress.criteria.criterion import unit_scores as unit_scores
from spikelet.compress.criteria.membrane_l1 import MembraneL1 as MembraneL1
from spikelet.compress.criteria.norm_scale import NormScale as NormScale
from spikelet.compress.criteria.random_order import Random as Random
from spikelet.compress.criteria.stability import stability as stability
from spikelet.compress.criteria.svs import SVS as SVS
from spikelet.compress.criteria.svs import Absolute as Absolute
from spikelet.compress.criteria.svs import Relative as Relative
from spikelet.compress.criteria.weight_l1 import WeightL1 as WeightL1
