"""Every neuron at work, in evaluation mode: its spikes, or its charge before it fires.

Layouts are found from the channel analysis: whatever the layer gives, a map has channels in front.

    spikes [T, B, C, H, W] -> maps [T, B, C, H, W]        [T, B, F] -> [T, B, F, 1, 1]
    spikes [T, B, N, C]    -> maps [T, B, C, N, 1]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.compression.channels import Channels
from spikelet.neurons import Neuron, neurons_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.hooks import hooks

Use = tuple[str, int]
"""A neuron's name and which of its uses in one run."""

Look = Callable[[Neuron, Tensor, Tensor], Tensor]
"""What to look at, [T, B, ...]: given a neuron, its current and its spikes."""


def spikes(neuron: Neuron, current: Tensor, output: Tensor) -> Tensor:
    """The spikes s."""
    return output


def charge(neuron: Neuron, current: Tensor, output: Tensor) -> Tensor:
    """The membrane before it fires, h."""
    return neuron.trace(current).charge


def neurons_with_units(model: nn.Module, channels: Channels) -> dict[Use, Tensor]:
    """Id maps of each neuron's output in each use in which it carries a unit that may leave."""
    free = torch.cat([torch.zeros(0, dtype=torch.int64), *(group.units for group in channels.groups)])
    return {
        (name, use): id_map
        for name in neurons_of(model)
        if name in channels.layers
        for use, id_map in enumerate(channels.layers[name].carries)
        if torch.isin(id_map, free).any()
    }


@torch.no_grad()
def watch_neurons(
    model: nn.Module, channels: Channels, inputs: Sequence[Tensor], look: Look, see: Callable[[Use, Tensor], None]
) -> None:
    """Runs `model` on all inputs; `see` gets the maps [T, B, C, H, W] of every neuron and batch."""
    id_maps = neurons_with_units(model, channels)
    uses: Counter[str] = Counter()

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def after(module: nn.Module, args: Any, output: Tensor) -> None:
            use = (name, uses[name])
            uses[name] += 1
            if use in id_maps:
                assert isinstance(module, Neuron)
                see(use, as_maps(look(module, args[0], output), id_maps[use]))

        return after

    handles = (neuron.register_forward_hook(hook(name)) for name, neuron in neurons_of(model).items())
    with evaluation_mode(model), hooks(handles):
        for x in inputs:
            uses.clear()
            model(x)


def as_maps(x: Tensor, id_map: Tensor) -> Tensor:
    """[T, B, ...] -> [T, B, C, H, W], channels where `id_map` changes (the third axis where it does not)."""
    axes = [axis for axis, length in enumerate(id_map.shape) if length > 1]
    x = x.movedim(axes[0] if axes else 2, 2)
    return x.reshape(*x.shape[:3], *(x.shape[3:] if x.dim() == 5 else (-1, 1)))
