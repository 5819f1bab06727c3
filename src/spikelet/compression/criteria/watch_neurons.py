"""Every LIF layer at work, in evaluation mode: its spikes, or the membranes before it fires.

Layouts are found from the channel analysis: whatever the layer gives, a map has channels in front.

    spikes [T, B, C, H, W] -> maps [T, B, C, H, W]        [T, B, F] -> [T, B, F, 1, 1]
    spikes [T, B, N, C]    -> maps [T, B, C, N, 1]
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from spikelet.compression.channels import Channels
from spikelet.neurons import LIF, Surrogate
from spikelet.nn.evaluation import evaluation_mode

Use = tuple[str, int]
"""A layer's name and which of its uses in one run."""


def neurons_with_units(model: nn.Module, channels: Channels) -> dict[Use, Tensor]:
    """Id maps of each LIF layer's output in each use in which it carries a unit that may leave."""
    free = torch.cat([torch.zeros(0, dtype=torch.int64), *(group.units for group in channels.groups)])
    return {
        (name, use): id_map
        for name, module in model.named_modules()
        if isinstance(module, LIF) and name in channels.layers
        for use, id_map in enumerate(channels.layers[name].carries)
        if torch.isin(id_map, free).any()
    }


@torch.no_grad()
def watch_spikes(
    model: nn.Module, channels: Channels, inputs: Sequence[Tensor], see: Callable[[Use, Tensor], None]
) -> None:
    """Runs `model` on all inputs; `see` gets every LIF layer's maps [T, B, C, H, W] of each batch."""
    id_maps = neurons_with_units(model, channels)
    uses: Counter[str] = Counter()

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def after(module: nn.Module, args: Any, spikes: Tensor) -> None:
            use = (name, uses[name])
            uses[name] += 1
            if use in id_maps:
                see(use, as_maps(spikes, id_maps[use]))

        return after

    handles = [m.register_forward_hook(hook(n)) for n, m in model.named_modules() if isinstance(m, LIF)]
    try:
        with evaluation_mode(model):
            for x in inputs:
                uses.clear()
                model(x)
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def watch_membranes(
    model: nn.Module, channels: Channels, inputs: Sequence[Tensor], see: Callable[[Use, Tensor], None]
) -> None:
    """As `watch_spikes`, with the membranes before they fire, one call for every time step: maps [1, B, C, H, W]."""
    id_maps = neurons_with_units(model, channels)
    uses: Counter[str] = Counter()

    def before(name: str) -> Callable[[nn.Module, Any], None]:
        def hook(module: nn.Module, args: Any) -> None:
            use = (name, uses[name])
            uses[name] += 1
            assert isinstance(module, LIF)
            cast(_Listening, module.params.surrogate).hear = lambda h: (
                see(use, as_maps(h[None], id_maps[use])) if use in id_maps else None
            )

        return hook

    neurons = {name: module for name, module in model.named_modules() if isinstance(module, LIF)}
    handles = [module.register_forward_pre_hook(before(name)) for name, module in neurons.items()]
    try:
        with evaluation_mode(model), _listening(list(neurons.values())):
            for x in inputs:
                uses.clear()
                model(x)
    finally:
        for handle in handles:
            handle.remove()


class _Listening:
    """In the place of a surrogate, which is given membrane - threshold: tells the membrane, then fires as before."""

    def __init__(self, surrogate: Surrogate, threshold: float) -> None:
        self.surrogate, self.threshold = surrogate, threshold
        self.hear: Callable[[Tensor], None] = lambda h: None

    def __call__(self, x: Tensor) -> Tensor:
        self.hear(x + self.threshold)
        return self.surrogate(x)


@contextmanager
def _listening(neurons: list[LIF]) -> Iterator[None]:
    params = [neuron.params for neuron in neurons]
    for neuron, p in zip(neurons, params, strict=True):
        listening = cast(Surrogate, _Listening(p.surrogate, cast(float, p.threshold)))
        neuron.params = dataclasses.replace(p, surrogate=listening)
    try:
        yield
    finally:
        for neuron, p in zip(neurons, params, strict=True):
            neuron.params = p


def as_maps(x: Tensor, id_map: Tensor) -> Tensor:
    """[T, B, ...] -> [T, B, C, H, W], channels where `id_map` changes (the third axis where it does not)."""
    axes = [axis for axis, length in enumerate(id_map.shape) if length > 1]
    x = x.movedim(axes[0] if axes else 2, 2)
    return x.reshape(*x.shape[:3], *(x.shape[3:] if x.dim() == 5 else (-1, 1)))
