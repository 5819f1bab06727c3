"""Megabytes by the formula of the Q-SNN paper (arXiv:2406.13672, figure 3 and memory table).

    MB = ( sum over layers of weights * bits  +  64 * batch-norm channels  +  batch * N_peak * k ) / (8 * 10^6)

k are the bits of a membrane, N_peak the neurons of the largest single layer: all layers share one membrane
memory. That holds where a layer runs all T steps before the next one starts, at the price of keeping T steps of
spikes; step by step, as on a stream, every layer's membranes stay: `state_megabytes`. Biases are left out.

For ResNet19 on CIFAR-10 at 1-bit weights it gives the published 1.62 MB with batch = 0.
"""

from __future__ import annotations

import dataclasses

from spikelet.base.errors import SpikeletError
from spikelet.profiling.layers import ChannelLayer, NeuronLayer, SynapseLayer
from spikelet.profiling.papers.units import BITS_PER_MEGABYTE
from spikelet.profiling.report import Report

NORM_BITS_PER_CHANNEL = 64


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What the formula needs of a network. Raises SpikeletError where something is out of range.

    weights: (number, bits) of every synapse layer.
    norm_channels: channels of all batch norms.
    neurons: of every LIF layer, one sample.
    """

    weights: tuple[tuple[int, int], ...]
    norm_channels: int
    neurons: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.weights or any(n < 1 or bits not in (*range(1, 9), 32) for n, bits in self.weights):
            raise SpikeletError(
                f"Architecture.weights must be (number, bits) with bits 1 to 8 or 32, got {self.weights}."
            )
        if self.norm_channels < 0:
            raise SpikeletError(f"Architecture.norm_channels must be 0 or more, got {self.norm_channels}.")
        if not self.neurons or min(self.neurons) < 1:
            raise SpikeletError(f"Architecture.neurons must be one positive number a LIF layer, got {self.neurons}.")


def architecture_of(report: Report) -> Architecture:
    """The architecture that a profile saw at work."""
    synapses = [layer for layer in report.layers if isinstance(layer, SynapseLayer)]
    norms = sum(layer.norm_channels for layer in synapses)
    norms += sum(layer.channels for layer in report.layers if isinstance(layer, ChannelLayer))
    neurons = tuple(layer.neurons for layer in report.layers if isinstance(layer, NeuronLayer))
    return Architecture(tuple((layer.weights, layer.weight_bits) for layer in synapses), norms, neurons)


def paper_megabytes(architecture: Architecture, *, membrane_bits: int, batch: int) -> float:
    """The paper's memory footprint, MB of 10^6 bytes; batch=0 is the size of the parameters alone.

    Raises:
        SpikeletError: membrane_bits is not 1 to 32, or batch is negative.
    """
    return _megabytes(architecture, max(architecture.neurons), membrane_bits, batch)


def state_megabytes(architecture: Architecture, *, membrane_bits: int, batch: int) -> float:
    """The same with the membranes of all layers. Raises what `paper_megabytes` raises."""
    return _megabytes(architecture, sum(architecture.neurons), membrane_bits, batch)


def _megabytes(architecture: Architecture, neurons: int, membrane_bits: int, batch: int) -> float:
    if membrane_bits not in range(1, 33):
        raise SpikeletError(f"membrane_bits must be 1 to 32, got {membrane_bits}.")
    if batch < 0:
        raise SpikeletError(f"batch must be 0 or more, got {batch}. (0 counts the parameters alone.)")
    weights = sum(number * bits for number, bits in architecture.weights)
    norms = NORM_BITS_PER_CHANNEL * architecture.norm_channels
    return (weights + norms + batch * neurons * membrane_bits) / BITS_PER_MEGABYTE
