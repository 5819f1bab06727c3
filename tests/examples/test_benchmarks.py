"""Benchmarks that need no training run at their smallest, so that they still run when a number is wanted."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import spikelet
from benchmarks import kernels, latency_picture, limited, linear_nbits, readme_table, roofline, spikingjelly_zoo
from benchmarks.cases import Subject, subject_of
from spikelet import Program, create_model, lower, save
from spikelet.base.errors import OverflowRefused
from spikelet.graph import ir
from spikelet.runtime.library import kernel_sets

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """What `python -m benchmarks.NAME WORDS` prints, run in this process, where torch is loaded already."""

    def printed(name: str, *words: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *words])
        importlib.import_module(f"benchmarks.{name}").main()
        return capsys.readouterr().out

    yield printed
    torch.set_num_threads(1)  # as before: benchmarks set it


def test_the_latency_of_a_network_is_measured_beside_pytorch(run: Callable[..., str], tmp_path: Path):
    run("end_to_end", "qsnn_vgg_s", "--seconds", "0.05", "--out", str(tmp_path / "latency.json"))
    written = json.loads((tmp_path / "latency.json").read_text())
    assert written


def test_a_transformer_is_measured_at_the_bits_that_its_case_names(run: Callable[..., str], tmp_path: Path):
    words = ["spikformer_4_384:4", "--batch", "1", "--beside", "eager", "--seconds", "0.05", "--time-steps", "1"]
    run("end_to_end", *words, "--out", str(tmp_path / "latency.json"))
    (result,) = json.loads((tmp_path / "latency.json").read_text())["results"]
    assert result["options"] == {"weight_bits": 4, "time_steps": 1}
    assert set(result["milliseconds"]["cpu"]) == {"native", "eager"}
    assert set(result["times_faster_than"]) == {"eager"}


@pytest.mark.parametrize("word", ["no_such_model", "spikformer_4_384:four"])
def test_an_unknown_case_is_refused_in_words(word: str, run: Callable[..., str]):
    with pytest.raises(SystemExit, match=r"a case must be a model's name, or a name and its weights' bits .* got "):
        run("end_to_end", word)


def test_one_thread_is_compared_with_two_and_every_figure_says_how_far_it_spreads(
    run: Callable[..., str], tmp_path: Path
):
    out, picture = tmp_path / "latency.json", tmp_path / "latency.png"
    words = ["--batch", "2", "--threads", "1", "2", "--beside", "eager", "--seconds", "0.05", "--out", str(out)]
    run("end_to_end", "qsnn_vgg_s", *words)
    one, two = json.loads(out.read_text())["results"]
    assert one["times_faster_than_one_thread"] == 1
    assert two["times_faster_than_one_thread"] > 0
    for result in (one, two):
        low, middle, high = (result[share]["wall"]["native"] for share in ("quarter", "milliseconds", "three_quarters"))
        assert low <= middle <= high
    run("latency_picture", str(out), "--plot", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_lesser_machine_is_measured_beside_a_pytorch_that_is_held_to_its_instructions(tmp_path: Path):
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("limits are of x86-64")
    results = limited.tables(["qsnn_vgg_s"], 0.05, ["--time-steps", "2"])
    assert [result["kernels"] for result in results] == [
        one.name for one in kernel_sets() if one.name in ("portable", "avx2")
    ]
    for result in results:
        assert result["limits"] == limited.LIMITS[result["kernels"]]
        assert result["pytorch_instructions"] == {"portable": "DEFAULT", "avx2": "AVX2"}[result["kernels"]]
        assert result["batch"] == result["threads"] == 1
        assert result["times_faster_than"]["eager"] > 0
    picture = tmp_path / "latency.png"
    latency_picture.draw(results, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_make_bench_asks_for_fewer_spikes_and_steps_and_compiles_nothing_where_told(monkeypatch: pytest.MonkeyPatch):
    bench = importlib.import_module("benchmarks.__main__")
    asked: list[argparse.Namespace] = []
    monkeypatch.setattr(bench, "table", lambda words, args: asked.append(args) or [])
    for module in (bench.limited, bench.layers, bench.linear_nbits):
        monkeypatch.setattr(module, "tables", lambda *_: [])
    for words in ([], ["--eager"]):
        monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
        bench.main()
    whole, eager = asked[: len(asked) // 2], asked[len(asked) // 2 :]
    assert {rate for one in eager for rate in one.firing} == {0.02, 0.05, 0.1, 0.2, 0.5}
    assert {one.time_steps for one in eager} == {None, 1, 2}
    assert not any(one.snap for one in asked if one.time_steps == 1)  # which Snap refuses
    assert any("compiled" in one.beside for one in whole)
    assert not any({"compiled", "bf16"} & set(one.beside) for one in eager)


def test_a_row_of_the_table_says_what_the_network_was_asked_for():
    plain = {
        "model": "a", "options": {}, "snapped": False, "batch": 1, "threads": 1, "kernels": "avx512",
        "firing_rate": 0.1, "milliseconds": {"cpu": {"native": 0.5}}, "times_faster_than": {"eager": 2.0},
    }  # fmt: skip
    asked = {"options": {"weight_bits": 1, "image_size": 128, "time_steps": 2}, "snapped": True}
    held = {"kernels": "avx2", "limits": limited.LIMITS["avx2"]}
    machine = {"device": "d", "torch": "v", "command": "c", "commit": "0"}
    taken = {"machine": machine, "results": [plain, plain | asked, plain | held, {"layers": []}]}
    rows = readme_table._latency(taken)[2:]
    assert [row.split(" | ")[:4] for row in rows] == [
        ["| `a`", "1", "1", "`avx512`"],
        ["| `a` at 1 bit, 128 x 128, T = 2, snapped", "1", "1", "`avx512`"],
        ["| `a`", "1", "1", "`avx2`"],
    ]
    said = (
        "Beside `avx2` (`ATEN_CPU_CAPABILITY=avx2`, `ONEDNN_MAX_CPU_ISA=AVX2`, `MKL_ENABLE_INSTRUCTIONS=AVX2`) PyTorch"
    )
    assert said in readme_table._about_latency(taken)
    assert "Beside" not in readme_table._about_latency(taken | {"results": [plain]})


def test_attention_is_timed_in_turns_and_beside_the_first_network(run: Callable[..., str], tmp_path: Path):
    x = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    np.save(tmp_path / "x.npy", x.numpy())
    paths = []
    for ratio in (0.0, 0.5):
        shape = {"in_channels": 1, "image_size": 8, "patch": 1, "width": 16, "depths": [2]}
        model = create_model("est_cifar", **shape, partial_ratio=ratio).eval()
        paths.append(str(tmp_path / f"{ratio}.safetensors"))
        save(lower(model, x[:1]), paths[-1])
    printed = run("attention_speed", *paths, "--images", str(tmp_path / "x.npy"), "--seconds", "0.05").splitlines()
    for ratio, less, line in zip(("0.0", "0.5"), (r"0\.0", r"-?[\d.]+"), printed, strict=True):
        mixed = rf"{re.escape(ratio)}\.safetensors: attention [1-9]\d* us, {less} % less than the first"
        assert re.fullmatch(rf"{mixed}; with q, k and v [1-9]\d* us, {less} % less", line)


def test_spikingjellys_own_network_has_the_shape_of_ours():
    pytest.importorskip("spikingjelly")
    model = create_model("spikformer_4_384", time_steps=2, weight_bits=1).eval()
    graph = lower(model, x := torch.zeros((1, 3, 32, 32), dtype=torch.uint8))
    subject = Subject("spikformer_4_384", {}, graph, model, None)
    assert spikingjelly_zoo.implementation(subject, x)().shape == (2, 1, 10)
    with pytest.raises(SystemExit, match="SpikingJelly's zoo has no such network"):
        spikingjelly_zoo.implementation(Subject("qsnn_vgg_s", {}, graph, model, None), x)


def test_every_kernel_is_measured_against_what_the_machine_can_do(run: Callable[..., str], tmp_path: Path):
    if platform.machine() not in ("x86_64", "AMD64") or (shutil.which("cc") is None and shutil.which("gcc") is None):
        pytest.skip("needs a C compiler of x86-64")
    out = tmp_path / "roof.json"
    run("roofline", "qsnn-vgg-s-nmnist", "--seconds", "0.05", "--out", str(out))
    (result,) = json.loads(out.read_text())["results"]
    assert all(value > 0 for word, value in result["limits"].items() if word != "product")
    assert any(one["least"] for one in result["operations"])


@pytest.mark.parametrize(
    ("size", "taps", "stride", "padding", "dilation"),
    [(5, 3, 1, 1, 1), (6, 2, 2, 0, 1), (7, 3, 2, 0, 1), (4, 1, 1, 0, 1), (9, 3, 1, 2, 2)],
)
def test_windows_over_a_position_are_counted(size: int, taps: int, stride: int, padding: int, dilation: int):
    span = dilation * (taps - 1) + 1
    windows = [range(at, at + span, dilation) for at in range(-padding, size + padding - span + 1, stride)]
    expected = [sum(i in window for window in windows) for i in range(size)]
    assert roofline.covering(size, taps, stride, padding, dilation).tolist() == expected


@pytest.mark.parametrize(
    ("size", "taps", "padding", "pixels"), [(7, 3, 1, 2), (9, 3, 1, 4), (6, 5, 0, 2), (5, 3, 0, 8)]
)
def test_rows_are_counted_once_for_all_pixels_that_share_them(size: int, taps: int, padding: int, pixels: int):
    layer = ir.Conv("c", ("x",), np.zeros((1, 1, 1, taps), np.int8), 1, (1, 1), (0, padding), 1)
    x = np.random.default_rng(0).integers(0, 2, (1, 1, 1, 1, size))
    outputs = size + 2 * padding - taps + 1
    read = 0
    for first in range(0, outputs, pixels):
        seen = range(first - padding, first - padding + taps + pixels - 1)
        read += sum(int(x[0, 0, 0, 0, i]) for i in range(size) if i in seen)
    assert roofline.events(layer, x, pixels) == read


@pytest.mark.parametrize(
    ("kind", "count"),
    [("MATMUL", 2 * 3 * 4 * 5 * 6), ("MATMUL_BITS", 4 * (1 + 2)), ("CONV_QUADS", 2 * 7 * 6), ("CONV_ROWS", 7 * 3)],
)
def test_operations_are_all_of_them_or_those_of_the_ones_that_are_read(kind: str, count: int):
    if kind.startswith("MATMUL"):  # 3 heads, [4, 5] by [5, 6] at two steps; a 1 and a 3
        a, b = np.ones((2, 1, 12, 1, 5), np.int64), np.zeros((2, 1, 15, 1, 6), np.int64)
        b[0, 0, 2, 0, 3], b[1, 0, 14, 0, 0] = 1, 3
        product = ir.Matmul("m", ("a", "b"), 3, (False, False), (1, 6))
        assert kernels.operations(product, kind, [a, b]) == count
        return
    layer, x = ir.Linear("l", ("x",), np.zeros((7, 6), np.int8), 2), np.zeros((2, 1, 6), np.int64)
    x[0, 0, 1], x[1, 0, 5] = 1, 3
    assert kernels.operations(layer, kind, [x]) == count


def test_kernels_are_compared_with_the_convolutions_and_slow_ones_are_named(run: Callable[..., str], tmp_path: Path):
    out = tmp_path / "kernels.json"
    printed = run("kernels", "qsd-transformer-cifar10", "--seconds", "0.05", "--out", str(out))
    taken = json.loads(out.read_text())
    (result,) = taken["results"]
    assert {"MATMUL", "CONV_DEPTHWISE"} <= {one["kind"] for one in result["kernels"]}
    assert min(one["operations"] for one in result["kernels"]) > 0
    assert 0 < sum(one["share"] for one in result["kernels"]) <= 1
    slow = {one["kind"] for one in result["kernels"] if one["slower"] > kernels.SLOW}
    assert slow == {line.split()[0] for line in printed.splitlines() if line.endswith(", slow")}
    rows = [row for row in readme_table._kernels(taken) if "**" in row]
    assert {row.split(" | ")[2].strip("`") for row in rows} == slow
    said = readme_table._slow_kernels(taken)
    assert all(f"`{kind}` in `qsd-transformer-cifar10`" in said for kind in slow)
    nothing = readme_table._slow_kernels(taken | {"results": []})
    assert nothing.endswith("convolutions: none.")


def test_another_machine_than_the_roofs_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(SystemExit, match=r"roofline\.c measures x86-64 only, and this is aarch64"):
        roofline.limits()


def test_the_weights_of_few_bits_of_onnx_runtime_are_those_of_the_layer():
    pytest.importorskip("onnxruntime")
    graph = spikelet.load("bestformer-cifar10")
    shapes = linear_nbits.linear_layers(graph)
    assert {name: (shape[1], shape[2]) for name, shape in shapes.items()} == {
        node.name: node.weight.shape[1::-1]
        for node in graph.nodes
        if isinstance(node, ir.Linear) or (isinstance(node, ir.Conv) and node.kernel == (1, 1) and node.groups == 1)
    }
    (y,) = linear_nbits.product(3, 64, 5, 2)()
    assert y.shape == (3, 5)
    with pytest.raises(SystemExit, match="no whole number of blocks"):
        linear_nbits.product(3, 65, 5, 2)


def test_every_layer_of_a_transformer_has_a_time_and_its_synaptic_operations(run: Callable[..., str], tmp_path: Path):
    printed = run("layers", "bestformer_2_128", "--seconds", "0.05", "--out", str(tmp_path / "layers.json"))
    (result,) = json.loads((tmp_path / "layers.json").read_text())["results"]
    layers = {layer["name"]: layer for layer in result["layers"]}
    assert {"blocks.bodies.0.query.0", "blocks.bodies.0.mix.matmul", "heads.1.3"} <= set(layers)
    assert min(layer["microseconds"] for layer in layers.values()) > 0
    convolutions = sorted(layer["slower"] for layer in layers.values() if layer["synaptic_operations"] > 0)
    assert convolutions[0] <= 1 <= convolutions[-1], "the median lies between the fastest and the slowest"
    assert all(name in printed for name in layers)
    assert set(result["attention"]) == {"blocks.bodies.0", "blocks.bodies.2"}


def test_a_model_is_lowered_saved_loaded_and_run_in_processes_of_its_own(run: Callable[..., str], tmp_path: Path):
    out = tmp_path / "large.json"
    assert "| qsd_transformer_cifar |" in run(
        "large_models", "qsd_transformer_cifar", "--images", "2", "--out", str(out)
    )
    (result,) = json.loads(out.read_text())["results"]
    assert result["mismatches"] == 0
    assert result["fallbacks"] == []
    assert not result["imports_torch"]
    assert set(result["stages"]) == {"calibrate", "pytorch", "lower", "save", "load", "plan", "first run"}


def test_published_sizes_come_out(run: Callable[..., str]):
    """One network by the command; all 39 in tests/profiling/test_profile_qpsnn.py."""
    printed = run("qpsnn_sizes", "--only", "vggsnn C")
    rows = [line.split() for line in printed.splitlines()[1:]]
    assert [(row[-6], row[-5], f"{float(row[-4]):.2f}") for row in rows] == [
        ("8", "0.40", "0.40"), ("4", "0.29", "0.29"), ("2", "0.24", "0.24")
    ]  # fmt: skip


def test_every_benchmark_imports():
    found = sorted(p.stem for p in (ROOT / "benchmarks").glob("*.py") if "argparse" in p.read_text())
    assert len(found) >= 8
    assert all(callable(importlib.import_module(f"benchmarks.{name}").main) for name in found)


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_a_random_network_fires_as_often_as_it_is_told(rate: float):
    """In every layer: also where currents are sums of few spikes, and on images that did not set the thresholds."""
    subject = subject_of("bestformer_2_128", {"image_size": 16}, rate)
    rates = [spikes.mean() for spikes in Program(subject.graph).spikes(subject.batch(8).numpy()).values()]
    assert rate / 3 < min(rates)
    assert max(rates) < 2 * rate
    assert 0.8 * rate < np.median(rates) < 1.2 * rate


def test_a_binary_transformer_lowers_once_it_fires():
    """Attention that is silent leaves its batch norm no variance, and a gain beyond what float32 holds exactly."""
    options = {"time_steps": 1, "image_size": 16, "width": 256, "depth": 1}
    assert subject_of("bestformer_4_384:1", options, 0.1).graph.time_steps == 1
    with pytest.raises(OverflowRefused, match="behind"):
        subject_of("bestformer_4_384:1", options, None)


def test_a_shipped_network_is_measured_at_its_own_rate_on_given_images(run: Callable[..., str], tmp_path: Path):
    pictures, out = tmp_path / "x.npy", tmp_path / "latency.json"
    x = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32)).astype(np.uint8)
    np.save(pictures, x)
    name, words = "qsnn-vgg-s-cifar10", ["--beside", "eager", "--seconds", "0.05", "--kernels", "auto", "portable"]
    files = ["--images", str(pictures), "--out", str(out)]
    run("end_to_end", name, "--batch", "3", *words, *files)
    results = json.loads(out.read_text())["results"]
    assert [result["kernels"] for result in results] == [Program(spikelet.load(name)).kernels, "portable"]
    spikes = Program(spikelet.load(name)).spikes(x)
    for result in results:
        assert result["firing_asked"] is None
        assert result["firing_rates"] == {node: round(float(s.mean()), 4) for node, s in spikes.items()}


def test_a_shipped_network_has_no_evaluation_in_pytorch(run: Callable[..., str]):
    with pytest.raises(SystemExit, match="qsnn-vgg-s-cifar10 ships as integers: leave `exact` out of --beside"):
        run("end_to_end", "qsnn-vgg-s-cifar10", "--batch", "1", "--beside", "exact")


def test_a_wrong_case_is_refused_before_the_machine_is_measured(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(roofline, "limits", lambda: pytest.fail("the machine was measured"))
    with pytest.raises(SystemExit, match=r"a case must be a model's name, .* got 'wrong'"):
        run("roofline", "qsnn-vgg-s-nmnist", "wrong")
