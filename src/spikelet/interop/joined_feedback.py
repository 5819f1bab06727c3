"""Feedback that a network's own loop joins to a layer's input, as recurrent cells are often written.

    for t in range(T):
        spikes, mem = self.lif(self.fc(torch.cat([x[t], spikes], 1)), mem)     spikes of zero before the first step

    W (x, s) + b = Wx x + b + Ws s

The layer keeps Wx and b; Ws and the neurons become one `Recurrent` (feedback.py). From then on the join gives what is
left beside the spikes of the step before, only that layer may read it, and only those neurons what the layer gives.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from torch import Tensor, nn

from spikelet.interop.feedback import LoopWithFeedback, name_of, recurrent_of
from spikelet.interop.lockstep import Call, LoopRefused
from spikelet.interop.steps import tensors_in
from spikelet.nn import Conv1d, Conv2d, Linear

JOINS = {"cat", "concat", "concatenate"}
LOOKS = {"__get__", "size", "dim", "__len__"}


@dataclasses.dataclass(frozen=True)
class Beside:
    """What a layer's input was joined to.

    neurons: those whose spikes it was, in a tuple, so that they are no module of the layer.
    start, count: which inputs of the layer it read.
    """

    neurons: tuple[nn.Module]
    start: int
    count: int


class JoinedFeedback(LoopRefused):
    """Raised where neurons read their own spikes of the step before through some inputs of `layer`; both by name."""

    def __init__(self, message: str, layer: str, neurons: str, start: int, count: int) -> None:
        super().__init__(message)
        self.layer, self.neurons, self.start, self.count = layer, neurons, start, count


def split(net: nn.Module, found: JoinedFeedback) -> None:
    """Gives the weights that read the spikes to the neurons, and leaves the others to the layer.

    Raises:
        LoopRefused: these neurons, or this layer, can't be part of a Recurrent.
    """
    layer: Any = net.get_submodule(found.layer)
    if not isinstance(layer, Linear | Conv1d | Conv2d) or getattr(layer, "groups", 1) != 1 or hasattr(layer, "beside"):
        raise LoopRefused(
            f"net.{found.layer}: reads the image and spikes of the step before. Use a Linear or a convolution without "
            "groups for both, or a layer for each of them."
        )
    read = slice(found.start, found.start + found.count)
    back = copy.deepcopy(layer)
    back.weight = nn.Parameter(layer.weight.detach()[:, read].clone(), layer.weight.requires_grad)
    back.bias = None  # type: ignore[assignment]
    others = [i for i in range(layer.weight.shape[1]) if i not in range(read.start, read.stop)]
    layer.weight = nn.Parameter(layer.weight.detach()[:, others].clone(), layer.weight.requires_grad)
    for part, count in ((back, found.count), (layer, len(others))):
        setattr(part, "in_features" if isinstance(part, Linear) else "in_channels", count)
    neurons = recurrent_of(net, back, found.layer, found.neurons)
    layer.beside = Beside((neurons,), found.start, found.count)


class LoopWithJoins(LoopWithFeedback):
    """A run of a loop that may join feedback to a layer's input. See the module's text, and LoopWithFeedback."""

    def __init__(self, time_steps: int, cut: int | None = None) -> None:
        super().__init__(time_steps, cut)
        self.joins: dict[int, list[Tensor]] = {}  # what joins of several steps were made of, by their ids
        self.made_by: dict[int, tuple[nn.Module, Tensor]] = {}  # what layers made of such, by its id
        self.beside: dict[int, nn.Module] = {}  # what is left of a join, by its id: the layer that may read it

    # --- finding it ---

    def _plain(self, func: Call, args: Any, kwargs: Any) -> Any:
        output = super()._plain(func, args, kwargs)
        if func.__name__ in JOINS and isinstance(output, Tensor) and _axis(output, args, kwargs) == 1:
            self.joins[id(output)] = tensors_in((args, kwargs))
            self.kept.append(output)
        return output

    def _layer(self, unit: nn.Module, call: Call, x: Tensor) -> Tensor:
        output = super()._layer(unit, call, x)
        if id(x) in self.joins:
            self.made_by[id(output)] = unit, x
            self.kept.append(output)
        return output

    def _refused_current(self, unit: nn.Module, x: Tensor, taken: int) -> LoopRefused:
        layer, joined = self.made_by.get(id(x), (None, None))
        ran, start = self.ran.get(unit), 0
        for part in self.joins.get(id(joined), ()) if ran is not None and layer is not None else ():
            if self._place(part) == (ran.spikes, ran.taken - 1):  # type: ignore[union-attr]
                names = name_of(self.names[layer]), name_of(self.names[unit])  # type: ignore[index]
                plain = super()._refused_current(unit, x, taken)
                return JoinedFeedback(str(plain), *names, start, part.shape[1])
            start += part.shape[1]
        return super()._refused_current(unit, x, taken)

    # --- running it ---

    def called(self, unit: nn.Module, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """See Lockstep."""
        x = next(iter((*args, *kwargs.values())), None)
        told: Beside | None = getattr(unit, "beside", None)
        if self.inside or (id(x) not in self.beside and told is None):
            return super().called(unit, call, args, kwargs)
        if told is None or self.beside.get(id(x)) is not unit:
            raise LoopRefused(
                f"{self.names[unit]}: reads spikes of the step before at some places or steps and not at others. Join "
                "them at all steps, zeros at the first, for this layer only."
            )
        (neurons,) = told.neurons
        output = super().called(unit, call, args, kwargs)
        place = self._place(output)
        return self._marked(output if place is None else self._again(place), neurons)

    def _expects_feedback(self, unit: nn.Module) -> bool:
        layers = (getattr(other, "beside", None) for other in self.names)
        return super()._expects_feedback(unit) or any(told and told.neurons[0] is unit for told in layers)

    def _done(self, func: Call, args: Any, kwargs: Any) -> Any:
        if not self.inside and func.__name__ in JOINS and (left := self._left(func, args, kwargs)) is not None:
            return left
        if not self.inside and func.__name__ not in LOOKS:
            layer = next((self.beside[id(t)] for t in tensors_in((args, kwargs)) if id(t) in self.beside), None)
            if layer is not None:
                raise LoopRefused(f"{self.names[layer]}: what it reads beside spikes is read by {func.__name__} too.")
        return super()._done(func, args, kwargs)

    def _left(self, func: Call, args: Any, kwargs: Any) -> Tensor | None:
        """What a join gives that a layer with feedback reads: its parts but the spikes of the step before."""
        parts = tensors_in((args, kwargs))
        if len({part.dim() for part in parts}) != 1 or _axis(parts[0], args, kwargs) != 1:
            return None
        for layer in self.names:
            told: Beside | None = getattr(layer, "beside", None)
            starts = [sum(part.shape[1] for part in parts[:i]) for i in range(len(parts))]
            if told is None or told.start not in starts:
                continue
            at = starts.index(told.start)
            if parts[at].shape[1] != told.count or not self._is_before(told.neurons[0], parts[at]):
                continue
            rest = [*parts[:at], *parts[at + 1 :]]
            if len(rest) > 1:
                left = super()._done(func, (rest, 1), {})
            else:
                place = self._place(rest[0])
                left = rest[0][...] if place is None else self._again(place)
            self.beside[id(left)] = layer
            self.kept.append(left)
            return left
        return None


def _axis(x: Tensor, args: Any, kwargs: Any) -> int:
    """The axis along which a join joins."""
    axis = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else 0))
    return axis % x.dim()
