"""Batch norms' biases moved so that full-precision neurons become comparisons of weighted sums.

Behind 1-bit weights a LIF layer with hard reset, leak 1/2 and a full membrane runs without a sum in 32 bits where no
rounding of its current can ever decide over a spike (spikelet/graph/threshold_forms.py, "sums"). In a trained network
most channels are such, and hardly ever a whole layer. A channel that is not becomes one when the bias of its batch norm
moves by a grid step, 2^-12 of the current's unit, or a few:

    for the smallest k = 1, -1, 2, -2, ... that is certified:   D <- D + k 2^-12

where D is the offset of spikelet/nn/norm.py. beta is set such that D lies in the middle of its step, which moves it by
half a step more at most. Evaluation and integers stay equal, as ever; spikes differ a little from those before.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spikelet.base.errors import CompressionError
from spikelet.base.numbers import make_plain
from spikelet.base.strict_json import shown
from spikelet.compression.filters import Filter, everything, select
from spikelet.compression.passes.base import Context, Row
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.edge import Edge
from spikelet.graph.ops.lif import SUMMED_STEPS
from spikelet.graph.threshold_forms import sums_up, uncertain
from spikelet.lowering.lower import with_all_channels
from spikelet.nn.norm import gain_and_offset
from spikelet.quant.grid import FRACTION_BITS

Norm = nn.BatchNorm1d | nn.BatchNorm2d


@dataclasses.dataclass(frozen=True, eq=False)
class _Use:
    """An affine step that a batch norm became, what it reads, and the neuron that reads it."""

    affine: ir.Affine
    source: Edge
    neuron: ir.Lif

    def uncertain(self, moved: NDArray[np.int32], time_steps: int) -> NDArray[np.bool_]:
        """By channel, whether roundings can decide where offsets have moved by so many grid steps."""
        affine = dataclasses.replace(self.affine, offset=self.affine.offset + moved)
        return uncertain(affine, self.neuron, self.source, time_steps)


@dataclasses.dataclass(frozen=True)
class Snap:
    """Moves biases of batch norms behind 1-bit weights so that the LIF layers behind them have cuts.

    Calibration batches matter by their shape alone. Channels that need nothing are left as they are.

    Args:
        time_steps: of the runs that shall be fast, 2 to 8.
        most: grid steps that a bias may move by.
        where: batch norms that may move.
    Raises:
        CompressionError: time_steps is not 2 to 8, or most no whole number above 0.
    """

    time_steps: int
    most: int = 16
    where: Filter = dataclasses.field(default_factory=everything)

    def __post_init__(self) -> None:
        make_plain(self)
        if type(self.time_steps) is not int or self.time_steps not in range(2, SUMMED_STEPS + 1):
            raise CompressionError(
                f"Snap.time_steps must be a whole number from 2 to {SUMMED_STEPS}, got {shown(self.time_steps)}. "
                "One step needs no Snap."
            )
        if type(self.most) is not int or self.most < 1:
            raise CompressionError(f"Snap.most must be a whole number above 0, got {shown(self.most)}.")

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, list[Row]]:
        """Raises CompressionError without data, where no batch norm is read by such neurons alone, where one has no
        bias, or where a channel needs more than `most` grid steps; LoweringError where the model has no integer form.
        Changes nothing then."""
        example = context.calibration("Snap")[0]
        graph = with_all_channels(model, example, time_axis=context.time_axis)
        uses = _uses(graph, model, self.time_steps)
        if not uses:
            raise CompressionError(
                "Snap finds no batch norm behind 1-bit weights that one LIF layer alone reads, with leak 1/2, hard "
                "reset and a full membrane. Membranes of 2 or 3 bits (QuantizeMembranes) need no Snap."
            )
        norms = select([(name, model.get_submodule(name)) for name in uses], self.where, "Snap.where")
        moves = {name: moved for name, _ in norms if (moved := self._moves(name, uses[name])).any()}
        after = {name: _moved(name, model.get_submodule(name), moved) for name, moved in moves.items()}
        for name, norm in after.items():
            model.get_submodule(name).load_state_dict(norm.state_dict())
        rows = [Row(name, "biases moved", "", _words(moved)) for name, moved in moves.items()]
        return model, [*rows, Row("", "layers with cuts", "", f"{len(norms)}, {len(rows)} of them moved")]

    def _moves(self, name: str, uses: list[_Use]) -> NDArray[np.int32]:
        """Grid steps by channel, the fewest that certify every use of a batch norm."""
        channels = len(uses[0].source.low)
        moved = np.zeros(channels, np.int32)
        left = np.ones(channels, bool)
        for k in _nearest_first(self.most):
            moved[left] = k
            left &= np.any([use.uncertain(moved, self.time_steps) for use in uses], axis=0)
            if not left.any():
                return moved
        raise CompressionError(
            f"{name}: {left.sum()} of {channels} channels have no cuts within {self.most} grid steps at T = "
            f"{self.time_steps}. Take fewer time steps, or leave the layer out: Snap(..., where=~by_name({name!r}))."
        )


def _words(moved: NDArray[np.int32]) -> str:
    return f"{np.count_nonzero(moved)} of {len(moved)}, by {np.abs(moved).max()} / {2**FRACTION_BITS} at most"


def _nearest_first(most: int) -> Iterator[int]:
    return itertools.chain([0], *((k, -k) for k in range(1, most + 1)))


def _uses(graph: ir.IntGraph, model: nn.Module, time_steps: int) -> dict[str, list[_Use]]:
    """What became of batch norms behind 1-bit weights that such a neuron alone reads; by their names in the model."""
    edges, readers = analyse(graph), collections.defaultdict(list)
    nodes = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        for name in node.inputs:
            readers[name].append(node)
    modules, uses = dict(model.named_modules()), collections.defaultdict(list)
    for affine in graph.of_type(ir.Affine):
        name = affine.name.partition("#")[0]
        source, (reader, *others) = nodes[affine.inputs[0]], readers[affine.name] or [affine]
        summed = isinstance(reader, ir.Lif) and not others and sums_up(reader, time_steps)
        behind = isinstance(source, ir.Conv | ir.Linear) and source.bits == 1 and len(readers[source.name]) == 1
        if summed and behind and len(affine.shift) == 1 and isinstance(modules.get(name), Norm):
            uses[name].append(_Use(affine, edges[source.name], reader))
    return uses


@torch.no_grad()
def _moved(name: str, norm: nn.Module, moved: NDArray[np.int32]) -> Norm:
    """A copy of `norm` whose moved channels' biases lie in the middle of the grid step that many further on."""
    assert isinstance(norm, Norm)
    if norm.bias is None:
        raise CompressionError(f"{name}: has no bias that Snap could move. Build it with affine=True.")
    gain, offset = gain_and_offset(norm)
    steps = torch.as_tensor(moved, device=offset.device)
    wanted = offset + steps * 2.0**-FRACTION_BITS
    after = copy.deepcopy(norm)
    assert norm.running_mean is not None and after.bias is not None, "gain_and_offset needs them"
    middle = wanted + gain * norm.running_mean.double()
    after.bias[steps != 0] = middle[steps != 0].to(after.bias.dtype)
    if not torch.equal(gain_and_offset(after)[1], wanted):
        raise CompressionError(
            f"{name}: {norm.bias.dtype} has no bias within a grid step of one as large as its own. Use model.double()."
        )
    return after
