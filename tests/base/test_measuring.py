"""Time and memory of calls in this process."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from spikelet.base.machine import load_average, processor, usable_cores
from spikelet.base.memory import resident_during
from spikelet.base.timing import FEWEST, taking_turns

MIB = 1 << 20


def test_calls_take_turns_and_their_first_run_is_not_counted() -> None:
    order: list[str] = []
    times = taking_turns({name: lambda name=name: order.append(name) for name in ("a", "b", "c")}, 0.0)
    assert order == ["a", "b", "c"] * (FEWEST + 1)
    assert {len(clock) for of in times.values() for clock in (of.wall, of.cpu)} == {FEWEST}
    assert min(second for of in times.values() for second in of.wall) >= 0


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is counted on Linux")
def test_memory_is_what_the_work_adds_at_its_peak() -> None:
    made, memory = resident_during(lambda: int(np.ones(64 * MIB, np.uint8)[-1]))
    assert made == 1
    assert 60 * MIB < memory.added < 100 * MIB, "freed since"
    _, less = resident_during(lambda: None)
    assert less.added < 8 * MIB, "the peak begins anew"


def test_the_machine_is_named() -> None:
    assert processor()
    assert usable_cores() >= 1
    assert load_average() is None or load_average() >= 0  # type: ignore[operator]
