"""What a stream's neurons start with, so that they fire as often as their network's activations within few steps.

A neuron that starts at theta / 2 is right on average over all inputs that it may have, not over those that it has: what
comes first is a spike or none of every neuron before it, and an error of one layer is the next one's input. So each
channel starts with what its first 8 steps lack, layer after layer, on some images, however many steps the stream has:

    v(0) = theta (1/2 + 8 (mean of the activation / theta - mean of the spikes))

It is a constant of the neuron, and costs nothing at run time; what it adds to a mean over t steps falls as 1 / t.
Source: Li et al., ICML 2021 (arXiv:2106.06984), who correct the potential of each neuron of each place; ours is of each
channel, of the whole layer where it has no channels, and measured on 8 steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.conversion.copying import require_batches
from spikelet.conversion.flow import is_activation
from spikelet.conversion.schedules import IntegrateAndFire
from spikelet.conversion.twin import Twin
from spikelet.neurons import QCFS, Levels
from spikelet.nn import evaluation_mode
from spikelet.nn.hooks import hooks
from spikelet.quant.grid import round_to_grid

FIRST = 8  # steps
ROUNDS = 2  # a neuron that starts higher fires at another step too, and not only once more
MOST = 2.0  # thresholds


class Started:
    """The schedule of a stream whose neurons start as images ask for.

        spikelet.convert(model, example, time_steps=8, schedule=Started(images))

    Args:
        images: some hundred of the training set, uint8 [B, ...], in one batch or several, labels beside them or not.
    """

    name: ClassVar[str] = "started"

    def __init__(self, images: Tensor | Iterable[Any]) -> None:
        self.images = images

    def of(self, model: nn.Module) -> Tensor:
        """All images in one batch, on the device of the model.

        Raises:
            ConversionError: no images, or images that are no bytes or of several shapes.
            TypeError, ValueError: what is no batch.
        """
        batches = require_batches(model, self.images, "images")
        for x in batches:
            if x.dtype != torch.uint8:
                raise ConversionError(f"images must be uint8 [B, ...], as the twin takes them, got {x.dtype}.")
        return torch.cat(batches)


@torch.no_grad()
def start(twin: Twin, model: nn.Module, images: Tensor, fed: Tensor) -> None:
    """Lets the neurons of a stream start so that they fire at the rates of the activations of `model`.

    Args:
        twin: of `model`; of few steps, all of which are looked at.
        images: bytes, as the twin takes them; fed: the same as `model` takes them.
    """
    wanted = _rates(model, fed, axis=2 if twin.encode is None else 1)

    def starts(name: str, neuron: IntegrateAndFire) -> Any:
        def act(module: nn.Module, inputs: tuple[Tensor, ...], spikes: Tensor) -> Tensor | None:
            rate = wanted.pop(name, None)  # of a neuron that is called again, the first time decides
            if rate is None:
                return None
            for _ in range(ROUNDS):
                lacking = neuron.time_steps * (rate - _mean(spikes, 2))
                neuron.params = dataclasses.replace(neuron.params, start=_later(neuron.params.start, lacking))
                spikes = neuron.forward(inputs[0])
            return spikes

        return neuron.register_forward_hook(act)

    with hooks(starts(name, neuron) for name, neuron in _neurons(twin, model)), evaluation_mode(twin):
        twin(images)


def adopt(twin: Twin, first: Twin, model: nn.Module) -> None:
    """Lets the neurons of `twin` start as those of `first` do, both of `model`."""
    of = dict(_neurons(first, model))
    for name, neuron in _neurons(twin, model):
        neuron.params = dataclasses.replace(neuron.params, start=of[name].params.start)


def _activations(model: nn.Module) -> Iterator[tuple[str, Levels]]:
    """The levels of a network's activations, by the activations' names."""
    seen = set[nn.Module]()  # those of QCFS are modules too
    for name, module in model.named_modules():
        levels = module.levels if isinstance(module, QCFS) else module
        if is_activation(module) and isinstance(levels, Levels) and levels not in seen:
            seen.add(levels)
            yield name, levels


def _neurons(twin: Twin, model: nn.Module) -> Iterator[tuple[str, IntegrateAndFire]]:
    """The neurons of a stream, by the names of their network's activations, in whose places they are."""
    for name, _ in _activations(model):
        for module in twin.net.get_submodule(name).modules():  # one, or none where nothing calls the activation
            if isinstance(module, IntegrateAndFire):
                yield name, module


def _rates(model: nn.Module, fed: Tensor, axis: int) -> dict[str, Tensor]:
    """The mean of each activation over its threshold, where it is called first."""
    made: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def act(module: nn.Module, inputs: tuple[Tensor, ...], counts: Tensor) -> None:
            made.setdefault(name, _mean(counts, axis))

        return act

    handles = (levels.register_forward_hook(keep(name)) for name, levels in _activations(model))
    with hooks(handles), evaluation_mode(model):
        model(fed)
    return made


def _mean(x: Tensor, axis: int) -> Tensor:
    """The mean of each channel, which `axis` has in vectors and in maps; one number of other shapes."""
    if x.dim() - axis not in (1, 3):
        return x.double().mean()
    return x.double().mean([i for i in range(x.dim()) if i != axis])


def _later(before: Any, by: Tensor) -> Any:
    """A start and more, on the grid and within bounds, as LIFParams has it."""
    made = round_to_grid((torch.as_tensor(before, dtype=torch.float64, device=by.device) + by).clamp(-MOST, MOST))
    return tuple(made.tolist()) if made.dim() else float(made)
