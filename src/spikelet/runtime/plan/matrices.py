"""The rule of products of two maps as matrices, A B (O12), and which kernel runs them.

    entries of B                             kernel
    at most 4 bits: spikes, small counts     MATMUL_BITS   their bits select columns of A; A of any width
    any                                      MATMUL        every product, two at once where A and B are int16

MATMUL_BITS reads spikes as they are, and adds up in as few bits as the analysis proves that the product has. It takes a
round for every bit of B, and MATMUL one for all. So where both can run, MATMUL_BITS comes first for spikes, for two
bits where 64 rows and more are summed in bytes, and where A or B is no int16; else MATMUL (results/LOG.md, 2026-12-01).
"""

from __future__ import annotations

from typing import Any

from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.runtime.plan.emit import Value
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.planner import Planner

NARROW = 2**15 - 1  # magnitude below which two products are one instruction
MAX_PLANES = 4  # bits of an entry that MATMUL_BITS can add up
MANY_ROWS = 64  # of two bits that are faster added than multiplied, in bytes


def matmul(plan: Planner, node: ir.Matmul) -> None:
    """O12."""
    if plan.choose(node, _kinds(plan, node)) is Kind.MATMUL_BITS:
        b = plan.edges[node.inputs[1]]
        bits = {"planes": _planes(b), "has_sign": _has_sign(b), "lane_bits": _lane_bits(plan.edges[node.name])}
        _emit(plan, node, Kind.MATMUL_BITS, [_bits_or_values(plan, name) for name in node.inputs], bits)
        return
    values = [plan.forms.values_in_order(name) for name in node.inputs]
    _emit(plan, node, Kind.MATMUL, values, {"narrow": _is_narrow(plan, node)})


def _kinds(plan: Planner, node: ir.Matmul) -> tuple[Kind, ...]:
    """Kernels of the set that can run the product, the one to take unless told otherwise first."""
    planes = _planes(plan.edges[node.inputs[1]])
    if planes > MAX_PLANES or Kind.MATMUL_BITS not in plan.emitter.kernels.kinds:
        return (Kind.MATMUL,)
    rows, _, _ = node.sizes(*(plan.edges[name].shape for name in node.inputs))
    in_bytes = rows >= MANY_ROWS and _lane_bits(plan.edges[node.name]) == 8
    if planes == 1 or (planes == 2 and in_bytes) or not _is_narrow(plan, node):
        return Kind.MATMUL_BITS, Kind.MATMUL
    return Kind.MATMUL, Kind.MATMUL_BITS


def _is_narrow(plan: Planner, node: ir.Matmul) -> bool:
    """Whether both maps are int16."""
    return all(plan.edges[name].reach <= NARROW for name in node.inputs)


def _has_sign(edge: Edge) -> bool:
    return bool(edge.low.min() < 0)


def _planes(edge: Edge) -> int:
    """Bits of a value in two's complement, without the sign where none is negative; at least one."""
    low, high = int(edge.low.min()), int(edge.high.max())
    return max(1, max(high, -low - 1).bit_length() + _has_sign(edge))


def _lane_bits(edge: Edge) -> int:
    """Bits that tell all values of an edge apart: those of a byte without a sign, or of an integer with one."""
    low, high = int(edge.low.min()), int(edge.high.max())
    if low >= 0 and high < 2**8:
        return 8
    return 16 if low >= -(2**15) and high < 2**15 else 32


def _bits_or_values(plan: Planner, name: str) -> Value:
    """Spikes as they are, where the node has them."""
    return plan.forms.spikes_in_order(name) or plan.forms.values_in_order(name)


def _emit(plan: Planner, node: ir.Matmul, kind: Kind, sources: list[Value], fields: dict[str, Any]) -> None:
    a, b = sources
    product = plan.emitter.new(Form.VALUES, plan.forms.shape(node.name), max(a.steps, b.steps))
    fields = fields | {
        "addend_source": b.form, "addend_t": b.steps, "addend_c": b.map[0], "addend_h": b.map[1],
        "addend_w": b.map[2], "heads": node.heads, "transpose_a": node.transpose[0],
        "transpose_b": node.transpose[1], "by_row": node.by_row,
    }  # fmt: skip
    plan.emitter.emit(kind, a, product.map, {"addend": b, "values": product}, **fields)
    plan.forms.bind(node, product)
