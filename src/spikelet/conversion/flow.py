"""Which unit each layer of a network reads and gives in its twin, and which functions the twin has to rewrite.

The network runs once on an example, recorded by lowering's trace. An activation gives counts in units of its threshold.
The unit goes with the tensor through all that moves, pools and averages, and into the weights, norm or threshold that
reads it, where it is exact. An addition needs one unit: layers with weights adapt theirs, and of two activations one is
brought to the other's by a Scale on the grid. A factor or a mean that is no power of two changes the unit alone.

A network of spikelet's layers has weights that are quantised already, which another unit would round anew. There, and
where anything else reads values as they are, the neuron's spikes are multiplied by its threshold on the grid.

In a stream a product takes the means so far of its spike trains (schedules.py), and so does a product of products. The
last of them gives its increments, which all else reads as it reads spikes.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from typing import Any

from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.base.whole import power_of_two_from
from spikelet.conversion.arguments import (
    PADS,
    as_sum,
    drops,
    factor_of,
    has_constants,
    keeps_no_unit,
    terms,
    traced_operands,
)
from spikelet.conversion.layers import WEIGHTED, absorbs
from spikelet.conversion.numbered import ADDS, COUNTED, JOINS, MAXIMA, MEANS, OVER, PRODUCTS, TIMES, numbered
from spikelet.conversion.rewrites import Left, Replaced, Rewrite
from spikelet.conversion.schedules import Schedule
from spikelet.conversion.units import CLOSE, Units
from spikelet.lowering import registry
from spikelet.lowering.rules.moves import SAME_ORDER
from spikelet.lowering.trace import Call, tensors, trace
from spikelet.neurons import QCFS, Levels, Neuron
from spikelet.nn import MaxPool2d, Scale

KEPT = {"sum", "cumsum", "neg", "__neg__", "negative", "dropout"}
MADE = {"zeros_like", "ones_like", "new_zeros", "new_ones", "new_full", "full_like", "new_tensor"}
WAYS_OUT = {
    "LayerNorm": "spikelet.conversion.repair(model, example) puts a BatchNorm in its place.",
    "softmax": "spikelet.conversion.repair(model, example) puts levels on the scores in its place.",
    "gelu": "spikelet.conversion.calibrate(model, batches) puts QCFS in its place.",
}
RELU = "An activation of real values. spikelet.conversion.calibrate(model, batches) puts QCFS in its place."
OF_VALUES = {  # functions that lowering knows and counts have no counterpart of
    "relu": RELU,
    "relu_": RELU,
    "__setitem__": "Put the parts together by torch.cat or torch.stack instead of writing them by index.",
}


def is_activation(module: nn.Module) -> bool:
    """Whether a module becomes a neuron of the twin."""
    return type(module) in (QCFS, Levels)


def unit_of(activation: nn.Module) -> float:
    """What a count of 1 is worth: theta of QCFS; Levels gives counts as they are."""
    return float(activation.theta.detach()) if isinstance(activation, QCFS) else 1.0


def is_whole(module: nn.Module) -> bool:
    """Whether the code inside of a module is not looked into: layers, in a network as in its twin."""
    return is_activation(module) or isinstance(module, Neuron) or absorbs(module) or registry.is_leaf(module)


@dataclasses.dataclass(frozen=True, eq=False)
class Flow:
    """What a twin needs to know of its network.

    reads, gives: the units of each layer's input and output, by the layer's name.
    rewrites: by the number of a function's call.
    output: the unit of what the network returns.
    readers: the layers with weights that alone read the input, as it is or flattened; empty where anything else does.
    pools: layers that take the largest of spikes, and the worth of a spike.
    """

    reads: dict[str, float]
    gives: dict[str, float]
    rewrites: dict[int, Rewrite]
    output: float
    readers: frozenset[str]
    pools: dict[str, float]


class _Watched(nn.Module):
    """A network whose functions are numbered: `numbers` has those that made a tensor, by its id, in order."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.numbers: defaultdict[int, list[int]] = defaultdict(list)
        self.made: list[Any] = []  # ids stay unique while the tensors live

    def forward(self, x: Tensor) -> Any:
        def act(number: int, function: Any, args: Any, kwargs: Any) -> Any:
            made = function(*args, **kwargs)
            self.made.append(made)
            for tensor in tensors(made):
                self.numbers[id(tensor)].append(number)
            return made

        with numbered(self.net, is_whole, act):
            return self.net(x)


class _NeedsValues(Exception):
    """What the activation `name` gives is read by something that takes values as they are, without a unit."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _Counted:
    """A call by its name in the network, and the number of its function."""

    def __init__(self, call: Call, watched: _Watched) -> None:
        self.call = dataclasses.replace(call, where=call.where.removeprefix("net").removeprefix("."))
        self.count = watched.numbers[id(call.output)].pop(0) if call.target in COUNTED else 0


def flow_of(net: nn.Module, x: Tensor, schedule: Schedule, unit: float, *, is_plain: bool) -> Flow:
    """Follows `x` through the network.

    Args:
        net: left as it is.
        x: what its forward takes.
        unit: of its input.
        is_plain: whether it is of torch's layers, which the twin replaces; unknown ones are then refused. Others keep
            all values in unit 1.
    Raises:
        ConversionError: a layer or function has no counterpart, or two uses of a layer need other weights.
    """
    watched = _Watched(net)
    traced = trace(watched, x, is_whole)
    if traced.unseen:
        raise ConversionError(f"{traced.unseen[0].removeprefix('net.')}.")
    returned = [traced.number[id(t)] for t in tensors(traced.output) if id(t) in traced.number]
    if not returned:
        raise ConversionError("the model's output must be a tensor computed from its input.")
    calls = [_Counted(call, watched) for call in traced.calls]
    scaled: set[str] = set()
    while True:
        try:
            return _Follow(schedule, unit, frozenset(scaled), is_plain=is_plain).all(calls, returned[0])
        except _NeedsValues as e:
            scaled.add(e.name)


@dataclasses.dataclass(frozen=True)
class _OfMeans:
    """A product of means so far.

    count: the number of its function.
    largest: what it reaches.
    """

    count: int
    largest: float


class _ImageReaders:
    """Which layers read the input."""

    def __init__(self) -> None:
        self.image, self.found, self.others = {0}, set[str](), set[str]()
        self.is_read_otherwise = False

    def take(self, number: int, call: Call) -> None:
        reads = self.image.intersection(call.inputs)
        if isinstance(call.target, WEIGHTED):
            (self.found if reads else self.others).add(call.where)
        elif reads and call.target in SAME_ORDER:
            self.image.add(number)
        elif reads:
            self.is_read_otherwise = True

    @property
    def readers(self) -> frozenset[str]:
        return frozenset() if self.is_read_otherwise or self.found & self.others else frozenset(self.found)


class _Follow:
    """The units so far."""

    def __init__(self, schedule: Schedule, unit: float, scaled: frozenset[str], *, is_plain: bool) -> None:
        self.schedule, self.scaled, self.is_plain = schedule, scaled, is_plain
        self.units = Units()
        self.units.add(0, unit)
        self.pools: dict[str, float] = {}
        self.layers: dict[str, list[tuple[int, int]]] = defaultdict(list)  # inputs and outputs of each use
        self.rewrites: dict[int, Rewrite] = {}
        self.spikes: dict[int, float] = {}  # what activations give, however it was moved: the worth of a spike
        self.fine: set[int] = set()  # products of means so far, in whole 2^-16
        self.products: dict[int, _OfMeans] = {}  # what products of nothing but means so far make, however it was moved
        self.largest: dict[int, float] = {}  # what a function makes of means so far reaches
        self.read_as_means: set[int] = set()  # functions whose products another product takes
        self.gains: dict[int, list[tuple[int, int, int]]] = defaultdict(list)  # place, operand, result
        self.image = _ImageReaders()

    def all(self, calls: list[_Counted], output: int) -> Flow:
        """What the calls in order make of units, of which `output` is what the network returns.

        Raises:
            _NeedsValues: an activation has to be multiplied by its threshold.
        """
        self.activations: dict[int, str] = {}
        for number, counted in enumerate(calls, 1):
            self._take(number, counted.call, counted.count)
        return self._result(output)

    def _take(self, number: int, call: Call, count: int) -> None:
        self.image.take(number, call)
        if isinstance(call.target, nn.Module):
            self._layer(number, call, call.target)
        else:
            self._function(number, call, call.target, count)

    def _result(self, output: int) -> Flow:
        self.units.fix(output, 1.0)
        for count, largest in self.largest.items():
            if count not in self.read_as_means:
                self._increments(count, largest)
        for count, operands in self.gains.items():
            gains = {place: self._unit(a) / self._unit(b) for place, a, b in operands}
            gains = {place: gain for place, gain in gains.items() if not math.isclose(gain, 1.0, rel_tol=CLOSE)}
            if gains:
                parts: dict[int, nn.Module] = {place: Scale(gain, learn=False) for place, gain in gains.items()}
                self.rewrites[count] = Replaced(parts)
        both = [{name: self._of_layer(name, side) for name in self.layers} for side in (0, 1)]
        return Flow(both[0], both[1], self.rewrites, self._unit(output), self.image.readers, self.pools)

    def _increments(self, count: int, largest: float) -> None:
        """Lets a product of means give its increments, where the schedule has steps."""
        rewrite = self.rewrites.setdefault(count, Replaced({}))
        assert isinstance(rewrite, Replaced)
        rewrite.behind = self.schedule.increments(largest, self.is_plain)

    def _unit(self, number: int) -> float:
        unit = self.units.unit(number)
        return 1.0 if unit is None else unit

    def _of_layer(self, name: str, side: int) -> float:
        units = [self._unit(use[side]) for use in self.layers[name]]
        if not all(math.isclose(unit, units[0], rel_tol=CLOSE) for unit in units):
            raise ConversionError(
                f"{name}: is used in several places, whose values are in units of {min(units):.4g} and "
                f"{max(units):.4g}. Give each place a layer of its own, or their activations one threshold."
            )
        return units[0]

    # --- layers ---

    def _layer(self, number: int, call: Call, layer: nn.Module) -> None:
        first = call.inputs[0]
        if isinstance(layer, nn.Identity) or type(layer).__name__.startswith("Dropout"):
            self._same(number, call)
        elif is_activation(layer):
            is_scaled = call.where in self.scaled or not self.is_plain
            self.units.add(number, 1.0 if is_scaled else unit_of(layer))
            self.activations[number] = call.where
            self.spikes[number] = unit_of(layer) if is_scaled else 1.0
            self.layers[call.where].append((first, number))
        elif absorbs(layer):
            self.units.add(number)
            self.layers[call.where].append((first, number))
        elif type(layer) is MaxPool2d:
            self._same(number, call)
            if first in self.spikes:
                self.pools[call.where] = self.spikes[first]
        else:
            self._as_it_is(number, call, known=registry.rule_of(layer) is not None)

    def _same(self, number: int, call: Call) -> None:
        """What has the unit of its first input."""
        self.units.add(number)
        self.units.join(number, call.inputs[0])
        moves = isinstance(call.target, nn.Identity) or call.target in registry.MOVING
        if moves and call.inputs[0] in self.spikes:
            self.spikes[number] = self.spikes[call.inputs[0]]
        if moves and call.inputs[0] in self.products:
            self.products[number] = self.products[call.inputs[0]]

    def _as_it_is(self, number: int, call: Call, *, known: bool) -> None:
        """A layer or function that takes values as they are."""
        if self.is_plain and not known:
            self._refuse(call)
        for operand in call.inputs:
            if not self.units.fix(operand, 1.0):
                source = self.units.source(operand)
                if source not in self.activations or self.activations[source] in self.scaled:
                    raise ConversionError(f"{call.place}: reads values whose unit its weights can't take; use a norm.")
                raise _NeedsValues(self.activations[source])
        self.units.add(number, 1.0)

    def _refuse(self, call: Call) -> None:
        name = call.target if isinstance(call.target, str) else type(call.target).__name__
        unknown = "Write it of layers and functions that spikelet.lower knows."
        way_out = OF_VALUES.get(name) or registry.WAYS_OUT.get(name, unknown)
        more = next((text for key, text in WAYS_OUT.items() if registry.WAYS_OUT.get(key) == way_out), "")
        raise ConversionError(f"{call.place}: has no counterpart of spikes. {way_out} {more}".rstrip())

    # --- functions ---

    def _function(self, number: int, call: Call, name: str, count: int) -> None:
        if name == "dropout" and drops(call):
            raise ConversionError(
                f"{call.place}: drops in evaluation too. Write F.dropout(x, p, training=self.training), or nn.Dropout."
            )
        if name in OF_VALUES:
            self._as_it_is(number, call, known=False)
        elif keeps_no_unit(call, name):
            self._as_it_is(number, call, known=name in PADS)
        elif name in ADDS or name in JOINS:
            self._joined(number, call, count)
        elif name in TIMES | OVER | PRODUCTS:
            self._product(number, call, name, count)
        elif name in MEANS:
            self._mean(number, call, name, count)
        elif name in MADE:
            self.units.add(number, 1.0)
        elif name in MAXIMA:
            self._same(number, call)
            self._take_means(count, list(traced_operands(call)))
        elif name in registry.MOVING or name in KEPT:
            self._same(number, call)
        else:
            self._as_it_is(number, call, known=name in registry.FUNCTIONS)

    def _joined(self, number: int, call: Call, count: int) -> None:
        """A sum, or tensors side by side: of one unit."""
        self.units.add(number, 1.0 if has_constants(call) else None)
        for place, operand in traced_operands(call):
            if not self.units.join(number, operand):
                self.gains[count].append((place, operand, number))

    def _product(self, number: int, call: Call, name: str, count: int) -> None:
        operands = list(traced_operands(call))
        if len(operands) == 1:
            self._multiple(number, call, name, count)
            return
        for _, operand in operands:
            if self.units.unit(operand) is None:
                self.units.fix(operand, 1.0)
        self.units.add(number, math.prod(self._unit(operand) for _, operand in operands))
        largest = [self._largest_mean(operand) for _, operand in operands]
        takes = self._take_means(count, operands)
        if takes:
            self.fine.add(number)
        products = [self.products[operand] for _, operand in operands if operand in self.products]
        if all(largest) and all(call.traced) and (takes or products):
            self.largest[count] = terms(call) * math.prod(largest)
            self.products[number] = _OfMeans(count, self.largest[count])
            self.read_as_means.update(product.count for product in products)

    def _largest_mean(self, number: int) -> float:
        """What a tensor reaches that is a mean so far, or a product of such; 0 where it is something else."""
        if number in self.products:
            return self.products[number].largest
        return self.spikes.get(number, 0.0)

    def _take_means(self, count: int, operands: list[tuple[int, int]]) -> bool:
        """Lets a function take the means so far of spike trains, where the schedule has steps; whether it does."""
        worth = {place: self.spikes[n] for place, n in operands if n in self.spikes}
        parts = {place: self.schedule.mean_so_far(largest, self.is_plain) for place, largest in worth.items()}
        made = {place: part for place, part in parts.items() if part is not None}
        if made:
            self.rewrites[count] = Replaced(made)
        return bool(made)

    def _multiple(self, number: int, call: Call, name: str, count: int) -> None:
        """A tensor times a constant: a number that is no power of two, or makes a fine value finer, goes into the
        unit."""
        ((place, operand),) = traced_operands(call)
        is_one_number = name not in PRODUCTS and call.output.shape == call.read[place].shape
        constant = factor_of(call) if is_one_number else None
        factor = 1 / constant if constant and name in OVER else constant
        self.units.add(number)
        is_exact = factor is not None and math.frexp(factor)[0] == 0.5 and (factor >= 1 or operand not in self.fine)
        product = self.products.get(operand)
        if factor is None or factor <= 0 or is_exact:
            self.units.join(number, operand)
            if product is not None and factor is not None:
                self.products[number] = _OfMeans(product.count, abs(factor) * product.largest)
            return
        self.units.join(number, operand, factor)
        self.rewrites[count] = Left(place)
        if product is not None:
            self.products[number] = product

    def _mean(self, number: int, call: Call, name: str, count: int) -> None:
        values, rewrite = as_sum(call, name)
        is_exact = values & (values - 1) == 0 or rewrite is None
        self.units.add(number)
        self.units.join(number, call.inputs[0], 1.0 if is_exact else power_of_two_from(values) / values)
        if rewrite is not None and not is_exact:
            self.rewrites[count] = rewrite
