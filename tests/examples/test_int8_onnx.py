"""The int8 twins that latency is measured beside: right, in both libraries, and refused for a network that has none."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

import spikelet
from benchmarks import int8_onnx
from benchmarks.cases import subject_of
from spikelet.base.errors import GraphError, MissingLibrary
from spikelet.graph import ir
from tests.small_edges import graph_of


def images(count: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.tensor(rng.integers(0, 256, (count, 3, 4, 4)).repeat(8, 2).repeat(8, 3).astype(np.uint8))


def padded() -> ir.IntGraph:
    """A shortcut that pads channels with zeros."""
    wider = ir.ChannelMap("m", ("s",), np.array([0, 1, 2, -1], np.int16), 1)
    neurons = ir.Lif("s", ("x",), 0, 1, 0, 9, "hard", None)
    return graph_of(
        ir.Input("x", (), (3, 32, 32)), neurons, wider, ir.Flatten("f", ("m",)), ir.SumTime("logits", ("f",))
    )


@pytest.mark.parametrize("case", ["qsnn-vgg-s-cifar10", "spikformer_4_384:4"])
def test_both_libraries_run_the_quantized_network_as_the_float_one(case: str) -> None:
    """With convolutions, pools and residual sums; with attention."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    options = {} if case.startswith("qsnn") else {"time_steps": 1, "width": 48, "depth": 1, "heads": 4}
    graph = subject_of(case, options, None).graph
    twin = int8_onnx.Twin(graph, images(4))
    assert twin.correlation > 0.98
    first, second = twin.onnx_runtime(1)(), twin.openvino(1)()
    assert first.shape == second.shape == (4, 10)
    assert np.corrcoef((first - first.mean(0)).ravel(), (second - second.mean(0)).ravel())[0, 1] > 0.98


def test_every_layer_with_weights_is_int8() -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    graph = spikelet.load("qsnn-vgg-s-cifar10")
    twin = int8_onnx.Twin(graph, images(2))
    model = onnx.load_from_string(twin.quantized)
    shapes = {array.name: tuple(array.dims) for array in model.graph.initializer if array.data_type == 3}
    weights = {node.weight.shape for node in graph.nodes if isinstance(node, ir.Conv | ir.Linear)}
    assert weights <= set(shapes.values())
    scales = {array.name: array.dims for array in model.graph.initializer if array.name.endswith("_scale")}
    by_channel = sorted(dims[0] for dims in scales.values() if dims and dims[0] > 1)
    assert by_channel[-1] == 256, "weights have a scale a channel"


def test_what_has_no_counterpart_and_a_twin_that_went_wrong_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    with pytest.raises(GraphError, match="an int8 twin can't run channelmap: its channels"):
        int8_onnx.Twin(padded(), images(1))
    with pytest.raises(SystemExit, match="reads still images, got event frames"):
        int8_onnx.Twin(spikelet.load("qsnn-vgg-s-nmnist"), torch.zeros((5, 1, 2, 34, 34), dtype=torch.uint8))
    monkeypatch.setattr(int8_onnx, "CLOSE", 1.1)
    with pytest.raises(SystemExit, match=r"go with its float network's by [01]\.\d+ only"):
        int8_onnx.Twin(spikelet.load("qsnn-vgg-s-cifar10"), images(1))


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "onnx.helper", None)
    with pytest.raises(
        MissingLibrary, match=r"an int8 twin needs onnx\. Install it with: pip install 'spikelet\[bench\]'"
    ):
        int8_onnx.Twin(spikelet.load("qsnn-vgg-s-cifar10"), images(1))
