"""What a piece of work takes of this process's memory, as Linux counts resident bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Made = TypeVar("Made")
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclasses.dataclass(frozen=True)
class Resident:
    """Bytes that were resident before the work began, and the most that were while it lasted."""

    before: int
    peak: int

    @property
    def added(self) -> int:
        """Bytes that the work added at its peak."""
        return self.peak - self.before


def resident() -> int:
    """Bytes of this process that are resident now.

    Raises:
        OSError: the system is not Linux.
    """
    return _bytes("VmRSS")


def resident_during(work: Callable[[], Made]) -> tuple[Made, Resident]:
    """What `work` returns, and the memory of this process meanwhile.

    Memory that was freed before and kept by the allocator counts as resident: what the work takes of it is not seen.

    Raises:
        OSError: the system is not Linux, or does not let a process ask.
    """
    _RESET.write_text("5")  # the peak begins anew
    before = resident()
    return work(), Resident(before, _bytes("VmHWM"))


def _bytes(field: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])
