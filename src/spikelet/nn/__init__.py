"""The pieces between neurons, time first and exact in evaluation."""

from spikelet.base import torch_needed as torch_needed
from spikelet.nn.average import Average as Average
from spikelet.nn.channel_map import ChannelMap as ChannelMap
from spikelet.nn.constant import AddConstant as AddConstant
from spikelet.nn.encode import Encode as Encode
from spikelet.nn.evaluation import evaluation_mode as evaluation_mode
from spikelet.nn.norm import BatchNorm1d as BatchNorm1d
from spikelet.nn.norm import BatchNorm2d as BatchNorm2d
from spikelet.nn.pool import MaxPool2d as MaxPool2d
from spikelet.nn.pool import SumPool2d as SumPool2d
from spikelet.nn.recurrent import Recurrent as Recurrent
from spikelet.nn.requantize import Requantize as Requantize
from spikelet.nn.requantize import Saturate as Saturate
from spikelet.nn.running_sum import RunningSum as RunningSum
from spikelet.nn.scale import Scale as Scale
from spikelet.nn.synapses import Conv1d as Conv1d
from spikelet.nn.synapses import Conv2d as Conv2d
from spikelet.nn.synapses import ConvTranspose2d as ConvTranspose2d
from spikelet.nn.synapses import Linear as Linear
from spikelet.nn.windows import Gather as Gather
from spikelet.nn.windows import merged as merged
from spikelet.nn.windows import shift_mask as shift_mask
from spikelet.nn.windows import windows as windows
