"""Which currents weights and products read, and levels that make them counts of spikes.

A Linear or convolution behind a norm, or a product of queries and keys, reads real numbers where integers have counts.
The network runs once, recorded by lowering's trace; from each such reader the way leads back, through what only moves,
pools or averages, to the image, to an activation, or to a current. QCFS goes

    behind the layer that gives the current, where nothing but such readers reads it       norm -> QCFS -> q, k, v
    before the reader otherwise                                                            sum  -> QCFS -> Linear

Levels begin at 0, and a current has two signs. Behind a norm that Linear layers alone read, both are kept: the norm's
offset grows by c and the layers' biases fall by c times the sums of their rows, so the network computes what it did,
and levels span -c .. theta - c. Elsewhere what is below 0 becomes 0.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.conversion.ordinary import activations
from spikelet.conversion.ordinary.called import Function, Place, Substituted, substituted
from spikelet.conversion.ordinary.histogram import Histogram
from spikelet.conversion.ordinary.report import Row
from spikelet.conversion.ordinary.scores import LevelAttention, ScoreLevels, threshold_for
from spikelet.conversion.wrapper import Wrapper
from spikelet.interop.swap import put
from spikelet.lowering import registry
from spikelet.lowering.trace import Call, Trace, leaves, tensors, trace
from spikelet.neurons import QCFS, Levels
from spikelet.neurons.divided import LARGEST, SMALLEST
from spikelet.nn.device import device_of

WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
PRODUCTS = frozenset({"matmul", "__matmul__", "bmm"})
MEANS = frozenset({"mean", "avg_pool2d", "adaptive_avg_pool2d", "max_pool2d", "boolean_dispatch", "dropout"})
ZEROS_JOIN = frozenset(  # so that a shift of all values is not one of what is read
    {"cat", "concat", "concatenate", "stack", "pad", "constant_pad_nd", "avg_pool2d", "dropout"}
)
QUANTIZED = (QCFS, Levels, LevelAttention, ScoreLevels)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
EDGE = 0.001  # share of values beyond each end of the levels behind a norm


@dataclasses.dataclass(frozen=True, eq=False)
class Current:
    """A current that needs levels.

    source: the number of the call that makes it.
    readers: the numbers of the calls with weights, or of products, that read it.
    alone: whether nothing else does.
    """

    source: int
    readers: tuple[int, ...]
    alone: bool


class LevelsBehind(Wrapper):
    """A layer and levels behind it.

    Args:
        layer: takes any arguments.
        levels: takes what it returns.
    """

    def __init__(self, layer: nn.Module, levels: nn.Module) -> None:
        super().__init__()
        self.layer, self.levels = layer, levels

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """levels(layer(..))."""
        return self.levels(self.layer(*args, **kwargs))


class LevelsBefore(Wrapper):
    """A layer that reads levels of its input.

    Args:
        levels, layer: take one tensor.
    """

    def __init__(self, levels: nn.Module, layer: nn.Module) -> None:
        super().__init__()
        self.levels, self.layer = levels, layer

    def forward(self, x: Tensor) -> Tensor:
        """layer(levels(x))."""
        return self.layer(self.levels(x))


class LeveledProduct(nn.Module):
    """A product of matrices whose operands become levels first.

    Args:
        left, right: QCFS, or the identity for an operand that is levels already.
    """

    def __init__(self, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """The product of both."""
        return self.left(a) @ self.right(b)


class Currents:
    """The currents of one pass of a network.

    Args:
        traced: the pass.
        places: of the products, by the tensor's id.
    """

    def __init__(self, traced: Trace, places: dict[int, Place]) -> None:
        self.calls = [None, *traced.calls]
        self.places = places
        self.users: defaultdict[int, list[int]] = defaultdict(list)
        for number, call in enumerate(traced.calls, 1):
            for read in set(call.inputs):
                self.users[read].append(number)
        self.returned = {traced.number[id(t)] for t in tensors(traced.output) if id(t) in traced.number}
        self.uses = Counter(id(call.target) for call in traced.calls if isinstance(call.target, nn.Module))

    def __iter__(self) -> Iterator[Current]:
        """Each current that some reader needs in levels."""
        readers: defaultdict[int, list[int]] = defaultdict(list)
        for number in range(1, len(self.calls)):
            if self.is_reader(number):
                for source in self.sources(self.call(number).inputs):
                    readers[source].append(number)
        for source, found in readers.items():
            yield Current(source, tuple(dict.fromkeys(found)), self._is_read_so_only(source))

    def call(self, number: int) -> Call:
        """The call of a number from 1 on."""
        call = self.calls[number]
        assert call is not None
        return call

    def is_reader(self, number: int) -> bool:
        """Whether a call is a layer with weights, or a product of two tensors of the input."""
        call = self.call(number)
        if isinstance(call.target, str):
            return call.target in PRODUCTS and sum(call.traced) == 2
        return isinstance(call.target, WEIGHTED)

    def sources(self, numbers: tuple[int, ...]) -> set[int]:
        """The numbers of the currents behind these tensors."""
        found: set[int] = set()
        for number in numbers:
            if number and self._passes(number):
                found |= self.sources(self.call(number).inputs)
            elif number and not self._is_levels(number):
                found.add(number)
        return found

    def way(self, source: int) -> set[str]:
        """The names of the functions between a current and its readers."""
        names: set[str] = set()
        for user in self.users[source]:
            if self._passes(user):
                names |= {str(self.call(user).target)} | self.way(user)
        return names

    def _is_read_so_only(self, number: int) -> bool:
        if number in self.returned:
            return False
        return all(self.is_reader(u) or (self._passes(u) and self._is_read_so_only(u)) for u in self.users[number])

    def _passes(self, number: int) -> bool:
        target = self.call(number).target
        return target in registry.MOVING or target in MEANS if isinstance(target, str) else type(target) is nn.Identity

    def _is_levels(self, number: int) -> bool:
        call = self.call(number)
        if isinstance(call.target, str):
            return activations.is_activation_call(call.target, call.args, call.kwargs)
        if activations.is_activation(call.target):
            return True
        return isinstance(call.target, QUANTIZED) and not isinstance(call.target, LevelAttention)


def currents_of(model: Substituted, x: Tensor) -> Currents:
    """The currents of `model` on `x`, in evaluation."""
    watched = _Watched(model)
    traced = trace(watched, x, leaves((*QUANTIZED, *activations.MODULES)))
    return Currents(traced, watched.places)


class _Watched(nn.Module):
    """A network that notes the place of each product."""

    def __init__(self, model: Substituted) -> None:
        super().__init__()
        self.model = model
        self.places: dict[int, Place] = {}
        self.made: list[Any] = []  # ids stay unique while the tensors live

    def forward(self, x: Tensor) -> Any:
        def answer(place: Place, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            made = function(*args, **kwargs)
            self.made.append(made)
            self.places[id(made)] = place
            return made

        return self.model.run((x,), {}, PRODUCTS, answer)


class Insertion:
    """Levels for the currents of a network, which is changed.

    Args:
        model: the network.
        levels: L.

    Attributes:
        rows: where levels were put, and on what.
    """

    def __init__(self, model: Substituted, levels: int) -> None:
        self.model, self.levels = model, levels
        self.rows: list[Row] = []

    def __call__(self, x: Tensor) -> Substituted:
        """The network with levels whose thresholds suit what it is given for `x`."""
        found = currents_of(self.model, x)
        operands: defaultdict[Place, dict[int, Tensor]] = defaultdict(dict)
        before: dict[int, list[Tensor]] = defaultdict(list)
        for current in found:
            layer = found.call(current.source).target
            if isinstance(layer, nn.Module) and current.alone and found.uses[id(layer)] == 1:
                self._behind(found, current, layer)
                continue
            for reader in current.readers:
                call = found.call(reader)
                for i, (number, read) in enumerate(zip(call.inputs, call.read, strict=False)):
                    if current.source not in found.sources((number,)):
                        continue
                    if isinstance(call.target, nn.Module):
                        before[id(call.target)].append(read)
                    elif id(call.output) in found.places:
                        operands[found.places[id(call.output)]][i] = read
        self._before(before)
        self._in_products(operands)
        return self.model

    def _behind(self, found: Currents, current: Current, layer: nn.Module) -> None:
        values = found.call(current.source).output
        layers = _shifting(found, current, layer)
        if layers:
            theta, shift = _span(values, self._name(layer))
            _shift(layer, layers, shift)
            made = QCFS(self.levels, theta)
        else:
            made = self._quantized(values, self._name(layer))
        where = "behind it, both signs" if layers else "behind it"
        self._put(layer, LevelsBehind(layer, _alike(made, self.model)), where)

    def _before(self, found: dict[int, list[Tensor]]) -> None:
        layers = {id(m): m for m in self.model.modules()}
        for key, values in found.items():
            layer = layers[key]
            made = self._quantized(torch.cat([v.reshape(-1) for v in values]), self._name(layer))
            self._put(layer, LevelsBefore(_alike(made, self.model), layer), "before it")

    def _in_products(self, found: dict[Place, dict[int, Tensor]]) -> None:
        made: dict[Place, nn.Module] = {}
        for place, values in found.items():
            sides = [
                _alike(self._quantized(values[i], str(place)), self.model) if i in values else nn.Identity()
                for i in (0, 1)
            ]
            made[place] = LeveledProduct(*sides)
            self.rows.append(Row(str(place), "reads currents", "levels of its operands"))
        whole = substituted(self.model, made)
        assert isinstance(whole, Substituted)
        self.model = whole

    def _quantized(self, values: Tensor, name: str) -> QCFS:
        return QCFS(self.levels, threshold_for(values, name, self.levels))

    def _name(self, layer: nn.Module) -> str:
        for place, stand_in in self.model.by_place().items():
            if stand_in is layer:
                return str(place)
        return next(n for n, m in self.model.net.named_modules() if m is layer) or type(layer).__name__

    def _put(self, layer: nn.Module, made: nn.Module, where: str) -> None:
        what = "gives currents" if where.startswith("behind") else "reads currents"
        self.rows.append(Row(self._name(layer), f"{type(layer).__name__} {what}", f"levels {where}"))
        put(self.model, layer, made)


def _alike(made: nn.Module, model: nn.Module) -> nn.Module:
    """`made` on the device of the model, and in its mode."""
    return made.to(device_of(model)).train(model.training)


def _span(values: Tensor, name: str) -> tuple[float, float]:
    """theta and c: all values but for 1 in 1000 at each end lie in -c .. theta - c."""
    ends = []
    for sign in (1.0, -1.0):
        histogram = Histogram(name)
        histogram.add(sign * values)
        z, counts = histogram.values_and_counts()
        order = z.argsort()
        reached = counts[order].cumsum(0)
        ends.append(float(z[order][torch.searchsorted(reached, reached[-1:] * (1 - EDGE)).clamp(max=len(z) - 1)]))
    high, low = ends[0], -ends[1]
    return min(max(high - low, SMALLEST), LARGEST), -low


def _shifting(found: Currents, current: Current, norm: nn.Module) -> list[Any]:
    """The layers that alone read what `norm` gives, and whose biases can take a shift of it; [] where there is any
    other reader."""
    if not isinstance(norm, NORMS) or not norm.affine or found.way(current.source) & ZEROS_JOIN:
        return []
    layers = [found.call(reader).target for reader in current.readers]
    alone = all(
        found.uses[id(m)] == 1 and found.sources(found.call(r).inputs) == {current.source}
        for m, r in zip(layers, current.readers, strict=True)
    )
    return layers if alone and all(map(_takes_shift, layers)) else []


def _takes_shift(layer: Any) -> bool:
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        return not any(layer.padding) if isinstance(layer.padding, tuple) else layer.padding == "valid"
    return isinstance(layer, nn.Linear)


@torch.no_grad()
def _shift(norm: Any, layers: list[Any], c: float) -> None:
    """Adds `c` to what the norm gives, and takes it back from what the layers give."""
    norm.bias = _own(norm.bias + c, norm.bias)
    for layer in layers:
        bias = layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias
        layer.bias = _own(bias - c * layer.weight.flatten(1).sum(1), bias if layer.bias is not None else layer.weight)


def _own(values: Tensor, alike: Tensor) -> nn.Parameter:
    """A parameter of its own, as others may hold the one before; it learns where `alike` does."""
    return nn.Parameter(values, requires_grad=alike.requires_grad)
