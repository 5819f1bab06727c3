"""What is counted of a layer, and the rules that turn counts into operations.

All counts are means per sample over all T time steps, unless they say "a step".

    macs          = dense multiply-accumulates of one step, padding included, times the steps that run
    input rate    = inputs that are not zero / inputs                                     (padding excluded)

The papers' rule (Spikformer, arXiv:2209.15425, and the many that follow it): a layer whose inputs are all -1, 0 or 1
adds, every other layer (the first one, reading pixels; one behind an average pool) multiplies and adds.

    SOPs = input rate * macs        or        MACs = macs

A layer that reads counts 0..D of spikes (IE-LIF of QSD-Transformer, arXiv:2501.13492, or sums of spikes, as
Spikformer's streams are) multiplies by small integers: MACs, as it is executed here. Sent as binary spikes, a count n
is n accumulates, and that is what papers with such neurons publish:

    unrolled SOPs = mean count * macs        (where counts are 0 and 1: the SOPs above)

A product of two tensors, as attention's, is a layer too. Its input is the tensor of spikes, or else of counts, the
first where both are; the other one stands for weights. With spikes on both sides a pair is one accumulate of a bit, and
with counts on both sides one multiplication of small integers, or as many accumulates of one as the other counts.

NeuroBench's rule (arXiv:2304.04640, SynapticOperations of version 2.3): weights and inputs are taken as zero or not,
padding is left out, and an operation takes place where both are not zero. It is an AC where a call's inputs are all
-1, 0 or 1, else a MAC. `Dense` takes every weight and input as not zero. A module's weights are its float
weights, as NeuroBench reads them; a graph's are its codes. (Where a 1-bit layer's float weight is exactly 0
NeuroBench miscounts: it runs the layer on the zeros and ones, and the quantizer makes them -1 and +1.)

Bit-weighted operations: BOPs = macs * weight bits * input bits (this is S-ACE with the T steps written
out), NS-ACE = input rate * BOPs.

A still image enters the first synapses once and not T times: their `steps` is 1, as executed. Spikformer's published
count has it T times (its 5.312266 M MACs are 4 * 27 * 48 * 1024 + 384 * 10 + 10), so that ours is lower there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

Kind = Literal["conv", "linear", "product"]


@dataclasses.dataclass(frozen=True)
class NeuroBenchCounts:
    """SynapticOperations as NeuroBench 2.3 counts them, per sample."""

    effective_acs: float
    effective_macs: float
    dense: float


@dataclasses.dataclass(frozen=True)
class SynapseLayer:
    """A convolution, a linear layer or a product of two tensors, with the batch norm right behind it.

    parameters: numbers that are trained (of a graph: numbers that are stored), batch norm included.
    norm_channels: channels of that batch norm, or 0.
    weights, weight_bits: number of weights and the bits of each, 32 for floats; of a product, the values of the tensor
        that the events of the other one select from.
    packed_bytes: codes at their bits, rounded up to bytes, and the per-channel constants.
    in_shape, out_shape: one sample, one step; kernel: (1, 1) for a linear layer.
    steps: executions per sample.
    spiking_input: whether every input was -1, 0 or 1.
    input_bits: bits that hold an input (seen in the run; of a graph: proved).
    input_events: inputs that are not zero, per sample.
    macs_per_step: dense, padding included.
    input_counts: spikes that the inputs stand for, per sample: those of binary inputs, or the sum of their counts. None
        where they are neither, such as pixels, or 8-bit values between two convolutions.
    weights_are_spikes: of a product, whether the other tensor holds spikes, or counts of them, too.
    """

    name: str
    kind: Kind
    parameters: int
    norm_channels: int
    weights: int
    weight_bits: int
    packed_bytes: int
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    kernel: tuple[int, int]
    steps: float
    spiking_input: bool
    input_bits: int
    input_events: float
    macs_per_step: int
    neurobench: NeuroBenchCounts
    input_counts: float | None = None
    weights_are_spikes: bool = False

    @property
    def has_float_weights(self) -> bool:
        """Whether no integer arithmetic can price this layer."""
        return self.weight_bits == 32

    @property
    def macs(self) -> float:
        """Dense multiply-accumulates per sample."""
        return self.macs_per_step * self.steps

    @property
    def input_rate(self) -> float:
        """Share of inputs that are not zero; of spikes, the mean firing rate."""
        return self.input_events / (math.prod(self.in_shape) * self.steps)

    @property
    def paper_sops(self) -> float:
        """Accumulates under the papers' rule; 0 where the layer multiplies."""
        return self.input_rate * self.macs if self.spiking_input else 0.0

    @property
    def paper_macs(self) -> float:
        """Multiply-accumulates under the papers' rule; 0 where the layer only adds."""
        return 0.0 if self.spiking_input else self.macs

    @property
    def unrolled_sops(self) -> float | None:
        """Accumulates where a count n is sent as n spikes; None where inputs are no spikes and no counts."""
        if self.input_counts is None:
            return None
        return self.input_counts / (math.prod(self.in_shape) * self.steps) * self.macs

    @property
    def bops(self) -> float:
        """Bit operations per sample."""
        return self.macs * self.weight_bits * self.input_bits

    @property
    def ns_ace(self) -> float:
        """Bit operations that meet an input other than zero."""
        return self.input_rate * self.bops

    @property
    def spikes_per_synapse(self) -> float | None:
        """Spikes that a synapse carries per inference, None where it carries no spikes.

        An SNN of IF neurons wins over its ANN only below 0.15 to 1.38 of them (Dampfhoffer et al., 2023,
        doi:10.1109/TETCI.2022.3214509).
        """
        return self.input_rate * self.steps if self.spiking_input else None


@dataclasses.dataclass(frozen=True)
class NeuronLayer:
    """A layer of spiking neurons.

    packed_bytes: constants that the file holds by channel; 0 where all channels share them.
    shape, neurons: of one sample; leaky: whether the leak is neither 0 nor 1.
    membrane_bits: 32 for full precision.
    spikes: per sample.
    membrane_updates: NeuroBench's rule: every membrane at the first step, then those that changed. None
        where it was not recorded (integer graphs, whose reference gives spikes only).
    """

    name: str
    parameters: int
    packed_bytes: int
    shape: tuple[int, ...]
    time_steps: int
    membrane_bits: int
    leaky: bool
    spikes: float
    membrane_updates: float | None

    @property
    def neurons(self) -> int:
        """Neurons of one sample."""
        return math.prod(self.shape)

    @property
    def output_rate(self) -> float:
        """Mean firing rate, spikes per neuron and step."""
        return self.spikes / (self.neurons * self.time_steps)

    @property
    def membrane_bytes(self) -> int:
        """Memory of the membranes of one sample."""
        return -(-self.neurons * self.membrane_bits // 8)


@dataclasses.dataclass(frozen=True)
class ChannelLayer:
    """Constants that follow no synapses directly, such as a batch norm behind a sum, or a channel map."""

    name: str
    parameters: int
    channels: int
    packed_bytes: int


Layer = SynapseLayer | NeuronLayer | ChannelLayer


def event_of(spikes: Sequence[bool], counts: Sequence[bool]) -> int:
    """Which tensor of a product its events are in: the first of spikes, else the first of counts, else the first."""
    for kind in (spikes, counts):
        if any(kind):
            return list(kind).index(True)
    return 0
