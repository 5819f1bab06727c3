"""The quantized network without spikes that a spiking one should be measured against.

T steps of one spike carry T + 1 values, as much as an activation of b = ceil(log2(T + 1)) bits does; T steps of counts
0..D carry T D + 1 values, D taken as the largest number of its bits. The twin has the same layers and weights,
activations of that many bits where spikes or counts were, in products on both sides, and runs once: every layer costs
its dense MACs of one step, attention's products too (Yan et al., arXiv:2409.08290). Its activation functions are not
counted.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from spikelet.profiling.layers import SynapseLayer


def quantized_twin(synapses: Sequence[SynapseLayer], time_steps: int) -> tuple[int, list[SynapseLayer]]:
    """b of binary spikes, and each synapse layer with inputs of equal bits in one dense pass (inputs other than spikes
    and counts keep their bits)."""
    return _carried(1, time_steps), [
        dataclasses.replace(
            layer,
            steps=1.0,
            spiking_input=False,
            input_bits=layer.input_bits if layer.input_counts is None else _carried(layer.input_bits, time_steps),
            weight_bits=_carried(layer.weight_bits, time_steps) if layer.weights_are_spikes else layer.weight_bits,
            input_events=float(math.prod(layer.in_shape)),
            input_counts=None,
        )
        for layer in synapses
    ]


def _carried(bits: int, time_steps: int) -> int:
    """ceil(log2(T D + 1)), D the largest number of `bits` bits."""
    return (time_steps * ((1 << bits) - 1)).bit_length()
