"""Programs for other processors, built by Zig's C compiler and run by Unicorn: no operating system, no device."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from spikelet.export.emulation.elf import Elf, read_elf
from spikelet.export.emulation.thumb import block_of

STACK, SPACE = 0x70000000, 0x400000  # where the stack lies, and bytes of each memory
MOST_STACK, UNTOUCHED = 0x10000, b"\xa5"  # bytes of stack that are looked at, and what lies in those never written
RETURN = 0x60000000  # where a function that was called returns to


@dataclasses.dataclass(frozen=True)
class Target:
    """A processor: Zig's name of it, and how Unicorn is told (names of its constants)."""

    triple: str
    arch: str
    mode: str
    stack: str
    link: str
    result: str


TARGETS = {
    "aarch64": Target("aarch64-freestanding", "ARM64", "ARM", "ARM64_REG_SP", "ARM64_REG_X30", "ARM64_REG_X0"),
    "riscv32": Target("riscv32-freestanding", "RISCV", "RISCV32", "RISCV_REG_SP", "RISCV_REG_RA", "RISCV_REG_A0"),
    "mips, big-endian": Target(
        "mips-freestanding-eabi", "MIPS", "MIPS32 MODE_BIG_ENDIAN", "MIPS_REG_SP", "MIPS_REG_RA", "MIPS_REG_V0"
    ),
}


def zig() -> list[str]:
    """The command of Zig's tools; skips where the package is not installed."""
    pytest.importorskip("ziglang")
    return [sys.executable, "-m", "ziglang"]


def constant(module: str, name: str) -> int:
    """A constant of Unicorn's."""
    found = pytest.importorskip(f"unicorn.{module}")
    return getattr(found, name)


def code_bytes(path: Path) -> int:
    """Bytes of code and constants in a 32-bit object file, what is for unwinding apart."""
    data = path.read_bytes()
    (table,) = struct.unpack_from("<I", data, 32)
    size, count, names = struct.unpack_from("<HHH", data, 46)
    headers = [struct.unpack_from("<6I", data, table + i * size) for i in range(count)]
    words, total = headers[names][4], 0
    for name, kind, flags, _, _, length in headers:
        title = data[words + name : data.index(b"\0", words + name)]
        total += length if kind == 1 and flags & 2 and not title.startswith(b".ARM") else 0
    return total


def emulator(elf: Elf, arch: str, mode: str, cpu: str = "") -> Any:
    """Unicorn, as that processor where one is named, with the program's segments where they are loaded, and a stack."""
    unicorn = pytest.importorskip("unicorn")
    modes = sum(constant("unicorn_const", f"UC_{word if '_' in word else f'MODE_{word}'}") for word in mode.split())
    machine = unicorn.Uc(constant("unicorn_const", f"UC_ARCH_{arch}"), modes)
    if cpu:
        machine.ctl_set_cpu_model(constant("arm_const", f"UC_CPU_ARM_{cpu}"))  # before any memory is there
    pages = {place & ~(SPACE - 1) for address, load, _, _ in elf.segments for place in (address, load)}
    for page in sorted({*pages, STACK - SPACE}):
        machine.mem_map(page, SPACE)
    for _, load, data, _ in elf.segments:
        machine.mem_write(load, data)
    return machine


def called(project: Path, function: str, target: Target) -> int:
    """What `function`() of a project's sources returns on the emulated processor."""
    out = project / "build" / f"{target.arch}.elf"
    out.parent.mkdir(exist_ok=True)
    sources = [*map(str, sorted((project / "src").glob("*.c"))), "selftest.c", "bare/memory.c"]
    flags = ["-std=c99", "-Os", "-fno-sanitize=undefined", "-static", "-fno-pic", "-Isrc", f"-Wl,-e,{function}"]
    built = subprocess.run(
        [*zig(), "cc", "-target", target.triple, *flags, *sources, "-o", str(out)],
        cwd=project, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    elf = read_elf(out)
    machine = emulator(elf, target.arch, target.mode)
    family = f"{target.arch.lower()}_const"
    machine.reg_write(constant(family, f"UC_{target.stack}"), STACK - 0x100)
    machine.reg_write(constant(family, f"UC_{target.link}"), RETURN)
    machine.mem_map(RETURN, 0x1000)
    machine.emu_start(elf.entry, RETURN)
    return machine.reg_read(constant(family, f"UC_{target.result}")) & 0xFFFFFFFF


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a program left by semihosting: the reason it gave, instructions from its reset on, bytes of stack it took."""

    reason: int
    instructions: int
    stack: int


def semihosted(path: Path, cpu: str) -> Ended:
    """How a Cortex-M program leaves that begins with its reset."""
    elf, blocks = read_elf(path), Counter[tuple[int, int]]()
    machine = emulator(elf, "ARM", "THUMB MODE_MCLASS", cpu)
    reasons: list[int] = []

    def leaves(uc: Any, number: int, _: Any) -> None:
        reasons.append(uc.reg_read(constant("arm_const", "UC_ARM_REG_R1")))
        uc.emu_stop()

    def counts(_: Any, address: int, size: int, __: Any) -> None:
        blocks[address, size] += 1

    machine.hook_add(constant("unicorn_const", "UC_HOOK_INTR"), leaves)
    machine.hook_add(constant("unicorn_const", "UC_HOOK_BLOCK"), counts)
    first = min(load for _, load, _, _ in elf.segments)
    stack, reset = struct.unpack("<II", bytes(machine.mem_read(first, 8)))
    machine.reg_write(constant("arm_const", "UC_ARM_REG_SP"), stack)
    machine.mem_write(stack - MOST_STACK, UNTOUCHED * MOST_STACK)
    machine.emu_start(reset | 1, 0xFFFFFFF0)
    left = bytes(machine.mem_read(stack - MOST_STACK, MOST_STACK))
    counted = sum(block_of(machine.mem_read(*key)).instructions * times for key, times in blocks.items())
    return Ended(reasons[0], counted, len(left.lstrip(UNTOUCHED)))
