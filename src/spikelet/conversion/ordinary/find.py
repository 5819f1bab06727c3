"""The activations of a network, found where they run, the values that they are given, and others in their place."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError, names_its_place
from spikelet.conversion.ordinary import activations
from spikelet.conversion.ordinary.activations import elementwise, is_activation
from spikelet.conversion.ordinary.called import (
    Answer,
    Function,
    Place,
    SharedModule,
    Substituted,
    Unseen,
    plain_call,
    substituted,
)
from spikelet.conversion.ordinary.histogram import Histogram
from spikelet.interop.swap import put
from spikelet.lowering.trace import tensors
from spikelet.neurons import Neuron
from spikelet.nn.hooks import hooks
from spikelet.train.weights import first_line

IN_PLACE_CALLS = "calls that write into their input"


@dataclasses.dataclass
class Seen:
    """An activation, and the values that it was given.

    f: it, elementwise.
    """

    f: Callable[[Tensor], Tensor]
    histogram: Histogram


class Finder:
    """Finds the activations of a network in evaluation, and puts others in their place.

    Args:
        model: the network, which is changed.
        more: classes of modules that are activations beside torch's.

    Attributes:
        seen: by the module's name, or by the place of the call.
    """

    def __init__(self, model: nn.Module, more: Sequence[type[nn.Module]] = ()) -> None:
        self.model, self.more = model, more
        self.seen: dict[str | Place, Seen] = {}

    def prepare(self, x: Tensor) -> None:
        """Makes activations leave their input as it is, and those that run more than once in a pass calls of functions,
        each with its place."""
        before = outputs(self.model, x)
        writes = activations.out_of_place(self.model)
        counts: Counter[str] = Counter()
        found = self._activations()
        with hooks(m.register_forward_pre_hook(_counter(counts, name)) for name, m in found):
            after = outputs(self.model, x, self._counted(counts))
        same = all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(before, after, strict=True))
        if (writes or counts[IN_PLACE_CALLS]) and not same:
            raise ConversionError(
                f"{type(self.model).__name__} reads a tensor again that an activation wrote into (inplace=True, or a "
                "function such as relu_), and quantized activations leave their input as it is. Write y = relu(x), and "
                "read y."
            )
        for name, module in found:
            if counts[name] > 1:
                self.model = put(self.model, module, SharedModule(module))

    def look(self, x: Tensor) -> None:
        """Counts the values that the activations are given for a batch."""
        found = self._activations()
        with hooks(m.register_forward_pre_hook(self._watch(name, m)) for name, m in found):
            outputs(self.model, x, self._answer)

    def replaced(self, made: Mapping[str | Place, nn.Module]) -> nn.Module:
        """The network with these modules for the activations."""
        old = {where: self.model.get_submodule(where) for where in made if isinstance(where, str)}
        for where, module in old.items():
            self.model = put(self.model, module, made[where])
        for module in self.model.modules():
            if isinstance(module, SharedModule):
                module.inner = Unseen()
        return substituted(self.model, {where: m for where, m in made.items() if isinstance(where, Place)})

    def _activations(self) -> list[tuple[str, nn.Module]]:
        inner = {id(m.inner) for m in self.model.modules() if isinstance(m, SharedModule)}
        return [(n, m) for n, m in self.model.named_modules() if is_activation(m, self.more) and id(m) not in inner]

    def _counted(self, counts: Counter[str]) -> Answer:
        """Answers with what the functions return, and counts those that would write into their input."""

        def answer(place: Place, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if not self._is_activation(place, args, kwargs):
                return function(*args, **kwargs)
            counts[IN_PLACE_CALLS] += (
                place.function in activations.IN_PLACE or kwargs.get("inplace") or args[1:2] == (True,)
            )
            return elementwise(function, args, kwargs)(next(tensors((args, kwargs))))

        return answer

    def _answer(self, place: Place, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self._is_activation(place, args, kwargs):
            return function(*args, **kwargs)
        x = next(tensors((args, kwargs)))
        f = elementwise(function, args, kwargs)
        self._note(place, str(place), f, x)
        return f(x)

    def _is_activation(self, place: Place, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether a call is one, and no part of what a module of the known classes does."""
        net = self.model.net if isinstance(self.model, Substituted) else self.model
        owner = net.get_submodule(place.owner)
        part_of_one = isinstance(owner, Neuron) or is_activation(owner, self.more)
        return not part_of_one and activations.is_activation_call(place.function, args, kwargs)

    def _watch(self, name: str, module: nn.Module) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        f = activations.alone(module)
        return lambda m, args: self._note(name, name, f, args[0])

    def _note(self, where: str | Place, name: str, f: Callable[[Tensor], Tensor], x: Tensor) -> None:
        seen = self.seen.setdefault(where, Seen(f, Histogram(name or type(self.model).__name__)))
        seen.histogram.add(x)


def _counter(counts: Counter[str], name: str) -> Callable[[nn.Module, Any], None]:
    return lambda module, args: counts.update([name])


def outputs(model: nn.Module, x: Tensor, answer: Answer = plain_call) -> list[Tensor]:
    """Copies of the tensors that `model` returns where `answer` answers for functions that may be activations.

    Raises:
        ConversionError: the network does not run on such a batch.
    """
    whole = model if isinstance(model, Substituted) else Substituted(model, {})
    try:
        return [t.clone() for t in tensors(whole.run((x,), {}, activations.FUNCTIONS, answer))]
    except torch.OutOfMemoryError:
        raise
    except Exception as e:
        if names_its_place(e):
            raise
        raise ConversionError(
            f"{type(model).__name__} does not run on a batch of shape {tuple(x.shape)} and type {x.dtype} "
            f"({first_line(e)}). Pass batches as the network takes them in training, scaled and of its image size."
        ) from e
