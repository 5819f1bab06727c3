"""The profile of an integer graph: exact bytes, and what the reference does on some samples.

Where a module's profile goes by what it saw, a graph's goes by what is proved: an edge carries spikes if its
interval says so, and its bits are those of its interval. Weights that became a code of 0 cause no
operations here; NeuroBench on the module, which sees float weights, counts them.

Operations are told apart by what they state about themselves, and none but the neuron is named:

    products     multiply what they read by weights, or two edges with each other; their pairs of values that are not
                 zero are counted by running them once more on zeros and ones
    neurons      `Lif`, and `Charge`, which gives no spikes
    constants    any other node with arrays; those of the first operation that scales a product belong to the product
    all else     sums and pools, which the conventions of layers.py do not count

A product of two edges, such as attention's, accumulates where one of them carries spikes; the other edge then stands
for weights, as many as it has values and of its bits. An edge carries counts of spikes if it is a neuron's, or made of
such edges by additions, comparisons and moves alone.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import SpikeletError
from spikelet.graph import ir
from spikelet.graph.analysis import Edge, analyse
from spikelet.graph.file.document import stored_bytes
from spikelet.graph.reference import MAX_BYTES, Reference, time_first
from spikelet.profiling.counted import Counted, counted, dense
from spikelet.profiling.energy import TABLES, EnergyTable
from spikelet.profiling.layers import (
    ChannelLayer,
    Kind,
    Layer,
    NeuroBenchCounts,
    NeuronLayer,
    SynapseLayer,
    event_of,
)
from spikelet.profiling.report import Report
from spikelet.runtime import plan_of


def profile_graph(
    graph: ir.IntGraph,
    x: NDArray[np.uint8],
    *,
    tables: Sequence[EnergyTable] | None = None,
    name: str = "",
    max_bytes: int = MAX_BYTES,
) -> Report:
    """Returns the profile of `graph` on the samples `x`, counted while the reference runs.

    Args:
        graph: any valid graph.
        x: uint8 [B, *input shape] or [T, B, *input shape].
        tables: what to give energies under; None is `spikelet.profiling.TABLES`.
        name: for the report; the graph's "model" entry in its meta where empty.
        max_bytes: the most memory that the reference may take; it runs as many samples at once as fit.
    Raises:
        GraphError: the graph is not valid or has no native plan, `x` does not fit its input, or one sample would take
            more than `max_bytes`.
        SpikeletError: `x` has no samples, or the graph no neurons.
    """
    edges = analyse(graph)
    if not graph.of_type(ir.Lif):
        raise SpikeletError("the graph has no Lif node; a profile needs a spiking network.")
    if not time_first(x, graph).shape[1]:
        raise SpikeletError("x must hold at least one sample, got none.")
    arena_bytes = plan_of(graph, still=np.ndim(x) - 1 == len(graph.input.shape)).arena_bytes
    reference = Reference(graph, max_bytes=max_bytes)
    products = [node for node in graph.nodes if _is_product(node, edges)]
    run = _Run(graph, edges, counted(reference, x, products))
    return Report(
        model=name or graph.meta.get("model", "graph"),
        time_steps=graph.time_steps,
        samples=run.counted.samples,
        layers=tuple(run.layers()),
        peak_arena_bytes=arena_bytes,
        tables=tuple(TABLES if tables is None else tables),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Run:
    """A graph, what is proved of its edges, and what they held."""

    graph: ir.IntGraph
    edges: dict[str, Edge]
    counted: Counted

    def layers(self) -> list[Layer]:
        """A layer for every product, every neuron and every node with constants of its own."""
        scaled_by = self._scaled_by()
        owned = {node.name for node in scaled_by.values()}
        layers: list[Layer] = []
        for node in self.graph.nodes:
            if isinstance(node, ir.Neuron):
                layers.append(self._neurons(node))
            elif node.name in self.counted.pairs:
                layers.append(self._product(node, scaled_by.get(node.name)))
            elif _numbers(node) and node.name not in owned:
                channels = self.edges[node.name].shape[0]
                layers.append(ChannelLayer(node.name, _numbers(node), channels, stored_bytes(node)))
        return layers

    def _work(self, node: ir.Operation) -> Any:
        return node.work(*(self.edges[name].shape for name in node.inputs))

    @functools.cached_property
    def _of_neurons(self) -> set[str]:
        """Edges that are sums, maxima or moves of neurons' outputs."""
        found: set[str] = set()
        for node in self.graph.nodes:
            made = bool(node.inputs) and found.issuperset(node.inputs) and not self._work(node).macs
            if made or isinstance(node, ir.Lif):
                found.add(node.name)
        return found

    def _counts(self, edge: str) -> bool:
        """Whether an edge carries spikes, or counts of them."""
        return self.edges[edge].is_spikes or edge in self._of_neurons

    def _event(self, node: ir.Operation) -> int:
        """Which input of a product its events are in: the first of spikes, else of counts, else the first."""
        binary = [self.edges[name].is_spikes for name in node.inputs]
        return event_of(binary, [self._counts(name) for name in node.inputs])

    def _scales(self, node: ir.Operation) -> bool:
        """Whether the node multiplies one edge by constants: what a batch norm becomes."""
        alone = len(node.inputs) == 1 and _weight(node) is None and not isinstance(node, ir.Neuron)
        return alone and _numbers(node) > 0 and self._work(node).macs > 0

    def _pools(self, node: ir.Operation) -> bool:
        """Whether the node adds or compares the values of one edge, step by step, and holds no constants."""
        work = self._work(node)
        alone = len(node.inputs) == 1 and not _numbers(node) and not isinstance(node, ir.Neuron)
        steps_stay = alone and self.edges[node.name].timed == self.edges[node.inputs[0]].timed
        return steps_stay and not work.macs and work.total > 0

    def _scaled_by(self) -> dict[str, ir.Operation]:
        """The first node that scales a product, pooled or not, by the product's name."""
        makers: dict[str, str] = {}
        found: dict[str, ir.Operation] = {}
        for node in self.graph.nodes:
            if node.name in self.counted.pairs:
                makers[node.name] = node.name
            elif node.inputs and node.inputs[0] in makers and self._pools(node):
                makers[node.name] = makers[node.inputs[0]]
            elif node.inputs and node.inputs[0] in makers and self._scales(node):
                found.setdefault(makers[node.inputs[0]], node)
        return found

    def _product(self, node: ir.Operation, scale: ir.Operation | None) -> SynapseLayer:
        sources, out = [self.edges[name] for name in node.inputs], self.edges[node.name]
        event, weight, seen = self._event(node), _weight(node), self.counted
        x = node.inputs[event]
        samples, steps = seen.samples, max(seen.steps[name] for name in node.inputs)
        spiking = sources[event].is_spikes
        pairs = seen.pairs[node.name] / samples
        other = sources[1 - event] if weight is None else None
        kernel = weight.shape[2:] if weight is not None and weight.ndim == 4 else (1, 1)
        return SynapseLayer(
            name=node.name,
            kind=_kind(weight),
            parameters=_numbers(node) + (0 if scale is None else _numbers(scale)),
            norm_channels=0 if scale is None else self.edges[scale.name].shape[0],
            weights=weight.size if weight is not None else _of(other).size,
            weight_bits=node.bits if weight is not None else _bits(_of(other)),  # type: ignore[attr-defined]
            packed_bytes=stored_bytes(node) + (0 if scale is None else stored_bytes(scale)),
            in_shape=sources[event].shape,
            out_shape=out.shape,
            kernel=(int(kernel[0]), int(kernel[1])),
            steps=float(steps),
            spiking_input=spiking,
            input_bits=_bits(sources[event]),
            input_events=float(seen.events[x]) * steps / seen.steps[x] / samples,
            input_counts=float(seen.sums[x]) * steps / seen.steps[x] / samples if self._counts(x) else None,
            weights_are_spikes=weight is None and self._counts(node.inputs[1 - event]),
            macs_per_step=self._work(node).macs,
            neurobench=NeuroBenchCounts(
                effective_acs=pairs if spiking else 0.0,
                effective_macs=0.0 if spiking else pairs,
                dense=float(dense(node, self.edges) * steps),
            ),
        )

    def _neurons(self, node: ir.Neuron) -> NeuronLayer:
        edge, spikes = self.edges[node.name], self.counted.sums[node.name] if isinstance(node, ir.Lif) else 0
        return NeuronLayer(
            name=node.name,
            parameters=_numbers(node),
            packed_bytes=stored_bytes(node),
            shape=edge.shape,
            time_steps=self.graph.time_steps,
            membrane_bits=32 if node.membrane is None else node.membrane.bits,
            leaky=bool(np.isin(node.leak, (0, 1 << node.leak_bits), invert=True).any()),
            spikes=float(spikes) / self.counted.samples,
            membrane_updates=None,
        )


def _is_product(node: ir.Operation, edges: dict[str, Edge]) -> bool:
    return _weight(node) is not None or (
        len(node.inputs) > 1 and node.work(*(edges[name].shape for name in node.inputs)).macs > 0
    )


def _weight(node: ir.Operation) -> NDArray[np.int8] | None:
    return getattr(node, "weight", None)


def _numbers(node: ir.Operation) -> int:
    """How many numbers the node's arrays hold."""
    fields = (getattr(node, field.name) for field in dataclasses.fields(node))
    return sum(value.size for value in fields if isinstance(value, np.ndarray))


def _kind(weight: NDArray[np.int8] | None) -> Kind:
    return "product" if weight is None else "conv" if weight.ndim == 4 else "linear"


def _of(edge: Edge | None) -> Edge:
    assert edge is not None, "a product without weights reads two edges"
    return edge


def _bits(edge: Edge) -> int:
    """Bits of a two's complement where the interval goes below 0, of a plain binary number otherwise."""
    low, high = int(edge.low.min()), int(edge.high.max())
    return max(high.bit_length(), 1) if low >= 0 else max(high.bit_length(), (-low - 1).bit_length()) + 1
