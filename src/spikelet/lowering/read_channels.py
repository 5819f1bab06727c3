"""A graph whose layers make only the channels that are read, as of q and k where attention takes a part of them.

    node                                                     makes                  reads of each source
    conv, linear                                             the outputs asked of it    all channels
    affine, neurons, pools, gather, delay, sums, products,
    constant, conv of one channel each                       the channels asked of it   the same
    channelmap                                               the channels asked of it   those that it takes
    others, such as flatten and matmul                       all channels               all channels

What is asked of a node is what its readers read together; of an output, and of a neuron that nothing reads, all; of
one that only its own loop reads, a single channel. So a channel that somebody else reads stays, and a delay's loop is
followed until nothing more is asked. A channel map that
then takes whole sources as they are is left out. Every value that is left is what it was, bit for bit.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spikelet.graph import ir
from spikelet.graph.file.limits import shapes_of
from spikelet.graph.ops.neuron import CONSTANTS

Mask: TypeAlias = NDArray[np.bool_]  # of channels
Fewer: TypeAlias = Callable[[Any, NDArray[np.int64]], Any]  # the node that makes these channels


class Reads(enum.Enum):
    """Which channels of its sources a node reads: all, the ones that it makes, or those that its numbers take."""

    ALL, SAME, TAKEN = range(3)


def with_read_channels(graph: ir.IntGraph) -> ir.IntGraph:
    """`graph` without the channels that nothing reads; itself where all are read. Every node of it is read."""
    masks = channels_read(graph)
    if all(mask.all() for mask in masks.values()):
        return graph
    nodes: list[ir.Operation] = []
    kept = {output.node for output in graph.outputs}
    instead: dict[str, str] = {}  # the source of a map that is left out
    for node in graph.nodes:
        fewer = _fewer(node, masks)
        fewer = dataclasses.replace(fewer, inputs=tuple(instead.get(name, name) for name in fewer.inputs))
        if node.name not in kept and _takes_all(node, fewer, masks):
            instead[node.name] = fewer.inputs[0]
        else:
            nodes.append(fewer)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def channels_read(graph: ir.IntGraph) -> dict[str, Mask]:
    """Which channels of each node are read, at least one; every node but neurons has a reader, or is an output."""
    shapes = shapes_of(graph.nodes)
    masks = {name: np.zeros(shape[0], np.bool_) for name, shape in shapes.items()}
    named = {name for node in graph.nodes for name in node.inputs} - {output.node for output in graph.outputs}
    for node in graph.nodes:
        masks[node.name] |= node.name not in named or _rule(node) is None
    _ask_all(graph, masks)
    for mask in masks.values():
        mask[0] |= not mask.any()  # such as of what a map joins and takes nothing of
    _ask_all(graph, masks)
    return masks


# --- what a node reads ------------------------------------------------------------------------------


def _ask_all(graph: ir.IntGraph, masks: dict[str, Mask]) -> None:
    """Asks, from the outputs to the input and back, until nothing more is asked."""
    count, before = sum(mask.sum() for mask in masks.values()), -1
    while count != before:
        for node in (*reversed(graph.nodes), *graph.nodes):
            _ask(node, masks)
        count, before = sum(mask.sum() for mask in masks.values()), count


def _ask(node: ir.Operation, masks: dict[str, Mask]) -> None:
    """Asks the sources for what the node reads; and the node for what its sources make, where it makes the same."""
    made, sources, rule = masks[node.name], [masks[name] for name in node.inputs], _rule(node)
    if rule is None or rule.reads is Reads.ALL:
        for source in sources:
            source[:] = True
    elif isinstance(node, ir.ChannelMap):
        for source, read in zip(sources, _taken(node, made, sources), strict=True):
            source |= read
    else:
        for source in sources:
            source |= made if source.size == made.size else True  # one channel is repeated
            made |= source if source.size == made.size else False


def _taken(node: ir.ChannelMap, made: Mask, sources: Sequence[Mask]) -> list[Mask]:
    """Which channels of each source a map takes for those that it makes."""
    sizes, source = [mask.size for mask in sources], node.source[made]
    read = np.zeros(sum(sizes), np.bool_)
    read[source[source >= 0]] = True
    return np.split(read, np.cumsum(sizes[:-1]))


# --- nodes that make fewer channels -----------------------------------------------------------------


def _fewer(node: ir.Operation, masks: Mapping[str, Mask]) -> ir.Operation:
    """The node with the channels that are read of it and of its sources; itself where they are all."""
    rule, made = _rule(node), masks[node.name]
    if rule is None or all(masks[name].all() for name in (node.name, *node.inputs)):
        return node
    if isinstance(node, ir.ChannelMap):
        return _renumbered(node, made, [masks[name] for name in node.inputs])
    return node if made.all() else rule.fewer(node, np.flatnonzero(made))


def _renumbered(node: ir.ChannelMap, made: Mask, sources: Sequence[Mask]) -> ir.ChannelMap:
    read, source = np.concatenate(sources), node.source[made]
    number = np.cumsum(read) - 1
    return dataclasses.replace(node, source=np.where(source < 0, -1, number[source]).astype(np.int16))


def _takes_all(node: ir.Operation, fewer: ir.Operation, masks: Mapping[str, Mask]) -> bool:
    """Whether a map of sources that make fewer channels takes all that is left of its one source, in its order."""
    if not isinstance(fewer, ir.ChannelMap) or fewer.stride > 1:
        return False
    left, *others = (masks[name] for name in node.inputs)
    return not others and not left.all() and np.array_equal(fewer.source, np.arange(left.sum()))


def _itself(node: ir.Operation, kept: NDArray[np.int64]) -> ir.Operation:
    return node


def _conv(node: ir.Conv, kept: NDArray[np.int64]) -> ir.Conv:
    return dataclasses.replace(node, weight=node.weight[kept], groups=1 if node.groups == 1 else kept.size)


def _linear(node: ir.Linear, kept: NDArray[np.int64]) -> ir.Linear:
    return dataclasses.replace(node, weight=node.weight[kept])


def _affine(node: ir.Affine, kept: NDArray[np.int64]) -> ir.Affine:
    """Constants that are repeated for all channels stay."""
    constants = {name: getattr(node, name) for name in ("multiplier", "shift", "offset")}
    fewer = {name: values[:, kept] for name, values in constants.items() if values.shape[1] > 1}
    return dataclasses.replace(node, **fewer)


def _neuron(node: ir.Neuron, kept: NDArray[np.int64]) -> ir.Neuron:
    constants = {name: getattr(node, name) for name in CONSTANTS}
    by_channel = {name: values[kept] for name, values in constants.items() if isinstance(values, np.ndarray)}
    return dataclasses.replace(node, **by_channel)


def _delay(node: ir.Delay, kept: NDArray[np.int64]) -> ir.Delay:
    return dataclasses.replace(node, shape=(kept.size, *node.shape[1:]))


def _constant(node: ir.Constant, kept: NDArray[np.int64]) -> ir.Constant:
    return dataclasses.replace(node, values=node.values[kept])


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a node reads, and how it makes fewer channels."""

    reads: Reads
    fewer: Fewer = _itself


RULES: Mapping[type[ir.Operation], Rule] = {
    ir.Conv: Rule(Reads.ALL, _conv),
    ir.Linear: Rule(Reads.ALL, _linear),
    ir.ChannelMap: Rule(Reads.TAKEN),
    ir.Affine: Rule(Reads.SAME, _affine),
    ir.Lif: Rule(Reads.SAME, _neuron),
    ir.Charge: Rule(Reads.SAME, _neuron),
    ir.Delay: Rule(Reads.SAME, _delay),
    ir.Constant: Rule(Reads.SAME, _constant),
    **dict.fromkeys((ir.Add, ir.Mul, ir.MaxPool, ir.SumPool, ir.Gather, ir.SumTime), Rule(Reads.SAME)),
}
BY_CHANNEL = Rule(Reads.SAME, _conv)  # of convolutions of one channel each


def _rule(node: ir.Operation) -> Rule | None:
    """The rule of what can make fewer channels; None of the others, convolutions of several groups among them."""
    if isinstance(node, ir.Conv) and node.groups > 1:
        return BY_CHANNEL if node.weight.shape[:2] == (node.groups, 1) else None
    return RULES.get(type(node))
