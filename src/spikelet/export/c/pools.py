"""Pools: windows of a map in memory, or of an edge that is worked out under each window where windows don't overlap."""

from __future__ import annotations

from spikelet.export.c.stage import Place, Stage
from spikelet.graph import ir


def max_pool(stage: Stage, node: ir.MaxPool, vector: str, place: Place) -> None:
    """The largest of a window."""
    stage.code(f"spk_fill({vector}, INT32_MIN, {stage.layout.channels(node.name)});")
    _windows(stage, node, (*node.kernel, *node.stride, *node.padding), ("spk_max", vector), place)


def sum_pool(stage: Stage, node: ir.SumPool, vector: str, place: Place) -> None:
    """The sum of a window."""
    stage.code(f"spk_fill({vector}, 0, {stage.layout.channels(node.name)});")
    _windows(stage, node, (*node.kernel, *node.kernel, 0, 0), ("spk_add", vector), place)


def _windows(
    stage: Stage, node: ir.MaxPool | ir.SumPool, sizes: tuple[int, ...], into: tuple[str, str], place: Place
) -> None:
    """Kernel, stride and padding in `sizes`; `into`: the function that takes a position, and its first argument."""
    kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w = sizes
    source, n, (take, vector) = node.inputs[0], stage.variable(), into
    form = stage.layout.forms[source]
    value = stage.vector(source)
    a, b, i, j, p = (f"{letter}{n}" for letter in "abijp")
    with stage.code.block(""):
        stage.code(f"uint32_t {a}, {b};")
        with stage.code.block(f"for ({a} = 0; {a} < {kernel_h}; {a}++)"), \
             stage.code.block(f"for ({b} = 0; {b} < {kernel_w}; {b}++)"):  # fmt: skip
            stage.code(f"const uint32_t {i} = {place.row} * {stride_h} + {a} - {pad_h};")
            stage.code(f"const uint32_t {j} = {place.column} * {stride_w} + {b} - {pad_w};")
            stage.code(f"const uint32_t {p} = {i} * {form.width} + {j};")
            inside = f"if ({i} < {form.height} && {j} < {form.width})"
            with stage.code.block(inside):
                stage.emit(source, value, Place(i, j, p, place.rows.window(kernel_h, stride_h, pad_h)))
                stage.code(f"{take}({vector}, {value}, {stage.layout.channels(node.name)});")
