"""Batch norms: an affine for each channel."""

from __future__ import annotations

from torch import Tensor, nn

from spikelet.base.errors import LoweringError
from spikelet.lowering.builder import Builder
from spikelet.lowering.reading import by_channel, check_time_first
from spikelet.lowering.registry import rule
from spikelet.lowering.rules.synapses import float64
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Value
from spikelet.nn import BatchNorm1d, BatchNorm2d, Gain2d
from spikelet.nn.norm import MAX_GAIN, gain_and_offset
from spikelet.nn.norm_through_time import NormThroughTime


@rule(BatchNorm2d, BatchNorm1d)
def norm(b: Builder, call: Call, layer: nn.BatchNorm1d | nn.BatchNorm2d, x: Value) -> Value:
    """A x + D on the grid, along axis 2 of [T, B, C, ...]."""
    return _along(b, call, _constants(call, layer), x, axis=2)


@rule(Gain2d)
def gain(b: Builder, call: Call, layer: Gain2d, x: Value) -> Value:
    """A x on the grid, along axis 2 of [T, B, C, ...]."""
    gain, offset = _constants(call, layer)
    return _along(b, call, (gain, 0 * offset), x, axis=2)


@rule(NormThroughTime)
def norm_through_time(b: Builder, call: Call, layer: NormThroughTime, x: Value) -> Value:
    """A x + D on the grid with constants of each step."""
    check_time_first(b, x, call.where)
    return _along(b, call, _constants(call, layer), x, axis=2)


@rule(nn.BatchNorm1d, nn.BatchNorm2d)
def torch_norm(b: Builder, call: Call, layer: nn.BatchNorm1d | nn.BatchNorm2d, x: Value) -> Value:
    """The same along axis 1 of [N, C, ...]; refused where a channel's gain would be capped."""
    gain, offset = _constants(call, layer)
    if bool((gain.abs() >= MAX_GAIN).any()):
        raise LoweringError(
            f"{call.where}: {type(layer).__name__} multiplies a channel by {MAX_GAIN:.0f} or more, which integers cap. "
            "A channel with next to no variance is the usual reason: prune it, or use spikelet.nn.BatchNorm2d."
        )
    return _along(b, call, (gain, offset), x, axis=1)


def _along(b: Builder, call: Call, constants: tuple[Tensor, Tensor], x: Value, axis: int) -> Value:
    gain, offset = constants
    try:
        elements, channel = by_channel(b, x, axis, call.where)
    except LoweringError as e:
        raise LoweringError(
            f"{call.place}: normalises axis {axis} of {tuple(x.shape)}, which is no channel of an edge. Torch's own "
            "batch norms take [N, C, ...], such as x.flatten(0, 1) of [T, B, C, H, W], or what a mean over time left; "
            "spikelet.nn.BatchNorm2d takes [T, B, C, H, W]."
        ) from e
    y = b.affine(elements.source, float64(gain)[..., channel], float64(offset)[..., channel], call.where)
    return elements.made(y, tuple(call.output.shape))


def _constants(call: Call, layer: nn.BatchNorm1d | nn.BatchNorm2d | NormThroughTime) -> tuple[Tensor, Tensor]:
    try:
        return layer.constants() if isinstance(layer, NormThroughTime) else gain_and_offset(layer)
    except ValueError as e:
        raise LoweringError(f"{call.where}: {e}") from e
