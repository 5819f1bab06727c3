"""From PyTorch modules to the integer graph."""

from spikelet.base.errors import LoweringError as LoweringError
from spikelet.lowering.lower import lower as lower
from spikelet.lowering.verify import Verification as Verification
from spikelet.lowering.verify import verify as verify
