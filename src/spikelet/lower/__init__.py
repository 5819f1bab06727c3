"""From PyTorch modules to the integer graph."""

from spikelet.lower.errors import LoweringError as LoweringError
from spikelet.lower.lower import lower as lower
