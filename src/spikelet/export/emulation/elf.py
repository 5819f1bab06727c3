"""Programs as linkers write them: their entry, what is loaded where, and their functions."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

CODE = 2  # the type of a symbol that is a function


@dataclasses.dataclass(frozen=True)
class Elf:
    """A program: its entry, and (address, loaded at, bytes, size in memory) of its segments."""

    entry: int
    segments: tuple[tuple[int, int, bytes, int], ...]

    @property
    def loaded(self) -> int:
        """Bytes of the file that are loaded: of a program that begins in flash, those that flash holds."""
        return sum(len(data) for _, _, data, _ in self.segments)

    @property
    def cleared(self) -> int:
        """Bytes of memory that no byte of the file fills."""
        return sum(room - len(data) for _, _, data, room in self.segments)


def read_elf(path: Path) -> Elf:
    """A 32- or 64-bit ELF file of either byte order."""
    data = path.read_bytes()
    order, is_wide = "<" if data[5] == 1 else ">", data[4] == 2
    entry, table = struct.unpack_from(f"{order}{'QQ' if is_wide else 'II'}", data, 24)
    size, count = struct.unpack_from(f"{order}HH", data, 54 if is_wide else 42)
    segments = []
    for i in range(count):
        fields = struct.unpack_from(f"{order}{'IIQQQQQQ' if is_wide else '8I'}", data, table + i * size)
        kind, offset, address, load, there, room = (fields[0], *fields[2:7]) if is_wide else (fields[0], *fields[1:6])
        if kind == 1:
            segments.append((address, load, data[offset : offset + there], room))
    return Elf(entry, tuple(segments))


def functions_of(path: Path) -> dict[str, tuple[int, int]]:
    """Address and bytes of every function of a 32-bit little-endian ELF file, by name."""
    data = path.read_bytes()
    (table,) = struct.unpack_from("<I", data, 32)
    size, count = struct.unpack_from("<HH", data, 46)
    sections = [struct.unpack_from("<10I", data, table + i * size) for i in range(count)]
    found = {}
    for _, kind, _, _, offset, length, link, *_ in sections:
        if kind != 2:
            continue
        words = sections[link][4]
        for at in range(offset, offset + length, 16):
            name, address, extent, info = struct.unpack_from("<IIIB", data, at)
            if info & 15 == CODE:
                title = data[words + name : data.index(b"\0", words + name)].decode()
                found[title] = (address & ~1, extent)
    return found
