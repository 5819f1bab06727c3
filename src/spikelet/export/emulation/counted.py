"""What one run took on an emulated processor, as numbers and as words."""

from __future__ import annotations

import dataclasses

from spikelet.base.text import fit_to_print
from spikelet.export.emulation.thumb import SOURCE


@dataclasses.dataclass(frozen=True)
class Counted:
    """What one run took on an emulated processor.

    core: its name. sample: what the input was, in words.
    instructions, cycles: of the run; cycles are an estimate by the table that `cycle_source` names, and None of a core
        that it is not the table of.
    flash, ram, stack: bytes of the program as it was linked, of its arrays, and of stack that the run wrote.
    """

    core: str
    sample: str
    instructions: int
    cycles: int | None
    flash: int
    ram: int
    stack: int
    cycle_source: str = SOURCE

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Its numbers by name, with what they are numbers of."""
        core, sample = self.core.replace("cortex-m", "Cortex-M"), fit_to_print(self.sample)
        return (
            ("instructions", f"{self.instructions:,} a run on {sample}: {core} at -Os, counted under emulation"),
            *([] if self.cycles is None else [("cycles", f"about {self.cycles:,} by {self.cycle_source}")]),
            ("as linked", f"{self.flash:,} bytes of flash, {self.ram:,} of RAM, {self.stack:,} of stack"),
        )
