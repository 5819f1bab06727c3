"""An ordinary network's activations as quantized ones, whose thresholds fit what they are given on some data.

    ReLU, GELU, SiLU ..    ->    QCFS(L, theta)      theta from a few hundred images (thresholds.py)

Activations are found where they run: modules, functions (`F.relu(x)`, `x.relu()`, `x.clamp(min=0)`), and functions
that a module holds. A module that is called at several places of the network has a threshold at each. GELU, SiLU and
others are below 0 in places; QCFS is 0 there, as it is for ReLU, and training (`finetune`) takes care of the rest.

    calibrated = calibrate(network, images)
    calibrated = calibrate(network, batches, levels=32, method=LeastError())
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.conversion.copying import copied, require_batches
from spikelet.conversion.ordinary.find import Finder, Seen
from spikelet.conversion.ordinary.thresholds import Method, Percentile
from spikelet.neurons import QCFS
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode


def calibrate(
    model: nn.Module,
    batches: Tensor | Iterable[Any],
    levels: int = 16,
    method: Method | None = None,
    activations: Sequence[type[nn.Module]] = (),
) -> nn.Module:
    """A copy of `model` with QCFS for its activations. See the module's description.

    Args:
        model: any network of ordinary activations. Not changed.
        batches: what it takes: a tensor, or batches x or (x, y) of tensors or arrays, a few hundred samples in all.
        levels: L of every QCFS, a power of two from 1 to 128.
        method: how thresholds are chosen; Percentile(99.9) unless given.
        activations: classes of modules that are activations too, elementwise ones.
    Raises:
        ConversionError: there is no activation, no batch, or the network can't run on a batch.
        SpikeletError: levels is out of range.
    """
    QCFS(levels)  # checks them before any work
    chosen = Percentile() if method is None else method
    if not isinstance(chosen, Method):
        raise ConversionError(f"method must be Percentile(...) or LeastError(), got {chosen!r}.")
    if not isinstance(activations, list | tuple) or not all(isinstance(a, type) for a in activations):
        raise ConversionError(f"activations must be classes of modules, such as (MySwish,), got {activations!r}.")
    inputs = require_batches(model, batches, "batches")
    finder = Finder(copied(model), tuple(activations))
    with evaluation_mode(finder.model), torch.no_grad():
        finder.prepare(inputs[0])
        for x in inputs:
            finder.look(x)
    if not finder.seen:
        raise ConversionError(
            f"{type(model).__name__} has no activation to calibrate: no ReLU, GELU, SiLU or the like runs in it. Pass "
            "classes of its own with activations=(...)."
        )
    return finder.replaced({where: _quantized(seen, chosen, levels, model) for where, seen in finder.seen.items()})


def _quantized(seen: Seen, method: Method, levels: int, model: nn.Module) -> QCFS:
    """QCFS in an activation's place, in the mode and on the device of the network."""
    made = QCFS(levels, method.threshold(seen.histogram, seen.f, levels))
    return made.to(device_of(model)).train(model.training)
