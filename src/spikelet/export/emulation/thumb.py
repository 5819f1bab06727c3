"""Instructions of a Cortex-M in machine code, and the cycles that each takes.

Cycles are an estimate: the table of the core's reference manual, with memory that never lets it wait. A taken branch
costs REFILL more (the manual says 1 to 3), a division DIVISION (2 to 12), a load 1 behind another load or store, else
2, a store 1.
"""

from __future__ import annotations

import dataclasses
import struct

TABLE_OF = "cortex-m4"
SOURCE = "Arm DDI 0439, table 3-1 (Cortex-M4), memory without wait states"
REFILL, DIVISION = 2, 7


@dataclasses.dataclass(frozen=True)
class Block:
    """Code that runs from its first instruction to its last: how many there are, and their cycles without branches."""

    instructions: int
    cycles: int


def block_of(code: bytes) -> Block:
    """What `code` holds."""
    at = instructions = cycles = 0
    is_behind_one = False
    while at < len(code):
        (first,) = struct.unpack_from("<H", code, at)
        if first >> 11 >= 0b11101:
            (second,) = struct.unpack_from("<H", code, at + 2)
            taken, moves = _wide(first, second)
            at += 4
        else:
            taken, moves = _narrow(first)
            at += 2
        instructions += 1
        cycles += taken - (moves == "load" and is_behind_one)
        is_behind_one = bool(moves)
    return Block(instructions, cycles)


def _narrow(word: int) -> tuple[int, str]:
    """Cycles of a 16-bit instruction, and "load" or "store" where it moves one value."""
    if 0x4800 <= word < 0x5000:
        return 2, "load"
    if 0x5000 <= word < 0x6000:
        return _single(word >> 9 & 7 >= 3)
    if 0x6000 <= word < 0xA000:
        return _single(bool(word & 0x0800))
    if word & 0xF600 == 0xB400:  # push and pop
        return 1 + (word & 0x1FF).bit_count(), ""
    if 0xC000 <= word < 0xD000:
        return 1 + (word & 0xFF).bit_count(), ""
    return 1, ""


def _wide(first: int, second: int) -> tuple[int, str]:
    """The same of an instruction of 32 bits."""
    if first & 0xFE40 == 0xE800:
        return 1 + second.bit_count(), ""
    if first & 0xFE40 == 0xE840:
        is_table = first & 0xFFF0 == 0xE8D0 and second & 0xFFE0 == 0xF000
        return (2, "") if is_table else (3, "")
    if first & 0xFE00 == 0xF800:
        return _single(bool(first & 0x0010))
    if first & 0xFFD0 == 0xFB90 and second & 0x00F0 == 0x00F0:
        return DIVISION, ""
    return 1, ""


def _single(is_load: bool) -> tuple[int, str]:
    return (2, "load") if is_load else (1, "store")
