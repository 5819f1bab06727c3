"""Products: conv and linear with packed weights, matmul of two edges."""

from __future__ import annotations

from spikelet.base.codes import Codes
from spikelet.export.c.constants import form_fields
from spikelet.export.c.packing import packed, rows_of_conv, rows_of_linear
from spikelet.export.c.stage import Place, Stage
from spikelet.graph import ir

STRUCT, MATRICES = 4 * (4 + 10 + 5), 4 * (2 * 4 + 7)  # bytes of spk_synapses, of spk_matrices


def conv(stage: Stage, node: ir.Conv, vector: str, place: Place) -> None:
    """The sums of one position."""
    geometry = (*node.kernel, *node.stride, *node.padding, *node.dilation)
    name = _synapses(stage, node, node.inputs[0], rows_of_conv(node.weight), (node.groups, *geometry))
    kernel = "spk_conv" if node.groups == 1 else "spk_conv_groups"
    stage.code(f"{kernel}({vector}, &{name}, {stage.pointer(node.inputs[0])}, {place.row}, {place.column});")


def linear(stage: Stage, node: ir.Linear, vector: str, place: Place) -> None:
    """The sums: a convolution whose kernel is the whole map."""
    source = stage.layout.source(node.inputs[0])
    form = stage.layout.forms[source]
    rows = rows_of_linear(node.weight, form.channels)
    name = _synapses(stage, node, source, rows, (1, form.height, form.width, 1, 1, 0, 0, 1, 1))
    stage.code(f"spk_conv({vector}, &{name}, {stage.pointer(source)}, {place.row}, {place.column});")


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
