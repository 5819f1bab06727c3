"""Networks of other libraries as spikelet modules."""

from spikelet.base import torch_needed as torch_needed
from spikelet.base.errors import ConversionError as ConversionError
from spikelet.interop.snntorch import from_snntorch as from_snntorch
from spikelet.interop.spikingjelly import from_spikingjelly as from_spikingjelly
