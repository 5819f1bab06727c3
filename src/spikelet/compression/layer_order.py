"""Layers of some types in the order in which they run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikelet.compression.run_once import few_samples
from spikelet.nn.evaluation import evaluation_mode


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
