"""DEFLATE: text made shorter, to the same bytes on every machine, and back.

A compressor is free in which of many streams it writes, and zlib's writes others from one version and build to the
next; a file whose bytes name a model can't be. This one writes a single block with the fixed codes of RFC 1951, 3.2.6.
Reading is zlib's, with a bound on what comes out.

At each position it takes the longest string of 3 to 258 bytes that also begins at one of the `CANDIDATES` latest
positions, at most `WINDOW` back, where the same three bytes begin; of equally long ones the latest; where there is
none, the byte itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from spikelet.base.errors import ArtifactError

WINDOW = 2**15
CANDIDATES = 16
SHORTEST, LONGEST = 3, 258
_END = 256


def deflate(data: bytes) -> bytes:
    """`data` as a DEFLATE stream; the same bytes everywhere."""
    bits = "".join(("1", "10", *_words(data), _code(_END)))  # the last block, fixed codes
    return int(bits[::-1], 2).to_bytes(-(-len(bits) // 8), "little")


def inflate(data: bytes | memoryview, limit: int, what: str) -> bytes:
    """What a DEFLATE stream stands for; takes little more memory than `limit`.

    Raises:
        ArtifactError: no whole stream, something after it, or more than `limit` bytes; begins with `what`.
    """
    if len(data) > 2 * limit:  # `deflate` makes 9/8 of it at most
        raise ArtifactError(f"{what}: takes {len(data)} bytes, for {limit} at most.")
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        text = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise ArtifactError(f"{what}: is not DEFLATE ({error}).") from None
    if len(text) > limit:
        raise ArtifactError(f"{what}: takes more than the {limit} bytes that are allowed.")
    if not stream.eof or stream.unused_data:
        raise ArtifactError(f"{what}: {'has bytes after its end' if stream.eof else 'ends too early'}.")
    return text


def _words(data: bytes) -> Iterator[str]:
    """The bits of each byte or string of `data`."""
    literals = [_code(byte) for byte in range(256)]
    seen, at = _Seen(data), 0
    while at < len(data):
        length, distance = seen.longest(at)
        if length:
            yield from (_length(length), _distance(distance))
        else:
            length = 1
            yield literals[data[at]]
        seen.add(at, at + length)
        at += length


class _Seen:
    """Where three bytes began before: the latest positions of each three, for as long as they are in the window."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.latest: dict[bytes, int] = {}
        self.before = [-1] * WINDOW  # of each position of the window, the one before with the same three bytes

    def add(self, first: int, end: int) -> None:
        """Positions first..end - 1; those that leave the window are forgotten."""
        data, latest = self.data, self.latest
        for i in range(first, end):
            old = i - WINDOW
            if old >= 0 and latest.get(key := data[old : old + SHORTEST]) == old:
                del latest[key]
            key = data[i : i + SHORTEST]
            self.before[i % WINDOW] = latest.get(key, -1)
            latest[key] = i

    def longest(self, at: int) -> tuple[int, int]:
        """Length and distance of the longest string before `at` that begins like it, or (0, 0)."""
        data, most = self.data, min(LONGEST, len(self.data) - at)
        best, distance = SHORTEST - 1, 0
        place = self.latest.get(data[at : at + SHORTEST], -1) if most >= SHORTEST else -1
        for _ in range(CANDIDATES):
            if place < 0 or at - place > WINDOW or best == most:
                break
            if data[place : place + best + 1] == data[at : at + best + 1]:
                best, distance = _common(data, place, at, best + 1, most), at - place
            place = self.before[place % WINDOW]
        return (best, distance) if distance else (0, 0)


def _common(data: bytes, one: int, other: int, length: int, most: int) -> int:
    """How many bytes from `one` and from `other` on are the same: `length` at least, `most` at most."""
    while length < most and data[one + length] == data[other + length]:
        length += 1
    return length


def _code(symbol: int) -> str:
    """The fixed code of a byte, of the end, or of a length."""
    if symbol < 144:
        return f"{0x30 + symbol:08b}"
    if symbol < 256:
        return f"{0x190 + symbol - 144:09b}"
    return f"{symbol - 256:07b}" if symbol < 280 else f"{0xC0 + symbol - 280:08b}"


def _length(length: int) -> str:
    """The code of a length and its extra bits; the longest has a code of its own."""
    code, extra = (28, "") if length == LONGEST else _number(length - SHORTEST, 3)
    return _code(_END + 1 + code) + extra


def _distance(distance: int) -> str:
    """The code of a distance and its extra bits."""
    code, extra = _number(distance - 1, 2)
    return f"{code:05b}{extra}"


def _number(value: int, kept: int) -> tuple[int, str]:
    """A code that keeps the `kept` highest bits of a number and says how many follow; and those, lowest first."""
    extra = max(value.bit_length() - kept, 0)
    return (extra << kept - 1) + (value >> extra), f"{value:015b}"[::-1][:extra]
