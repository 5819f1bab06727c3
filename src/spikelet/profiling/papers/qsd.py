"""Size and energy by the formulas of the QSD-Transformer paper (Qiu et al., ICLR 2025, arXiv:2501.13492).

    "MB"    = parameters / 10^6 * b / 32
    folded  = ( b * weights  +  64 * output channels ) / (8 * 10^6)                          MB of 10^6 bytes
    mJ      = ( 4.6 pJ * MACs of the first convolution  +  0.9 pJ * sum of mean counts * MACs ) / 10^9

The paper labels its size MB; it is the number of parameters, in millions, at b bits instead of 32, so a quarter of the
bytes: its network of full precision has "55.4 MB" and takes 221. The steps of the quantizers don't count. For the three
published networks it gives 1.89, 3.92 and 6.92, where the paper prints 1.8, 3.9 and 6.8 (6.88 in a figure). Folded is
what the network takes once batch norms are in one gain and one offset a channel, 32 bits each: 7.86, 16.10 and 28.25
MB.

The energy follows Yao et al. (NeurIPS 2023, arXiv:2307.01694), whose firing rates times T are mean counts here: a count
n of a neuron costs n accumulates, of a layer's input as of q, k and v in the attention's products. The paper needs
merged convolutions for that, as otherwise some read no spikes (nn/repconv.py); where a network has those, we count a
MAC for each of their products, which the paper leaves open.
"""

from __future__ import annotations

from torch import nn

from spikelet.base.errors import SpikeletError
from spikelet.profiling.papers.units import BITS_PER_MEGABYTE, FULL_BITS, millijoules
from spikelet.profiling.report import Report
from spikelet.quant.quantizer import LayerQuantizer

CONSTANTS_BITS = 2 * FULL_BITS


def qsd_parameters(model: nn.Module) -> int:
    """Parameters as the paper counts them: all but the steps of quantizers."""
    steps = {id(p) for m in model.modules() if isinstance(m, LayerQuantizer) for p in m.parameters()}
    return sum(p.numel() for p in model.parameters() if id(p) not in steps)


def qsd_megabytes(parameters: int, weight_bits: int) -> float:
    """The paper's size: millions of parameters at `weight_bits` instead of 32 bits. See the module's first equation."""
    return parameters / 1e6 * weight_bits / FULL_BITS


def qsd_folded_megabytes(model: nn.Module, weight_bits: int) -> float:
    """MB of 10^6 bytes once batch norms are folded, with every weight at `weight_bits`, first and last layer too."""
    synapses = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    weights = sum(m.weight.numel() for m in synapses)
    channels = sum(m.weight.shape[0] for m in synapses)
    return (weight_bits * weights + CONSTANTS_BITS * channels) / BITS_PER_MEGABYTE


def qsd_millijoules_of(report: Report) -> float:
    """The paper's energy of one sample of a network that was profiled.

    Raises:
        SpikeletError: the report has no synapses.
    """
    if not report.synapses:
        raise SpikeletError("report must have a layer of weights, got none.")
    first, *rest = report.synapses
    accumulates = sum(layer.unrolled_sops for layer in rest if layer.unrolled_sops is not None)
    others = sum(layer.macs for layer in rest if layer.unrolled_sops is None)
    return millijoules(accumulates=accumulates, macs=first.macs_per_step + others)
