"""What one spike is worth in each value of a trace, so that a value's spikes can be counted.

A neuron's output is its count times `Neuron.value`. Moves, maxima and sums of such values are counts too; an average
over a window counts in parts of its divisor. Anything else is no count.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from spikelet.lowering.names import Names
from spikelet.lowering.trace import Call
from spikelet.neurons import Neuron
from spikelet.nn import MaxPool2d, SumPool2d
from spikelet.profiling.products import PRODUCTS

SAME = (MaxPool2d, nn.MaxPool2d, nn.Dropout, nn.Dropout2d, nn.Dropout3d, nn.Identity, nn.Flatten)
VIEWS = {
    "flatten", "reshape", "view", "unflatten", "squeeze", "unsqueeze", "contiguous", "transpose", "permute", "movedim",
    "chunk", "split", "unbind", "__getitem__", "stack", "cat", "__get__",
}  # fmt: skip
SUMS = {"add", "__add__", "__radd__", "__iadd__", "add_"}
Unit = float | None


def units_of(calls: Sequence[Call]) -> dict[nn.Module | str, tuple[Unit, ...]]:
    """By layer, and by product (its name), the unit of each tensor that it reads; None where a value is no count.

    A layer that ran several times has a unit where all its inputs have the same.
    """
    units: list[Unit] = [None]
    read: dict[nn.Module | str, tuple[Unit, ...]] = {}
    names = Names()
    for call in calls:
        sources = tuple(units[i] for i in call.inputs)
        target = call.target
        if target in PRODUCTS and len(sources) == 2:
            read[names.next(call.named("matmul"))] = sources
        elif isinstance(target, nn.Module):
            read[target] = sources if read.get(target, sources) == sources else (None,) * len(sources)
        units.append(_made(call, sources))
    return read


def _made(call: Call, sources: tuple[Unit, ...]) -> Unit:
    target = call.target
    if isinstance(target, Neuron):
        return target.value
    if None in sources or len(call.read) != len(sources):  # a constant is no count
        return None
    smallest = min(unit for unit in sources if unit is not None)
    if isinstance(target, SumPool2d):
        return smallest / target.divisor
    return smallest if isinstance(target, SAME) or target in VIEWS | SUMS else None
