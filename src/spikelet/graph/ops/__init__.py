"""The operations of the integer graph, one file each, in the order of docs/spec/operations.md."""

from spikelet.graph.ops.add import Add
from spikelet.graph.ops.affine import Affine
from spikelet.graph.ops.channelmap import ChannelMap
from spikelet.graph.ops.charge import Charge
from spikelet.graph.ops.constant import Constant
from spikelet.graph.ops.conv import Conv
from spikelet.graph.ops.delay import Delay
from spikelet.graph.ops.flatten import Flatten
from spikelet.graph.ops.gather import Gather
from spikelet.graph.ops.input import Input
from spikelet.graph.ops.lif import Lif
from spikelet.graph.ops.linear import Linear
from spikelet.graph.ops.matmul import Matmul
from spikelet.graph.ops.maxpool import MaxPool
from spikelet.graph.ops.mul import Mul
from spikelet.graph.ops.operation import Operation
from spikelet.graph.ops.sumpool import SumPool
from spikelet.graph.ops.sumtime import SumTime

OPERATIONS: tuple[type[Operation], ...] = (
    Input,
    Conv,
    Linear,
    Affine,
    Add,
    Lif,
    MaxPool,
    SumPool,
    Flatten,
    SumTime,
    ChannelMap,
    Matmul,
    Mul,
    Constant,
    Gather,
    Delay,
    Charge,
)
