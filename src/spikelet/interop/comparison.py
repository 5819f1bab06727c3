"""How far a converted network is from the one of the other library: spikes by layer, classes, accuracies.

Conversion moves leaks and thresholds to grids (dynamics.py) and evaluates currents on the grid 2^-12, so charges near
a threshold may fall on its other side. `spikelet.verify` can't show that: it compares the converted network with its
own integers, which are equal to it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.page import Displayed, Page
from spikelet.base.table import Table
from spikelet.base.time_axis import TimeAxis, batch_axis
from spikelet.interop.at_once import unfold
from spikelet.interop.neurons_in_code import in_code_of
from spikelet.interop.original import Original, Run, Runner
from spikelet.interop.original_spikes import SpikesInCode
from spikelet.interop.places import Places
from spikelet.neurons import Neuron
from spikelet.neurons.neuron import WRITTEN_OUT
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

    different: None where the layers have other shapes, as after pruning, or where the integers make the channels that
    are read alone (those `verify` compares).
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
    same_class: samples to which both networks give the same class; None where they return something else than class
        scores, such as a picture.
    original_correct, correct: samples whose class is their label; None as well.
    """

    here: str
    samples: int
    layers: tuple[LayerSpikes, ...]
    same_class: int | None
    original_correct: int | None
    correct: int | None

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
        """Share of samples to which both networks give the same class. Raises ConversionError where they give none."""
        return self._share(self.same_class)

    @property
    def original_accuracy(self) -> float:
        """Accuracy of the other library's network. Raises as `agreement` does."""
        return self._share(self.original_correct)

    @property
    def accuracy(self) -> float:
        """Accuracy of the converted model, or of its integers. Raises as `agreement` does."""
        return self._share(self.correct)

    def _share(self, count: int | None) -> float:
        if count is None:
            raise ConversionError(
                "these networks return no class scores [B, K], with or without a time axis, so that only their spikes "
                "are compared. Give the entry that is scores, forward=lambda net, x: net(x)[1]."
            )
        return count / self.samples

    def table(self) -> Table:
        """A row a layer: spikes of each network, and how many differ."""
        return Table(("layer", "original", self.here, "differ", "share"), tuple(map(_row, self.layers)))

    def page(self) -> Page:
        """The table, and the accuracies."""
        if self.same_class is None:
            return Page((self.table(), f"{self.samples} samples, whose answers are no class scores"))
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

    def __call__(self, x: Tensor) -> tuple[Tensor | None, dict[str, Tensor]]:
        if self.program is not None:
            frames = x.transpose(0, 1) if self.model.time_axis == 1 else x  # integers are time first
            pixels = np.ascontiguousarray(frames.cpu().numpy())
            made = self.program.spikes(pixels)
            uses = {name: _uses(name, made) for name in self.neurons if name in made}
            spikes = {name: torch.from_numpy(np.concatenate([made[use] for use in of])) for name, of in uses.items()}
            return _scores(torch.from_numpy(self.program(pixels)), 0, self._samples(x)), spikes
        seen: dict[str, list[Tensor]] = {}

        def keep(name: str) -> Any:
            return lambda module, inputs, output: seen.setdefault(name, []).append(output / _worth(module))

        handles = (neuron.register_forward_hook(keep(name)) for name, neuron in self.neurons.items())
        with hooks(handles), evaluation_mode(self.module), torch.no_grad():
            output = self.model(x.to(device_of(self.module)))
        return _scores(output, int(self.model.time_axis == 1), self._samples(x)), {
            name: torch.cat(made) for name, made in seen.items()
        }

    def _samples(self, x: Tensor) -> int:
        return x.shape[batch_axis(self.model.time_axis)]


def _uses(name: str, spikes: dict[str, NDArray[np.uint8]]) -> list[str]:
    """The nodes of a neuron, one for each place in which the code calls it on all steps."""
    return [name, *itertools.takewhile(spikes.__contains__, (f"{name}#{use}" for use in itertools.count(2)))]


def _worth(neurons: nn.Module) -> float:
    """What one spike is worth in the output, of several a step."""
    lif = next(part for part in neurons.modules() if isinstance(part, Neuron))
    return getattr(getattr(lif, "params", None), "value", 1.0)


def _scores(output: Tensor, time_axis: int, samples: int) -> Tensor | None:
    """Class scores [B, K], their mean where they have a time axis; None of any other output."""
    scores = output.mean(time_axis) if output.dim() == 3 else output
    return scores if scores.dim() == 2 and len(scores) == samples else None


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
    counts, has_scores = np.zeros(4, dtype=np.int64), True
    with model.original.running(original, run) as runner:
        for x, y in batches:
            model.prepare(x)
            named = {f"net.{name}": layer for name, layer in spiking_layers(model.net).items()}
            scores, spikes = _Here(model, named, program)(x)
            with _explained(named):
                theirs, expected = _theirs(model, runner, x, spikes, list(named))
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
            counts[0] += len(y)
            if scores is None or theirs is None:
                has_scores = False
                continue
            if scores.shape != theirs.shape:
                raise ConversionError(
                    f"compare got class scores {list(scores.shape)} of the converted network and {list(theirs.shape)} "
                    "of the original. Give the original what the conversion was given: the same forward= or run=."
                )
            classes, others, labels = scores.argmax(1).cpu(), theirs.argmax(1).cpu(), y.cpu()
            hits = ((classes == others), (others == labels), (classes == labels))
            counts[1:] += [int(hit.sum()) for hit in hits]
    if not counts[0]:
        raise ConversionError("compare needs at least one sample, got no batches.")
    layers = tuple(
        LayerSpikes(name, int(n[0]), int(n[1]), int(n[2]), None if name in unlike else int(n[3]))
        for name, n in total.items()
    )
    hits = map(int, counts[1:]) if has_scores else (None, None, None)
    return Comparison("converted model" if program is None else "integers", int(counts[0]), layers, *hits)


@contextmanager
def _explained(neurons: dict[str, nn.Module]) -> Iterator[None]:
    """Says of an original that can't be run beside a model without neurons that none were found."""
    try:
        yield
    except ConversionError as e:
        if neurons:
            raise
        raise ConversionError(
            f"the converted network has no spiking neurons, which a comparison counts. {WRITTEN_OUT} Nor does the "
            f"original run as a network without neurons does: {e}"
        ) from e


def _theirs(
    model: Model, runner: Runner, x: Tensor, here: dict[str, Tensor], names: list[str]
) -> tuple[Tensor | None, dict[str, Tensor]]:
    """Class scores and spikes of the original; a neuron that ran once a step gives T tensors, and one that runs on all
    steps one for each of its places, as many as it has in `here`."""
    modules = dict(runner.net.named_modules())
    plans = {f"net.{name}.lif": neurons.plan for name, neurons in in_code_of(model.net).items()}
    homes = {name: _home(name.removeprefix("net."), modules) for name in names if name not in plans}
    in_code = SpikesInCode(model.net, plans)
    output, calls = runner(x, list(dict.fromkeys(homes.values())), in_code.watching(runner.net))
    calls = {name: _of_place(model.net, name, calls[home]) for name, home in homes.items()}
    calls = {name: made for name, made in (calls | in_code.spikes).items() if made}  # the others the code leaves out
    steps = model.time_steps
    of_places = {n for n, made in calls.items() if n in here and len(here[n]) == sum(map(len, made)) > steps}
    for name, made in calls.items():
        if name not in of_places and len(made) not in (1, steps):
            raise ConversionError(
                f"{homes[name]}: ran {len(made)} times in the original network, and the conversion was told of "
                f"time_steps={steps}. Convert it with as many time steps as its own loop takes."
            )
    stacked = {name: _time_first(model, made) for name, made in calls.items()}
    stacked |= {name: torch.cat(calls[name]) for name in of_places}
    samples = x.shape[batch_axis(model.time_axis)]
    return _scores(output, int((model.time_axis == 1) != model.swaps_time), samples), stacked


def _time_first(model: Model, made: list[Tensor]) -> Tensor:
    """[T, B, ...] of what a neuron gave, call by call."""
    if model.original.folded is not None:
        return unfold(made[0], model.time_steps, model.original.folded)
    return made[0].transpose(0, 1) if model.original.batch_first else torch.stack(made)


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
