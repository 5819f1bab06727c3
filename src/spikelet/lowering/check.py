"""Everything of a network that integers can't do, before anything is compressed or fine-tuned.

    found = spikelet.check(model, images)      # a float network as it was converted or built
    print(found)                               # a line for every module that would be refused: why, and the way out
    assert found                               # true where nothing is

A copy gets weights of 8 bits and is lowered. Where `lower` stops at the first error, this goes on: behind a refused
call its result stands in as it was on the example, and behind a sum that is out of range one of 16 bits does. So all
are found that do not depend on how the first is mended; after a change ask again.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.base.errors import GraphError, LoweringError, SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.table import Table
from spikelet.base.time_axis import TimeAxis, declared_by
from spikelet.base.whole import is_whole
from spikelet.graph import ir
from spikelet.graph.analysis import check_outputs
from spikelet.graph.ops.operation import Interval
from spikelet.lowering.lower import Lowered, graph_of, lowering_of
from spikelet.lowering.ranges import SIXTEEN_BITS, Overflow, ranges_of
from spikelet.lowering.registry import missing_rule
from spikelet.nn import Conv1d, Conv2d, Linear
from spikelet.nn.taken import require_module
from spikelet.quant import FullPrecision, quantizer_of

WIDTH = 100
OWN_RULE = (
    "Write this step with layers of spikelet.nn, leave it to the code around the network, or give its module a rule of "
    "its own, spikelet.lowering.rule."
)
_NAMED = re.compile(r"(?P<module>[^\s:]*(?: \([^)]*\))?|the model(?: \([^)]*\))?): (?P<rest>.+)", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[\w)\]'\"])[.;] (?=[A-Z(a-z])")


@dataclasses.dataclass(frozen=True)
class Refusal:
    """What is refused.

    module: its full name, and the layer or function in brackets; or "the model".
    reason: why integers can't do it.
    way_out: what to do about it.
    """

    module: str
    reason: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.module}: {self.reason} {self.way_out}"


@dataclasses.dataclass(frozen=True)
class Check:
    """What would be refused; true where nothing is.

    refusals: in the order in which the network runs.
    weight_bits: of the layers that had float weights.
    """

    refusals: tuple[Refusal, ...]
    weight_bits: int

    def __bool__(self) -> bool:
        return not self.refusals

    def table(self) -> Table:
        """A row for every refusal, and one for its way out."""
        rows = [row for r in self.refusals for row in ((r.module, r.reason), ("", f"-> {r.way_out}"))]
        return Table(("module", "why it is refused, and the way out"), tuple(rows), prose=(0, 1))

    def __str__(self) -> str:
        if self:
            return f"nothing is refused: the network lowers with weights of {self.weight_bits} bits."
        return self.table().text(WIDTH)


def check(
    model: nn.Module,
    example: Tensor | NDArray[np.uint8],
    *,
    time_axis: TimeAxis = None,
    weight_bits: int = 8,
) -> Check:
    """A Check of `model`: everything for which `lower` would refuse it, each with its module, reason and way out.

    Example:
        >>> net = torch.nn.Sequential(spikelet.nn.Encode(), spikelet.LIF(2), torch.nn.GELU())
        >>> print(spikelet.check(net, torch.zeros((1, 1, 4, 4), dtype=torch.uint8)).refusals[0])
        2 (gelu): the tensor function 'gelu' has no integer form. ...

    Args:
        model: any module, with float or quantized weights. Not changed.
        example: a uint8 batch as the model takes it; only its shape matters.
        time_axis: as for `lower`.
        weight_bits: 2 to 8, of the layers of `spikelet.nn` that have float weights; the others keep theirs.
    Raises:
        LoweringError: `model` is no module, or can't be copied; weight_bits is out of range; `example` is no bytes.
        TimeAxisError: the example is not of the layout that `time_axis` declares.
    """
    require_module(model, LoweringError)
    if not is_whole(weight_bits) or weight_bits not in range(2, 9):
        raise LoweringError(
            f"weight_bits must be 2 to 8, got {shown(weight_bits)}. (1-bit weights change a network; give it "
            "Quantize(1) first, whose layers keep theirs here.)"
        )
    found: list[SpikeletError] = []
    quantized = _quantized(model, int(weight_bits))
    lowered = _lowered(quantized, example, declared_by(model, time_axis), found)
    refusals = [_refusal(e) for e in found]
    if lowered is not None:
        refusals += _out_of_range(quantized, lowered)
    return Check(tuple(dict.fromkeys(refusals)), int(weight_bits))


def _quantized(model: nn.Module, bits: int) -> nn.Module:
    """A copy whose float weights have `bits` bits."""
    try:
        copied = copy.deepcopy(model)
    except Exception as e:
        raise LoweringError(f"the model can't be copied ({e}); check looks at a copy with quantized weights.") from e
    for layer in copied.modules():
        if isinstance(layer, Conv1d | Conv2d | Linear) and isinstance(layer.quantizer, FullPrecision):
            layer.quantizer = quantizer_of(bits)
    return copied


def _lowered(
    model: nn.Module, example: Tensor | NDArray[np.uint8], time_axis: TimeAxis, found: list[SpikeletError]
) -> Lowered | None:
    """What became of the model, all that is refused left out; None where its forward can't be followed at all."""
    try:
        return lowering_of(model, example, time_axis, refused=found.append)
    except LoweringError as e:
        if not found and str(e).startswith("example must"):
            raise
        found.append(e)
    found += _without_rule(model)
    return None


def _without_rule(model: nn.Module) -> Iterator[LoweringError]:
    """Layers that have no integer form, of a model that does not run."""
    for name, module in model.named_modules():
        error = missing_rule(module, name) if not list(module.children()) else None
        if error is not None:
            yield error


def _out_of_range(model: nn.Module, lowered: Lowered) -> list[Refusal]:
    refused: list[SpikeletError] = []
    overflows: list[Overflow] = []

    def go_on(node: ir.Operation, error: GraphError) -> Interval:
        refused.append(error)
        return SIXTEEN_BITS

    graph = graph_of(lowered, (), {})
    try:
        edges, overflows = ranges_of(graph, lowered.builder, lowered.types, go_on)
        if lowered.outputs:
            check_outputs(graph, edges)
    except GraphError as error:
        refused.append(error)
    return [*map(_refusal, refused), *(Refusal(o.node, o.reason, o.way_out) for o in overflows)]


def _refusal(error: SpikeletError) -> Refusal:
    """The error's parts: its place, its first sentence, and the others, which say the way out."""
    text = str(error)
    named = _NAMED.fullmatch(text)
    module, rest = (named["module"], named["rest"]) if named else ("the model", text)
    end = _SENTENCE.search(rest)
    if end is None:
        return Refusal(module or "the model", rest, OWN_RULE)
    way = rest[end.end() :]
    return Refusal(module or "the model", f"{rest[: end.start()]}.", way[:1].upper() + way[1:])
