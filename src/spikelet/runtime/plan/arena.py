"""Places for maps in one arena: maps that are never needed together share one."""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Sequence

from spikelet.runtime.plan.operation import Buffer


def place(buffers: Sequence[Buffer], start: int) -> int:
    """Gives every buffer the lowest place free while it is needed, from `start`; returns the arena's size."""
    gaps: list[tuple[float, float]] = [(start, math.inf)]  # free places, in order
    needed: list[tuple[int, int, int]] = []  # a heap of (last, offset, size)
    arena = start
    for buffer in sorted(dict.fromkeys(buffers), key=lambda b: b.first):
        while needed and needed[0][0] < buffer.first:
            _, offset, size = heapq.heappop(needed)
            _free(gaps, offset, offset + size)
        i = next(i for i, (first, end) in enumerate(gaps) if end - first >= buffer.size)
        first, end = gaps[i]
        buffer.offset = int(first)
        gaps[i : i + 1] = [(first + buffer.size, end)] if first + buffer.size < end else []
        heapq.heappush(needed, (buffer.last, buffer.offset, buffer.size))
        arena = max(arena, buffer.offset + buffer.size)
    return arena


def _free(gaps: list[tuple[float, float]], first: float, end: float) -> None:
    """Adds a place to `gaps`, which stay in order and never touch."""
    i = bisect.bisect(gaps, (first, end))
    before, after = gaps[i - 1 : i] if i else [], gaps[i : i + 1]
    if before and before[0][1] == first:
        first, i = before[0][0], i - 1
    else:
        before = []
    if after and after[0][0] == end:
        end = after[0][1]
    else:
        after = []
    gaps[i : i + len(before) + len(after)] = [(first, end)]
