"""The packed model file: one graph, one file, the same bytes everywhere; whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spikelet.base.errors import ArtifactError, GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.file import artifact
from spikelet.graph.file.artifact import dumps, load, loads, save
from spikelet.graph.file.container import header_of
from spikelet.graph.file.limits import footprint, operations
from spikelet.graph.reference import Reference
from tests.artifact_parts import FileParts, assert_same_graph, odd_graph, small_graph
from tests.format_3_graph import charge_graph, format_3_graph
from tests.nodes import conv
from tests.random_graphs import random_graph, random_input

GOLDEN = Path(__file__).parents[1] / "golden"


# --- round trips ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_a_random_graph_comes_back_from_its_file(seed: int) -> None:
    graph = random_graph(seed)
    data = dumps(graph)
    back = loads(data)
    assert_same_graph(back, graph)
    assert dumps(back) == data


@pytest.mark.parametrize("seed", range(10))
def test_a_loaded_graph_gives_the_logits_of_the_saved_one(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed)
    save(graph, tmp_path / "model.safetensors")
    x = random_input(graph, batch=3, seed=seed)
    np.testing.assert_array_equal(Reference(load(tmp_path / "model.safetensors"))(x), Reference(graph)(x))


def test_graphs_with_every_operation_come_back() -> None:
    graphs = (small_graph(), odd_graph(), format_3_graph(), charge_graph())
    assert {type(n) for graph in graphs for n in graph.nodes} == set(ir.OPERATIONS)
    for graph in graphs:
        assert_same_graph(loads(dumps(graph)), graph)


@pytest.mark.parametrize("scale", [5e-324, 0.1, 1 / 3, 1.7976931348623157e308, float(np.float32(0.3))])
def test_the_logit_scale_comes_back_exactly(scale: float) -> None:
    assert loads(dumps(dataclasses.replace(small_graph(), outputs=(ir.Output("logits", scale),)))).logit_scale == scale


@pytest.mark.parametrize("text", ["", " ", "a b", '"', "\\", "\n\0\x1f", "é", "漢字", "😀", "\u2028", "</script>"])
def test_any_valid_text_comes_back(text: str) -> None:
    graph = dataclasses.replace(small_graph(), labels=("cat", text), meta={text: text})
    back = loads(dumps(graph))
    assert (back.labels, back.meta) == (("cat", text), {text: text})


@pytest.mark.parametrize("name", ["a b", " a", "layer1.0.conv", "漢", "conv", '"'])
def test_any_node_name_comes_back(name: str) -> None:
    graph = small_graph()
    nodes = (*graph.nodes[:-1], dataclasses.replace(graph.nodes[-1], name=name))
    assert loads(dumps(ir.IntGraph.of_logits(nodes, 3, 1.0))).output.name == name


@pytest.mark.parametrize("value", [-(2**31), -(2**15) - 1, -(2**15), -1, 0, 2**15 - 1, 2**15, 2**31 - 1])
def test_constants_at_the_edges_of_16_and_32_bits_come_back(value: int) -> None:
    one = np.array([value], np.int32)
    nodes = (
        ir.Input("x", (), (1,)),
        ir.Affine("a", ("x",), one, np.array([20], np.uint8), np.zeros(1, np.int32)),
        ir.Affine("b", ("a",), np.zeros(1, np.int32), np.zeros(1, np.uint8), one),
        ir.SumTime("y", ("b",)),
    )
    graph = ir.IntGraph.of_logits(nodes, 1, 1.0)
    data = dumps(graph)
    assert_same_graph(loads(data), graph)
    wide = not -(2**15) <= value < 2**15
    assert ("multiplier.i32" in FileParts.of(data).tensors) == wide


def test_loaded_arrays_own_their_memory_and_can_not_be_written_to() -> None:
    graph = loads(dumps(small_graph()))
    for node in graph.nodes:
        for field in dataclasses.fields(node):
            value = getattr(node, field.name)
            if isinstance(value, np.ndarray):
                assert not value.flags.writeable
                assert value.base is None


# --- determinism and size -------------------------------------------------------------------------


def test_equal_graphs_give_equal_bytes() -> None:
    graph = small_graph()
    assert dumps(graph) == dumps(small_graph())
    shuffled = dataclasses.replace(graph, meta=dict(reversed({"a": "1", "b": "2"}.items())))
    assert dumps(shuffled) == dumps(dataclasses.replace(graph, meta={"a": "1", "b": "2"}))


def test_memory_order_and_sequence_types_do_not_reach_the_file() -> None:
    graph = small_graph()
    nodes = list(graph.nodes)
    conv = nodes[1]
    assert isinstance(conv, ir.Conv)
    nodes[1] = dataclasses.replace(conv, weight=np.asfortranarray(conv.weight), stride=[1, 1])
    assert dumps(dataclasses.replace(graph, nodes=nodes, time_steps=np.int64(3))) == dumps(graph)


GOLDEN_LOGITS = {  # on the frames of PROVENANCE.md
    "every_operation_v1": [[1505, 163], [1341, -77], [1029, 603], [1399, 241]],
    "odd_codes_and_channel_maps_v2": [[32, 94], [-85, 141], [29, 47], [-26, 108]],
    "every_operation_v3": [[6, 8], [7, 9], [7, 9], [7, 8]],
    "every_operation_v4": [[6, 8], [7, 9], [7, 9], [7, 8]],
    "charges_v4": [[6, 8], [7, 9], [7, 9], [7, 8]],
}
GOLDEN_GRAPHS = {
    "every_operation_v1": small_graph,
    "odd_codes_and_channel_maps_v2": odd_graph,
    "every_operation_v3": format_3_graph,
    "every_operation_v4": format_3_graph,
    "charges_v4": charge_graph,
}
WRITTEN = [name for name in GOLDEN_GRAPHS if name != "every_operation_v3"]  # format 4 took its place


@pytest.mark.parametrize("name", WRITTEN)
def test_a_golden_file_is_what_is_written_today(name: str) -> None:
    """Written by another process, with another hash seed."""
    assert (GOLDEN / f"{name}.safetensors").read_bytes() == dumps(GOLDEN_GRAPHS[name]())


@pytest.mark.parametrize("name", GOLDEN_GRAPHS)
def test_a_golden_file_loads(name: str) -> None:
    assert_same_graph(load(GOLDEN / f"{name}.safetensors"), GOLDEN_GRAPHS[name]())


@pytest.mark.parametrize("name", GOLDEN_LOGITS)
def test_a_golden_file_gives_the_logits_of_its_provenance(name: str) -> None:
    graph = load(GOLDEN / f"{name}.safetensors")
    frames = (np.arange(3 * 4 * 32) * 37 % 256).astype(np.uint8).reshape(3, 4, 2, 4, 4)
    assert Reference(graph)(frames).tolist() == GOLDEN_LOGITS[name]


def test_every_format_has_a_golden_file() -> None:
    versions = {FileParts.of(p.read_bytes()).document["format"] for p in GOLDEN.glob("*.safetensors")}
    assert versions == set(artifact.FORMATS)
    assert sorted(p.stem for p in GOLDEN.glob("*.safetensors")) == sorted(GOLDEN_GRAPHS)


# --- the container --------------------------------------------------------------------------------


def test_the_safetensors_library_reads_the_file_and_writes_it_back_byte_for_byte(tmp_path: Path) -> None:
    from safetensors import numpy as safetensors_numpy
    from safetensors import safe_open

    save(small_graph(), tmp_path / "model.safetensors")
    data = (tmp_path / "model.safetensors").read_bytes()
    tensors = safetensors_numpy.load(data)
    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        metadata = file.metadata()
    assert list(metadata) == ["spikelet"]
    assert safetensors_numpy.save(tensors, metadata=metadata) == data


def test_the_safetensors_library_reads_the_file_into_torch(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    graph = small_graph()
    save(graph, tmp_path / "model.safetensors")
    tensors = load_file(tmp_path / "model.safetensors")
    assert tensors["shift"].tolist() == [1, 2, 0, 9, 1, 0]
    assert tensors["multiplier.i16"].tolist() == [3, -2, 1]
    assert tensors["multiplier.i32"].tolist() == [40000, 7, -1]
    assert tensors["offset.i32"].tolist() == [-5, 70000, 9]
    assert tensors["offset.i16"].tolist() == [1, 0, -1]


def test_the_file_is_laid_out_as_the_specification_says() -> None:
    data = dumps(small_graph())
    assert FileParts.of(data).bytes() == data
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    assert data[8:9] == b"{"
    assert list(json.loads(data[8 : 8 + length])) == [
        "__metadata__", "multiplier.i32", "offset.i32", "multiplier.i16", "offset.i16", "shift", "weight",
    ]  # fmt: skip


# --- what dumps refuses ---------------------------------------------------------------------------


def test_a_graph_without_meaning_is_not_written(tmp_path: Path) -> None:
    graph = dataclasses.replace(small_graph(), time_steps=0)
    with pytest.raises(GraphError, match="time_steps must be 1 to 1024, got 0"):
        save(graph, tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ("cat", 3)}, r"labels\[1\]: must be a string, got 3"),
        ({"labels": ("cat", "\ud800")}, r"labels\[1\]: must be valid Unicode"),
        ({"meta": {"seed": 3}}, "meta: 'seed': must be a string, got 3"),
        ({"meta": {3: "seed"}}, "meta: key: must be a string, got 3"),
        ({"meta": {"log": "x" * 2**20}}, r"header: takes \d+ bytes, at most 1048576 are allowed\. Shorten meta"),
    ],
)
def test_what_no_file_can_hold_is_refused_by_name(change: dict, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        dumps(dataclasses.replace(small_graph(), **change))


def test_a_name_that_is_no_unicode_is_refused() -> None:
    graph = small_graph()
    nodes = (*graph.nodes[:-1], dataclasses.replace(graph.nodes[-1], name="\udfff"))
    with pytest.raises(ArtifactError, match=r"nodes\[12\]: name: must be valid Unicode"):
        dumps(dataclasses.replace(graph, nodes=nodes, outputs=(ir.Output("\udfff", 1.0),)))


def test_more_than_4096_nodes_are_refused() -> None:
    nodes: list[ir.Operation] = [ir.Input("x", (), (1,))]
    nodes += [ir.Flatten(f"f{i}", (nodes[-1].name if i == 0 else f"f{i - 1}",)) for i in range(4095)]
    nodes.append(ir.SumTime("y", ("f4094",)))
    with pytest.raises(ArtifactError, match="nodes: a file holds at most 4096, got 4097"):
        dumps(ir.IntGraph.of_logits(tuple(nodes), 1, 1.0))
    assert len(loads(dumps(ir.IntGraph.of_logits((*nodes[:4095], ir.SumTime("y", ("f4093",))), 1, 1.0))).nodes) == 4096


def test_tensors_above_2_gib_are_refused() -> None:
    with pytest.raises(ArtifactError, match="tensors: take 2147483648 bytes, files of up to 2147483647 are supported"):
        header_of("{}", {"weight": 2**31})


# --- limits and paths --------------------------------------------------------------------------------


def test_a_graph_above_max_bytes_is_refused_and_below_loads(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save(small_graph(), path)
    needed = footprint(small_graph().nodes)
    with pytest.raises(
        ArtifactError, match=rf"nodes: need up to {needed} bytes of memory, max_bytes allows {needed - 1}"
    ):
        load(path, max_bytes=needed - 1)
    assert_same_graph(load(path, max_bytes=needed), small_graph())


def test_a_graph_above_max_operations_is_refused_and_below_loads() -> None:
    data, nodes = dumps(small_graph()), small_graph().nodes
    needed = operations(nodes, small_graph().time_steps)
    assert needed == small_graph().time_steps * operations(nodes, 1)
    with pytest.raises(ArtifactError, match=rf"nodes: take up to {needed} operations a sample, max_operations allows"):
        loads(data, max_operations=needed - 1)
    assert_same_graph(loads(data, max_operations=needed), small_graph())


def test_a_small_file_that_would_run_for_hours_is_refused() -> None:
    nodes = (
        ir.Input("x", (), (256, 2047, 2047)),
        conv("c", ("x",), np.ones((1, 256, 31, 31), np.int8), 1, (1, 1), (15, 15), 1),
        ir.Flatten("f", ("c",)),
        ir.SumTime("y", ("f",)),
    )
    with pytest.raises(ArtifactError, match="operations a sample, max_operations allows 68719476736"):
        loads(dumps(ir.IntGraph.of_logits(nodes, 4, 1.0)), max_bytes=2**40)


def test_a_file_above_max_bytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.truncate(2**33)  # a hole: takes no disk
    with pytest.raises(ArtifactError, match="file: has 8589934592 bytes, max_bytes allows 2148532231"):
        load(path)


def test_a_missing_file_and_a_folder_are_the_system_s_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.safetensors")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_a_device_is_not_read() -> None:
    with pytest.raises(ArtifactError, match="path: must be a regular file, got '/dev/zero'"):
        load("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArtifactError, match="path: must be a regular file"):
        load(tmp_path / "pipe")


@pytest.mark.parametrize(("graph", "version"), [(small_graph(), 1), (odd_graph(), 2), (format_3_graph(), 4)])
def test_a_graph_is_written_in_the_lowest_format_and_in_4_instead_of_3(graph: ir.IntGraph, version: int) -> None:
    assert FileParts.of(dumps(graph)).document["format"] == version
    assert version in artifact.FORMATS


def test_a_folder_is_refused_with_the_way_to_pack_it(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"is a folder and no packed file. \(spikelet pack DIR"):
        load(tmp_path)


@pytest.mark.parametrize("use", [dumps, analyse])
def test_what_is_no_graph_is_refused(use: Callable[[object], object]) -> None:
    with pytest.raises(GraphError, match=r"^graph must be an IntGraph, as .* give it, got str"):
        use("qsnn-vgg-s-cifar10")
