"""How large the values of every edge will be on average, guessed from the graph alone: what a rule that has to choose
between lists of events and multiplication goes by.

    binary neuron       0.1                         SumPool     window * x
    neuron of D levels  0.2 D                       MaxPool     D (1 - (1 - x / D)^(window / 2)), D the largest value
    Add                 sum of the x                SumTime     T x
    Mul                 product of the x            Constant    the mean of its values
    Flatten, ChannelMap, Gather, Delay: the mean of the x
    any other           the middle of the edge's interval

x is the mean value of an input. On test images the binary neurons of two networks shipped for CIFAR-10 fire 0.07 to
0.46 of the time, half of their layers below 0.16, but those whose spikes add up in residual streams fire less, of what
is published; neurons of 4 and of 16 levels fire 0.19 and 0.18 of them on average. Neighbours fire together: 3 x 3
windows behave like 3.7 to 4.6 neurons that don't (results/LOG.md, 2026-11-30).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from spikelet.graph import ir
from spikelet.graph.backend import BackendRules
from spikelet.graph.edge import Edge

BINARY = 0.1  # of a neuron's steps
OF_LEVELS = 0.2  # of what a neuron of several levels can fire

Guess = Callable[[Any, list[float], Edge, int], float]  # from a node, the means that it reads, its edge and T


def mean_values(graph: ir.IntGraph, edges: Mapping[str, Edge]) -> dict[str, float]:
    """The expected mean value of every edge of `graph`, within the edge's interval."""
    found: dict[str, float] = {}
    for node in graph.nodes:
        xs = [found[n] if n in found else _fired(int(edges[n].high.max())) for n in node.inputs]
        edge = edges[node.name]
        guess = RULES.of(node)(node, xs, edge, graph.time_steps)
        found[node.name] = min(max(guess, float(edge.low.min())), float(edge.high.max()))
    return found


def _fired(levels: int) -> float:
    return BINARY if levels == 1 else OF_LEVELS * levels


def _neuron(node: ir.Lif, xs: list[float], edge: Edge, steps: int) -> float:
    return _fired(node.levels)


def _middle(node: ir.Operation, xs: list[float], edge: Edge, steps: int) -> float:
    return float((edge.low + edge.high).mean()) / 2


def _added(node: ir.Add, xs: list[float], edge: Edge, steps: int) -> float:
    return sum(xs)


def _multiplied(node: ir.Mul, xs: list[float], edge: Edge, steps: int) -> float:
    return math.prod(xs)


def _kept(node: ir.Operation, xs: list[float], edge: Edge, steps: int) -> float:
    return sum(xs) / len(xs)


def _over_window(node: ir.SumPool, xs: list[float], edge: Edge, steps: int) -> float:
    return xs[0] * math.prod(node.kernel)


def _over_time(node: ir.SumTime, xs: list[float], edge: Edge, steps: int) -> float:
    return xs[0] * steps


def _largest(node: ir.MaxPool, xs: list[float], edge: Edge, steps: int) -> float:
    most = int(edge.high.max())
    return most * (1 - (1 - xs[0] / most) ** (math.prod(node.kernel) / 2)) if 0 <= xs[0] <= most > 0 else xs[0]


def _held(node: ir.Constant, xs: list[float], edge: Edge, steps: int) -> float:
    return float(node.values.mean())


TABLE: Mapping[type[ir.Operation], Guess] = {
    ir.Input: _middle,
    ir.Conv: _middle,
    ir.Linear: _middle,
    ir.Affine: _middle,
    ir.Add: _added,
    ir.Lif: _neuron,
    ir.MaxPool: _largest,
    ir.SumPool: _over_window,
    ir.Flatten: _kept,
    ir.SumTime: _over_time,
    ir.ChannelMap: _kept,
    ir.Matmul: _middle,
    ir.Mul: _multiplied,
    ir.Constant: _held,
    ir.Gather: _kept,
    ir.Delay: _kept,
    ir.Charge: _middle,
}

RULES: BackendRules[Guess] = BackendRules("the guess at mean values", TABLE, otherwise=_middle)
