"""A network whose activations have other levels than in training, and whose norms were measured with them.

    finer = spikelet.conversion.with_levels(model, 32, batches)
    twin = spikelet.convert(finer, example, time_steps=32)                                 a barrier of T = 32

    finest = spikelet.conversion.with_levels(model, 128, batches)
    twin = spikelet.convert(finest, example, time_steps=64, schedule="stream")             a stream of any T

A batch norm holds the mean and variance of sums of activations of L levels. With other levels both move, a little at
each norm and mostly in one direction, and the sums at the end of a deep network are far off. A barrier of T steps has T
levels; what a stream tends to has no steps of a level, for which the 128 levels stand. The authors of the Masked
Spiking Transformer (arXiv:2210.01208 v2) leave the norms as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.strict_json import shown
from spikelet.base.whole import is_whole
from spikelet.compression.passes import recalibrate
from spikelet.conversion.convert import require_activations
from spikelet.conversion.copying import copied, require_batches
from spikelet.neurons import Levels, LIFParams
from spikelet.neurons.levels import MOST_LEVELS


def with_levels(model: nn.Module, levels: int, batches: Tensor | Iterable[Any]) -> nn.Module:
    """A copy of `model` with these levels, in evaluation mode; its norms stay where all activations have them already.

    Args:
        model: has `spikelet.neurons.QCFS` or `Levels` as activations. Not changed.
        levels: L, a power of two from 1 to 128.
        batches: some hundred samples as the network takes them, in one batch or several, labels beside them or not.
    Raises:
        ConversionError: levels out of range; the model has no such activation, is no module or can't be copied; no
            batch, or samples of several shapes.
        TypeError, ValueError: what is no batch.
    """
    if not is_whole(levels) or not 1 <= levels <= MOST_LEVELS or levels & (levels - 1):
        raise ConversionError(f"levels must be a power of two from 1 to {MOST_LEVELS}, got {shown(levels)}.")
    inputs = require_batches(model, batches, "batches")
    require_activations(model)
    made = copied(model).eval()
    activations = [m for m in made.modules() if isinstance(m, Levels)]
    if any(m.levels != levels for m in activations):
        for activation in activations:
            activation.params = LIFParams.rounding(int(levels))
        recalibrate(made, inputs)
    return made
