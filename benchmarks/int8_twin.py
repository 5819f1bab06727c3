"""The int8 network of a spiking graph's shape, as plain C: the same convolutions and pools, ReLUs for neurons.

    sources, entry = twin(graph, seed=0)    C files by name, and the function: entry(const int8_t *x, int32_t *y)
    expected(graph, x, seed=0)              its outputs, worked out by NumPy

It runs once, as it has no time. A convolution takes over its scale and its neuron's ReLU; a residual sum is an average
of two maps; weights are random, as instructions do not depend on them. Its input lies position by position, as the twin
likes it. Where a graph holds something else than such layers, it has no twin.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikelet.export.c.constants import Constants
from spikelet.graph import ir
from spikelet.graph.analysis import analyse

KERNELS = Path(__file__).parent
PASSES = (ir.Affine, ir.Lif, ir.SumTime, ir.Flatten)  # a convolution takes these over, or they do nothing
Int8, Int32, Int64 = NDArray[np.int8], NDArray[np.int32], NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
    """Codes [O, I, k, k] of a convolution or linear layer, and what scales its sums.

    Most results lie within int8.
    """

    codes: Int8
    bias: Int32
    multiplier: Int32
    shift: int

    @staticmethod
    def random(shape: tuple[int, ...], rng: np.random.Generator) -> Weights:
        """Weights of this shape."""
        spread = 73 * math.sqrt(math.prod(shape[1:]))  # of a sum of inputs of about 1
        multiplier = (2.0**31 * rng.uniform(0.5, 1, shape[0])).astype(np.int64).clip(0, 2**31 - 1)
        codes, bias = rng.integers(-127, 128, shape), rng.integers(-1000, 1000, shape[0])
        shift = max(math.floor(math.log2(spread)) - 1, 0)
        return Weights(codes.astype(np.int8), bias.astype(np.int32), multiplier.astype(np.int32), shift)


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """One call: what it does, the maps that it reads and writes by number, and their sizes [C, H, W]."""

    kind: str
    reads: int
    writes: int
    shape: tuple[int, ...]
    result: tuple[int, ...]
    node: ir.Operation
    weights: Weights | None = None


def layers_of(graph: ir.IntGraph, seed: int) -> tuple[list[Layer], dict[int, int]]:
    """The layers in order, and the bytes of every map; map 0 is the input.

    Raises:
        ValueError: the graph holds an operation that a twin has not; names it.
    """
    rng, edges, maps = np.random.default_rng(seed), analyse(graph), {graph.input.name: 0}
    layers: list[Layer] = []
    sizes = {0: math.prod(graph.input.shape)}
    for node in graph.nodes:
        if isinstance(node, ir.Input):
            continue
        reads = maps[node.inputs[0]]
        if isinstance(node, PASSES):
            maps[node.name] = reads
            continue
        shape, result = _map(edges[node.inputs[0]].shape), _map(edges[node.name].shape)
        if isinstance(node, ir.Add):
            maps[node.name] = maps[node.inputs[1]]
            layers.append(Layer("add", reads, maps[node.name], shape, result, node))
            continue
        maps[node.name] = number = len(sizes)
        sizes[number] = math.prod(result)
        match node:
            case ir.Conv() if node.groups == 1 and node.dilation == (1, 1) and len({*node.kernel}) == 1:
                weights = Weights.random(node.weight.shape, rng)
                layers.append(Layer("conv", reads, number, shape, result, node, weights))
            case ir.Linear():
                weights = Weights.random((*node.weight.shape, 1, 1), rng)
                layers.append(Layer("linear", reads, number, (node.weight.shape[1], 1, 1), result, node, weights))
            case ir.MaxPool() | ir.SumPool():
                kind = "max" if isinstance(node, ir.MaxPool) else "mean"
                layers.append(Layer(kind, reads, number, shape, result, node))
            case _:
                raise ValueError(f"{node.name}: an int8 twin has no {node.word} like this one.")
    return layers, sizes


def _map(shape: tuple[int, ...]) -> tuple[int, int, int]:
    channels, height, width = (*shape, 1, 1)[:3]
    return channels, height, width


# As C.


def twin(graph: ir.IntGraph, seed: int = 0) -> tuple[dict[str, str], str]:
    """C files by name, and the function that runs the network.

    Raises:
        ValueError: the graph has no twin.
    """
    layers, sizes = layers_of(graph, seed)
    constants, calls = Constants("twin"), []
    places, memory = _places(layers, sizes)
    for layer in layers:
        x = "x" if layer.reads == 0 else f"m + {places[layer.reads]}"
        y = "y" if layer is layers[-1] else f"m + {places[layer.writes]}"
        channels, height, width = layer.shape
        match layer.kind:
            case "conv" | "linear":
                calls.append(f"int8_{layer.kind}({y}, {x}, &{_constants(constants, layer)});")
            case "add":
                calls.append(f"int8_add({y}, {x}, {math.prod(layer.shape)});")
            case _:
                calls.append(f"int8_{layer.kind}({y}, {x}, {height}, {width}, {channels}, {_size(layer)});")
    body = "\n".join(f"    {call}" for call in calls)
    text = (
        '#include "int8_twin.h"\n\n' + "\n".join(constants.definitions) + f"\n\nstatic int8_t m[{memory}];\n\n"
        f"void twin_run(const int8_t *x, int32_t *y);\nvoid twin_run(const int8_t *x, int32_t *y) {{\n{body}\n}}\n"
    )
    kernels = {name: (KERNELS / name).read_text(encoding="utf-8") for name in ("int8_twin.c", "int8_twin.h")}
    return {**kernels, "twin.c": text}, "twin_run"


def _size(layer: Layer) -> int:
    """Rows of a pool."""
    assert isinstance(layer.node, ir.MaxPool | ir.SumPool)
    return layer.node.kernel[0]


def _places(layers: list[Layer], sizes: dict[int, int]) -> tuple[dict[int, int], int]:
    """Where every map lies: the lowest place that nothing alive beside it has; and the bytes of all."""
    begins = {n: min((i for i, layer in enumerate(layers) if layer.writes == n), default=0) for n in sizes}
    ends = {n: max((i for i, layer in enumerate(layers) if n in (layer.reads, layer.writes)), default=0) for n in sizes}
    places: dict[int, int] = {}
    for number in sorted(set(sizes) - {0, layers[-1].writes}, key=lambda n: -sizes[n]):
        beside = [n for n in places if begins[n] <= ends[number] and begins[number] <= ends[n]]
        at = 0
        for first, end in sorted((places[n], places[n] + sizes[n]) for n in beside):
            if at + sizes[number] <= first:
                break
            at = max(at, end)
        places[number] = at
    return places, max(places[n] + sizes[n] for n in places)


def _constants(constants: Constants, layer: Layer) -> str:
    """The name of a layer's numbers; codes lie [O / 4, k, k, I, 4], padded by outputs of zeros."""
    weights = layer.weights
    assert weights is not None
    outputs = layer.result[0] + -layer.result[0] % 4
    codes = np.zeros((outputs, *weights.codes.shape[1:]), np.int8)
    codes[: len(weights.codes)] = weights.codes
    groups = codes.reshape(outputs // 4, 4, *codes.shape[1:]).transpose(0, 3, 4, 2, 1)
    bias, multiplier = (np.pad(a, (0, outputs - len(a))) for a in (weights.bias, weights.multiplier))
    channels, height, width = layer.shape
    numbers = (height, width, channels, *layer.result[1:], outputs, *_geometry(layer), weights.shift, 0)
    arrays = (constants.array("weight", groups), constants.array("bias", bias), constants.array("gain", multiplier))
    return constants.struct("layer", "int8_conv_constants", [*map(str, numbers), *arrays], 14 * 4)


def _geometry(layer: Layer) -> tuple[int, int, int]:
    """Kernel, stride and padding."""
    node = layer.node
    return (node.kernel[0], node.stride[0], node.padding[0]) if isinstance(node, ir.Conv) else (1, 1, 0)


# As NumPy.


def expected(graph: ir.IntGraph, x: Int8, seed: int = 0) -> Int32:
    """What the twin gives for `x`, int8 [height, width, channels]."""
    layers, _ = layers_of(graph, seed)
    maps: dict[int, Int64] = {0: x.astype(np.int64)}
    found = np.zeros(0, np.int64)
    for layer in layers:
        x_map = maps[layer.reads].reshape(*layer.shape[1:], layer.shape[0])
        if layer.kind == "add":
            maps[layer.writes] = np.maximum((x_map + maps[layer.writes] + 1) >> 1, 0)
        elif layer.weights is not None:
            found = _sums(layer, layer.weights, x_map)
            scaled = (found * layer.weights.multiplier.astype(np.int64) + 2**31) >> 32
            scaled = (scaled + (1 << layer.weights.shift >> 1)) >> layer.weights.shift
            maps[layer.writes] = np.clip(scaled, 0, 127)
        else:
            size, (h, w, c) = _size(layer), x_map.shape
            tiles = x_map[: h // size * size, : w // size * size].reshape(h // size, size, w // size, size, c)
            mean = (tiles.sum((1, 3)) + size * size // 2) // (size * size)
            maps[layer.writes] = tiles.max((1, 3)) if layer.kind == "max" else mean
    return found.reshape(-1).astype(np.int32)


def _sums(layer: Layer, weights: Weights, x: Int64) -> Int64:
    """Sums of every position and output, [H, W, O]."""
    kernel, stride, pad = _geometry(layer)
    codes = weights.codes.astype(np.int64)
    wide = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    height, width = layer.result[1:]
    total = np.broadcast_to(weights.bias.astype(np.int64), (height, width, len(codes))).copy()
    for a in range(kernel):
        for b in range(kernel):
            part = wide[a : a + stride * height : stride, b : b + stride * width : stride][:height, :width]
            total += part @ codes[:, :, a, b].T
    return total
