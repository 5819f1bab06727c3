"""Pointwise operations of one time step in one pass (csrc/at_once.h): every part of them, on maps of every size."""

from __future__ import annotations

import itertools
from typing import Any, Literal

import numpy as np
import pytest

from spikelet.graph import ir
from tests.support.kernel_sets import assert_equal_everywhere

SIZES = [(1, 1, 1), (8, 3, 5), (13, 1, 17), (70, 4, 9)]  # more than a tile of pixels, and less; pads of channels
ENDS = ("values", "division", "cuts", "gain")
Affine = Literal["none", "one product", "two products", "wide"]


def affine_of(
    kind: Affine, channels: int, rng: np.random.Generator, clip: tuple[int, int] | None
) -> list[ir.Operation]:
    """What makes "y" of the values "v", which reach 255."""
    if kind == "none":
        return []
    top, shift = {"one product": (2**15, 9), "two products": (2**27, 20), "wide": (2**30, 31)}[kind]
    multiplier = rng.integers(-top, top, (1, channels)).astype(np.int32)
    multiplier.flat[0] = top - 1
    offset = rng.integers(-500, 500, (1, channels)).astype(np.int32)
    return [ir.Affine("y", ("v",), multiplier, np.full((1, channels), shift, np.uint8), offset, clip)]


def neuron_of(end: str, source: str, channels: int, rng: np.random.Generator) -> ir.Lif:
    """Counts "s" of a neuron that divides, that compares with cuts, or whose gain is not one."""
    levels = 2 if end == "cuts" else 16
    gain = 1 if end == "gain" else 2
    made: dict[str, Any] = {"threshold": rng.integers(1, 60, channels).astype(np.int32), "levels": levels}
    made["step"] = rng.integers(1, 40, channels).astype(np.int32)
    start = rng.integers(-30, 30, channels).astype(np.int32)
    return ir.Lif("s", (source,), 1, gain, 1, made["threshold"], "soft", None, levels, made["step"], start)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("affine", ["none", "one product", "two products", "wide"])
@pytest.mark.parametrize("shape", SIZES)
def test_every_part_is_what_the_reference_has(shape: tuple[int, int, int], affine: Affine, end: str) -> None:
    for number, (clip, added) in enumerate(itertools.product((None, (-300, 700)), (False, True))):
        rng = np.random.default_rng([*shape, ENDS.index(end), number])
        turned = np.arange(shape[1] * shape[2])[::-1].reshape(shape[1:])
        values = [ir.Input("x", (), shape), ir.Gather("v", ("x",), turned.astype(np.int32))]
        nodes: list[ir.Operation] = [*values, *affine_of(affine, shape[0], rng, clip)]
        if added:
            constant = rng.integers(-200, 200, shape).astype(np.int32)
            nodes += [ir.Constant("c", (), constant), ir.Add("z", (nodes[-1].name, "c"))]
        if end != "values":
            nodes.append(neuron_of(end, nodes[-1].name, shape[0], rng))
        nodes.append(ir.Flatten("flat", (nodes[-1].name,)))
        graph = ir.IntGraph(tuple(nodes), 1, (ir.Output("flat", 1.0),))
        assert_equal_everywhere(graph, rng.integers(0, 256, (1, 3, *shape)).astype(np.uint8))
