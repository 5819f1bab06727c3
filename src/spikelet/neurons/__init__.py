"""Spiking neurons: current in, spikes out."""

from spikelet.neurons.lif import LIF as LIF
from spikelet.neurons.lif import LIFParams as LIFParams
from spikelet.neurons.lif import lif_step as lif_step
from spikelet.neurons.membrane import BatchMaxMembrane as BatchMaxMembrane
from spikelet.neurons.membrane import FullMembrane as FullMembrane
from spikelet.neurons.membrane import QuantizedMembrane as QuantizedMembrane
from spikelet.neurons.membrane import membrane_of as membrane_of
from spikelet.neurons.reset import Hard as Hard
from spikelet.neurons.reset import Soft as Soft
from spikelet.neurons.surrogate import ATan as ATan
from spikelet.neurons.surrogate import Rectangle as Rectangle
from spikelet.neurons.surrogate import Sigmoid as Sigmoid
from spikelet.neurons.surrogate import Surrogate as Surrogate
from spikelet.neurons.surrogate import Triangle as Triangle
