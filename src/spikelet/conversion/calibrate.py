"""An ordinary network's activations as quantized ones, whose thresholds fit what they are given on some data.

    ReLU, GELU, SiLU ..    ->    QCFS(L, theta)      theta from a few hundred images (thresholds.py)

Activations are found where they run: modules, functions (`F.relu(x)`, `x.relu()`, `x.clamp(min=0)`), and functions
that a module holds. A module that is called at several places of the network has a threshold at each. GELU, SiLU and
others are below 0 in places; QCFS is 0 there, as it is for ReLU, and training (`finetune`) takes care of the rest.

    calibrated = calibrate(network, images)
    calibrated = calibrate(network, batches, levels=32, method=LeastError())
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.conversion.find import Finder, Seen
from spikelet.conversion.thresholds import Method, Percentile
from spikelet.neurons import QCFS
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.taken import require_module
from spikelet.profiling.batches import inputs_of


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
    require_module(model, ConversionError)
    chosen = Percentile() if method is None else method
    if not isinstance(chosen, Method):
        raise ConversionError(f"method must be Percentile(...) or LeastError(), got {chosen!r}.")
    inputs = [x.to(device_of(model)) for x in inputs_of(batches, None)]
    if not inputs:
        raise ConversionError("batches holds no batch. Pass some hundred samples, as the network takes them.")
    require_alike(inputs)
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


def copied(model: nn.Module) -> nn.Module:
    """A copy of `model`. Raises ConversionError where it can't be copied."""
    try:
        return copy.deepcopy(model)
    except Exception as e:
        raise ConversionError(f"{type(model).__name__} can't be copied ({e}), and conversion works on a copy.") from e


def require_alike(inputs: Sequence[Tensor]) -> None:
    """Raises ConversionError unless all batches hold samples of one shape."""
    shapes = [tuple(x.shape[1:]) for x in inputs]
    if len(set(shapes)) > 1:
        other = next(shape for shape in shapes if shape != shapes[0])
        raise ConversionError(f"batches must hold samples of one shape, got {shapes[0]} and {other}.")
