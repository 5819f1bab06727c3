"""Answers of a loop over time: added up in any order they make one sum; written by index they are moved, as stacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import spikelet
from spikelet.graph import ir
from spikelet.neurons import LIF, LIFParams, Soft
from spikelet.nn import Encode, Linear
from spikelet.quant import Uniform

T, B = 5, 3


class Answers(torch.nn.Module):
    """Frames [T, B, 6] to answers [T, B, 4], which `ends` makes something of."""

    def __init__(self, ends: Callable[[Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encode, self.one, self.two = Encode(sample_dims=1), Linear(6, 8, Uniform(4)), Linear(8, 4, Uniform(4))
        self.lif, self.ends = LIF(T, LIFParams(0.5, 0.125, reset=Soft())), ends

    def forward(self, x: Tensor) -> Any:
        return self.ends(self.two(self.lif(self.one(self.encode(x)))))


def added(y: Tensor) -> Tensor:
    total: Any = 0
    for step in y:
        total = total + step
    return total


def added_in_place(y: Tensor) -> Tensor:
    total = torch.zeros(y.shape[1:])
    for t in range(T):
        total += y[t]
    return total


def added_backwards(y: Tensor) -> Tensor:
    return y[4] + (y[3] + (y[2] + (y[1] + y[0])))


def added_in_pairs(y: Tensor) -> Tensor:
    return (y[0] + y[1]) + (y[2] + y[3]) + y[4]


def some_twice(y: Tensor) -> Tensor:
    return y[1] + y[3] + y[1]


def written(y: Tensor) -> Tensor:
    record = torch.zeros(T, len(y[0]), 4)
    for t, step in enumerate(y):
        record[t] = step
    return record.sum(0)


def written_on_axis_one(y: Tensor) -> Tensor:
    record = torch.empty(y.shape[1], T, 4)
    for t in range(T):
        record[:, t, :] = y[t]
    return record.mean(1)


def written_twice(y: Tensor) -> Tensor:
    record = y.new_zeros(2, *y.shape[1:])
    for t in range(T):
        record[t % 2] = y[t]
    return record[0]


def grown_by_index(y: Tensor) -> Tensor:
    record = torch.zeros(2, *y.shape[1:])
    for t in range(T):
        record[0] += y[t]
    return record[0]


def silenced(y: Tensor) -> Tensor:
    y[:, :, 1] = 0
    return y


ONE_SUM = (added, added_in_place, added_backwards, added_in_pairs, written, written_on_axis_one, grown_by_index)
OTHERS = (some_twice, written_twice, silenced)
every_end = pytest.mark.parametrize("ends", ONE_SUM + OTHERS, ids=lambda f: f.__name__)


def frames() -> Tensor:
    return torch.randint(0, 256, (T, B, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@every_end
def test_integers_are_what_pytorch_gives(ends: Callable[[Tensor], Any]) -> None:
    model, x = Answers(ends).eval(), frames()
    graph = spikelet.lower(model, x, time_axis=0)
    result = spikelet.verify(graph, model, [(x, torch.zeros(B, dtype=torch.long))], time_axis=0)
    assert result.mismatches == 0, str(result)
    assert not result.not_compared
    assert bool(model(x).any())


@pytest.mark.parametrize("ends", ONE_SUM, ids=lambda f: f.__name__)
def test_the_answers_of_all_steps_make_the_graph_of_a_sum(ends: Callable[[Tensor], Any]) -> None:
    graph, summed = (spikelet.lower(Answers(f).eval(), frames(), time_axis=0) for f in (ends, lambda y: y.sum(0)))
    assert [type(node) for node in graph.nodes] == [type(node) for node in summed.nodes]
    assert len(graph.of_type(ir.SumTime)) == 1


def test_nodes_that_nothing_reads_are_left_out() -> None:
    graph = spikelet.lower(Answers(added).eval(), frames(), time_axis=0)
    read = {name for node in graph.nodes for name in node.inputs} | {output.node for output in graph.outputs}
    assert {node.name for node in graph.nodes} == read


def through_a_view(y: Tensor) -> Tensor:
    record = torch.zeros(T, len(y[0]), 4)
    last = record[-1]
    for t in range(T):
        record[t] = y[t]
    return last + record[0]


@pytest.mark.parametrize("batch", [1, B])
def test_a_constant_that_was_written_is_not_read_as_it_was(batch: int) -> None:
    with pytest.raises(spikelet.LoweringError, match=r"the model: a tensor is written after it was made, by index or"):
        spikelet.lower(Answers(through_a_view).eval(), torch.zeros_like(frames()[:, :batch]), time_axis=0)
