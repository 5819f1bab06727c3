"""From PyTorch modules to the integer graph."""

from spikelet.base import torch_needed as torch_needed
from spikelet.base.errors import LoweringError as LoweringError
from spikelet.lowering.lower import lower as lower
from spikelet.lowering.verify import Verification as Verification
from spikelet.lowering.verify import verify as verify
