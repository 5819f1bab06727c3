"""Smaller networks from trained ones."""

from spikelet.compress.channels import Channels as Channels
from spikelet.compress.channels import find_channels as find_channels
from spikelet.compress.criteria import SVS as SVS
from spikelet.compress.criteria import Criterion as Criterion
from spikelet.compress.criteria import MembraneL1 as MembraneL1
from spikelet.compress.criteria import NormScale as NormScale
from spikelet.compress.criteria import Random as Random
from spikelet.compress.criteria import WeightL1 as WeightL1
from spikelet.compress.criteria import stability as stability
from spikelet.compress.errors import CompressionError as CompressionError
from spikelet.compress.surgery import remove_channels as remove_channels
