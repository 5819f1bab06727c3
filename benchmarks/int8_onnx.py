"""The int8 network of a spiking graph's shape in ONNX, as ONNX Runtime and OpenVINO run it.

    twin = Twin(graph, x)               quantized on images such as x, uint8 [B, C, H, W]
    twin.onnx_runtime(threads=1)()      its outputs [B, K]
    twin.openvino(threads=1)()          the same file in OpenVINO

It runs once, as it has no time. Convolutions and linear layers have the shapes and codes of the graph's, scaled to
currents of variance 1; a neuron is a ReLU, none where nothing can be negative; sums, pools and products of matrices are
what they are, so attention has no softmax, as the spiking network's has none. Batch norms are gone, as if folded.

Static quantization by ONNX Runtime's own tool: QuantizeLinear and DequantizeLinear around every operation, int8 weights
by output channel, uint8 activations by tensor, their ranges the smallest and largest values on x and more images.
Weights keep to 7 of the 8 bits: without VNNI the sum of two products saturates at 16 bits in both libraries, which is
wrong and no faster. Images are floats before the clock starts.

A twin is refused unless its outputs go with those of its float network, less each output's mean over images.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from spikelet.base.codes import values_of
from spikelet.base.optional import need
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.backend import BackendRules
from spikelet.graph.edge import Shape, as_map

Float32 = NDArray[np.float32]
OPSET = 17
IMAGES = 32  # at least, that ranges are taken from
CLOSE = 0.9  # correlation with the float network
_need = functools.partial(need, extra="bench", what="an int8 twin")


@dataclasses.dataclass(eq=False)
class Network:
    """A float network in the making.

    size: of a value, the root of its mean square: what the next layer divides its weights by.
    positive: whether no value can be negative.
    """

    graph: ir.IntGraph
    shapes: dict[str, Shape]
    nodes: list[Any] = dataclasses.field(default_factory=list)
    constants: list[Any] = dataclasses.field(default_factory=list)
    tensors: dict[str, str] = dataclasses.field(default_factory=dict)
    size: dict[str, float] = dataclasses.field(default_factory=dict)
    positive: dict[str, bool] = dataclasses.field(default_factory=dict)

    def add(self, kind: str, node: ir.Operation, inputs: list[str], **attributes: Any) -> str:
        """One ONNX node more; returns its output."""
        output = f"{kind}_{len(self.nodes)}"
        helper = _need("onnx.helper", package="onnx")
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, values: NDArray[Any]) -> str:
        """An array of the file; returns its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(_need("onnx.numpy_helper", package="onnx").from_array(values, name))
        return name

    def bind(self, node: ir.Operation, tensor: str, size: float, *, positive: bool) -> None:
        """`tensor` is what the node makes."""
        self.tensors[node.name], self.size[node.name], self.positive[node.name] = tensor, size, positive

    def read(self, node: ir.Operation) -> list[str]:
        """The tensors that the node reads."""
        return [self.tensors[name] for name in node.inputs]

    def as_before(self, node: ir.Operation, tensor: str) -> None:
        """`tensor` is what the node makes, of about the values that it reads."""
        self.bind(node, tensor, self.size[node.inputs[0]], positive=self.positive[node.inputs[0]])


Rule = Callable[[Network, Any], None]


def _weights(net: Network, node: ir.Conv | ir.Linear) -> list[str]:
    """Weights such that sums have variance 1, and no bias."""
    codes = values_of(node.weight, node.bits, node.grid).astype(np.float32)
    spread = math.sqrt(float((codes**2).mean()) * codes[0].size) * net.size[node.inputs[0]]
    return [net.constant((codes / spread).astype(np.float32)), net.constant(np.zeros(len(codes), np.float32))]


def _input(net: Network, node: ir.Input) -> None:
    net.bind(node, "x", 0.5, positive=True)


def _conv(net: Network, node: ir.Conv) -> None:
    ends = [*node.padding, *node.padding]
    more = {"strides": node.stride, "pads": ends, "group": node.groups, "dilations": node.dilation}
    net.bind(node, net.add("Conv", node, net.read(node) + _weights(net, node), **more), 1.0, positive=False)


def _linear(net: Network, node: ir.Linear) -> None:
    product = net.add("Gemm", node, net.read(node) + _weights(net, node), transB=1)
    net.bind(node, product, 1.0, positive=False)


def _passed(net: Network, node: ir.Operation) -> None:
    net.as_before(node, *net.read(node))


def _neuron(net: Network, node: ir.Lif) -> None:
    (x,) = net.read(node)
    if net.positive[node.inputs[0]]:
        net.as_before(node, x)
    else:
        net.bind(node, net.add("Relu", node, [x]), net.size[node.inputs[0]] * math.sqrt(0.5), positive=True)


def _added(net: Network, node: ir.Add) -> None:
    first, *rest = net.read(node)
    for other in rest:
        first = net.add("Add", node, [first, other])
    sizes = [net.size[name] for name in node.inputs]
    net.bind(node, first, math.hypot(*sizes), positive=all(net.positive[name] for name in node.inputs))


def _largest(net: Network, node: ir.MaxPool) -> None:
    pads = [*node.padding, *node.padding]
    pooled = net.add("MaxPool", node, net.read(node), kernel_shape=node.kernel, strides=node.stride, pads=pads)
    net.as_before(node, pooled)


def _mean(net: Network, node: ir.SumPool) -> None:
    pooled = net.add("AveragePool", node, net.read(node), kernel_shape=node.kernel, strides=node.kernel)
    net.as_before(node, pooled)


def _flatten(net: Network, node: ir.Flatten) -> None:
    net.as_before(node, net.add("Flatten", node, net.read(node)))


def _product(net: Network, node: ir.Matmul) -> None:
    """Head by head: [B, heads, C / heads, N] each, one or both transposed."""
    sides = []
    for name, tensor, transposed in zip(node.inputs, net.read(node), node.transpose, strict=True):
        channels, height, width = as_map(net.shapes[name])
        shape = net.constant(np.array([0, node.heads, channels // node.heads, height * width], np.int64))
        split = net.add("Reshape", node, [tensor, shape])
        sides.append(net.add("Transpose", node, [split], perm=(0, 1, 3, 2)) if transposed else split)
    product = net.add("MatMul", node, sides)
    shape = net.constant(np.array([0, *net.shapes[node.name]], np.int64))
    inner = node.sizes(*(net.shapes[name] for name in node.inputs))[1]
    size = inner * math.prod(net.size[name] for name in node.inputs)
    positive = all(net.positive[name] for name in node.inputs)
    net.bind(node, net.add("Reshape", node, [product, shape]), size, positive=positive)


RULES: BackendRules[Rule] = BackendRules(
    "an int8 twin",
    {
        ir.Input: _input,
        ir.Conv: _conv,
        ir.Linear: _linear,
        ir.Affine: _passed,
        ir.Add: _added,
        ir.Lif: _neuron,
        ir.MaxPool: _largest,
        ir.SumPool: _mean,
        ir.Flatten: _flatten,
        ir.SumTime: _passed,
        ir.ChannelMap: "its channels would have to be gathered",
        ir.Matmul: _product,
        ir.Mul: "a mask has no counterpart",
        ir.Constant: "what it is added to has another scale",
        ir.Gather: "its positions would have to be gathered",
        ir.Delay: "it has no time",
        ir.Charge: "a ReLU keeps no charge",
    },
)


def float_network(graph: ir.IntGraph, batch: int) -> Any:
    """The network before it is quantized, an onnx.ModelProto from x [batch, *input shape] to y.

    Raises:
        GraphError: an operation has no counterpart; names it.
        MissingLibrary: onnx is not installed.
    """
    onnx, helper = _need("onnx", package="onnx"), _need("onnx.helper", package="onnx")
    net = Network(graph, {name: edge.shape for name, edge in analyse(graph).items()})
    for node in graph.nodes:
        RULES.of(node)(net, node)
    last = net.add("Identity", graph.output, [net.tensors[graph.output.name]])
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (batch, *shape))
        for name, shape in (("x", graph.input.shape), (last, net.shapes[graph.output.name]))
    ]
    body = helper.make_graph(net.nodes, "twin", ends[:1], ends[1:], net.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model


class Twin:
    """See the module.

    Raises:
        GraphError: the graph has no twin.
        MissingLibrary: onnx or onnxruntime is not installed.
        SystemExit: images are event frames, or the quantized network is not close to the float one.
    """

    def __init__(self, graph: ir.IntGraph, x: Tensor) -> None:
        if x.dim() != len(graph.input.shape) + 1:
            raise SystemExit("an int8 twin reads still images, got event frames: leave it out of --beside")
        self.x: Float32 = x.numpy().astype(np.float32) / np.float32(255)
        batch = len(self.x)
        rng = np.random.default_rng(0)
        shifts = rng.integers(-8, 9, (max(1, IMAGES // batch), 2))
        gains = rng.uniform(0.3, 1, len(shifts)).astype(np.float32)
        others = [g * np.roll(self.x[::-1], tuple(s), (2, 3)) for g, s in zip(gains, shifts, strict=True)]
        self.samples: list[Float32] = [self.x, *others]
        self.float = float_network(graph, batch)
        self.quantized: bytes = _quantized(self.float, self.samples)
        self.correlation = self._correlation()
        if self.correlation < CLOSE:
            raise SystemExit(f"the int8 twin's outputs go with its float network's by {self.correlation:.3f} only")

    def onnx_runtime(self, threads: int) -> Callable[[], NDArray[Any]]:
        """A call that runs x in ONNX Runtime."""
        session = _session(self.quantized, threads)
        return lambda: session.run(None, {"x": self.x})[0]

    def openvino(self, threads: int) -> Callable[[], NDArray[Any]]:
        """A call that runs x in OpenVINO. Raises MissingLibrary where it is not installed."""
        core = _need("openvino", package="openvino").Core()
        hints = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
        request = core.compile_model(core.read_model(self.quantized), "CPU", hints).create_infer_request()
        return lambda: request.infer({"x": self.x})[0]

    def _correlation(self) -> float:
        sessions = _session(self.float.SerializeToString(), 1), _session(self.quantized, 1)
        a, b = (np.concatenate([s.run(None, {"x": x})[0] for x in self.samples]) for s in sessions)
        return float(np.corrcoef((a - a.mean(0)).ravel(), (b - b.mean(0)).ravel())[0, 1])


def _session(model: bytes, threads: int) -> Any:
    ort = _need("onnxruntime", package="onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _quantized(model: Any, samples: list[Float32]) -> bytes:
    tool = _need("onnxruntime.quantization", package="onnxruntime")

    class Samples(tool.CalibrationDataReader):
        """The images, one batch after the other."""

        def __init__(self) -> None:
            self.left = iter(samples)

        def get_next(self) -> dict[str, Float32] | None:
            x = next(self.left, None)
            return None if x is None else {"x": x}

    with tempfile.TemporaryDirectory() as folder:
        made, source, path = (Path(folder) / f"{name}.onnx" for name in ("float", "prepared", "int8"))
        made.write_bytes(model.SerializeToString())
        tool.quant_pre_process(made, source, skip_symbolic_shape=True)
        types = {"activation_type": tool.QuantType.QUInt8, "weight_type": tool.QuantType.QInt8}
        how = types | {"per_channel": True, "reduce_range": True}
        tool.quantize_static(source, path, Samples(), tool.QuantFormat.QDQ, **how)
        return path.read_bytes()
