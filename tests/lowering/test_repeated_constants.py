"""Constants that all channels share stand once in a graph of format 3, and mean what they meant."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.file.artifact import dumps, loads
from spikelet.graph.file.format import format_of
from spikelet.graph.reference import Reference
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, Saturate
from spikelet.quant import Uniform
from spikelet.runtime import Program


class Stream(nn.Module):
    """A residual stream, saturated; neurons of `levels`."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        params = LIFParams.rounding(levels) if levels > 1 else LIFParams()
        self.encode = Encode()
        self.first = nn.Sequential(Conv2d(3, 8, 3, Uniform(4), padding=1), BatchNorm2d(8))
        self.body = nn.Sequential(LIF(2, params), Conv2d(8, 8, 3, Uniform(4), padding=1), BatchNorm2d(8))
        self.saturate = Saturate() if levels > 1 else nn.Identity()
        self.head = nn.Sequential(LIF(2, params), nn.Flatten(2), Linear(128, 5, Uniform(8, per_channel=False)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.encode(x))
        return self.head(self.saturate(x + self.body(x)))


def images() -> Tensor:
    return torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8)


def settled(levels: int, x: Tensor) -> Stream:
    model = Stream(levels).train()
    with torch.no_grad():
        model(x)
    return model.eval()


def by_channel(graph: ir.IntGraph) -> ir.IntGraph:
    """The graph with every constant of an affine written out for each channel."""
    edges = analyse(graph)

    def written_out(node: ir.Affine) -> ir.Affine:
        shape = (len(node.shift), edges[node.name].shape[0])
        arrays = {
            name: np.broadcast_to(getattr(node, name), shape).copy() for name in ("multiplier", "shift", "offset")
        }
        return dataclasses.replace(node, **arrays)

    return dataclasses.replace(
        graph, nodes=tuple(written_out(n) if isinstance(n, ir.Affine) else n for n in graph.nodes)
    )


def test_a_constant_of_all_channels_stands_once_and_others_stay():
    x = images()
    graph = lower(settled(4, x), x)
    affines = graph.of_type(ir.Affine)
    shared = {node.name: node.shift.shape for node in affines if node.shift.size == 1}
    assert "saturate" in shared
    for node in affines:
        width = analyse(graph)[node.name].shape[0]
        same = all((values == values.flat[0]).all() for values in (node.multiplier, node.shift, node.offset))
        assert node.shift.shape == (1, 1 if same else width)
    assert len(affines) > len(shared)


def test_the_graph_computes_the_same_and_its_file_is_smaller():
    x = images()
    model = settled(4, x)
    graph = lower(model, x)
    long = by_channel(graph)
    assert len(dumps(graph)) < len(dumps(long))
    assert np.array_equal(Reference(graph)(x.numpy()), Reference(long)(x.numpy()))
    assert np.array_equal(Program(graph)(x.numpy()), Program(long)(x.numpy()))
    result = verify(loads(dumps(graph)), model, [(x, torch.zeros(len(x), dtype=torch.long))])
    assert result.spikes > 0
    assert result.mismatches == 0


@pytest.mark.parametrize(("levels", "version"), [(1, 1), (4, 4)])
def test_a_graph_of_an_older_format_keeps_its_file(levels: int, version: int):
    x = images()
    graph = lower(settled(levels, x), x)
    assert format_of(graph, analyse(graph)) == version
    assert (dumps(graph) == dumps(by_channel(graph))) == (version == 1)
