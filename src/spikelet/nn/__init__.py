"""The pieces between neurons, time first and exact in evaluation."""

from spikelet.base import torch_needed as torch_needed
from spikelet.nn.channel_map import ChannelMap as ChannelMap
from spikelet.nn.encode import Encode as Encode
from spikelet.nn.norm import BatchNorm2d as BatchNorm2d
from spikelet.nn.pool import MaxPool2d as MaxPool2d
from spikelet.nn.pool import SumPool2d as SumPool2d
from spikelet.nn.synapses import Conv2d as Conv2d
from spikelet.nn.synapses import Linear as Linear
