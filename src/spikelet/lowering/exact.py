"""Proof that PyTorch's evaluation is exact: every tensor's values are whole multiples of its scale that its type holds.

    float32 holds whole numbers up to 2^24, float64 up to 2^53, float16 up to 2^11, bfloat16 up to 2^8, int64 up to
    2^63, int32 up to 2^31

The bound is that of the interval analysis, over all bytes that an input may be. A scale that is no power of two, as a
mean over 49 positions has, rounds every value a little; the bound is then a quarter of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.lowering.builder import Builder, is_power_of_two

BITS = {
    torch.float64: 53, torch.float32: 24, torch.float16: 11, torch.bfloat16: 8, torch.int64: 63, torch.int32: 31,
}  # fmt: skip
NAMES = {bits: str(dtype).removeprefix("torch.") for dtype, bits in BITS.items()}


def inexact_floats(
    graph: ir.IntGraph, edges: Mapping[str, Edge], b: Builder, types: dict[str, torch.dtype]
) -> Iterator[tuple[ir.Operation, str]]:
    """The nodes whose values evaluation would round, each with the words for it.

    Args:
        edges: the graph's analysis.
        types: of the tensor that each node stands for; nodes that stand for none are missing.
    """
    held = {name: [dtype] for name, dtype in types.items() if name not in b.not_held}
    for name, dtype in b.casts:
        held.setdefault(name, []).append(dtype)
    for node in graph.nodes:
        if node.name not in held or isinstance(node, ir.Input):
            continue
        bits = min(BITS.get(dtype, 0) for dtype in held[node.name])
        reach = edges[node.name].reach
        rounds = not all(is_power_of_two(float(s)) for s in b.scales[node.name].reshape(-1))
        limit = bits - 2 if rounds else bits
        if reach >= 2**limit:
            yield (
                node,
                f"its values may reach {reach}, and {NAMES.get(bits, 'its type')}, in which PyTorch evaluates, holds "
                f"whole numbers up to 2^{limit} only.",
            )
