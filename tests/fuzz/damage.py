"""Damage to the bytes of a file: bits, cuts, blocks, numbers; and to a PNG's chunks, with right checksums."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator

ODD = (0, 1, 2, 3, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """`data` after one to three changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice((flipped, cut, moved, renumbered, renumbered, filled))(data, rng)
    return data


def flipped(data: bytes, rng: random.Random) -> bytes:
    """Some bits turned, near the start as often as anywhere."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8)) if out else 0):
        out[rng.randrange(min(len(out), rng.choice((32, 256, len(out)))))] ^= 1 << rng.randrange(8)
    return bytes(out)


def cut(data: bytes, rng: random.Random) -> bytes:
    """The end or a piece taken away, or something added."""
    a = rng.randrange(len(data) + 1)
    return rng.choice(
        (data[:a], data[:a] + data[a + rng.choice((1, 4, 64)) :], data + rng.randbytes(rng.choice((1, 90))))
    )


def moved(data: bytes, rng: random.Random) -> bytes:
    """A block written over another place, or put in there."""
    size = rng.choice((1, 4, 16, 256))
    a, b = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
    return data[:b] + data[a : a + size] + data[b + rng.choice((0, size)) :]


def renumbered(data: bytes, rng: random.Random) -> bytes:
    """A number of 1, 2 or 4 bytes made an odd one, near the start or the end as often as anywhere."""
    size, order = rng.choice((1, 2, 4)), rng.choice(("little", "big"))
    reach = min(len(data), rng.choice((64, 256, 1024, len(data))))
    a = max(0, rng.choice((rng.randrange(reach + 1), len(data) - rng.randrange(reach + 1))))
    return data[:a] + (rng.choice(ODD) % 256**size).to_bytes(size, order) + data[a + size :]


def filled(data: bytes, rng: random.Random) -> bytes:
    """Some bytes made noise, or all equal."""
    a, size = rng.randrange(len(data) + 1), rng.choice((4, 64, 1024))
    return data[:a] + rng.choice((rng.randbytes(size), bytes(size), b"\xff" * size)) + data[a + size :]


def damaged_png(data: bytes, rng: random.Random) -> bytes:
    """A PNG with a chunk changed, repeated, dropped or moved; checksums of chunks and of pixels are right."""
    chunks = list(_chunks(data))
    k = rng.randrange(len(chunks))
    kind, content = chunks[k]
    if kind == b"IDAT" and rng.random() < 0.7:
        content = zlib.compress(damaged(zlib.decompress(content), rng))
    elif rng.random() < 0.8:
        content = damaged(content, rng)
    how = rng.randrange(6)
    if how == 0:
        del chunks[k]
    elif how == 1:
        chunks.insert(rng.randrange(len(chunks) + 1), (kind, content))
    elif how == 2:
        chunks[k] = (rng.choice((b"tRNS", b"PLTE", b"eXIf", b"iCCP", b"acTL", b"fcTL", b"zTXt", b"gAMA")), content)
    else:
        chunks[k] = (kind, content)
    return data[:8] + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
