"""The integer graph and its operations under one name: `from spikelet.graph import ir`."""

from spikelet.graph.graph import IntGraph as IntGraph
from spikelet.graph.graph import Output as Output
from spikelet.graph.ops import OPERATIONS as OPERATIONS
from spikelet.graph.ops import Add as Add
from spikelet.graph.ops import Affine as Affine
from spikelet.graph.ops import ChannelMap as ChannelMap
from spikelet.graph.ops import Charge as Charge
from spikelet.graph.ops import Constant as Constant
from spikelet.graph.ops import Conv as Conv
from spikelet.graph.ops import Delay as Delay
from spikelet.graph.ops import Flatten as Flatten
from spikelet.graph.ops import Gather as Gather
from spikelet.graph.ops import Input as Input
from spikelet.graph.ops import Lif as Lif
from spikelet.graph.ops import Linear as Linear
from spikelet.graph.ops import Matmul as Matmul
from spikelet.graph.ops import MaxPool as MaxPool
from spikelet.graph.ops import Mul as Mul
from spikelet.graph.ops import Operation as Operation
from spikelet.graph.ops import SumPool as SumPool
from spikelet.graph.ops import SumTime as SumTime
from spikelet.graph.ops.membrane import Membrane as Membrane
from spikelet.graph.ops.neuron import Neuron as Neuron
