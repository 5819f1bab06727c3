"""How far a converted network is from the one of the other library: spikes by layer, classes, accuracies.

Conversion moves leaks and thresholds to grids (dynamics.py) and evaluates currents on the grid 2^-12, so charges near
a threshold may fall on its other side. `spikelet.verify` can't show that: it compares the converted network with its
own integers, which are equal to it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.page import Displayed, Page
from spikelet.base.table import Table
from spikelet.base.time_axis import TimeAxis
from spikelet.interop.original import Original, Run, Runner
from spikelet.interop.places import Places
from spikelet.neurons import Neuron
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.hooks import hooks
from spikelet.nn.recurrent import spiking_layers


class Model(Protocol):
    """What a comparison asks of a Converted."""

    net: nn.Module
    original: Original
    time_steps: int
    time_axis: TimeAxis
    swaps_time: bool

    def __call__(self, x: Tensor) -> Tensor: ...

    def prepare(self, x: Tensor) -> None: ...


class Integers(Protocol):
    """An integer program of the converted network: spikelet.Program(graph) or spikelet.Reference(graph)."""

    def __call__(self, x: NDArray[np.uint8]) -> NDArray[np.int32]: ...

    def spikes(self, x: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]: ...


@dataclasses.dataclass(frozen=True)
class LayerSpikes:
    """One layer of neurons: `compared` neurons times steps times samples, spikes of each network, and how many differ.

    different: None where the layers have other shapes, as after pruning.
    """

    name: str
    compared: int
    original: int
    here: int
    different: int | None


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison(Displayed):
    """Spikes by layer, classes and accuracies of two networks, from `Converted.compare`. Its text is a table.

    here: "converted model", or "integers".
    same_class: samples to which both networks give the same class.
    original_correct, correct: samples whose class is their label.
    """

    here: str
    samples: int
    layers: tuple[LayerSpikes, ...]
    same_class: int
    original_correct: int
    correct: int

    @property
    def different(self) -> int:
        """Spikes that differ, in all layers that could be compared."""
        return sum(layer.different or 0 for layer in self.layers)

    @property
    def compared(self) -> int:
        """Neurons times steps times samples that could be compared."""
        return sum(layer.compared for layer in self.layers if layer.different is not None)

    @property
    def agreement(self) -> float:
        """Share of samples to which both networks give the same class."""
        return self.same_class / self.samples

    @property
    def original_accuracy(self) -> float:
        """Accuracy of the other library's network."""
        return self.original_correct / self.samples

    @property
    def accuracy(self) -> float:
        """Accuracy of the converted model, or of its integers."""
        return self.correct / self.samples

    def table(self) -> Table:
        """A row a layer: spikes of each network, and how many differ."""
        return Table(("layer", "original", self.here, "differ", "share"), tuple(map(_row, self.layers)))

    def page(self) -> Page:
        """The table, and the accuracies."""
        return Page((
            self.table(),
            f"accuracy on {self.samples} samples: original {self.original_accuracy:.2%}, {self.here} "
            f"{self.accuracy:.2%}; the same class for {self.agreement:.2%}",
        ))  # fmt: skip

    def in_short(self) -> str:
        """Samples, and spikes that differ."""
        return f"{self.samples:,} samples, {self.different:,} spikes differ of {self.compared:,}"


def _row(layer: LayerSpikes) -> tuple[str, ...]:
    differ = ("other shape", "") if layer.different is None else _differ(layer.different, layer.compared)
    return layer.name, f"{layer.original:,}", f"{layer.here:,}", *differ


def _differ(different: int, compared: int) -> tuple[str, str]:
    return f"{different:,}", f"{different / compared:.2%}" if compared else ""


class _Here:
    """The converted network as PyTorch or as integers: class scores [B, K], and spikes by neuron."""

    def __init__(self, model: Model, neurons: dict[str, nn.Module], program: Integers | None) -> None:
        assert isinstance(model, nn.Module), "a Converted is one"
        self.model, self.module, self.neurons, self.program = model, model, neurons, program

    def __call__(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        if self.program is not None:
            frames = x.transpose(0, 1) if self.model.time_axis == 1 else x  # integers are time first
            pixels = np.ascontiguousarray(frames.cpu().numpy())
            spikes = {name: torch.from_numpy(s) for name, s in self.program.spikes(pixels).items()}
            return torch.from_numpy(self.program(pixels)), spikes
        seen: dict[str, Tensor] = {}

        def keep(name: str) -> Any:
            return lambda module, inputs, output: seen.update({name: output / _worth(module)})

        handles = (neuron.register_forward_hook(keep(name)) for name, neuron in self.neurons.items())
        with hooks(handles), evaluation_mode(self.module), torch.no_grad():
            output = self.model(x.to(device_of(self.module)))
        return _scores(output, int(self.model.time_axis == 1)), seen


def _worth(neurons: nn.Module) -> float:
    """What one spike is worth in the output, of several a step."""
    lif = next(part for part in neurons.modules() if isinstance(part, Neuron))
    return getattr(getattr(lif, "params", None), "value", 1.0)


def _scores(output: Tensor, time_axis: int) -> Tensor:
    if output.dim() not in (2, 3):
        raise ConversionError(
            f"compare needs class scores, [B, K] or with a time axis of T; got {tuple(output.shape)}. Pass run=, a "
            "function of the network and its input that returns them."
        )
    return output.mean(time_axis) if output.dim() == 3 else output


def compare(
    model: Model,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    program: Integers | None,
    original: nn.Module | None,
    run: Run | None,
) -> Comparison:
    """Spikes, classes and accuracies of `model` beside its original; the arguments are those of `Converted.compare`."""
    total: dict[str, NDArray[np.int64]] = {}
    unlike: set[str] = set()
    counts = np.zeros(4, dtype=np.int64)
    with model.original.running(original, run) as runner:
        for x, y in batches:
            model.prepare(x)
            named = {f"net.{name}": layer for name, layer in spiking_layers(model.net).items()}
            scores, spikes = _Here(model, named, program)(x)
            theirs, expected = _theirs(model, runner, x, list(named))
            lost = [name for name in expected if name not in spikes]
            if lost:
                raise ConversionError(f"program has no neurons {lost[0]!r}; pass the one lowered from this model.")
            for name in expected:
                ours, other = spikes[name].cpu().long(), expected[name].cpu().long()
                if ours.numel() == other.numel():
                    different = int((ours != other.reshape(ours.shape)).sum())
                else:
                    unlike.add(name)
                    different = 0
                total.setdefault(name, np.zeros(4, dtype=np.int64))
                total[name] += [other.numel(), int(other.sum()), int(ours.sum()), different]
            classes, others, labels = scores.argmax(1).cpu(), theirs.argmax(1).cpu(), y.cpu()
            hits = ((classes == others), (others == labels), (classes == labels))
            counts += [len(y), *(int(hit.sum()) for hit in hits)]
    if not counts[0]:
        raise ConversionError("compare needs at least one sample, got no batches.")
    layers = tuple(
        LayerSpikes(name, int(n[0]), int(n[1]), int(n[2]), None if name in unlike else int(n[3]))
        for name, n in total.items()
    )
    return Comparison(
        "converted model" if program is None else "integers", int(counts[0]), layers, *map(int, counts[1:])
    )


def _theirs(model: Model, runner: Runner, x: Tensor, names: list[str]) -> tuple[Tensor, dict[str, Tensor]]:
    """Class scores and spikes of the original; a neuron that ran once a step gives T tensors."""
    modules = dict(runner.net.named_modules())
    homes = {name: _home(name.removeprefix("net."), modules) for name in names}
    output, calls = runner(x, list(dict.fromkeys(homes.values())))
    calls = {name: _of_place(model.net, name, calls[home]) for name, home in homes.items()}
    calls = {name: made for name, made in calls.items() if made}  # the others the code leaves out
    for name, made in calls.items():
        if len(made) not in (1, model.time_steps):
            raise ConversionError(
                f"{homes[name]}: ran {len(made)} times in the original network, and the conversion was told of "
                f"time_steps={model.time_steps}. Convert it with as many time steps as its own loop takes."
            )
    swapped = model.original.batch_first
    stacked = {n: made[0].transpose(0, 1) if swapped else torch.stack(made) for n, made in calls.items()}
    return _scores(output, int((model.time_axis == 1) != model.swaps_time)), stacked


def _of_place(net: nn.Module, name: str, made: list[Tensor]) -> list[Tensor]:
    """What a neuron gave, call by call, in the place where the neurons `name` of `net` stand."""
    for at, module in net.named_modules(prefix="net"):
        if isinstance(module, Places) and name.startswith(f"{at}.copies."):
            index = int(name.removeprefix(f"{at}.copies.").partition(".")[0])
            return [one for one, place in zip(made, module.order, strict=True) if place == index]
    return made


def _home(name: str, modules: dict[str, nn.Module]) -> str:
    """The name of a converted neuron in its original network, where nothing was wrapped around it."""
    while name not in modules:
        name = name.rpartition(".")[0]
    return name
