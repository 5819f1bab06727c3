"""The quantized network without spikes that a spiking one should be measured against.

T steps of one spike carry T + 1 values, as much as an activation of b = ceil(log2(T + 1)) bits does. The twin
has the same layers and weights, b-bit activations where spikes were, and runs once: every layer costs its
dense MACs of one step (Yan et al., arXiv:2409.08290). Its activation functions are not counted.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from spikelet.profiling.layers import SynapseLayer


def quantized_twin(synapses: Sequence[SynapseLayer], time_steps: int) -> tuple[int, list[SynapseLayer]]:
    """b, and each synapse layer with b-bit inputs in one dense pass (inputs other than spikes keep their bits)."""
    bits = time_steps.bit_length()  # ceil(log2(T + 1))
    return bits, [
        dataclasses.replace(
            layer,
            steps=1.0,
            spiking_input=False,
            input_bits=bits if layer.spiking_input else layer.input_bits,
            input_events=float(math.prod(layer.in_shape)),
        )
        for layer in synapses
    ]
