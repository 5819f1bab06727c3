"""Files of format 2, which adds odd codes and channel maps; and that nothing of it is read as format 1."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spikelet.base.errors import ArtifactError, GraphError
from spikelet.graph import ir
from spikelet.graph.file.artifact import dumps, loads
from spikelet.graph.file.limits import shapes_of
from tests.artifact_parts import FileParts, odd_graph, small_graph

DATA = dumps(odd_graph())
Change = Callable[[FileParts], Any]


def node(name: str, **attributes: Any) -> Change:
    return lambda parts: parts.node(name).update(attributes)


def source(position: int, value: int) -> Change:
    """Sets one element of the tensor "source"."""

    def change(parts: FileParts) -> None:
        first = parts.tensor("source").start + 2 * position
        parts.body = parts.body[:first] + value.to_bytes(2, "little", signed=True) + parts.body[first + 2 :]

    return change


def test_a_file_states_grids_and_channels_as_the_specification_says() -> None:
    parts = FileParts.of(DATA)
    assert parts.node("c1")["grid"] == "odd"
    assert "grid" not in parts.node("c2")  # as the convolution before
    assert parts.node("c3")["grid"] == "symmetric"
    assert parts.node("m1") == {"inputs": [3], "shape": [5], "stride": 2}
    at = parts.tensor("source")
    channels = [int.from_bytes(parts.body[i : i + 2], "little", signed=True) for i in range(at.start, at.stop, 2)]
    assert channels == [-1, 0, 1, 2, -1, 4, 4, 0, -1, 2]
    assert list(parts.tensors) == ["multiplier.i16", "offset.i16", "source", "shift", "weight"]


def test_the_safetensors_library_writes_it_back_byte_for_byte() -> None:
    from safetensors import numpy as safetensors_numpy

    text = FileParts.of(DATA).text()
    assert safetensors_numpy.save(safetensors_numpy.load(DATA), metadata={"spikelet": text}) == DATA


def test_any_of_the_three_novelties_makes_a_node_of_format_2() -> None:
    small = small_graph()
    shapes = shapes_of(small.nodes)
    for node in small.nodes:
        sources = [shapes[name] for name in node.inputs]
        assert node.since(*sources) == 1
        if isinstance(node, ir.Lif):
            assert dataclasses.replace(node, reset=7).since(*sources) == 2
        elif isinstance(node, ir.Linear):
            assert dataclasses.replace(node, grid="odd").since(*sources) == 2
    assert ir.ChannelMap("m", ("x",), np.zeros(3, np.int16), 1).since((1, 2, 2)) == 2


def test_odd_codes_take_their_bits() -> None:
    span = FileParts.of(DATA).tensor("weight")
    assert span.stop - span.start == 54 + -(-15 * 2 // 8) + -(-5 * 2 // 8) + 40 * 5 // 8


BROKEN: dict[str, tuple[Change, str]] = {
    "an unknown grid": (node("c1", grid="even"), r"\(conv 'c1'\): grid: must be 'symmetric' or 'odd', got 'even'"),
    "a grid that is a list": (node("c1", grid=["odd"]), r"\(conv 'c1'\): grid: must be 'symmetric' or 'odd'"),
    "no grid": (lambda p: p.node("c1").__delitem__("grid"), r"\(conv 'c1'\): the attribute 'grid' is missing"),
    "a grid stated twice": (node("c2", grid="odd"), "header: is not the one canonical text"),
    "codes of another grid": (node("fc", grid="symmetric"), r"fc: weight must be -15\.\.15"),
    "an odd grid at 1 bit": (node("fc", bits=1, shape=[2, 100]), "fc: grid must be 'symmetric' at 1 bit"),
    "a map without stride": (
        lambda p: p.node("m1").__delitem__("stride"),
        r"\(channelmap 'm1'\): the attribute 'stride' is missing",
    ),
    "a map of more channels": (node("m1", shape=[6]), "tensor source: the nodes need 12 elements, got 10"),
    "a map of fewer channels": (node("m2", shape=[4]), "tensor source: the nodes need 9 elements, got 10"),
    "a map of no channels": (node("m1", shape=[0]), r"\(channelmap 'm1'\): shape: must be an integer from 1"),
    "a map of rank 2": (node("m1", shape=[5, 1]), r"\(channelmap 'm1'\): shape: must be a list of 1 integers"),
    "a channel that is not there": (source(1, 3), r"m1: source must be -1\.\.2: channels of the input"),
    "a channel -2": (source(0, -2), r"m1: source must be -1\.\.2"),
    "a stride of 0": (node("m1", stride=0), "m1: stride must be 1 to 64, got 0"),
    "a map of 2^31 - 1 channels": (node("m1", shape=[2**31 - 1]), "nodes: need up to .* max_bytes allows"),
    "odd codes in format 1": (
        lambda p: p.document.update(format=1),
        r"\(conv 'c1'\): unknown attribute 'grid'; known are inputs, bits, groups",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_is_refused_that_has(case: str) -> None:
    change, message = BROKEN[case]
    parts = FileParts.of(DATA)
    change(parts)
    with pytest.raises((ArtifactError, GraphError), match=message):
        loads(parts.bytes())


def test_a_channel_map_is_no_operation_of_format_1() -> None:
    parts = FileParts.of(dumps(small_graph()))
    parts.document["nodes"][8] = ["channelmap max", {"shape": [3], "stride": 1}]
    with pytest.raises(ArtifactError, match=r"unknown operation 'channelmap'; known are input, conv, .*, sumtime\.$"):
        loads(parts.bytes())


def test_a_graph_of_format_1_has_no_file_of_format_2() -> None:
    parts = FileParts.of(dumps(small_graph()))
    parts.document["format"] = 2
    with pytest.raises(ArtifactError, match="the attribute 'grid' is missing"):
        loads(parts.bytes())
    for name in ("c1", "fc"):
        parts.node(name)["grid"] = "symmetric"
    with pytest.raises(ArtifactError, match="header: is not the one canonical text of its graph"):
        loads(parts.bytes())
