"""Runs Python with the native runtime of AArch64, emulated in this process: any processor tests its kernels, and counts
their instructions.

    python -m benchmarks.on_aarch64 [--sets neon dotprod] -m pytest -n 0 tests/runtime/test_blocks.py

Zig's C compiler builds the library as a program for a fixed address, at which its bytes lie in this process' memory
too. Unicorn sees all of that memory at its own addresses, so that plans, structures and maps are given to the emulated
functions as they are: AArch64 and x86-64 lay them out alike. There is no operating system below: a call has one thread,
and what processors can is what `hwcap` says.
"""

from __future__ import annotations

import argparse
import ctypes
import runpy
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikelet.base.optional import need
from spikelet.export.emulation.build import zig
from spikelet.export.emulation.elf import read_elf
from spikelet.runtime import library
from spikelet.runtime.structures import Call, Callback

CSRC = Path(__file__).resolve().parents[1] / "csrc"
BASE, CHUNK, STACK = 0x60000000, 1 << 24, 1 << 20  # where the program lies, what is mapped at once, bytes of stack
READ_WRITE, PRIVATE_ANONYMOUS_AT = 3, 0x100022  # of mmap: and never in the place of anything
DOT_PRODUCTS = 1 << 20  # of hwcap
FUNCTIONS = (
    "spk_kind_names", "spk_op_fields", "spk_call_fields", "spk_set_count", "spk_set_name", "spk_set_available",
    "spk_set_offers", "spk_op_scratch", "spk_run", "spk_pool_bytes", "spk_pool_open", "spk_pool_close",
)  # fmt: skip
ENTRY = f"""
#include "spikelet.h"
uint64_t hwcap = {DOT_PRODUCTS};
unsigned long getauxval(unsigned long type);
unsigned long getauxval(unsigned long type) {{ return type == 16 ? hwcap : 0; }}
void call_back(void);
__asm__(".globl call_back\\ncall_back: svc #0\\n ret\\n");
const void *const table[] = {{{", ".join(FUNCTIONS)}, call_back, &hwcap}};
"""
FLAGS = ("-std=c11", "-DSPK_WITH_NEON", "-DSPK_WITH_DOTPROD", f"-I{CSRC}")
INLINES = ("--param=inline-unit-growth=400", "--param=large-unit-insns=200000")  # of GCC; CMakeLists.txt says why
SOURCES = ("run", "sets", "threads", "plain", "scalar", "fast_portable", "fast_neon", "fast_dotprod")


def build(folder: Path, *, more: Sequence[str] = (), compiler: Sequence[str] = ()) -> Path:
    """The library as a program of AArch64, in `folder`.

    more: options of the compiler for the kernels.
    compiler: a GCC instead of Zig's, with its options, for the kernels.
    """
    target = [*zig(), "cc", "-target", "aarch64-linux-musl", "-fno-sanitize=undefined"]
    dotprod = "-march=armv8.2-a+dotprod" if compiler else "-mcpu=generic+dotprod"
    (folder / "entry.c").write_text(ENTRY)
    objects = []
    for name in SOURCES:
        objects.append(str(folder / f"{name}.o"))
        own = ("-O3", *more, *([dotprod] if name == "fast_dotprod" else []))
        own += INLINES if compiler and name == "fast_portable" else ()
        run([*(compiler or target), *FLAGS, *own, "-c", str(CSRC / f"{name}.c"), "-o", objects[-1]])
    program = folder / "library.elf"
    ends = ("-static", f"-Wl,--image-base={BASE:#x}", "-Wl,-e,table", "-o", str(program))
    run([*target, *FLAGS, "-O2", str(folder / "entry.c"), *objects, *ends])
    return program


def run(command: Sequence[str]) -> None:
    """Runs a compiler; what it says is an error."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")


class Machine:
    """An AArch64 processor that has a program of `build`, and all of this process' memory. A process holds one.

    Args:
        hwcap: what the processor can, as Linux says it.
    """

    def __init__(self, program: Path, hwcap: int = DOT_PRODUCTS) -> None:
        uc = need("unicorn", package="unicorn", extra="targets", what="emulation")
        self._arm = need("unicorn.arm64_const", package="unicorn", extra="targets", what="emulation")
        self.table, self.callback = _loaded(program), Callback()
        self._stack, self._running = ctypes.create_string_buffer(STACK), threading.Lock()
        self.uc = uc.Uc(uc.UC_ARCH_ARM64, uc.UC_MODE_ARM)
        self.uc.ctl_set_cpu_model(self._arm.UC_CPU_ARM64_MAX)
        self.uc.reg_write(self._arm.UC_ARM64_REG_CPACR_EL1, 3 << 20)  # it may use vectors
        self.uc.hook_add(uc.UC_HOOK_MEM_UNMAPPED, self._map)
        self.uc.hook_add(uc.UC_HOOK_INTR, self._call_back)
        self._everything, self._mapped = uc.UC_PROT_ALL, set[int]()
        ctypes.c_uint64.from_address(self.table[-1]).value = hwcap

    def call(self, address: int, arguments: Sequence[int]) -> int:
        """What the function at `address` returns."""
        arm = self._arm
        with self._running:
            for i, value in enumerate(arguments):
                self.uc.reg_write(arm.UC_ARM64_REG_X0 + i, value % 2**64)
            self.uc.reg_write(arm.UC_ARM64_REG_SP, (ctypes.addressof(self._stack) + STACK) // 64 * 64 - 64)
            self.uc.reg_write(arm.UC_ARM64_REG_LR, BASE)  # the program's header, which is no code
            self.uc.emu_start(address, BASE)
            return self.uc.reg_read(arm.UC_ARM64_REG_X0)

    def _map(self, uc: Any, access: int, address: int, size: int, *_: object) -> bool:
        """Shows the processor the memory that it asks for; without any this process dies, as it would natively."""
        for place in {address // CHUNK * CHUNK, (address + size - 1) // CHUNK * CHUNK} - self._mapped:
            uc.mem_map_ptr(place, CHUNK, self._everything, place)
            self._mapped.add(place)
        return True

    def _call_back(self, uc: Any, *_: object) -> None:
        """The caller's own function, of a number, a sample and an arena."""
        self.callback(*(uc.reg_read(self._arm.UC_ARM64_REG_X0 + i) for i in range(3)))


def _loaded(program: Path) -> list[int]:
    """Copies the program to where it was linked for; returns the addresses of its functions, in order."""
    elf = read_elf(program)
    size = max(address + room for address, _, _, room in elf.segments) - BASE
    system = ctypes.CDLL(None)
    system.mmap.restype = ctypes.c_void_p
    system.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *(3 * [ctypes.c_int]), ctypes.c_long]
    if system.mmap(BASE, size, READ_WRITE, PRIVATE_ANONYMOUS_AT, -1, 0) != BASE:
        raise RuntimeError(f"something lies at {BASE:#x} in this process; one process emulates one program.")
    for address, _, data, _ in elf.segments:
        ctypes.memmove(address, data, len(data))
    return list((ctypes.c_uint64 * (len(FUNCTIONS) + 2)).from_address(elf.entry))


class Function:
    """One of the library's, as ctypes' are called."""

    argtypes: Sequence[Any] = ()
    restype: Any = None

    def __init__(self, machine: Machine, name: str) -> None:
        self._machine, self._address = machine, machine.table[FUNCTIONS.index(name)]

    def __call__(self, *arguments: Any) -> Any:
        """What it returns; arguments are numbers and what `byref` makes."""
        given = [one if isinstance(one, int) else ctypes.addressof(one._obj) for one in arguments]
        result = self._machine.call(self._address, given)
        if self.restype is None or self.restype is ctypes.c_char_p:
            return ctypes.string_at(result) if self.restype else None
        if issubclass(self.restype, ctypes._SimpleCData):
            return self.restype(result).value
        return ctypes.cast(result, self.restype)


class Available(Function):
    """spk_set_available, of the sets that are asked for."""

    sets: Sequence[str] = ()

    def __call__(self, number: int) -> int:
        """Whether a set is asked for, and the processor can run it."""
        name = Function(self._machine, "spk_set_name")
        name.restype = ctypes.c_char_p
        return int(name(number).decode() in self.sets and super().__call__(number))


class Run(Function):
    """spk_run, in one thread, which calls back into this process."""

    def __call__(self, call: Any) -> None:
        """Runs it."""
        given = call._obj
        given.threads = 1
        place = ctypes.c_void_p.from_address(ctypes.addressof(given) + Call.callback.offset)
        own, place.value = place.value, self._machine.table[-2]
        self._machine.callback = Callback(own or 0)
        try:
            super().__call__(call)
        finally:
            place.value = own


class Stop(Function):
    """spk_stop, beside the emulated processor."""

    def __call__(self, call: Any) -> None:
        """Raises the flag."""
        call._obj.stop = 1


class Library:
    """The library on `machine`, as ctypes would have opened it, with `sets` of its kernel sets."""

    def __init__(self, machine: Machine, sets: Sequence[str] = ("neon", "dotprod")) -> None:
        self.machine = machine
        for name in FUNCTIONS:
            setattr(self, name, Function(machine, name))
        self.spk_set_available, self.spk_run = Available(machine, "spk_set_available"), Run(machine, "spk_run")
        self.spk_set_available.sets, self.spk_stop = sets, Stop(machine, "spk_run")


def install(opened: Library) -> None:
    """Everything that this process runs from now on runs on `opened`."""
    library.opened_at = lambda path: library.checked(opened, path)  # type: ignore[arg-type]
    library.library.cache_clear()
    library.kernel_sets.cache_clear()


def main() -> None:
    """Runs a module on an emulated processor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["neon", "dotprod"])
    parser.add_argument("--program", type=Path, help="what was built before")
    parser.add_argument("-m", dest="module", required=True, nargs=argparse.REMAINDER, help="a module and its arguments")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        install(Library(Machine(args.program or build(Path(folder))), args.sets))
        sys.argv = args.module
        runpy.run_module(args.module[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
