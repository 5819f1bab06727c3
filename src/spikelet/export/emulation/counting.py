"""Instructions and cycles of a run, counted block by block while Unicorn emulates the processor.

Both are the same on every machine: nothing is timed. They depend on what fires, and so on the input.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import SpikeletError
from spikelet.base.optional import need
from spikelet.export.c.project import written
from spikelet.export.c.text import Model
from spikelet.export.emulation.build import CORES, build
from spikelet.export.emulation.counted import Counted
from spikelet.export.emulation.elf import Elf, functions_of, read_elf
from spikelet.export.emulation.native import Watch
from spikelet.export.emulation.thumb import REFILL, TABLE_OF, block_of
from spikelet.graph.ir import IntGraph

PAGE = 0x100000  # bytes; memory is mapped in such pieces
STACK, RETURN, DATA = 0x30000000, 0x10000000, 0x38000000  # the stack's end, where a call returns to, input and output
MOST_STACK, UNTOUCHED = 0x10000, b"\xa5"  # bytes of stack that are looked at, and what lies in those never written


class Machine:
    """A program on an emulated Cortex-M, run function by function.

    blocks: how often each (address, bytes, part) of code ran in the last call. taken: the jumps between them.
    functions: address and bytes of each, by name.
    """

    def __init__(self, path: Path, core: str) -> None:
        self._uc = need("unicorn", package="unicorn", extra="targets", what="a count of instructions")
        self._arm = need("unicorn.arm_const", package="unicorn", extra="targets", what="a count of instructions")
        self.elf, self.core, self.functions = read_elf(path), core, functions_of(path)
        self.blocks: Counter[tuple[int, int, int]] = Counter()
        self.taken = 0

    def call(self, address: int, given: bytes, result: int, marks: Sequence[int] = ()) -> tuple[bytes, int]:
        """What the function `address`(given, out) writes to `out`, `result` bytes, and the bytes of stack it took."""
        uc, arm = self._uc, self._arm
        machine = _machine(uc, arm, self.elf, self.core)
        out = DATA + len(given) + -len(given) % 64
        machine.mem_map(DATA, _pages(out + result - DATA))
        machine.mem_write(DATA, given)
        machine.mem_map(RETURN, 0x1000)
        for register, value in (("R0", DATA), ("R1", out), ("SP", STACK - 8), ("LR", RETURN | 1)):
            machine.reg_write(getattr(arm, f"UC_ARM_REG_{register}"), value)
        machine.mem_write(STACK - MOST_STACK, UNTOUCHED * MOST_STACK)
        watch = Watch(uc, machine, marks)
        machine.emu_start(address | 1, RETURN)
        self.blocks, self.taken = watch.blocks, watch.taken
        if machine.reg_read(arm.UC_ARM_REG_PC) & ~1 != RETURN:
            raise SpikeletError("the emulated program did not return; this is a fault of spikelet's exporter.")
        left = bytes(machine.mem_read(STACK - MOST_STACK, MOST_STACK - 8))
        return bytes(machine.mem_read(out, result)), len(left.lstrip(UNTOUCHED))

    def tally(self) -> tuple[int, int]:
        """Instructions of the last call, and cycles of the core that thumb.py has the table of."""
        kinds = {key: block_of(self.code(*key[:2])) for key in self.blocks}
        instructions = sum(kinds[key].instructions * times for key, times in self.blocks.items())
        cycles = sum(kinds[key].cycles * times for key, times in self.blocks.items())
        return instructions, cycles + REFILL * self.taken

    def by_function(self) -> dict[tuple[int, str], int]:
        """Instructions of the last call by the part of the program that was entered last, and by their function."""
        places = sorted((start, start + size, name) for name, (start, size) in self.functions.items())
        found: Counter[tuple[int, str]] = Counter()
        for (address, size, mark), times in self.blocks.items():
            name = next((name for start, end, name in places if start <= address < end), "?")
            found[mark, name] += block_of(self.code(address, size)).instructions * times
        return dict(found.most_common())

    def code(self, address: int, size: int) -> bytes:
        """Bytes of the program."""
        for start, _, data, _ in self.elf.segments:
            if start <= address < start + len(data):
                return data[address - start : address - start + size]
        raise SpikeletError(f"no code lies at {address:#x}.")


def count(graph: IntGraph, x: NDArray[np.uint8] | None = None, *, core: str = "cortex-m4", sample: str = "") -> Counted:
    """What a run of `graph`'s C on the input `x` takes on an emulated `core`.

    Example:
        >>> from spikelet.export import count
        >>> count(spikelet.load("qsnn-vgg-s-nmnist"))
        Counted(core='cortex-m4', sample='noise', instructions=..., cycles=..., flash=..., ram=..., stack=..., ...)

    Args:
        x: uint8 of the graph's input shape, or [T, *shape], whose frames are a stream; None is noise, the same input
            every time.
        core: cortex-m0, -m3, -m4 or -m33, built by clang at -Os.
        sample: what `x` is, in words, for the report.
    Raises:
        SpikeletError: no such core, or `x` is no input of the graph.
        MissingLibrary: Unicorn or Zig's compiler is not installed.
        GraphError: the graph has no C; names the operation.
    """
    model = written(graph)
    if x is None:
        x, sample = np.random.default_rng(0).integers(0, 256, graph.input.shape, np.uint8), "noise"
    with tempfile.TemporaryDirectory() as place:
        machine, stack, _ = emulated(model, x, core, Path(place))
    instructions, estimated = machine.tally()
    cycles = estimated if core == TABLE_OF else None
    return Counted(core, sample or "x", instructions, cycles, machine.elf.loaded, machine.elf.cleared, stack)


def emulated(
    model: Model, x: NDArray[np.uint8], core: str, folder: Path, more: Sequence[str] = ()
) -> tuple[Machine, int, NDArray[np.int32]]:
    """A machine that has run `model` on `x`, built in `folder` with the flags `more`; the bytes of stack, the outputs.

    Raises:
        SpikeletError: no such core, or `x` is no input of the model.
    """
    if core not in CORES:
        raise SpikeletError(f"core must be one of {', '.join(CORES)}, got {core!r}.")
    shape, steps = model.graph.input.shape, model.graph.time_steps
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.shape not in (shape, (steps, *shape)):
        got = f"{x.dtype} {list(x.shape)}" if isinstance(x, np.ndarray) else type(x).__name__
        raise SpikeletError(f"x must be one input, uint8 {list(shape)} or frames {[steps, *shape]}, got {got}.")
    streams = x.shape != shape
    machine = Machine(build(model, folder, core, streams=streams, more=more), core)
    values = model.sizes.read_outputs if streams else model.sizes.run_outputs
    given, stack = machine.call(machine.elf.entry, x.tobytes(), 4 * values)
    return machine, stack, np.frombuffer(given, "<i4").astype(np.int32)


def _machine(uc: Any, arm: Any, elf: Elf, core: str) -> Any:
    """Unicorn as that core, with the program and a stack."""
    machine = uc.Uc(uc.UC_ARCH_ARM, uc.UC_MODE_THUMB | uc.UC_MODE_MCLASS)
    machine.ctl_set_cpu_model(getattr(arm, f"UC_CPU_ARM_{core.upper().replace('-', '_')}"))
    spans = [(address // PAGE, (address + room) // PAGE + 1) for address, _, _, room in elf.segments]
    for page in sorted({page for first, last in spans for page in range(first, last)}):
        machine.mem_map(page * PAGE, PAGE)
    for address, _, data, _ in elf.segments:
        machine.mem_write(address, data)
    machine.mem_map(STACK - PAGE, PAGE)
    return machine


def _pages(size: int) -> int:
    return -(-size // PAGE) * PAGE
