"""Size and energy by the formulas of the QP-SNN paper (arXiv:2502.05905, equation 16 and the efficiency table).

    MB = ( b * hidden weights  +  32 * (first layer + last layer + 2 * batch-norm channels) ) / (8 * 10^6)
    mJ = ( 0.9 pJ * SOPs of one step * T  +  4.6 pJ * MACs of the first layer, once ) / 10^9

First and last layer count with their biases, at 32 bits whatever ours have; running statistics and scales don't count,
nor do membranes. The size gives all 39 published for CIFAR, TinyImageNet and DVS-CIFAR10 to 0.01 MB. The energy gives
those of VGG16, and of ResNet20 before pruning; the 0.126 mJ of pruned ResNet20 come out only without the factor T
(0.244 with it), so that the saving published for it is about half of what it should be compared with.
"""

from __future__ import annotations

from torch import nn

from spikelet.base.errors import SpikeletError
from spikelet.profiling.packed import weight_bits_of
from spikelet.profiling.papers.units import BITS_PER_MEGABYTE, FULL_BITS, millijoules
from spikelet.profiling.report import Report


def qpsnn_megabytes(model: nn.Module) -> float:
    """The paper's size, MB of 10^6 bytes. First and last layer are those that the model registers first and last.

    Raises:
        SpikeletError: the model has fewer than two convolutions and linear layers.
    """
    synapses = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    if len(synapses) < 2:
        raise SpikeletError(f"model must have a first and a last layer of weights, got {len(synapses)} such layers.")
    ends = (synapses[0], synapses[-1])
    bits = sum(weight_bits_of(m) * m.weight.numel() for m in synapses[1:-1])
    full = sum(m.weight.numel() for m in ends) + sum(m.bias.numel() for m in synapses if m.bias is not None)
    full += 2 * sum(m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d))
    return (bits + FULL_BITS * full) / BITS_PER_MEGABYTE


def qpsnn_millijoules(*, step_sops: float, time_steps: int, first_macs: int) -> float:
    """The paper's energy of one sample.

    Args:
        step_sops: synaptic operations of one time step, all layers but the first; the paper's "SOPs".
        time_steps: T.
        first_macs: multiply-accumulates of the first layer on one image.
    """
    return millijoules(accumulates=step_sops * time_steps, macs=first_macs)


def qpsnn_millijoules_of(report: Report) -> float:
    """The paper's energy of a network that was profiled; whatever follows the first layer accumulates, averages too.

    Raises:
        SpikeletError: the report has no synapses.
    """
    first, *rest = report.synapses
    sops = sum(layer.input_rate * layer.macs_per_step * layer.steps for layer in rest)
    return qpsnn_millijoules(
        step_sops=sops / report.time_steps, time_steps=report.time_steps, first_macs=first.macs_per_step
    )
