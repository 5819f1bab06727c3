"""How near every kernel of a native program comes to what one thread of this machine can do.

    python -m benchmarks.roofline spikformer_4_384:1 [qsnn-vgg-s-cifar10 ...] [--snap] [--seconds 10] [--out roof.json]

The machine's limits are measured first, by roofline.c: three-input operations on whole vectors, vectors read from a
table of the weights' size in random order, and multiplications of bytes. A layer's least time is then

    lists of 1-bit rows       max(7/4 vectors / logic, vectors / load)          CONV_SLICED, CONV_CUTS
    places side by side       the same                                          CONV_PLACES
    lists of wider rows       vectors / load                                    CONV_ROWS, CONV_NIBBLES
    multiplication            multiply-accumulates / product                    CONV_BLOCKS, CONV_QUADS

with a vector for every event under every tap of its window, a part of one where several rows lie side by side, or one
for all pixels that share a row; 8 rows take 7 carry-save adders of two operations. Kernels that count steps together
add fewer rows than that. CONV_PLACES has a vector for every weight of +1 and 512 places. An event is a one of the
input, or of a plane of bits of a sum of spikes.
To find events, to join the lists of a window, neurons and what else is done behind are in no limit: they are what a
fraction of less than 1 is lost to, beside the kernel's own.

Times are those of layers.py: one image, one thread, processor time. Kernels of other kinds are listed without a limit.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import FIRING, named, subject_of
from benchmarks.end_to_end import write
from spikelet import Program
from spikelet.base.codes import values_of
from spikelet.graph import ir
from spikelet.graph.analysis import MAX_OUTPUTS, analyse
from spikelet.runtime.layout import ROW, row_of_places
from spikelet.runtime.one_by_one import times
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.shared_rows import pixel_bytes, row_pixels
from spikelet.zoo import names

SOURCE = Path(__file__).with_name("roofline.c")
ADDERS = 2 * 7 / 8  # three-input operations that a row of 1-bit weights takes
BITS = {"CONV_SLICED": 1, "CONV_CUTS": 1, "CONV_NIBBLES": 4, "CONV_ROWS": 8}  # of a weight in a listed row
MULTIPLIED = ("CONV_BLOCKS", "CONV_QUADS")


def limits() -> dict[str, float]:
    """What roofline.c measures, by its words; compiled for this machine.

    Raises:
        SystemExit: there is no C compiler, or the machine is another than roofline.c is for.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        raise SystemExit(f"roofline: roofline.c measures x86-64 only, and this is {platform.machine()}")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("roofline: needs a C compiler, such as gcc")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "roofline"
        subprocess.run([compiler, "-O3", "-march=native", str(SOURCE), "-o", str(program)], check=True)
        printed = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    return {word: float(value) for word, value in (line.split() for line in printed.splitlines())}


@dataclasses.dataclass(frozen=True)
class Roofed:
    """A layer's time and its least time, in microseconds; `least` is None where no limit is known."""

    node: str
    kind: str
    microseconds: float
    least: float | None


def covering(size: int, taps: int, stride: int, padding: int, dilation: int) -> NDArray[np.int64]:
    """How many windows of an axis see each of its positions, [size]."""
    count = (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
    seen = np.zeros(size + 2 * padding, np.int64)
    for tap in range(taps):
        seen[tap * dilation + stride * np.arange(count)] += 1
    return seen[padding : padding + size]


def events(node: ir.Operation, x: NDArray[np.int64], pixels: int = 1) -> int:
    """Weight rows that the layer adds for its input x [T, 1, ...]: the ones of all values, under every tap; under those
    of `pixels` output pixels at once where they share rows."""
    ones = np.bitwise_count(x).astype(np.int64)
    if isinstance(node, ir.Conv):
        high, wide = zip(x.shape[3:], node.kernel, node.stride, node.padding, node.dilation, strict=True)
        rows, columns = covering(*high), covering(*wide)
        if pixels > 1:
            size, taps, stride, padding, _ = wide
            count = -(-node.output_shape(x.shape[2:])[2] // pixels)
            columns = np.zeros(size, np.int64)
            for first in pixels * stride * np.arange(count) - padding:
                columns[max(first, 0) : first + taps + (pixels - 1) * stride] += 1
        return int((ones * rows[:, None] * columns).sum())
    return int(ones.sum())


def vectors(outputs: int, bits: int, wide: int) -> float:
    """Vectors of `wide` bytes that a row of weights has; short rows of a power of two share one."""
    size = outputs * bits / 8
    if size > wide / 2:
        return -(-size // wide)
    part = 2 ** int(np.ceil(np.log2(max(size, 1))))
    return max(part, 16) / wide


def load(limit: Mapping[str, float], table: float) -> float:
    """Vectors a nanosecond from a table of so many bytes."""
    size = next((kib for kib in (16, 256) if table <= 1.5 * 1024 * kib), 4096)
    return limit[f"load_{size}"]


def least(node: ir.Operation, kind: str, x: NDArray[np.int64], limit: Mapping[str, float]) -> float | None:
    """The least microseconds of a layer of kernel `kind` on input x [T, 1, ...]; None where no limit is known."""
    if not isinstance(node, ir.Conv | ir.Linear):
        return None
    outputs, wide = len(node.weight), int(limit["vector"])
    if kind in MULTIPLIED:
        macs = len(x) * node.work(x.shape[2:]).macs
        return macs / limit["product"] / 1e3 if limit["product"] else None
    if kind == "CONV_PLACES":
        return _side_by_side(node, x, limit)
    if kind not in BITS:
        return None
    pixels, columns = 1, 1.0
    if isinstance(node, ir.Conv):
        (taps, stride), out_w = (node.kernel[1], node.stride[1]), node.output_shape(x.shape[2:])[2]
        pixels = row_pixels(Kind[kind], wide, node.weight.shape, stride, out_w)
        columns = (taps + (pixels - 1) * stride) / taps
    shared = pixels * pixel_bytes(Kind[kind], outputs) / wide
    each = vectors(outputs, BITS[kind], wide) if pixels == 1 else shared
    table = node.weight.size / outputs * columns * each * wide
    rows = events(node, x, pixels) * each
    taken = rows / load(limit, table)
    return max(taken, ADDERS * rows / limit["logic"] if BITS[kind] == 1 else 0.0) / 1e3


def _side_by_side(node: ir.Conv | ir.Linear, x: NDArray[np.int64], limit: Mapping[str, float]) -> float:
    """The least microseconds of CONV_PLACES, whose rows of places lie in a table of ROW bytes for each synapse."""
    (_, high, wide), codes = node.output_shape(x.shape[2:]), values_of(node.weight, node.bits, node.grid)
    rows = -(-len(x) * high * row_of_places(wide) // ROW) * int((codes > 0).sum()) * ROW / limit["vector"]
    taken = rows / load(limit, codes[0].size * ROW)
    return max(taken, ADDERS * rows / limit["logic"]) / 1e3


def values_read(graph: ir.IntGraph, x: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """What layers and products read for one image or its frames, [T or 1, 1, ...], by the name of the node that makes
    it."""
    layers = (node for node in graph.nodes if isinstance(node, ir.Conv | ir.Linear | ir.Matmul))
    read = dict.fromkeys(name for node in layers for name in node.inputs)
    edges, wanted = analyse(graph), [name for name in read if name not in (graph.input.name, graph.output.name)]
    values: dict[str, NDArray[Any]] = {graph.input.name: x if x.ndim > len(graph.input.shape) + 1 else x[None]}
    for first in range(0, len(wanted), MAX_OUTPUTS - 1):
        outputs = (ir.Output(name, 1.0) for name in wanted[first : first + MAX_OUTPUTS - 1])
        found = Program(dataclasses.replace(graph, outputs=(*graph.outputs[:1], *outputs))).outputs(x)
        values |= {name: y if edges[name].timed else y[None] for name, y in found.items()}
    return values


def roofed(graph: ir.IntGraph, x: NDArray[np.uint8], limit: Mapping[str, float], seconds: float) -> list[Roofed]:
    """Every operation of the program for one image, in order."""
    by_name, values, found = {node.name: node for node in graph.nodes}, values_read(graph, x), []
    for one in times(Program(graph), [x], seconds):
        node = by_name.get(one.node)
        known = node is not None and node.inputs and node.inputs[0] in values
        bound = least(node, one.kind, values[node.inputs[0]], limit) if known else None  # type: ignore[union-attr]
        found.append(Roofed(one.node, one.kind, one.microseconds, bound))
    return found


def _table(word: str, limit: dict[str, float], args: argparse.Namespace) -> dict[str, Any]:
    subject = subject_of(word, {}, None if word in names() else FIRING, snap=args.snap)
    found = roofed(subject.graph, subject.batch(1).numpy(), limit, args.seconds)
    by_kind: dict[str, list[Roofed]] = collections.defaultdict(list)
    for one in found:
        by_kind[one.kind].append(one)
    whole = sum(one.microseconds for one in found)
    print(f"\n{word}: one image, one thread, {whole:.0f} us\n")
    print("| kernel | operations | us | share | least us | of its limit |\n| --- | --- | --- | --- | --- | --- |")
    for kind, ones in sorted(by_kind.items(), key=lambda item: -sum(one.microseconds for one in item[1])):
        taken = sum(one.microseconds for one in ones)
        bound = None if any(one.least is None for one in ones) else sum(one.least or 0.0 for one in ones)
        words = ("–", "–") if bound is None else (f"{bound:.1f}", f"{bound / taken:.0%}")
        print(f"| {kind} | {len(ones)} | {taken:.1f} | {taken / whole:.0%} | {words[0]} | {words[1]} |")
    return {
        "model": word,
        "snapped": args.snap,
        "limits": limit,
        "operations": [dataclasses.asdict(one) for one in found],
    }


def tables(words: Sequence[str], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measures the machine and every case, prints a Markdown table of each by kernel; returns what JSON holds."""
    for word in words:
        if word not in names():
            named(word)  # so that a wrong one is refused before anything is measured
    limit = limits()
    print(", ".join(f"{word} {value:g}" for word, value in limit.items()) + " (a nanosecond)")
    return [_table(word, limit, args) for word in words]


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", metavar="model[:bits] or shipped")
    parser.add_argument("--snap", action="store_true", help="give random networks cuts first: compression.Snap")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each case")
    parser.add_argument("--out", type=Path, help="where the figures go as JSON")
    args = parser.parse_args()
    write(args.out, tables(args.cases, args))


if __name__ == "__main__":
    main()
