"""Networks for signals that never end: a few neurons that keep their membranes between samples. Ours.

    input            one sample of C channels a time step: uint8 [T, B, C, 1, 1]
    layer            delays, linear, batch norm, LIF
    classifier       linear, logits [T, B, K]; their mean over time is the prediction

A layer reads what came before it at several steps, x[t - d] for every d of its `delays`: a convolution over time whose
taps are d steps apart. Its neurons have different time constants, as those of Perez-Nieves et al. (Nature
Communications 2021, doi:10.1038/s41467-021-26022-3): neuron n of N has leak 1 - 1/tau with tau = time_constants[floor(n
M / N)] of M, rounded to the grid 2^-12. So one layer sees a step and the last second at once, without a buffer of
samples.

The first and the last layer have 8 bits. Nothing needs the end of the signal: the whole run and the stream, sample by
sample, are the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.whole import wholes
from spikelet.models.blocks import Precision
from spikelet.models.builder import Task, builder
from spikelet.neurons import LIF, Delay, LIFParams, Triangle, membrane_of
from spikelet.neurons.constants import LEAK_BITS
from spikelet.nn import BatchNorm1d, Encode, Linear
from spikelet.quant import Quantizer

SIGNAL = Task(num_classes=6, in_channels=6, image_size=1)


class Taps(nn.Module):
    """A signal beside its past: features [T or 1, B, F] to [T, B, F * len(delays)], one delay after the other.

    Args:
        time_steps: T.
        delays: steps back, rising from 0 on.
    Raises:
        SpikeletError: delays don't rise.
    """

    def __init__(self, time_steps: int, delays: Sequence[int]) -> None:
        super().__init__()
        if not delays or any(b <= a for a, b in zip((-1, *delays), delays, strict=False)):
            raise SpikeletError(f"delays must be steps back that rise, such as (0, 2, 4), got {shown(list(delays))}.")
        apart = [b - a for a, b in zip((0, *delays), delays, strict=False)]
        self.lines = nn.ModuleList(Delay(time_steps, d) if d else nn.Identity() for d in apart)

    def forward(self, x: Tensor) -> Tensor:
        """The values at every delay."""
        taps = []
        for line in self.lines:
            x = line(x)
            taps.append(x)
        steps = max(len(tap) for tap in taps)
        return torch.cat([tap.expand(steps, *tap.shape[1:]) for tap in taps], 2) if len(taps) > 1 else x


class StreamClassifier(nn.Module):
    """Layers of spiking neurons over the samples of a signal, and a classifier at every step.

    Shapes: uint8 [T, B, C, H, W], or [B, C, H, W] held for T steps -> logits [T, B, K].
    """

    def __init__(self, layers: nn.Sequential, classifier: Linear) -> None:
        super().__init__()
        self.encode = Encode()
        self.layers = layers
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every time step."""
        return self.classifier(self.layers(self.encode(x).flatten(2)))


@builder(SIGNAL, Precision(128, 4, 32))
def stream_lif(
    task: Task,
    p: Precision,
    widths: Sequence[int] = (32, 32),
    delays: Sequence[Sequence[int]] = ((0, 2, 4), (0,)),
    time_constants: Sequence[float] = (2, 4, 8, 16, 32, 64),
) -> StreamClassifier:
    """Spiking layers of `widths` over a signal of `in_channels` channels. See the module's equations.

    widths: neurons of each layer.
    delays: for every layer, how many steps back it reads.
    time_constants: tau of the neurons, in time steps, each of as many neurons of a layer.
    """
    widths = wholes(widths, "widths", 1, 1 << 20, SpikeletError)
    if not isinstance(delays, list | tuple):
        raise SpikeletError(
            f"delays must be one list of steps a layer, such as ((0, 2, 4), (0,)), got {shown(delays)}."
        )
    if not isinstance(time_constants, list | tuple):
        raise SpikeletError(
            f"time_constants must be a list of numbers of steps, such as (2, 4, 8), got {shown(time_constants)}."
        )
    if len(delays) != len(widths):
        raise SpikeletError(
            f"delays must be one list a layer, as many as the {len(widths)} widths, got {shown(list(delays))}."
        )
    layers, features = [], task.in_channels * task.image_size**2
    for i, width in enumerate(widths):
        back = wholes(delays[i], f"delays[{i}]", 0, 1023, SpikeletError)
        layers.append(_layer(features, width, back, time_constants, p, p.hidden() if i else p.first()))
        features = width
    return StreamClassifier(nn.Sequential(*layers), Linear(features, task.num_classes, p.last()))


def _layer(
    features: int, width: int, delays: Sequence[int], taus: Sequence[float], p: Precision, quantizer: Quantizer
) -> nn.Sequential:
    """Taps, linear, batch norm, neurons of several time constants."""
    params = LIFParams(_leaks(width, taus), surrogate=Triangle(1.0))
    return nn.Sequential(
        Taps(p.time_steps, delays),
        Linear(features * len(delays), width, quantizer),
        BatchNorm1d(width),
        LIF(p.time_steps, params, membrane_of(p.membrane_bits)),
    )


def _leaks(width: int, taus: Sequence[float]) -> tuple[float, ...]:
    """1 - 1/tau of every neuron, on the grid."""
    for tau in taus:
        if isinstance(tau, bool) or not isinstance(tau, int | float) or not 1 <= tau <= 1 << LEAK_BITS:
            raise SpikeletError(f"time_constants must be numbers of steps from 1 to 4096, got {shown(tau)}.")
    if not taus:
        raise SpikeletError("time_constants must be one or more numbers of steps, such as (2, 4, 8), got none.")
    grid = 1 << LEAK_BITS
    return tuple(round((1 - 1 / taus[n * len(taus) // width]) * grid) / grid for n in range(width))
