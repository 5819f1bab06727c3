"""Operations that only move values: what lies in memory, flatten, channelmap, gather."""

from __future__ import annotations

import numpy as np

from spikelet.export.c.stage import HERE, Place, Stage
from spikelet.graph import ir


def load(stage: Stage, node: ir.Operation, vector: str, place: Place) -> None:
    """What lies in memory: an input, a constant, the step before."""
    stage.code(f"spk_load({vector}, {stage.pointer(node.name)}, {stage.form(node.name)}, {place.number});")


def flatten(stage: Stage, node: ir.Flatten, vector: str, place: Place) -> None:
    """The whole map as one position."""
    (source,) = node.inputs
    stage.code(f"spk_flatten({vector}, {stage.pointer(source)}, {stage.form(source)});")


def channel_map(stage: Stage, node: ir.ChannelMap, vector: str, place: Place) -> None:
    """The channels of a position, input by input, on zeros."""
    channels, first = node.source.size, 0
    if np.array_equal(node.source, np.arange(sum(stage.layout.forms[name].channels for name in node.inputs))):
        for name in node.inputs:
            form = stage.layout.forms[name]
            position = f"({place.row} * {form.width} + {place.column}) * {node.stride}"
            where = stage.pointer(stage.layout.source(name), place.rows.window(1, node.stride).by_kernel())
            stage.code(f"spk_load({vector} + {first}, {where}, {stage.form(name)}, {position});")
            first += form.channels
        return
    array = stage.constants.array("source", node.source)
    stage.code(f"spk_fill({vector}, 0, {channels});")
    for name in node.inputs:
        form = stage.layout.forms[name]
        where = stage.pointer(stage.layout.source(name), place.rows.window(1, node.stride).by_kernel())
        position = f"({place.row} * {form.width} + {place.column}) * {node.stride}"
        source = f"{where}, {stage.form(name)}, {position}"
        stage.code(f"spk_channels({vector}, {array}, {first}, {source}, {channels});")
        first += form.channels


def side_by_side(stage: Stage, node: ir.ChannelMap, result: str) -> None:
    """The words of several maps of bits; a position's begin at `result`."""
    first = 0
    for name in node.inputs:
        size = stage.layout.forms[name].channels // 32
        where = stage.pointer(stage.layout.source(name), HERE.rows.by_kernel())
        stage.code(f"memcpy({result} + {first}, {where} + p * {size}, {4 * size});")
        first += size


def gather(stage: Stage, node: ir.Gather, vector: str, place: Place) -> None:
    """The position that the index names, of the input that has it."""
    index = node.index.astype(np.int16 if node.index.max() < 2**15 else np.int32)
    array, q = stage.constants.array("index", index), f"q{stage.variable()}"
    with stage.code.block(""):
        stage.code(f"const int32_t {q} = {array}[{place.number}];")
        head, first = f"if ({q} < 0)", 0
        with stage.code.block(head):
            stage.code(f"spk_fill({vector}, 0, {stage.layout.channels(node.name)});")
        for name in node.inputs:
            last = first + stage.layout.forms[name].positions
            with stage.code.block(f"if ({q} >= {first} && {q} < {last})"):
                position = f"(uint32_t){q} - {first}"
                stage.code(f"spk_load({vector}, {stage.pointer(name)}, {stage.form(name)}, {position});")
            first = last
