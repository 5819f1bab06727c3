"""Graphs of one or two nodes for the tests of interval analysis: constants, ranges, and what lies around them."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelet.graph import ir

TOP = 2**31 - 1


def graph_of(*nodes: ir.Operation, time_steps: int = 1, **fields: Any) -> ir.IntGraph:
    return ir.IntGraph.of_logits(nodes, time_steps, fields.pop("logit_scale", 1.0), **fields)


def constant(name: str, source: str, *values: int) -> ir.Affine:
    """An edge that is `values`, whatever its input."""
    n = len(values)
    return ir.Affine(name, (source,), np.zeros(n, np.int32), np.zeros(n, np.uint8), np.array(values, np.int32))


def between(name: str, source: str, low: int, multiplier: int) -> ir.Affine:
    """An edge of one channel in low .. low + 255 * multiplier, from bytes."""
    m, s, d = np.array([multiplier], np.int32), np.zeros(1, np.uint8), np.array([low], np.int32)
    return ir.Affine(name, (source,), m, s, d)


X1 = ir.Input("x", (), (1,))
