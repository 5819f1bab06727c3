"""What `compress` applies, one after the other."""

from spikelet.compression.passes.base import Context as Context
from spikelet.compression.passes.base import Pass as Pass
from spikelet.compression.passes.base import Row as Row
from spikelet.compression.passes.finetune import Finetune as Finetune
from spikelet.compression.passes.membranes import QuantizeMembranes as QuantizeMembranes
from spikelet.compression.passes.partial import PartialAttention as PartialAttention
from spikelet.compression.passes.prune import Prune as Prune
from spikelet.compression.passes.quantize import Quantize as Quantize
from spikelet.compression.passes.recalibrate import Recalibrate as Recalibrate
from spikelet.compression.passes.recalibrate import recalibrate as recalibrate
from spikelet.compression.passes.snap import Snap as Snap
