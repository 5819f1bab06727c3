"""Maps that are never needed together share a place; those that are never do."""

from __future__ import annotations

import random

from spikelet.runtime.plan.arena import place
from spikelet.runtime.plan.operation import Buffer


def _lowest_place(buffer: Buffer, placed: list[Buffer], start: int) -> int:
    """The lowest place free while `buffer` is needed, by trying every end of another."""
    busy = [b for b in placed if b.last >= buffer.first and b.first <= buffer.last]
    free = (
        at
        for at in sorted([start, *(b.offset + b.size for b in busy)])
        if all(at + buffer.size <= b.offset or at >= b.offset + b.size for b in busy)
    )
    return next(free)


def test_every_map_gets_the_lowest_place_that_is_free_while_it_is_needed() -> None:
    rng = random.Random(3)
    for _ in range(150):
        firsts = sorted(rng.randrange(30) for _ in range(rng.randrange(1, 40)))
        buffers = [Buffer(64 * rng.randrange(1, 9), f, f + rng.choice([0, 1, 2, 30])) for f in firsts]
        arena = place(buffers, 128)
        placed: list[Buffer] = []
        for buffer in buffers:
            assert buffer.offset == _lowest_place(buffer, placed, 128)
            placed.append(buffer)
        assert arena == max(b.offset + b.size for b in buffers)


def test_a_map_that_several_operations_name_has_one_place() -> None:
    shared, other = Buffer(64, 0, 2), Buffer(64, 1, 1)
    assert place([shared, other, shared], 0) == 128
    assert (shared.offset, other.offset) == (0, 64)
    assert place([], 64) == 64
