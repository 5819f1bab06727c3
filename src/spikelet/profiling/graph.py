"""The profile of an integer graph: exact bytes, and what the reference does on some samples.

Where a module's profile goes by what it saw, a graph's goes by what is proved: an edge carries spikes if its
interval says so, and its bits are those of its interval. Weights that became a code of 0 cause no
operations here; NeuroBench on the module, which sees float weights, counts them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spikelet.base.codes import values_of
from spikelet.graph import ir
from spikelet.graph.analysis import Edge, analyse
from spikelet.graph.file.document import stored_bytes
from spikelet.graph.reference import Reference, time_first
from spikelet.profiling.arena import SPIKE_BITS, VALUE_BITS, Buffer, peak_bytes
from spikelet.profiling.energy import TABLES, EnergyTable
from spikelet.profiling.fan_out import Window, dense_macs, fan_out
from spikelet.profiling.layers import ChannelLayer, Layer, NeuroBenchCounts, NeuronLayer, SynapseLayer
from spikelet.profiling.report import Report

Int64 = NDArray[np.int64]
NUMBERS_PER_CHANNEL = 3
POINTWISE = (ir.Affine, ir.Add, ir.Lif, ir.Flatten, ir.SumTime)


def profile_graph(
    graph: ir.IntGraph, x: NDArray[np.uint8], *, tables: Sequence[EnergyTable] = TABLES, name: str = ""
) -> Report:
    """Runs the reference on `x` and counts.

    Args:
        graph: any valid graph.
        x: uint8 [B, *input shape] or [T, B, *input shape]; every edge of the batch is held in memory at once.
        tables: what to give energies under.
        name: for the report; the graph's "model" entry in its meta where empty.
    Raises:
        GraphError: the graph has no meaning, or `x` is no input of it.
        ValueError: `x` has no samples, or the graph no neurons.
    """
    edges = analyse(graph)
    if not graph.of_type(ir.Lif):
        raise ValueError("the graph has no Lif node; a profile needs a spiking network.")
    samples = time_first(x, graph).shape[1]
    if not samples:
        raise ValueError("x must hold at least one sample, got none.")
    values = Reference(graph).edges(x)
    return Report(
        model=name or graph.meta.get("model", "graph"),
        time_steps=graph.time_steps,
        samples=samples,
        layers=tuple(_layers(graph, edges, values)),
        peak_arena_bytes=peak_bytes(_buffers(graph, edges, values)),
        tables=tuple(tables),
    )


def _layers(graph: ir.IntGraph, edges: dict[str, Edge], values: dict[str, Int64]) -> list[Layer]:
    owned = _owned(graph)
    layers: list[Layer] = []
    for node in graph.nodes:
        match node:
            case ir.Conv() | ir.Linear():
                source = node.inputs[0]
                layers.append(_synapses(node, owned.get(node.name), edges[source], edges[node.name], values[source]))
            case ir.Lif():
                layers.append(_neurons(node, graph.time_steps, edges[node.name], values[node.name]))
            case ir.Affine() if node not in owned.values():
                channels = node.shift.size
                layers.append(ChannelLayer(node.name, NUMBERS_PER_CHANNEL * channels, channels, stored_bytes(node)))
    return layers


def _owned(graph: ir.IntGraph) -> dict[str, ir.Affine]:
    """The first affine that reads a layer's sum, pooled or not, by the layer's name."""
    makers: dict[str, str] = {}
    owned: dict[str, ir.Affine] = {}
    for node in graph.nodes:
        if isinstance(node, ir.Conv | ir.Linear):
            makers[node.name] = node.name
        elif isinstance(node, ir.MaxPool | ir.SumPool) and node.inputs[0] in makers:
            makers[node.name] = makers[node.inputs[0]]
        elif isinstance(node, ir.Affine) and node.inputs[0] in makers:
            owned.setdefault(makers[node.inputs[0]], node)
    return owned


def _synapses(node: ir.Conv | ir.Linear, affine: ir.Affine | None, source: Edge, out: Edge, x: Int64) -> SynapseLayer:
    window = Window(node.stride, node.padding, node.groups) if isinstance(node, ir.Conv) else None
    present = values_of(node.weight, node.bits, node.grid) != 0
    samples, positions = x.shape[1], x.shape[0] * x.shape[1]
    events = (x != 0).sum((0, 1))
    operations = float((events * fan_out(present, source.shape, window)).sum()) / samples
    dense = int(fan_out(np.ones_like(present), source.shape, window).sum())
    channels = 0 if affine is None else affine.shift.size
    return SynapseLayer(
        name=node.name,
        kind="conv" if isinstance(node, ir.Conv) else "linear",
        parameters=node.weight.size + NUMBERS_PER_CHANNEL * channels,
        norm_channels=channels,
        weights=node.weight.size,
        weight_bits=node.bits,
        packed_bytes=stored_bytes(node) + (0 if affine is None else stored_bytes(affine)),
        in_shape=source.shape,
        out_shape=out.shape,
        kernel=(int(node.weight.shape[2]), int(node.weight.shape[3])) if isinstance(node, ir.Conv) else (1, 1),
        steps=positions / samples,
        spiking_input=source.is_spikes,
        input_bits=_bits(source),
        input_events=float(events.sum()) / samples,
        macs_per_step=dense_macs(node.weight.shape, out.shape),
        neurobench=NeuroBenchCounts(
            effective_acs=operations if source.is_spikes else 0.0,
            effective_macs=0.0 if source.is_spikes else operations,
            dense=float(dense * positions) / samples,
        ),
    )


def _neurons(node: ir.Lif, time_steps: int, edge: Edge, spikes: Int64) -> NeuronLayer:
    return NeuronLayer(
        name=node.name,
        parameters=0,
        shape=edge.shape,
        time_steps=time_steps,
        membrane_bits=32 if node.membrane is None else node.membrane.bits,
        leaky=node.leak not in (0, 1 << node.leak_bits),
        spikes=float(spikes.sum()) / spikes.shape[1],
        membrane_updates=None,
    )


def _bits(edge: Edge) -> int:
    """Of a two's complement where the interval goes below 0, of a plain binary number otherwise."""
    low, high = int(edge.low.min()), int(edge.high.max())
    return max(high.bit_length(), 1) if low >= 0 else max(high.bit_length(), (-low - 1).bit_length()) + 1


def _buffers(graph: ir.IntGraph, edges: dict[str, Edge], values: dict[str, Int64]) -> list[Buffer]:
    position = {node.name: i for i, node in enumerate(graph.nodes)}
    buffers: list[Buffer] = []
    for node in graph.nodes:
        steps = values[node.name].shape[0]
        bits = 0 if isinstance(node, ir.Input) else SPIKE_BITS if edges[node.name].is_spikes else VALUE_BITS
        reads = tuple(position[name] for name in node.inputs)
        buffers.append(Buffer(edges[node.name].size * steps, bits, reads, isinstance(node, POINTWISE)))
    return buffers
