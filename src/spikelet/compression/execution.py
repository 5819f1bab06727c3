"""A model run on a few samples: whether it works, what it gives, which layers ran and in which order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import CompressionError
from spikelet.base.time_axis import TimeAxis, batch_axis, split_shape
from spikelet.lowering.trace import trace
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.hooks import hooks
from spikelet.train.compare import both_sides

SAMPLES = 2  # one would let an axis of 1 hide


def few_samples(x: Tensor, time_axis: TimeAxis) -> Tensor:
    """The first samples of a batch.

    Raises:
        TimeAxisError: `x` is not laid out as `time_axis` says.
    """
    _, count, _ = split_shape(x.shape, time_axis)
    return x.narrow(batch_axis(time_axis), 0, min(SAMPLES, count))


@torch.no_grad()
def check_runs(model: nn.Module, x: Tensor, time_axis: TimeAxis) -> None:
    """Runs a few samples of `x` in evaluation mode.

    Raises:
        CompressionError: the model does not run on them.
        TimeAxisError: `x` is not laid out as `time_axis` says.
    """
    few = few_samples(x, time_axis)
    try:
        trace(model, few, lambda module: not list(module.children()))  # names the layer that fails
    except Exception as e:
        raise CompressionError(
            both_sides(model, few)
            or f"the model does not run on an input of shape {tuple(few.shape)} with time_axis={time_axis}: {e}"
        ) from e


@torch.no_grad()
def layers_of(
    model: nn.Module, types: tuple[type[nn.Module], ...], example: Tensor | None, time_axis: TimeAxis
) -> list[tuple[str, nn.Module]]:
    """(full name, layer) of every layer of `types` that runs on `example`, in execution order; without an example,
    every one that the model defines, in the order of its definition."""
    defined = [(name, module) for name, module in model.named_modules() if isinstance(module, types)]
    if example is None:
        return defined
    ran: dict[nn.Module, None] = {}

    def note(module: nn.Module, args: Any) -> None:
        ran.setdefault(module)

    with evaluation_mode(model), hooks(module.register_forward_pre_hook(note) for _, module in defined):
        model(few_samples(example, time_axis))
    names = {module: name for name, module in defined}
    return [(names[module], module) for module in ran]
