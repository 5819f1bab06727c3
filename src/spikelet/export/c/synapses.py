"""Products: conv and linear with packed weights, matmul of two edges."""

from __future__ import annotations

from spikelet.base.codes import Codes
from spikelet.export.c.constants import form_fields
from spikelet.export.c.maps import Element, Form
from spikelet.export.c.packing import STORED, WIDTH, packed, rows_of_conv, rows_of_linear, sliced
from spikelet.export.c.stage import Place, Stage
from spikelet.graph import ir
from spikelet.graph.edge import padded

STRUCT, SLICES, MATRICES = 4 * (4 + 10 + 5), 4 * (4 + 9 + 7), 4 * (2 * 4 + 7)  # bytes of spk_synapses and so on
MORE_ROOM = 1.34  # of what fields take
LEAST_COUNTED = 192  # synapses an output from which on counting the bits of bytes is faster than adding bytes
DEPTH = 8  # planes of a counter, or twice as many
EVENTS = 96  # SPK_EVENTS of spk.h


def conv(stage: Stage, node: ir.Conv, vector: str, place: Place) -> None:
    """The sums of one position."""
    geometry = (*node.kernel, *node.stride, *node.padding, *node.dilation)
    (height, stride, padding, dilation), (source,) = geometry[::2], node.inputs
    is_row = height == stride == 1 and not padding  # the kernel finds the row where it lies
    looks = place.rows if is_row else place.rows.window(height, stride, padding, dilation).by_kernel()
    row = stage.row(source, place) if is_row else place.row
    where = f"{stage.pointer(source, looks)}, {row}, {place.column}"
    if node.groups == 1 and is_sliced(node, stage.layout.forms[source]):
        _counted(stage, node, source, rows_of_conv(node.weight), geometry, vector, where)
        return
    name = _synapses(stage, node, source, rows_of_conv(node.weight), (node.groups, *geometry))
    kernel = "spk_conv" if node.groups == 1 else "spk_conv_groups"
    stage.code(f"{kernel}({vector}, &{name}, {where});")


def linear(stage: Stage, node: ir.Linear, vector: str, place: Place) -> None:
    """The sums: a convolution whose kernel is the whole map."""
    source = stage.layout.source(node.inputs[0])
    form = stage.layout.forms[source]
    rows, geometry = rows_of_linear(node.weight, form.channels), (form.height, form.width, 1, 1, 0, 0, 1, 1)
    where = f"{stage.pointer(source)}, {place.row}, {place.column}"
    if is_sliced(node, form):
        _counted(stage, node, source, rows, geometry, vector, where)
        return
    name = _synapses(stage, node, source, rows, (1, *geometry))
    stage.code(f"spk_conv({vector}, &{name}, {where});")


def _synapses(stage: Stage, node: ir.Conv | ir.Linear, source: str, rows: Codes, sizes: tuple[int, ...]) -> str:
    """The name of the constants of synapses that read `source`; sizes: groups, then pairs as spk_synapses has them."""
    weights = packed(rows, node.bits, node.grid)
    array = stage.constants.array("weight", weights.rows)
    groups, *geometry = sizes
    fields = [
        f"{{{', '.join(form_fields(stage.layout.forms[source]))}}}", node.weight.shape[0], *geometry, groups,
        weights.bits, weights.rows.shape[1], weights.scale, weights.offset, array,
    ]  # fmt: skip
    return stage.constants.struct("synapses", "spk_synapses", [str(f) for f in fields], STRUCT)


def is_sliced(node: ir.Conv | ir.Linear, x: Form) -> bool:
    """Whether synapses that read the map `x` count spikes 32 outputs at a time: they read spikes, few enough for a
    counter, and planes of bits take hardly more room than fields."""
    outputs, synapses = node.weight.shape[0], node.weight.size // node.weight.shape[0]
    planes, fields = 4 * node.bits * -(-outputs // WIDTH), -(-outputs * STORED[node.bits] // 8)
    if STORED[node.bits] == 8 and synapses < LEAST_COUNTED:
        return False
    return x.element is Element.BITS and synapses < 2**16 and planes <= MORE_ROOM * fields


def _counted(
    stage: Stage,
    node: ir.Conv | ir.Linear,
    source: str,
    rows: Codes,
    geometry: tuple[int, ...],
    vector: str,
    where: str,
) -> None:
    """Writes the call that counts the spikes of `source` under a window; where: its map and the window, in C."""
    weights = sliced(rows, node.bits, node.grid)
    synapses, bits, words = weights.rows.shape
    depth = padded((synapses - 1).bit_length(), DEPTH)
    array = stage.constants.array("planes", weights.rows)
    fields = [
        f"{{{', '.join(form_fields(stage.layout.forms[source]))}}}", node.weight.shape[0], *geometry,
        bits, words, depth, (synapses - 1) * bits * words, weights.scale, weights.offset, array,
    ]  # fmt: skip
    name = stage.constants.struct("slices", "spk_slices", [str(f) for f in fields], SLICES)
    counters = stage.scratch(bits * words * depth + EVENTS, words * WIDTH)
    stage.code(f"spk_conv_bits({vector}, {counters}, &{name}, {where});")


def matmul(stage: Stage, node: ir.Matmul, vector: str, place: Place) -> None:
    """One column of the product, for all heads."""
    a, b = node.inputs
    forms = [stage.layout.forms[name] for name in (a, b)]
    r, k, s = node.sizes(*(stage.layout.edges[name].shape for name in (a, b)))
    fields = [
        *(f"{{{', '.join(form_fields(form))}}}" for form in forms), node.heads, r, k, s,
        *map(int, node.transpose), int(node.by_row),
    ]  # fmt: skip
    name = stage.constants.struct("matrices", "spk_matrices", [str(f) for f in fields], MATRICES)
    row, column = (place.row, place.column) if node.by_row else ("0", place.number)
    stage.code(f"spk_matmul({vector}, &{name}, {stage.pointer(a)}, {stage.pointer(b)}, {row}, {column});")
