"""From PyTorch modules to the integer graph, and whether both say the same."""

from spikelet.base import torch_needed as torch_needed
from spikelet.base.errors import LoweringError as LoweringError
from spikelet.lowering.builder import Builder as Builder
from spikelet.lowering.check import Check as Check
from spikelet.lowering.check import Refusal as Refusal
from spikelet.lowering.check import check as check
from spikelet.lowering.lower import lower as lower
from spikelet.lowering.reading import as_elements as as_elements
from spikelet.lowering.reading import as_maps as as_maps
from spikelet.lowering.reading import as_rows as as_rows
from spikelet.lowering.reading import by_channel as by_channel
from spikelet.lowering.registry import function as function
from spikelet.lowering.registry import rule as rule
from spikelet.lowering.trace import Call as Call
from spikelet.lowering.values import Source as Source
from spikelet.lowering.values import Value as Value
from spikelet.lowering.verify import Verification as Verification
from spikelet.lowering.verify import verify as verify
