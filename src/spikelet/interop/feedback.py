"""Feedback that a network's own loop adds up: the spikes of the step before, through a layer, onto the current.

    for t in range(T):
        spikes, mem = self.lif(self.fc(x[t]) + self.back(spikes), mem)        spikes of zero before the first step

Neurons and layer become one `Recurrent`, and what is left in the layer's place gives nothing to be added. Which layer
feeds which neurons back is found in the first pass, where the neurons' current at step 1 is a sum that holds what the
layer made of their own spikes. From then on every step is looked at: the layer must read the spikes of the step before,
and what it gives may only be added to that neuron's current, or else the network is refused by name. It may be
subtracted, and multiplied by numbers and by the network's own: the layer's weights hold that factor then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.interop.lockstep import Call, Lockstep, LoopRefused, Place
from spikelet.interop.places import Places, SeveralPlaces
from spikelet.interop.refused_currents import WAY_OUT, again, another_image, others_spikes, own_spikes
from spikelet.interop.steps import Steps, sequences_in, tensors_in
from spikelet.interop.swap import put
from spikelet.neurons import LIF
from spikelet.nn import Conv1d, Conv2d, Linear, Recurrent

CLOSE = 1e-6
INTO_ITSELF = {"__iadd__", "add_", "__isub__", "sub_"}
PLUS = {"add", "__add__", "__radd__", "__iadd__", "add_"}
MINUS = {"sub", "__sub__", "__isub__", "sub_", "subtract"}
TIMES = {"mul", "__mul__", "__rmul__", "multiply"}
OVER = {"div", "__truediv__", "divide", "true_divide"}
NEGATIVE = {"neg", "__neg__", "negative"}


class FedBack(LoopRefused):
    """Raised where neurons read their own spikes of the step before, through the layer `layer`; both by name.

    factor: what the code multiplies by what the layer gives.
    """

    def __init__(self, message: str, layer: str, neurons: str, factor: float = 1.0) -> None:
        super().__init__(message)
        self.layer, self.neurons, self.factor = layer, neurons, factor


class Nothing(nn.Module):
    """In the place of a layer that has become feedback; only `LoopWithFeedback` calls it.

    Args:
        neurons: those that it fed back to.
        factor: what the code multiplies it by, which is in the weights of the feedback.
    """

    def __init__(self, neurons: nn.Module, factor: float = 1.0) -> None:
        super().__init__()
        self.fed, self.factor = (neurons,), factor  # in a tuple, so that they are no module of this one

    def forward(self, x: Tensor) -> Tensor:
        """Raises LoopRefused: outside of the network's loop nothing says which step it is."""
        raise LoopRefused("the network's feedback is called outside of its loop over time.", has_no_loop=True)


def join(net: nn.Module, layer: str, neurons: str, factor: float = 1.0) -> None:
    """Makes one `Recurrent` of the neurons and the layer of `net` of these names, whose weights get the factor.

    Raises:
        LoopRefused: these neurons, or this layer, can't be part of one.
    """
    back = net.get_submodule(layer)
    _require_counterpart(net, back, layer, neurons)
    nothing = Nothing(net.get_submodule(neurons), factor)
    put(net, back, nothing)
    nothing.fed = (recurrent_of(net, back, layer, neurons),)
    if factor != 1:
        with torch.no_grad():
            for weights in back.parameters():
                weights.mul_(factor)


def recurrent_of(net: nn.Module, back: nn.Module, layer: str, neurons: str) -> nn.Module:
    """The neurons of `net` of this name with feedback through `back`, which was the layer of that name or a part of it.

    Raises:
        LoopRefused: these neurons, or this layer, can't be part of a `Recurrent`.
    """
    _require_counterpart(net, back, layer, neurons)
    unit: Any = net.get_submodule(neurons)
    if not isinstance(unit, LIF):
        unit.fed_back_by(back)
        return unit
    joined = Recurrent(unit, back).train(unit.training)
    put(net, unit, joined)
    joined.step_mode = getattr(unit, "step_mode", "s")  # type: ignore[assignment]
    joined.reset_mem = joined.init_leaky = getattr(unit, "reset_mem", None)  # type: ignore[assignment]
    return joined


def _require_counterpart(net: nn.Module, back: nn.Module, layer: str, neurons: str) -> None:
    unit = net.get_submodule(neurons)
    takes = getattr(unit, "fed_back_by", None)
    fits = isinstance(back, Linear | Conv1d | Conv2d) and (isinstance(unit, LIF) or takes is not None)
    if not fits or any(isinstance(part, Recurrent) for part in unit.modules()):
        raise LoopRefused(
            f"net.{neurons}: reads its own spikes of the step before through net.{layer} "
            f"({type(back).__name__}). Neurons with one state have a counterpart for one such layer, a Linear or a "
            "convolution. Use one for all that is fed back, or RSynaptic or a LinearRecurrentContainer."
        )


class LoopWithFeedback(Lockstep):
    """A run of a loop that may add feedback to currents. See the module's text, and Lockstep."""

    def __init__(self, time_steps: int, cut: int | None = None) -> None:
        super().__init__(time_steps, cut)
        self.sums: dict[int, list[tuple[Tensor, float]]] = {}  # what sums of several steps were made of, by their ids
        self.nothing: dict[int, nn.Module] = {}  # what feedback gives, by id: the neurons that it goes to
        self.missing: dict[int, float] = {}  # of what feedback gives, by id: the factor that the code still owes it
        self.numbers: dict[int, Tensor] = {}  # single numbers that are the network's own, by their sequence's id
        self.fed: dict[int, nn.Module] = {}  # currents that it was added to, in the same way

    # --- finding it ---

    def _plain(self, func: Call, args: Any, kwargs: Any) -> Any:
        output = super()._plain(func, args, kwargs)
        if isinstance(output, Tensor) and not kwargs and (parts := self._parts(func.__name__, args)):
            self.sums[id(output)] = parts
            self.kept.append(output)
        return output

    def _parts(self, name: str, args: Any) -> list[tuple[Any, float]]:
        """What a sum, a difference or a product with a number is made of, each part with its factor."""
        if name in PLUS or name in MINUS:
            signs = (1.0, 1.0) if name in PLUS else (1.0, -1.0)
            return [(x, sign) for x, sign in zip(args, signs, strict=False) if not isinstance(x, int | float)]
        if name in NEGATIVE:
            return [(args[0], -1.0)]
        if name not in TIMES | OVER or len(args) != 2:
            return []
        left, right = args if self._number(args[1]) is not None else args[::-1]
        number = self._number(right)
        if number is None or (name in OVER and (right is args[0] or not number)):
            return []
        return [(left, 1 / number if name in OVER else number)]

    def _number(self, x: Any) -> float | None:
        """The number that an operand is, its own or the network's; None for any other."""
        if isinstance(x, Tensor):
            place = self._place(x)
            x = ("sequence", id(place[0])) if place is not None else None
        if isinstance(x, tuple) and x and x[0] == "sequence":
            known = self.numbers.get(x[1])
            return None if known is None else float(known)
        if isinstance(x, tuple) and len(x) == 2 and x[0] in (int, float):  # as a key holds it
            return float(x[1])
        return float(x) if isinstance(x, int | float) else None

    def constant(self, x: Tensor) -> None:
        """See Lockstep."""
        super().constant(x)
        if x.numel() == 1 and x.is_floating_point():
            self.numbers[id(self.places[id(x)][0])] = x.detach()

    def _write(self, func: Call, args: Any, kwargs: Any, targets: list[Tensor]) -> Any:
        output = super()._write(func, args, kwargs, targets)
        if func.__name__ in INTO_ITSELF and self._place(targets[0]) is None:
            sign = -1.0 if func.__name__ in MINUS else 1.0
            self.sums[id(targets[0])] = [(x, sign) for x in tensors_in(args[1:])]
            self.kept.append(targets[0])
        return output

    def _neuron(self, unit: nn.Module, call: Call, x: Tensor, state: list[Any]) -> Any:
        ran, (reads, step) = self.ran.get(unit), self._place(x) or (None, 1)
        elsewhere = ran is not None and reads is not ran.reads and not step
        if elsewhere and state and all(isinstance(s, Tensor) and self._is_initial(s) for s in state):
            raise SeveralPlaces(name_of(self.names[unit]))
        return super()._neuron(unit, call, x, state)

    def _refused_current(self, unit: nn.Module, x: Tensor, taken: int) -> LoopRefused:
        plain = super()._refused_current(unit, x, taken)
        ran, neurons, place = self.ran.get(unit), self.names[unit], self._place(x)
        if ran is None:
            return plain
        if place is not None and place[0] is ran.reads and place[1] is not None:
            return LoopRefused(again(neurons, place[1], taken))
        if ran.reads.still and (place[0].still if place is not None else not bool(x.any())):
            return LoopRefused(another_image(neurons, taken))
        makers = {id(other.spikes): name for name, other in self.ran.items()}
        known = {id(s): s for s in sequences_in([*self.made.values(), *(r.spikes for r in self.ran.values())])}
        by = {id(made): key for key, made in self.made.items() if isinstance(made, Steps)}
        others: list[str] = []
        for summand, step, factor in self._summands(x, known, by):
            layer, *reads = by.get(id(summand), (None,))
            if step == taken:  # a current of this step
                continue
            if summand is ran.spikes:
                others.append(own_spikes(neurons, factor))
            elif isinstance(layer, nn.Module) and reads and reads[0] in makers:
                if makers[reads[0]] is unit:
                    return FedBack(str(plain), name_of(self.names[layer]), name_of(neurons), factor)
                others.append(others_spikes(neurons, self.names[layer], self.names[makers[reads[0]]]))
        return LoopRefused(others[0]) if others else plain

    def _summands(
        self, x: Tensor | Steps, known: dict[int, Steps], by: dict[int, Any], factor: float = 1.0, at: int | None = None
    ) -> Iterator[tuple[Steps, int | None, float]]:
        """The sequences that `x` is a sum of, each with its step and times its factor; a sequence is read at step
        `at`."""
        place = self._place(x) if isinstance(x, Tensor) else (x, at)
        if place is None:
            for part, own in self.sums.get(id(x), ()):
                yield from self._summands(part, known, by, factor * own)
            return
        yield *place, factor
        func, args, *_ = (*by.get(id(place[0]), (None,)), ())
        given = args[1:] if isinstance(args, tuple) else ()  # a layer's key has none
        for part, own in self._parts(getattr(func, "__name__", ""), given):
            if part[0] == "sequence" and part[1] in known:
                yield from self._summands(known[part[1]], known, by, factor * own, place[1])

    # --- running it ---

    def called(self, unit: nn.Module, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """See Lockstep."""
        x = next(iter((*args, *kwargs.values())), None)
        if self.inside or not isinstance(x, Tensor):
            return super().called(unit, call, args, kwargs)
        if isinstance(unit, Nothing):
            return self._feedback(unit, x)
        if isinstance(unit, Places):
            return self._in_a_place(unit, args, kwargs)
        if id(x) in self.nothing or self.fed.get(id(x), unit) is not unit:
            raise LoopRefused(self._elsewhere(self.names[unit], self.nothing.get(id(x), self.fed.get(id(x)))))
        self._require_feedback(unit, x)
        return super().called(unit, call, args, kwargs)

    def _in_a_place(self, unit: Places, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        _, *states = (*args, *kwargs.values())
        place = unit.chosen(states, self.ran.__contains__)
        if place is None:
            raise SeveralPlaces(name_of(self.names[unit]))
        neurons = unit.copies[place]
        self.names[neurons] = f"{self.names[unit]}.copies.{place}"
        return self.called(neurons, neurons.__call__, args, kwargs)

    def _is_before(self, neurons: nn.Module, x: Tensor) -> bool:
        """Whether `x` is the spikes of neurons of the step before."""
        ran = self.ran.get(neurons)
        return self._is_initial(x) if ran is None else self._place(x) == (ran.spikes, ran.taken - 1)

    def _feedback(self, unit: Nothing, x: Tensor) -> Tensor:
        (neurons,) = unit.fed
        if not self._is_before(neurons, x):
            raise LoopRefused(
                f"{self.names[unit]}: feeds back to {self.names[neurons]}, and reads something else than its spikes of "
                f"the step before, which are zeros before the first one. {WAY_OUT}"
            )
        return self._none(torch.zeros_like(x.detach()), neurons, unit.factor)

    def _none(self, zeros: Tensor, neurons: nn.Module, missing: float) -> Tensor:
        """Zeros in the place of feedback to `neurons`, which the code is yet to multiply by `missing`."""
        self.nothing[id(zeros)], self.missing[id(zeros)] = neurons, missing
        self.kept.append(zeros)
        return zeros

    def _require_feedback(self, unit: nn.Module, x: Tensor) -> None:
        """Raises LoopRefused where neurons with feedback read a current that it was not added to."""
        if id(x) in self.fed or not self._expects_feedback(unit):
            return
        recurrent = next(part for part in unit.modules() if isinstance(part, Recurrent))
        if unit in self.ran or getattr(recurrent.synapses, "bias", None) is not None:
            raise LoopRefused(
                f"{self.names[unit]}: feedback is added to its current at some steps and not at others. Add it at all "
                "of them, that of zeros at the first, or give the layer no bias and leave out the first step only."
            )

    def _expects_feedback(self, unit: nn.Module) -> bool:
        return any(isinstance(other, Nothing) and other.fed[0] is unit for other in self.names)

    def _done(self, func: Call, args: Any, kwargs: Any) -> Any:
        read = tensors_in((args, kwargs))
        given = None if self.inside else next((self._owner(t) for t in read if self._owner(t) is not None), None)
        if given is None:
            return super()._done(func, args, kwargs)
        name, rest = func.__name__, [t for t in read if id(t) not in self.nothing]
        alike = len({t.shape for t in read}) == 1 or len(rest) == len(read)
        parts = [] if kwargs else self._parts(name, args)
        if name in TIMES | OVER | NEGATIVE and len(parts) == 1 and id(parts[0][0]) in self.nothing:
            zeros, factor = parts[0]
            return self._none(torch.zeros_like(zeros), given, self.missing[id(zeros)] / factor)
        owed = [self.missing.get(id(x), 1.0) / own for x, own in parts if id(x) in self.nothing]
        owed += [own for x, own in parts if id(x) in self.fed]  # what holds feedback keeps its sign
        fits = len(parts) == 2 and alike and all(math.isclose(factor, 1.0, rel_tol=CLOSE) for factor in owed)
        if not fits or any(self._owner(t) not in (None, given) for t in read):
            if name in ("__get__", "size", "dim", "__len__"):
                return super()._done(func, args, kwargs)
            raise LoopRefused(self._elsewhere(name, given))
        if len(rest) == len(read):
            return self._marked(super()._done(func, args, kwargs), given)
        if (-1.0) in (own for x, own in parts if id(x) not in self.nothing):
            negated = super()._done
            rest = [negated(torch.neg, (x,), {}) for x in rest]
        if len(rest) != 1 or (place := self._place(rest[0])) is None:
            raise LoopRefused(self._elsewhere(name, given))
        return self._marked(rest[0] if name in INTO_ITSELF and rest[0] is args[0] else self._again(place), given)

    def _owner(self, x: Tensor) -> nn.Module | None:
        return self.nothing.get(id(x), self.fed.get(id(x)))

    def _again(self, place: Place) -> Tensor:
        """The same step as a tensor of its own."""
        sequence, step = place
        return self._whole(lambda: self._known(sequence.at(step)[...], sequence, step))

    def _marked(self, x: Tensor, neurons: nn.Module) -> Tensor:
        self.fed[id(x)] = neurons
        self.kept.append(x)
        return x

    def _elsewhere(self, what: str, neurons: nn.Module | None) -> str:
        to = "" if neurons is None else f"{self.names[neurons]}: "
        return (
            f"{to}its feedback is read by {what}, and may only be added to the current of these neurons. Use RLeaky, "
            "RSynaptic or a LinearRecurrentContainer, or add it last."
        )


def name_of(shown: str) -> str:
    """The name in the network of what an error shows as `net.name`."""
    return shown.removeprefix("net.")
