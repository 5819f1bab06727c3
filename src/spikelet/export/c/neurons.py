"""Operations that remember: lif, charge, sums over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelet.export.c.code import number
from spikelet.export.c.maps import Element, Form, element_of
from spikelet.export.c.stage import Place, Stage
from spikelet.graph import ir
from spikelet.graph.analysis import Edge
from spikelet.graph.edge import INT32
from spikelet.graph.ops.growth import Growth
from spikelet.graph.ops.neuron import Neuron

STRUCT = 6 * 8 + 2 * 4 + 8  # bytes of spk_neuron
LEAKS_BITS = 30  # leak_bits of spk_lif_leaks
ENDLESS = 2**20  # steps: a membrane that has stopped growing before T grows no further


def lif(stage: Stage, node: ir.Lif, vector: str, place: Place) -> None:
    """Spikes of the source's current."""
    stage.emit(node.inputs[0], vector, place)
    short = is_short(node, stage.layout.edges[node.inputs[0]], stage.layout.graph)
    kernel = "spk_lif_short" if short else "spk_lif_leaks" if has_leaks(node) else "spk_lif"
    stage.code(f"{kernel}({vector}, {stage.state(node)}, &{neuron(stage, node)}, {stage.layout.channels(node.name)});")


def fires_words(node: ir.Operation, form: Form, x: Edge, graph: ir.IntGraph) -> bool:
    """Whether spk_lif_words makes the spikes of `node`, whose map has that form: a membrane of few bits whose upper end
    no charge below the threshold passes, and numbers that fit 32 bits."""
    if not isinstance(node, ir.Lif) or form.element is not Element.BITS or not is_short(node, x, graph):
        return False
    if node.membrane is None or node.drop is not None or not kept(node):
        return False
    threshold, shift = int(node.threshold), node.membrane.shift
    half = 1 << shift + node.leak_bits >> 1
    fits = max(_most(node, x, graph), abs(threshold) << node.leak_bits) + half <= INT32[1]
    return fits and (threshold - 1 + (1 << shift >> 1)) >> shift <= node.membrane.top


def lif_words(stage: Stage, node: ir.Lif, vector: str, place: Place, where: str, further: str) -> None:
    """Spikes of the source's current, written to `where`; further: an expression, 0 at the last step."""
    current, channels = stage.values(node.inputs[0], vector, place), stage.layout.channels(node.name)
    stage.code(
        f"spk_lif_words({where}, {current}, {stage.state(node)}, &{neuron(stage, node)}, {channels}, {further});"
    )


def charge(stage: Stage, node: ir.Charge, vector: str, place: Place) -> None:
    """The charge of the source's current."""
    stage.emit(node.inputs[0], vector, place)
    known, channels = neuron(stage, node), stage.layout.channels(node.name)
    stage.code(f"spk_charge({vector}, {stage.state(node)}, &{known}, {channels});")


def sum_time(stage: Stage, node: ir.SumTime, vector: str, place: Place) -> None:
    """The sum so far; of the whole run, what is left in the state after the last step."""
    sums, channels = stage.state(node), stage.layout.channels(node.name)
    stage.emit(node.inputs[0], vector, place)
    stage.code(f"spk_add({sums}, {vector}, {channels});")
    if node.running:
        stage.code(f"spk_copy({vector}, {sums}, {channels});")


def neuron(stage: Stage, node: Neuron) -> str:
    """The name of the neuron's constants."""
    drop = 0 if node.drop is None else node.drop
    fine = 1 << LEAKS_BITS - node.leak_bits if isinstance(node, ir.Lif) and has_leaks(node) else 1
    numbers = [node.leak * fine, node.gain * fine, node.threshold, node.spacing, drop, node.start]
    top, shift = (0, 0) if node.membrane is None else (node.membrane.top, node.membrane.shift)
    fields = [
        *(_number(stage, value) for value in numbers), str(node.half * fine), str(node.levels),
        str(node.leak_bits if fine == 1 else LEAKS_BITS),
        str(int(node.drop is None)), str(shift), str(top), str(kept(node)),
    ]  # fmt: skip
    return stage.constants.struct("neuron", "spk_neuron", fields, STRUCT)


def start(stage: Stage, node: Neuron, vector: str) -> None:
    """Fills a position's membranes before their first step."""
    if not isinstance(node.start, np.ndarray):
        stage.code(f"spk_fill({vector}, {number(node.start >> kept(node))}, {stage.layout.channels(node.name)});")
        return
    stage.code(f"spk_start({vector}, &{neuron(stage, node)}, {stage.layout.channels(node.name)});")


def _number(stage: Stage, value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{{0, {stage.constants.array('number', value.astype(np.int32))}}}"
    return f"{{{number(value)}, 0}}"


def kept(node: Neuron) -> int:
    """The bits that a membrane is kept without: those of a k-bit membrane's unit, where its start has none of them."""
    if node.membrane is None or np.any(np.asarray(node.start) % (1 << node.membrane.shift)):
        return 0
    return node.membrane.shift


def is_short(node: ir.Lif, x: Edge, graph: ir.IntGraph) -> bool:
    """Whether one constant serves all channels, there is one level, and the charge fits 32 bits before its shift."""
    return not node.by_channel and node.levels == 1 and _most(node, x, graph) <= INT32[1]


def _most(node: ir.Lif, x: Edge, graph: ir.IntGraph) -> int:
    """What no charge of a neuron without constants by channel exceeds before its shift, in either direction."""
    low, high = Growth(node, x).bound(graph.time_steps)
    reach = max(-int(np.min(low)), int(np.max(high)), abs(int(np.max(node.start))))
    endless = node.endless(x, T=graph.time_steps)
    if endless:
        low, high = Growth(node, x).bound(ENDLESS)
        reach = max(reach, -int(np.min(low)), int(np.max(high)))
    return int(node.leak) * reach + int(node.gain) * x.reach + node.half


def has_leaks(node: ir.Lif) -> bool:
    """Whether the leak goes by channel, one constant of all others serves every channel, there is one level, a hard
    reset, and a membrane in full."""
    one = not isinstance(node.gain, np.ndarray) and not isinstance(node.threshold, np.ndarray)
    hard = node.drop is None and node.levels == 1
    one = one and int(np.max(node.leak)) <= 1 << node.leak_bits and int(np.max(node.gain)) <= 1 << node.leak_bits
    return isinstance(node.leak, np.ndarray) and one and hard and node.membrane is None


def state_form(node: ir.Operation, form: Form, x: Edge, graph: ir.IntGraph) -> Form:
    """How what `node` remembers lies in memory between two steps."""
    if not isinstance(node, Neuron):
        return Form(Element.I32, form.channels, form.height, form.width)
    steps = ENDLESS if node.endless(x, T=graph.time_steps) else graph.time_steps
    low, high = (int(pick(end)) for pick, end in zip((np.min, np.max), Growth(node, x).bound(steps), strict=True))
    start = np.asarray(node.start)
    low, high = min(low, int(start.min())) >> kept(node), max(high, int(start.max())) >> kept(node)
    element = element_of(low, high, 1)
    return Form(element, form.channels, form.height, form.width)
