"""An operation is one file: this one defines a toy and takes it everywhere without an edit elsewhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from spikelet.base.errors import ArtifactError, GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.file.artifact import dumps, load, loads, save
from spikelet.graph.file.limits import footprint, operations, shapes_of
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Record, Stated, Stream, dims, field, numbers, signed
from spikelet.graph.reference import Reference
from spikelet.profiling import profile_graph
from spikelet.runtime import Program, kernel_sets


def _streams(stated: Stated) -> list[Stream]:
    return [numbers("value", 32, stated["channels"], lambda node: node.bias)]


@dataclasses.dataclass(frozen=True, eq=False)
class Mirror(Pointwise):
    """y[c] = about - x[c] + bias[c]: a toy."""

    about: int
    bias: np.ndarray

    word: ClassVar[str] = "mirror"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    first_format: ClassVar[int] = 3
    record: ClassVar[Record] = Record(
        (
            field("about", signed),
            dataclasses.replace(field("channels", dims(1, 1)), of=lambda node, version: node.bias.shape),
        ),
        lambda name, inputs, stated, arrays: Mirror(name, inputs, stated["about"], arrays[0]),
        _streams,
    )

    def since(self, *sources: Shape) -> int:
        return 3

    def output_shape(self, *sources: Shape) -> Shape:
        return sources[0]

    def check(self, *sources: Edge) -> None:
        self.require(self.bias.shape == sources[0].shape[:1], "bias", self.bias.shape, f"[{sources[0].shape[0]}]")

    def interval(self, *sources: Edge, T: int) -> Interval:
        return self.about - sources[0].high + self.bias, self.about - sources[0].low + self.bias

    def run(self, *xs: Int64, steps: range) -> Int64:
        return self.about - xs[0] + self.bias.reshape(-1, *(1,) * (xs[0].ndim - 3))

    def work(self, *sources: Shape) -> Work:
        return Work(additions=2 * int(np.prod(sources[0])))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (example(cls("n", ("x",), 10, np.array([0, 1], np.int32)), [[[3, 4]]], [[7, 7]]),)


def toy_graph() -> ir.IntGraph:
    nodes = (
        ir.Input("x", (), (2, 2, 2)),
        Mirror("m", ("x",), 255, np.array([0, -5], np.int32)),
        ir.Lif("s", ("m",), 1, 1, 0, 200, "soft", None),
        ir.Add("both", ("m", "s")),
        Mirror("again", ("both",), 1, np.array([7, 7], np.int32)),
        ir.Flatten("flat", ("again",)),
        ir.SumTime("y", ("flat",)),
    )
    return ir.IntGraph.of_logits(nodes, 3, 1.0)


KNOWN = (*ir.OPERATIONS, Mirror)
X = (np.arange(3 * 8) * 31 % 256).astype(np.uint8).reshape(3, 2, 2, 2)


def test_the_analysis_knows_its_interval():
    edge = analyse(toy_graph())["m"]
    assert (edge.low.tolist(), edge.high.tolist()) == ([0, -5], [255, 250])
    with pytest.raises(GraphError, match=r"m: bias must be \[2\], got \(3,\)"):
        nodes = list(toy_graph().nodes)
        nodes[1] = Mirror("m", ("x",), 255, np.zeros(3, np.int32))
        analyse(dataclasses.replace(toy_graph(), nodes=tuple(nodes)))


def test_the_reference_runs_it_at_once_and_step_by_step():
    logits = Reference(toy_graph())(X)
    first = 255 - X[:, 0].astype(int)
    assert logits.shape == (3, 8)
    assert (Reference(toy_graph()).edges(X)["m"][0, :, 0] == first).all()
    stream = Reference(toy_graph()).stream()
    state = stream.start(3)
    for _ in range(3):
        y, state = stream(X[None], state)
    assert y.tolist() == logits.tolist()


def test_its_file_is_read_by_who_knows_it(tmp_path: Path):
    data = dumps(toy_graph())
    again = loads(data, known=KNOWN)
    assert dumps(again) == data
    assert Reference(again)(X).tolist() == Reference(toy_graph())(X).tolist()
    with pytest.raises(ArtifactError, match="unknown operation 'mirror'; known are input, conv"):
        loads(data)
    save(toy_graph(), tmp_path / "toy.safetensors")
    assert dumps(load(tmp_path / "toy.safetensors", known=KNOWN)) == data


def test_limits_count_it():
    nodes = toy_graph().nodes
    assert shapes_of(nodes)["m"] == (2, 2, 2)
    # a map of 8 values lies in 4 pixels of 8 lanes: work, values once for every input, and values read, all four times
    others = 8 + (24 + 8 + 8) + (8 + 16 + 16) + (8 + 8) + (8 + 8 + 8)  # input, lif, add, flatten, sumtime
    assert operations(nodes, 3) == 3 * 4 * (2 * (16 + 8 + 8) + others)
    assert footprint(nodes) > 0
    with pytest.raises(ArtifactError, match="operations a sample, max_operations allows 10"):
        loads(dumps(toy_graph()), known=KNOWN, max_operations=10)


def test_the_profile_counts_its_bytes():
    report = profile_graph(toy_graph(), X)
    (toy, again) = [layer for layer in report.layers if layer.name != "s"]
    assert (toy.name, toy.packed_bytes, toy.parameters) == ("m", 8, 2)
    assert report.total.packed_bytes == toy.packed_bytes + again.packed_bytes == 16


def test_the_native_runtime_runs_it_between_its_own_operations_and_says_so():
    for kernels in kernel_sets():
        program = Program(toy_graph(), kernels=kernels.name)
        assert program.fallbacks == ("m", "again")
        assert program(X).tolist() == Reference(toy_graph())(X).tolist()
        assert program.spikes(X)["s"].tolist() == Reference(toy_graph()).spikes(X)["s"].tolist()
