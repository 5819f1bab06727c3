"""Size and operations by the conventions of the BESTformer paper (Cao et al., IJCAI 2025, arXiv:2501.05904).

    MB      = ( b * hidden weights  +  32 * everything else that is trained ) / (8 * 10^6)
    folded  = ( b * hidden weights  +  32 * (first layer + one head) ) / (8 * 10^6)

    S-ACE   = sum over layers of  MACs of one step * T * weight bits * spike bits
    NS-ACE  = sum over layers of  firing rate of the input * MACs of one step * T * weight bits * spike bits

b is 1 in the published networks. Hidden is every convolution but the first; everything else are the first convolution,
batch norms, the lambdas of the attention and both heads. Folded is what is left once batch norms are thresholds and the
head that learned from a teacher is gone. For 10 classes at width 384 they give 1.315 and 1.180 MB, at full precision
37.26 MB.

S-ACE and NS-ACE are Shen et al.'s (CVPR 2024, "Are Conventional SNNs Really Efficient?"): counts of bit operations, not
energies. They are the `bops` and `ns_ace` of layers.py but for a still image, which they count in all T steps. Weight
bits of a product of two maps, such as q k^T, are those of the map that spikes select from. The paper's own figures
could not be read; those of the tests follow from its released code and training log.
"""

from __future__ import annotations

from torch import nn

from spikelet.base.errors import SpikeletError
from spikelet.profiling.packed import weight_bits_of
from spikelet.profiling.papers.units import BITS_PER_MEGABYTE, FULL_BITS
from spikelet.profiling.report import Report


def bestformer_megabytes(model: nn.Module, *, folded: bool = False) -> float:
    """The size of the parameters, MB of 10^6 bytes. See the module's equations.

    Args:
        model: convolutions, of which it registers the first one first, and linear layers as heads.
        folded: leave out batch norms, the attention's lambdas, and all heads but one.
    Raises:
        SpikeletError: the model has fewer than two convolutions, or no linear layer.
    """
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    heads = [m for m in model.modules() if isinstance(m, nn.Linear)]
    if len(convolutions) < 2 or not heads:
        raise SpikeletError(
            "model must have two convolutions and a linear layer, or more, "
            f"got {len(convolutions)} convolutions and {len(heads)} linear layers."
        )
    first, *hidden = convolutions
    bits = sum(weight_bits_of(m) * m.weight.numel() for m in hidden)
    if folded:
        full = sum(p.numel() for m in (first, heads[-1]) for p in m.parameters())
    else:
        full = sum(p.numel() for p in model.parameters()) - sum(m.weight.numel() for m in hidden)
    return (bits + FULL_BITS * full) / BITS_PER_MEGABYTE


def bestformer_s_ace(report: Report) -> float:
    """Bit operations of one sample, whatever its spikes."""
    return sum(layer.bops * report.time_steps / layer.steps for layer in report.synapses)


def bestformer_ns_ace(report: Report) -> float:
    """Bit operations of one sample that meet an input other than zero."""
    return sum(layer.ns_ace * report.time_steps / layer.steps for layer in report.synapses)
