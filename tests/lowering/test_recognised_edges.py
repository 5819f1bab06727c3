"""Addresses that are a whole edge in its own order are known as that edge, and no others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from spikelet.lowering.values import Source, Sources, Value


def sources() -> tuple[Sources, Source, Source]:
    """A map [2, 3, C, H, W] behind another edge, and a constant."""
    known = Sources()
    one = np.array(1.0)
    known.add(node="before", shape=(4,), scale=one, time="steps", steps=2, batch=3)
    edge = known.add(node="edge", shape=(2, 3, 4), scale=one, time="steps", steps=2, batch=3)
    constant = known.add(node="", shape=(2,), scale=one, time="still", steps=1, batch=1, constant=np.array([1.0, 2.0]))
    return known, edge, constant


def test_a_whole_edge_is_recognised_however_it_is_cut():
    known, edge, _ = sources()
    for shape in ((2, 3, 2, 3, 4), (6, 24), (2, 3, 2, 12)):
        found = known.recognised(Value(shape, None, edge.addresses().reshape(shape)))
        assert found.source is edge
        assert found.shape == shape
        assert torch.equal(found.addresses, edge.addresses().reshape(shape))


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.flip(0),
        lambda a: a[:3],
        lambda a: a.transpose(2, 3),
        lambda a: torch.cat([a, a]),
        lambda a: torch.where(a == a.max(), a.min(), a),
        lambda a: torch.where(a == a.min(), 0, a),
    ],
    ids=["other frames", "some frames", "other positions", "twice", "one repeated", "a zero"],
)
def test_anything_else_keeps_its_addresses(change):
    known, edge, _ = sources()
    addresses: Tensor = change(edge.addresses())
    value = Value(tuple(addresses.shape), None, addresses)
    assert known.recognised(value) is value


def test_a_constant_is_no_edge():
    known, _, constant = sources()
    value = Value((2,), None, torch.arange(constant.start, constant.start + 2))
    assert known.recognised(value) is value
