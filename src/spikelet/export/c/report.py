"""What a model takes on a device: flash, memory, stack and work, by arithmetic, before anything is compiled.

    flash   constants as C lays them out where a pointer has 32 bits, the kernels' code, and the calls between them
    RAM     the one array that a way of running works in; a program that never streams links no stream's array
    stack   the deepest chain of calls, which no model changes

The bytes of code are those of a Cortex-M4 at -Os (clang); other cores and compilers differ.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from spikelet.base.errors import SpikeletError
from spikelet.base.logmel import LogMel
from spikelet.base.page import Displayed, Facts, Heading, Page
from spikelet.base.text import fit_to_print
from spikelet.base.whole import whole
from spikelet.export.c.kernels import needed
from spikelet.export.c.sound import constants_of, ram
from spikelet.export.c.text import Model
from spikelet.export.emulation.counted import Counted
from spikelet.graph import ir
from spikelet.graph.summary import work_of

CODE: dict[str, int] = {
    "add.c": 22, "affine.c": 156, "affine_even.c": 90, "affine_short.c": 154, "affine_word.c": 62, "begin.c": 112,
    "broadcast.c": 88, "channelmap.c": 62, "charge.c": 356, "conv.c": 1230, "conv_bits.c": 1222, "conv_groups.c": 374,
    "delay.c": 165, "flatten.c": 4, "give.c": 70, "lif.c": 360, "lif_leaks.c": 84, "lif_short.c": 140,
    "lif_words.c": 202, "logmel.c": 1392, "map.c": 516, "matmul.c": 280, "maxpool.c": 26, "mul.c": 24, "rows.c": 162,
    "start.c": 52, "vector.c": 20,
}  # fmt: skip
A_CALL, A_LOOP, A_FUNCTION = 20, 14, 36  # bytes of a call of a kernel, of a loop, and of a function around them
MEANS = 78  # bytes of the functions that keep a front end's running means
STACK = 512  # bytes
UNCOUNTED = "not counted; `spikelet export` does, under emulation, with pip install 'spikelet[targets]'"
PRODUCTS = (ir.Conv, ir.Linear, ir.Matmul)


@dataclasses.dataclass(frozen=True)
class Report(Displayed):
    """What a model takes.

    constants, kernels, calls: bytes of flash. ram, stream_ram: bytes that `run` and a stream work in.
    synaptic_operations: products of weights, and of two edges, in a whole run in which everything fires.
    sound, sound_ram: bytes of flash and of RAM that the front end of a network that listens takes; 0 of others.
    counted: what one run took under emulation; None where none was emulated.
    """

    name: str
    constants: int
    kernels: int
    calls: int
    ram: int
    stream_ram: int
    stack: int
    synaptic_operations: int
    sound: int = 0
    sound_ram: int = 0
    counted: Counted | None = None

    @property
    def flash(self) -> int:
        """Constants, kernels and calls, and the front end."""
        return self.constants + self.kernels + self.calls + self.sound

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Every number with what it is made of."""
        made = f"{self.constants:,} constants, {self.kernels:,} kernels, {self.calls:,} calls"
        hears = f"{self.sound:,} bytes of the flash, and {self.sound_ram:,} of RAM beside the network's"
        return (
            ("flash", f"{self.flash:,} bytes: {made}"),
            *((("front end for sound", hears),) if self.sound else ()),
            ("RAM of run", f"{self.ram:,} bytes"),
            ("RAM of a stream", f"{self.stream_ram:,} bytes"),
            ("stack", f"at most {self.stack:,} bytes"),
        )

    def page(self) -> Page:
        """Sizes, operations, and what was counted."""
        most = f"at most {self.synaptic_operations:,} a run; what does not fire costs none"
        counted = self.counted.facts() if self.counted else (("instructions", UNCOUNTED),)
        rows = (*self.facts(), ("synaptic operations", most), *counted)
        return Page((Heading(f"{fit_to_print(self.name)} as C"), Facts(rows)))

    def in_short(self) -> str:
        """Flash and RAM."""
        return f"{self.name}: {self.flash:,} bytes of flash, {self.ram:,} of RAM"

    def to_json(self) -> dict[str, Any]:
        """The numbers by name."""
        return {**dataclasses.asdict(self), "flash": self.flash}

    def require(self, flash: int | None, ram: int | None) -> None:
        """Raises SpikeletError where the model needs more than a device has, counted or linked; says both
        numbers."""
        for limit, what in ((flash, "flash"), (ram, "ram")):
            if limit is not None:
                whole(limit, what, 1, error=SpikeletError)
        linked = 0 if self.counted is None else self.counted.flash + self.sound
        needed_ram = self.ram + self.sound_ram + self.stack
        for limit, needs, what in ((flash, max(self.flash, linked), "flash"), (ram, needed_ram, "RAM")):
            if limit is not None and needs > limit:
                made = " (with its stack)" if what == "RAM" else ""
                raise SpikeletError(
                    f"{self.name} needs {needs:,} bytes of {what}{made}, and {limit:,} are there. Train or fit a "
                    "smaller network, such as: spikelet fit DIR --max-bytes SIZE."
                )


def _bytes_of(hears: LogMel) -> int:
    """Flash that a front end takes."""
    return constants_of(hears, "")[0].bytes + CODE["logmel.c"] + A_FUNCTION + (MEANS if hears.adapt else 0)


def report(model: Model) -> Report:
    """The report of a model that is written out; code is counted for `run` alone, as a linker that drops what is not
    called leaves it."""
    program = model.files[f"{model.name}_run.c"]
    if model.whole is None:
        program += model.files[f"{model.name}_stream.c"]
    kernels = sum(CODE.get(name, 0) for name in needed(program))
    parts = ((r"\bspk_\w+\(", A_CALL), (r"\bfor \(", A_LOOP), (r"^static void ", A_FUNCTION))
    calls = sum(size * len(re.findall(pattern, program, re.MULTILINE)) for pattern, size in parts)
    work = work_of(model.graph.nodes)
    products = sum(work[node.name].macs for node in model.graph.nodes if isinstance(node, PRODUCTS))
    sizes, name = model.sizes, model.graph.title
    sound = 0 if model.hears is None else _bytes_of(model.hears)
    return Report(
        name,
        model.constants.bytes,
        kernels,
        calls,
        sizes.run_ram,
        sizes.stream_ram,
        STACK,
        model.graph.time_steps * products,
        sound,
        0 if model.hears is None else ram(model.hears),
    )
