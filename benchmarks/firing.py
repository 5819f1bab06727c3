"""Synthetic firing rates: thresholds at which a random network fires as often as one is told.

    fire_at(model, x, 0.1)      about 0.1 spikes a neuron and step on inputs such as x, in every layer of binary neurons

Layers are set in the order in which they run, each on the spikes that those before it send by then. A rate is a step
function of the threshold where currents are few whole numbers, as behind a product of spikes: the nearest is taken, so
what a benchmark states is the rate that it measured. Neurons of several levels are left as they are.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from spikelet.neurons import LIF
from spikelet.nn.evaluation import evaluation_mode
from spikelet.quant.grid import FRACTION_BITS

PRECISION = 128  # part of a threshold that does not matter
UNIT = 2.0**-FRACTION_BITS  # what thresholds are multiples of


@torch.no_grad()
def fire_at(model: nn.Module, x: Tensor, rate: float) -> None:
    """Sets the thresholds of `model` such that a share `rate` of its binary neurons' steps are spikes on inputs as x.

    Batch norms take the statistics of x, not their own.
    """
    left = {m for m in model.modules() if isinstance(m, LIF) and m.params.levels == 1}
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]

    def set_threshold(neurons: nn.Module, currents: tuple[Tensor, ...]) -> None:
        if isinstance(neurons, LIF) and neurons in left:
            left.remove(neurons)
            threshold = _threshold(neurons, currents[0], rate)
            neurons.params = dataclasses.replace(neurons.params, threshold=threshold)

    hooks = [neurons.register_forward_pre_hook(set_threshold) for neurons in left]
    try:
        with evaluation_mode(model):
            for norm in norms:
                norm.train()
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    if left:
        raise SystemExit(f"fire_at: {len(left)} layers of neurons don't run in the model's forward")


def _threshold(neurons: LIF, current: Tensor, rate: float) -> float:
    """The threshold at which the layer's rate is the nearest to `rate`, found by halving."""
    few, many = 1, max(2, int(current.abs().max().item() * neurons.time_steps / UNIT) + 1)
    while many - few > 1 + few // PRECISION:
        middle = (few + many) // 2
        few, many = (middle, many) if _rate(neurons, current, middle) > rate else (few, middle)
    return UNIT * min((few, many), key=lambda units: abs(_rate(neurons, current, units) - rate))


def _rate(neurons: LIF, current: Tensor, units: int) -> float:
    """Spikes of a neuron and step at a threshold of so many units."""
    params = dataclasses.replace(neurons.params, threshold=units * UNIT)
    return LIF(neurons.time_steps, params, neurons.membrane).eval()(current).mean().item()
