"""Linear layers of a network beside ONNX Runtime's weights of few bits, layer by layer.

    python -m benchmarks.linear_nbits spikformer_4_384:1 [--bits 2] [--seconds 10] [--out linear.json]

Ours: every linear layer and 1 x 1 convolution with what is fused behind it (batch norm, sum, neuron), on the spikes
that it really reads, as layers.py times it. Theirs: `MatMulNBits` of the same shape over all time steps and positions,
float activations, random weights in blocks of 32 with a scale each, int8 products (accuracy level 4): the product
alone, with nothing behind it; layers whose inputs are no whole number of blocks are left out, as it refuses them. One
thread, processor time, medians.
"""

from __future__ import annotations

import argparse
import collections
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import FIRING, subject_of
from benchmarks.end_to_end import write
from spikelet.base.optional import need
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.runtime import Program
from spikelet.runtime.one_by_one import times

BLOCK = 32  # weights that share a scale
BITS = 2
FEWEST = 5  # rounds


def product(rows: int, inputs: int, outputs: int, bits: int) -> Callable[[], Any]:
    """ONNX Runtime's product of [rows, inputs] with a matrix of few-bit weights, on one thread.

    Raises:
        MissingLibrary: onnx or onnxruntime is not installed.
        SystemExit: the inputs are no whole number of blocks.
    """
    if inputs % BLOCK:
        raise SystemExit(f"linear_nbits: {inputs} inputs are no whole number of blocks of {BLOCK}")
    onnx = need("onnx", package="onnx", extra="bench", what="a product of few-bit weights")
    ort = need("onnxruntime", package="onnxruntime", extra="bench", what="a product of few-bit weights")
    rng, helper, floats = np.random.default_rng(0), onnx.helper, onnx.TensorProto.FLOAT
    blocks = inputs // BLOCK
    codes = rng.integers(0, 256, (outputs, blocks, BLOCK * bits // 8), np.uint8)
    scales = rng.random(outputs * blocks, np.float32)
    node = helper.make_node(
        "MatMulNBits", ["x", "codes", "scales"], ["y"], domain="com.microsoft", K=inputs, N=outputs, bits=bits,
        block_size=BLOCK, accuracy_level=4,
    )  # fmt: skip
    graph = helper.make_graph(
        [node], "product", [helper.make_tensor_value_info("x", floats, [rows, inputs])],
        [helper.make_tensor_value_info("y", floats, [rows, outputs])],
        [onnx.numpy_helper.from_array(codes, "codes"), onnx.numpy_helper.from_array(scales, "scales")],
    )  # fmt: skip
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=sets, ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = rng.integers(0, 2, (rows, inputs)).astype(np.float32)
    return lambda: session.run(None, {"x": x})


def linear_layers(graph: ir.IntGraph) -> dict[str, tuple[int, int, int]]:
    """Every layer that multiplies all positions by one matrix: rows over all steps, inputs and outputs, by its name."""
    edges = analyse(graph)
    found: dict[str, tuple[int, int, int]] = {}
    for node in graph.nodes:
        pointwise = isinstance(node, ir.Conv) and node.weight.shape[2:] == (1, 1) and node.groups == 1
        if pointwise or isinstance(node, ir.Linear):
            edge = edges[node.inputs[0]]
            places = int(np.prod(edges[node.name].shape[1:]))
            found[node.name] = places * (graph.time_steps if edge.timed else 1), node.weight.shape[1], len(node.weight)
    return found


def tables(words: Sequence[str], seconds: float, bits: int = BITS) -> list[dict[str, Any]]:
    """Measures every case, prints its layers as a Markdown table; returns what JSON holds of them."""
    return [_table(word, seconds, bits) for word in words]


def _table(word: str, seconds: float, bits: int) -> dict[str, Any]:
    subject = subject_of(word, {}, FIRING)
    wanted = linear_layers(subject.graph)
    ours: dict[str, float] = collections.defaultdict(float)
    for one in times(Program(subject.graph), [subject.batch(1).numpy()], seconds / 2):
        ours[one.node] += one.microseconds
    shapes = sorted({shape for shape in wanted.values() if shape[1] % BLOCK == 0})
    theirs = {shape: _microseconds(product(*shape, bits), seconds / 2 / len(shapes)) for shape in shapes}
    rows = [
        {"layer": name, "rows": shape[0], "inputs": shape[1], "outputs": shape[2], "native": ours[name],
         "onnx_runtime": theirs[shape]}
        for name, shape in wanted.items() if shape in theirs
    ]  # fmt: skip
    print(f"\n{word}: linear layers, one image, one thread, all steps; ONNX Runtime's weights have {bits} bits\n")
    print("| layer | rows x inputs x outputs | native us | MatMulNBits us | times faster |\n" + "| --- " * 5 + "|")
    for row in rows:
        size = f"{row['rows']} x {row['inputs']} x {row['outputs']}"
        times_faster = row["onnx_runtime"] / max(row["native"], 1e-3)
        print(f"| {row['layer']} | {size} | {row['native']:.1f} | {row['onnx_runtime']:.1f} | {times_faster:.1f} |")
    return {"model": subject.name, "options": subject.options, "bits_of_onnx_runtime": bits, "linear_layers": rows}


def _microseconds(call: Callable[[], Any], seconds: float) -> float:
    call()
    taken: list[int] = []
    end = time.perf_counter() + seconds
    while len(taken) < FEWEST or time.perf_counter() < end:
        start = time.process_time_ns()
        call()
        taken.append(time.process_time_ns() - start)
    return statistics.median(taken) / 1e3


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", metavar="model[:bits]")
    parser.add_argument("--bits", type=int, choices=(2, 4, 8), default=BITS, help="of ONNX Runtime's weights")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each case")
    parser.add_argument("--out", type=Path, help="where the figures go as JSON")
    args = parser.parse_args()
    write(args.out, tables(args.cases, args.seconds, args.bits))


if __name__ == "__main__":
    main()
