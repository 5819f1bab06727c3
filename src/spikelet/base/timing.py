"""Times of calls that take turns, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

FEWEST = 5  # rounds


@dataclasses.dataclass(frozen=True)
class Times:
    """Seconds of each run of a call: by the clock on the wall, and of the processor, all threads of the process."""

    wall: list[float] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)


def taking_turns(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, Times]:
    """The times of every call by its name: all run once uncounted, then in turns until `seconds` have passed."""
    times = {name: Times() for name in calls}
    for call in calls.values():
        call()
    end, rounds = time.perf_counter() + seconds, 0
    while time.perf_counter() < end or rounds < FEWEST:
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            times[name].cpu.append(time.process_time() - cpu)
            times[name].wall.append(time.perf_counter() - wall)
        rounds += 1
    return times
