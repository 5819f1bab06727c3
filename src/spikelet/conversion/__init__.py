"""Networks with quantised activations as spiking ones."""

from spikelet.base import torch_needed as torch_needed
from spikelet.base.errors import ConversionError as ConversionError
from spikelet.conversion.convert import convert as convert
from spikelet.conversion.schedules import IntegrateAndFire as IntegrateAndFire
from spikelet.conversion.twin import Twin as Twin
