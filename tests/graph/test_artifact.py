"""The packed model file: one graph, one file, the same bytes everywhere; whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import stat
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikelet.graph import artifact, ir
from spikelet.graph import atomic_write as atomic_write_module
from spikelet.graph.analysis import analyse
from spikelet.graph.artifact import dumps, load, loads, save
from spikelet.graph.atomic_write import atomic_write
from spikelet.graph.document import entries_of, nodes_to_json
from spikelet.graph.errors import ArtifactError, GraphError
from spikelet.graph.footprint import footprint, shapes_of
from spikelet.graph.reference import Reference
from tests.artifact_parts import FileParts, small_graph
from tests.random_graphs import random_graph, random_input

GOLDEN = Path(__file__).parents[1] / "golden"


def assert_same_graph(a: ir.IntGraph, b: ir.IntGraph) -> None:
    """Every field of every node, arrays with their dtypes."""
    assert (a.time_steps, a.logit_scale, a.labels, dict(a.meta)) == (
        b.time_steps,
        b.logit_scale,
        b.labels,
        dict(b.meta),
    )
    assert [type(n) for n in a.nodes] == [type(n) for n in b.nodes]
    for m, n in zip(a.nodes, b.nodes, strict=True):
        for field in dataclasses.fields(m):
            u, v = getattr(m, field.name), getattr(n, field.name)
            if isinstance(u, np.ndarray):
                assert u.dtype == v.dtype, (m.name, field.name)
                np.testing.assert_array_equal(u, v, f"{m.name}.{field.name}")
            elif isinstance(u, ir.Membrane):
                assert (u.bits, u.shift) == (v.bits, v.shift)
            else:
                assert u == v, (m.name, field.name)


def theoretical_bytes(graph: ir.IntGraph) -> float:
    """Weights at their bits, multipliers and offsets at 16 or 32 bits, shifts at 8."""
    bits = sum(n.weight.size * n.bits for n in graph.nodes if isinstance(n, ir.Conv | ir.Linear))
    for node in graph.of_type(ir.Affine):
        for values in (node.multiplier, node.offset):
            bits += values.size * (16 if np.array_equal(values, values.astype(np.int16)) else 32)
        bits += node.shift.size * 8
    return bits / 8


# --- round trips ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(150))
def test_a_random_graph_comes_back_from_its_file(seed: int) -> None:
    graph = random_graph(seed)
    data = dumps(graph)
    back = loads(data)
    assert_same_graph(back, graph)
    assert dumps(back) == data


@pytest.mark.parametrize("seed", range(10))
def test_a_loaded_graph_gives_the_logits_of_the_saved_one(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed)
    graph.save(tmp_path / "model.safetensors")
    x = random_input(graph, batch=3, seed=seed)
    np.testing.assert_array_equal(Reference(load(tmp_path / "model.safetensors"))(x), Reference(graph)(x))


def test_a_graph_with_every_operation_comes_back() -> None:
    graph = small_graph()
    assert {type(n) for n in graph.nodes} == set(ir.OPERATIONS.values())
    assert_same_graph(loads(dumps(graph)), graph)


@pytest.mark.parametrize("scale", [5e-324, 0.1, 1 / 3, 1.7976931348623157e308, float(np.float32(0.3))])
def test_the_logit_scale_comes_back_exactly(scale: float) -> None:
    assert loads(dumps(dataclasses.replace(small_graph(), logit_scale=scale))).logit_scale == scale


@pytest.mark.parametrize("text", ["", " ", "a b", '"', "\\", "\n\0\x1f", "é", "漢字", "😀", "\u2028", "</script>"])
def test_any_valid_text_comes_back(text: str) -> None:
    graph = dataclasses.replace(small_graph(), labels=("cat", text), meta={text: text})
    back = loads(dumps(graph))
    assert (back.labels, back.meta) == (("cat", text), {text: text})


@pytest.mark.parametrize("name", ["a b", " a", "layer1.0.conv", "漢", "conv", '"'])
def test_any_node_name_comes_back(name: str) -> None:
    graph = small_graph()
    nodes = (*graph.nodes[:-1], dataclasses.replace(graph.nodes[-1], name=name))
    assert loads(dumps(dataclasses.replace(graph, nodes=nodes))).output.name == name


@pytest.mark.parametrize("value", [-(2**31), -(2**15) - 1, -(2**15), -1, 0, 2**15 - 1, 2**15, 2**31 - 1])
def test_constants_at_the_edges_of_16_and_32_bits_come_back(value: int) -> None:
    one = np.array([value], np.int32)
    nodes = (
        ir.Input("x", (), (1,)),
        ir.Affine("a", ("x",), one, np.array([20], np.uint8), np.zeros(1, np.int32)),
        ir.Affine("b", ("a",), np.zeros(1, np.int32), np.zeros(1, np.uint8), one),
        ir.SumTime("y", ("b",)),
    )
    graph = ir.IntGraph(nodes, 1, 1.0)
    data = dumps(graph)
    assert_same_graph(loads(data), graph)
    wide = not -(2**15) <= value < 2**15
    assert ("multiplier.i32" in FileParts.of(data).tensors) == wide


def test_loaded_arrays_own_their_memory_and_can_be_written() -> None:
    graph = loads(dumps(small_graph()))
    for node in graph.nodes:
        for field in dataclasses.fields(node):
            value = getattr(node, field.name)
            if isinstance(value, np.ndarray):
                assert value.flags.writeable


# --- determinism and size -------------------------------------------------------------------------


def test_equal_graphs_give_equal_bytes() -> None:
    graph = small_graph()
    assert dumps(graph) == dumps(small_graph())
    shuffled = dataclasses.replace(graph, meta=dict(reversed({"a": "1", "b": "2"}.items())))
    assert dumps(shuffled) == dumps(dataclasses.replace(graph, meta={"a": "1", "b": "2"}))


def test_memory_order_and_integer_types_do_not_reach_the_file() -> None:
    graph = small_graph()
    nodes = list(graph.nodes)
    conv, lif = nodes[1], nodes[3]
    assert isinstance(conv, ir.Conv)
    assert isinstance(lif, ir.Lif)
    nodes[1] = dataclasses.replace(conv, weight=np.asfortranarray(conv.weight), stride=[np.int64(1), np.int32(1)])
    nodes[3] = dataclasses.replace(lif, threshold=np.int64(lif.threshold), leak=np.int64(lif.leak))
    assert dumps(dataclasses.replace(graph, nodes=nodes, time_steps=np.int64(3))) == dumps(graph)


def test_the_golden_file_is_what_is_written_today_and_loads() -> None:
    """Written by another process, with another hash seed."""
    data = (GOLDEN / "every_operation_v1.safetensors").read_bytes()
    assert data == dumps(small_graph())
    assert_same_graph(load(GOLDEN / "every_operation_v1.safetensors"), small_graph())


def test_the_golden_file_gives_the_logits_of_its_provenance() -> None:
    graph = load(GOLDEN / "every_operation_v1.safetensors")
    frames = (np.arange(3 * 4 * 32) * 37 % 256).astype(np.uint8).reshape(3, 4, 2, 4, 4)
    assert Reference(graph)(frames).tolist() == [[-81, -91], [-89, 61], [-102, -480], [-66, -188]]


def _conv(name: str, source: str, o: int, i: int, kernel: int, stride: int, bits: int, seed: int) -> ir.Conv:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2, (o, i, kernel, kernel), dtype=np.int8) * 2 - 1
    return ir.Conv(name, (source,), codes, bits, (stride, stride), (kernel // 2, kernel // 2), 1)


def _neuron(prefix: str, source: str, channels: int, nodes: list[ir.Node], end: str = "") -> str:
    rng = np.random.default_rng(len(nodes))
    nodes.append(
        ir.Affine(
            f"{prefix}.bn{end}",
            (source,),
            rng.integers(2**13, 2**14, channels).astype(np.int32),
            np.full(channels, 10, np.uint8),
            rng.integers(-9000, 9000, channels).astype(np.int32),
        )
    )
    nodes.append(
        ir.Lif(f"{prefix}.lif{end}", (nodes[-1].name,), 128, 256, 8, 4096, "hard", ir.Membrane(2, 11))
    )  # fmt: skip
    return nodes[-1].name


def residual_network(widths: tuple[int, ...], blocks: tuple[int, ...]) -> ir.IntGraph:
    """A 1-bit residual network with 8-bit first and last layers, named as PyTorch names modules."""
    nodes: list[ir.Node] = [ir.Input("x", (), (3, 32, 32))]
    nodes.append(dataclasses.replace(_conv("conv1", "x", widths[0], 3, 3, 1, 8, 0)))
    source, c = _neuron("stem", "conv1", widths[0], nodes), widths[0]
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), 1):
        for block in range(count):
            p, stride = f"layer{stage}.{block}", 2 if block == 0 and stage > 1 else 1
            nodes.append(_conv(f"{p}.conv1", source, width, c, 3, stride, 1, len(nodes)))
            inner = _neuron(p, nodes[-1].name, width, nodes, "1")
            nodes.append(_conv(f"{p}.conv2", inner, width, width, 3, 1, 1, len(nodes)))
            branch = nodes[-1].name
            if stride == 2 or c != width:
                nodes.append(_conv(f"{p}.shortcut", source, width, c, 1, stride, 1, len(nodes)))
                source = nodes[-1].name
            nodes.append(ir.Add(f"{p}.add", (branch, source)))
            source, c = _neuron(p, nodes[-1].name, width, nodes, "2"), width
    nodes.append(ir.SumPool("pool", (source,), 32 >> len(widths) - 1))
    nodes.append(ir.Flatten("flatten", ("pool",)))
    head = np.random.default_rng(1).integers(-127, 128, (10, c)).astype(np.int8)
    nodes.append(ir.Linear("fc", ("flatten",), head, 8))
    nodes.append(ir.SumTime("logits", ("fc",)))
    labels = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    meta = {"model": "residual", "data": "cifar10", "seed": "0", "commit": "0" * 40}
    return ir.IntGraph(tuple(nodes), 4, 2.0**-7, labels, meta)


@pytest.mark.parametrize(
    ("widths", "blocks"),
    [((128, 256, 512), (3, 3, 2)), ((16, 32, 64), (5, 5, 5)), ((64, 128, 256, 512), (2, 2, 2, 2)), ((64,), (1,))],
    ids=["ResNet19 of 12.5 million weights", "ResNet32 of 0.46 million", "ResNet18", "one block"],
)
def test_a_file_takes_at_most_2_percent_and_4_kB_more_than_its_bits(
    widths: tuple[int, ...], blocks: tuple[int, ...]
) -> None:
    graph = residual_network(widths, blocks)
    assert len(dumps(graph)) <= 1.02 * theoretical_bytes(graph) + 4096


def test_a_chain_of_30_narrow_layers_takes_at_most_4_kB_more_than_its_bits() -> None:
    nodes: list[ir.Node] = [ir.Input("x", (), (16, 8, 8))]
    source = "x"
    for i in range(30):
        nodes.append(_conv(f"features.{i}.conv", source, 16, 16, 3, 1, 1, i))
        source = _neuron(f"features.{i}", nodes[-1].name, 16, nodes)
    nodes += [ir.Flatten("flatten", (source,)), ir.Linear("fc", ("flatten",), np.ones((10, 1024), np.int8), 1)]
    nodes.append(ir.SumTime("logits", ("fc",)))
    graph = ir.IntGraph(tuple(nodes), 4, 1.0)
    assert len(dumps(graph)) <= 1.02 * theoretical_bytes(graph) + 4096


def test_a_residual_network_of_12_million_weights_comes_back() -> None:
    graph = residual_network((128, 256, 512), (3, 3, 2))
    assert_same_graph(loads(dumps(graph)), graph)


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
        graph.save(tmp_path / "model.safetensors")
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
        dumps(dataclasses.replace(graph, nodes=nodes))


def test_more_than_4096_nodes_are_refused() -> None:
    nodes: list[ir.Node] = [ir.Input("x", (), (1,))]
    nodes += [ir.Flatten(f"f{i}", (nodes[-1].name if i == 0 else f"f{i - 1}",)) for i in range(4095)]
    nodes.append(ir.SumTime("y", ("f4094",)))
    with pytest.raises(ArtifactError, match="nodes: a file holds at most 4096, got 4097"):
        dumps(ir.IntGraph(tuple(nodes), 1, 1.0))
    assert len(loads(dumps(ir.IntGraph((*nodes[:4095], ir.SumTime("y", ("f4093",))), 1, 1.0))).nodes) == 4096


# --- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_the_footprint_knows_the_shapes_of_the_analysis(seed: int) -> None:
    graph = random_graph(seed)
    entries = entries_of(json.loads(json.dumps(nodes_to_json(graph.nodes))))
    assert shapes_of(entries) == [edge.shape for edge in analyse(graph).values()]


@pytest.mark.parametrize("kind", ["many weights", "large flat edge", "many inputs"])
def test_loading_takes_no_more_memory_than_the_footprint(kind: str) -> None:
    if kind == "many weights":
        graph = residual_network((64, 128), (1, 1))
    else:
        nodes: list[ir.Node] = [ir.Input("x", (), (3, 128, 128)), ir.Flatten("f", ("x",))]
        if kind == "many inputs":
            nodes.append(ir.Add("a", ("f",) * 64))
        graph = ir.IntGraph((*nodes, ir.SumTime("y", (nodes[-1].name,))), 1, 1.0)
    data = dumps(graph)
    needed = footprint(entries_of(nodes_to_json(graph.nodes)))
    tracemalloc.start()
    loads(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= needed + 3 * len(data) + 200_000


def test_a_graph_above_max_bytes_is_refused_and_below_loads(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save(small_graph(), path)
    needed = footprint(entries_of(nodes_to_json(small_graph().nodes)))
    with pytest.raises(
        ArtifactError, match=rf"nodes: need up to {needed} bytes of memory, max_bytes allows {needed - 1}"
    ):
        load(path, max_bytes=needed - 1)
    assert_same_graph(load(path, max_bytes=needed), small_graph())


def test_a_file_above_max_bytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.truncate(2**33)  # a hole: takes no disk
    with pytest.raises(ArtifactError, match="file: has 8589934592 bytes, max_bytes allows 1073741824"):
        load(path)


# --- reading paths --------------------------------------------------------------------------------


def test_a_missing_file_and_a_folder_are_the_system_s_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.safetensors")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_a_device_is_not_read() -> None:
    with pytest.raises(ArtifactError, match="path: must be a regular file, got '/dev/zero'"):
        load("/dev/zero")


# --- atomic saving --------------------------------------------------------------------------------


def in_a_child(work: Callable[[], object]) -> tuple[int, bytes]:
    """Runs `work` in a forked process. Returns its exit code (minus the signal that killed it) and what it raised."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 0
        try:
            work()
        except BaseException as error:
            os.write(write, type(error).__name__.encode())
            status = 1
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        raised = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), raised


def _die(*args: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _open_and_die(*args: Any) -> None:
    _OPEN(*args)
    _die()


_OPEN = os.open
KILLED_AT: dict[str, tuple[object, str, Callable[..., None]]] = {
    "the temporary file is made": (os, "open", _open_and_die),
    "half is written": (os, "getpgid", _die),  # the child calls it between the halves
    "all is written": (os, "fsync", _die),
    "just before the rename": (Path, "replace", _die),
    "just after the rename": (atomic_write_module, "_sync_folder", _die),
}


@pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL")
@pytest.mark.parametrize("moment", KILLED_AT)
def test_a_save_killed_at_any_moment_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    old, new = b"old" * 1000, b"new" * 100_000
    path.write_bytes(old)

    def work() -> None:
        monkeypatch.setattr(*KILLED_AT[moment])
        with atomic_write(path) as file:
            file.write(new[: len(new) // 2])
            file.flush()
            os.getpgid(0)
            file.write(new[len(new) // 2 :])

    assert in_a_child(work) == (-signal.SIGKILL, b"")
    assert path.read_bytes() == (new if moment == "just after the rename" else old)
    # the next save works, and removes what the killed one left once that is an hour old
    for left in tmp_path.glob(".*"):
        os.utime(left, (0, 0))
    with atomic_write(path) as file:
        file.write(new)
    assert path.read_bytes() == new
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_process_killed_while_it_saves_again_and_again_leaves_a_file_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    data = dumps(small_graph())
    for saves in (1, 2, 5, 11, 17, 23, 31, 43, 61, 80):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            while True:
                with atomic_write(path) as file:
                    file.write(data)
                os.write(write, b".")
        os.close(write)
        with os.fdopen(read, "rb", buffering=0) as pipe:
            for _ in range(saves):
                assert pipe.read(1) == b"."
            os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert_same_graph(load(path), small_graph())


def test_an_exception_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="needs resource limits")
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")

    def work() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # as a full disk: the write itself fails
        small_graph().save(path)

    assert in_a_child(work) == (1, b"OSError")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_an_error_that_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save(small_graph(), tmp_path / "none" / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder where nobody may write")
def test_a_folder_where_nobody_may_write_is_the_system_s_error() -> None:
    with pytest.raises(OSError, match="/proc/"):
        save(small_graph(), "/proc/model.safetensors")


def test_a_folder_or_a_device_is_never_replaced(tmp_path: Path) -> None:
    for path in (tmp_path, Path(os.devnull)):
        with pytest.raises(IsADirectoryError, match="path must be a regular file or not exist yet"):
            save(small_graph(), path)
    assert list(tmp_path.iterdir()) == []
    assert not Path(os.devnull).is_file()


def test_a_link_is_followed_so_that_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    link = tmp_path / "latest.safetensors"
    link.symlink_to(Path("models") / "model.safetensors")
    save(small_graph(), link)
    assert link.is_symlink()
    assert_same_graph(load(tmp_path / "models" / "model.safetensors"), small_graph())


@pytest.mark.skipif(os.name != "posix", reason="needs a umask")
def test_a_file_gets_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    save(small_graph(), tmp_path / "model.safetensors")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "model.safetensors")]
    assert modes[0] == modes[1]


def test_a_young_temporary_file_of_another_process_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with atomic_write(path) as outer:
        outer.write(b"first")
        with atomic_write(path) as inner:
            inner.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_file_name_can_be_saved(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 121 + ".safetensors")
    save(small_graph(), path)
    assert_same_graph(load(path), small_graph())


def test_the_module_writes_version_1() -> None:
    assert artifact.FORMAT == FileParts.of(dumps(small_graph())).document["format"] == 1
