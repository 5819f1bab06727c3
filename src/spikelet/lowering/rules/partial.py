"""Random masks of partial information, which have no integer form; the structured ones only move elements."""

from __future__ import annotations

from spikelet.base.errors import LoweringError
from spikelet.lowering.builder import Builder
from spikelet.lowering.registry import rule
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Value
from spikelet.nn.partial import RandomMask


@rule(RandomMask)
def random_mask(b: Builder, call: Call, layer: RandomMask, x: Value) -> Value:
    """Raises LoweringError: there is nothing that a device could leave out."""
    raise LoweringError(
        f"{call.place}: leaves elements out at random, so that no device can skip them. Use partial information of a "
        "fixed subset, spikelet.nn.PartialTokens, PartialHeads or PartialChannels, and train with it."
    )
