"""An estimate of the memory that the activations of a module need at once. A lowered graph asks its plan instead.

One sample runs layer by layer, T steps of a layer at a time, as the native runtime runs it: synapses, per-channel
constants, a residual sum and neurons are one operation, whose currents are never stored unless somebody else reads
them too. What is left are spikes of one bit and the values of 32 bits that wait for a sum. Rows of bits and channels
are taken without the runtime's padding; its scratch memory, the membranes of the layer that runs, and the input (the
caller's) come on top.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

SPIKE_BITS, VALUE_BITS = 1, 32


@dataclasses.dataclass(frozen=True)
class Buffer:
    """What one operation makes.

    values, bits: its size, all steps of one sample; 0 bits where the caller holds it.
    reads: positions of the buffers that it reads.
    pointwise: whether it works value by value, and so along with the operation before it.
    """

    values: int
    bits: int
    reads: tuple[int, ...]
    pointwise: bool

    @property
    def bytes(self) -> int:
        """Whole bytes."""
        return -(-self.values * self.bits // 8)


def peak_bytes(buffers: Sequence[Buffer]) -> int:
    """The greatest sum of buffers that are needed at one time."""
    kept = _fused(buffers)
    last_use = {i: n for n, buffer in kept.items() for i in buffer.reads}
    live: dict[int, int] = {}
    peak = 0
    for n, buffer in kept.items():
        live[n] = buffer.bytes
        peak = max(peak, sum(live.values()))
        live = {i: size for i, size in live.items() if last_use.get(i, -1) > n}
    return peak


def _fused(buffers: Sequence[Buffer]) -> dict[int, Buffer]:
    """Pointwise operations with the newest of the values that they alone read taken into them."""
    readers = [0] * len(buffers)
    for buffer in buffers:
        for i in buffer.reads:
            readers[i] += 1
    kept: dict[int, Buffer] = {}
    for n, buffer in enumerate(buffers):
        newest = max(buffer.reads, default=-1)
        alone = newest >= 0 and readers[newest] == 1
        if buffer.pointwise and alone and buffers[newest].bits in (VALUE_BITS, buffer.bits):
            absorbed = kept.pop(newest)
            reads = {i for i in buffer.reads if i != newest} | set(absorbed.reads)
            buffer = dataclasses.replace(buffer, reads=tuple(sorted(reads)))
        kept[n] = buffer
    return kept
