"""Networks with quantised activations as spiking ones."""

from spikelet.base import torch_needed as torch_needed
from spikelet.base.errors import ConversionError as ConversionError
from spikelet.conversion.accuracy import AccuracyOverSteps as AccuracyOverSteps
from spikelet.conversion.accuracy import accuracy_over_steps as accuracy_over_steps
from spikelet.conversion.convert import convert as convert
from spikelet.conversion.exits import EarlyExit as EarlyExit
from spikelet.conversion.exits import Exits as Exits
from spikelet.conversion.ordinary.calibrate import calibrate as calibrate
from spikelet.conversion.ordinary.finetune import FromBytes as FromBytes
from spikelet.conversion.ordinary.finetune import finetune as finetune
from spikelet.conversion.ordinary.repair import Repaired as Repaired
from spikelet.conversion.ordinary.repair import repair as repair
from spikelet.conversion.ordinary.report import Changes as Changes
from spikelet.conversion.ordinary.thresholds import LeastError as LeastError
from spikelet.conversion.ordinary.thresholds import Method as Method
from spikelet.conversion.ordinary.thresholds import Percentile as Percentile
from spikelet.conversion.schedules import IntegrateAndFire as IntegrateAndFire
from spikelet.conversion.starts import Started as Started
from spikelet.conversion.twin import Twin as Twin
from spikelet.conversion.with_levels import with_levels as with_levels
