"""What an exported project is: a new folder of its own, no more kernels than it needs, and numbers that hold."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import spikelet
from spikelet import Reference
from spikelet.base.errors import GraphError, SpikeletError
from spikelet.export import to_c
from spikelet.export.c.kernels import homes, needed, sources
from spikelet.export.c.project import files, written
from spikelet.export.c.report import CODE, report
from spikelet.graph import ir
from tests.artifact_parts import small_graph
from tests.export.compiled import CC, STRICT, needs_compiler
from tests.graph.test_an_operation_is_one_file import Mirror
from tests.random_graphs import random_graph
from tests.wide_graphs import wide_graph

SHIPPED = "qsnn-vgg-s-nmnist"


def written_files(graph: ir.IntGraph, name: str = "model") -> dict[str, str]:
    """The project of `graph` by path."""
    model = written(graph, name)
    return files(model, report(model))


def test_a_folder_is_new_or_empty_and_appears_whole(tmp_path: Path) -> None:
    to_c(small_graph(), tmp_path / "new")
    (tmp_path / "empty").mkdir()
    to_c(small_graph(), tmp_path / "empty")
    made = {path.relative_to(tmp_path / "new") for path in (tmp_path / "new").rglob("*")}
    assert {path.relative_to(tmp_path / "empty") for path in (tmp_path / "empty").rglob("*")} == made
    assert {str(path) for path in made} >= {"Makefile", "README.md", "selftest.c", "src/model.h", "src/spk.h"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "new"], "nothing else is left"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("full", "full holds a.txt. Name another"),
        ("a file", "a file is something else. Name another"),
        ("no/folder", "there is no folder .*no for folder. Make it first"),
    ],
)
def test_what_is_there_is_left_alone(place: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    (tmp_path / "a file").write_text("mine")
    with pytest.raises(SpikeletError, match=words):
        to_c(small_graph(), tmp_path / place)
    assert [p.read_text() for p in (tmp_path / "full" / "a.txt", tmp_path / "a file")] == ["mine", "mine"]


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fails)
    with pytest.raises(OSError, match="No space"):
        to_c(small_graph(), tmp_path / "project")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "Net", "1st", "a-b", "a b", "spk", "spk_net", "n" * 32, "net;", 5])
def test_a_name_is_one_of_c(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpikeletError, match="name must be a lower-case letter and then letters, digits or _"):
        to_c(small_graph(), tmp_path / "project", name=name)


def test_a_device_that_is_too_small_is_refused_with_the_numbers(tmp_path: Path) -> None:
    found = report(written(spikelet.load(SHIPPED)))
    needs = {"flash": found.flash, "ram": found.ram + found.stack}
    for what, size in needs.items():
        words = f"needs {size:,} bytes of {what.upper() if what == 'ram' else what}.* and {size - 1:,} are there"
        with pytest.raises(SpikeletError, match=words):
            to_c(spikelet.load(SHIPPED), tmp_path / "project", **{what: size - 1})
    assert not (tmp_path / "project").exists()
    to_c(spikelet.load(SHIPPED), tmp_path / "project", **needs)


def test_an_operation_without_a_kernel_is_refused_by_name(tmp_path: Path) -> None:
    nodes = (ir.Input("x", (), (1,)), ir.SumTime("sum", ("x",)), Mirror("mine", ("sum",), 1, np.zeros(1, np.int32)))
    with pytest.raises(GraphError, match="mine: C has no rule for mirror, an operation of its own"):
        to_c(ir.IntGraph.of_logits(nodes, 1, 1.0), tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="graph must be an IntGraph"):
        to_c("model.safetensors", tmp_path / "project")  # type: ignore[arg-type]


def test_words_of_a_file_stay_words() -> None:
    evil = '*/ int x; /* "\n#error\\`|<b>'
    old = small_graph()
    nodes = tuple(
        dataclasses.replace(node, name=evil + node.name, inputs=tuple(evil + name for name in node.inputs))
        for node in old.nodes
    )
    output = ir.Output(evil + old.outputs[0].node, 1.0)
    labels = tuple(f"{evil}{i}" for i in range(Reference(old)(np.zeros((1, *old.input.shape), np.uint8)).shape[1]))
    graph = ir.IntGraph(nodes, old.time_steps, (output,), labels, {"model": evil})
    for path, text in written_files(graph).items():
        assert "*/ int" not in text, path
        assert "<b>" not in text, path
        assert "\n#error" not in text, path
        assert not path.endswith((".c", ".h")) or text.count("/*") == text.count("*/"), path


def test_the_same_graph_is_the_same_text() -> None:
    for graph in (small_graph(), wide_graph(3)):
        assert written_files(graph) == written_files(graph)


def test_only_the_kernels_that_are_called_are_written() -> None:
    for seed in range(20):
        made = written_files(wide_graph(seed))
        program = "".join(text for path, text in made.items() if path.startswith("src/model"))
        called = {homes()[name] for name in re.findall(r"\b(spk_\w+)\(", program)}
        there = {path.removeprefix("src/") for path in made if path.endswith(".c")} & sources().keys()
        assert called <= there <= {name for name in needed(program) if name.endswith(".c")}
    assert "matmul.c" not in written_files(small_graph())


def test_kernels_use_neither_floats_nor_a_library() -> None:
    for name, text in sources().items():
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        assert set(re.findall(r"#include (.*)", code)) <= {
            "<stddef.h>",
            "<stdint.h>",
            '"spk.h"',
            '"neuron.h"',
            '"logmel.h"',
        }, name
        assert not re.search(r"\b(float|double|malloc|free|printf|__builtin\w*|asm)\b", code), name


def test_every_kernel_has_its_bytes_in_the_report() -> None:
    assert CODE.keys() == {name for name in sources() if name.endswith(".c")}
    assert sum(CODE.values()) <= 8192


def test_the_report_says_what_the_files_hold() -> None:
    for seed in range(10):
        model = written(random_graph(seed), "net")
        found, header = report(model), model.files["net.h"]
        numbers = {name: int(value) for name, value in re.findall(r"#define NET_(\w+) (\d+)", header)}
        assert (found.ram, found.stream_ram) == (numbers["RUN_RAM"], numbers["STREAM_RAM"])
        arrays = {
            kind: int(words)
            for text in model.files.values()
            for kind, words in re.findall(r"static uint32_t net_(run|step)_memory\[(\d+)\];", text)
        }
        assert 4 * arrays["step"] == max(found.stream_ram, 4)
        assert 4 * arrays.get("run", arrays["step"]) == max(found.ram, 4)
        assert found.to_json()["flash"] == found.constants + found.kernels + found.calls


@needs_compiler
def test_constants_take_what_the_report_says(tmp_path: Path) -> None:
    model = written(spikelet.load(SHIPPED))
    for name, text in {**model.files, **sources()}.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [str(CC), *STRICT, "-Os", "-c", "model_constants.c", "-o", "a.o"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    sizes = subprocess.run(["size", "a.o"], cwd=tmp_path, capture_output=True, text=True)
    if sizes.returncode:
        pytest.skip("needs size of the binutils")
    text, data = map(int, sizes.stdout.splitlines()[1].split()[:2])
    assert report(model).constants == pytest.approx(text + data, rel=0.05)


@needs_compiler
def test_no_chain_of_calls_takes_more_stack_than_the_report_says(tmp_path: Path) -> None:
    """A stage calls a kernel, which calls helpers of its own at most two deep: the largest frames stand for all."""
    model = written(wide_graph(5))
    for name, text in {**model.files, **sources()}.items():
        (tmp_path / name).write_text(text)
    every = sorted(name for name in {**model.files, **sources()} if name.endswith(".c"))
    done = subprocess.run(
        [str(CC), *STRICT, "-Os", "-fstack-usage", "-c", *every], cwd=tmp_path, capture_output=True, text=True
    )
    if done.returncode and "stack-usage" in done.stderr:
        pytest.skip("this compiler does not tell the stack that functions take")
    assert done.returncode == 0, done.stderr
    usage = [line.split("\t") for path in tmp_path.glob("*.su") for line in path.read_text().splitlines()]
    assert {kind for _, _, kind in usage} <= {"static", "dynamic,bounded"}
    frames = sorted((int(size) for _, size, _ in usage), reverse=True)
    found = report(model)
    assert sum(frames[:4]) <= 2 * found.stack, "pointers take 8 bytes here, and 4 there"
