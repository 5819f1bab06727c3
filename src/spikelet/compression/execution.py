"""A model run on a few samples: whether it works, what it gives, which layers ran and in which order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import CompressionError
from spikelet.nn.evaluation import evaluation_mode

SAMPLES = 2  # one would let an axis of 1 hide


def few_samples(x: Tensor) -> Tensor:
    """The first samples of [B, F], [B, C, H, W], or time first [T, B, F], [T, B, C, H, W]."""
    return x[:SAMPLES] if x.dim() % 2 == 0 else x[:, :SAMPLES]


@torch.no_grad()
def shape_of_output(model: nn.Module, x: Tensor) -> tuple[int, ...]:
    """What the model makes of a few samples, in evaluation mode; raises what the model raises."""
    with evaluation_mode(model):
        return tuple(model(few_samples(x)).shape)


def check_runs(model: nn.Module, x: Tensor) -> None:
    """Raises CompressionError where the model does not run on a few samples of `x`."""
    try:
        shape_of_output(model, x)
    except Exception as e:
        raise CompressionError(f"the model does not run on an input of shape {tuple(few_samples(x).shape)}: {e}") from e


@torch.no_grad()
def layers_of(
    model: nn.Module, types: tuple[type[nn.Module], ...], example: Tensor | None
) -> list[tuple[str, nn.Module]]:
    """(full name, layer) of every layer of `types` that runs on `example`, in that order; without an example, of every
    one that there is, in the order in which the model defines them."""
    defined = [(name, module) for name, module in model.named_modules() if isinstance(module, types)]
    if example is None:
        return defined
    ran: dict[nn.Module, None] = {}

    def note(module: nn.Module, args: Any) -> None:
        ran.setdefault(module)

    handles = [module.register_forward_pre_hook(note) for _, module in defined]
    try:
        with evaluation_mode(model):
            model(few_samples(example))
    finally:
        for handle in handles:
            handle.remove()
    names = {module: name for name, module in defined}
    return [(names[module], module) for module in ran]
