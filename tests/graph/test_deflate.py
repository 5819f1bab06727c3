"""DEFLATE of our own: zlib reads it, its bytes are those that its rule gives, and reading it back is bounded."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from collections import defaultdict

import pytest

from spikelet.base.errors import ArtifactError
from spikelet.graph.file.deflate import deflate, inflate

# RFC 1951, 3.2.5: where each code's values begin, and its extra bits
LENGTHS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
           227, 258)  # fmt: skip
LENGTH_BITS = (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0)
DISTANCES = (1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
             4097, 6145, 8193, 12289, 16385, 24577)  # fmt: skip
DISTANCE_BITS = (0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13)


def symbol(value: int) -> str:
    """A symbol's fixed code, highest bit first (RFC 1951, 3.2.6)."""
    for first, last, code, width in ((0, 143, 48, 8), (144, 255, 400, 9), (256, 279, 0, 7), (280, 287, 192, 8)):
        if first <= value <= last:
            return format(code + value - first, f"0{width}b")
    raise AssertionError(value)


def coded(value: int, firsts: tuple[int, ...], bits: tuple[int, ...]) -> tuple[int, str]:
    """The code of a length or distance, and its extra bits, lowest first."""
    code = max(i for i, first in enumerate(firsts) if first <= value)
    extra = value - firsts[code]
    return code, "".join(str(extra >> i & 1) for i in range(bits[code]))


def by_the_rule(data: bytes) -> bytes:
    """The stream as docs/spec/artifact.md describes it."""
    bits, at = "110", 0
    places: dict[bytes, list[int]] = defaultdict(list)
    while at < len(data):
        best, distance = 0, 0
        for place in reversed(places[data[at : at + 3]][-16:] if at + 3 <= len(data) else []):
            length = 0
            while length < 258 and at + length < len(data) and data[place + length] == data[at + length]:
                length += 1
            if at - place <= 32768 and length > best:
                best, distance = length, at - place
        if best:
            code, extra = coded(best, LENGTHS, LENGTH_BITS)
            bits += symbol(257 + code) + extra
            code, extra = coded(distance, DISTANCES, DISTANCE_BITS)
            bits += format(code, "05b") + extra
        else:
            bits += symbol(data[at])
        for i in range(at, at + max(best, 1)):
            places[data[i : i + 3]].append(i)
        at += max(best, 1)
    return filled(bits + symbol(256))


def filled(bits: str) -> bytes:
    """Bits as bytes, each filled from its lowest bit."""
    return bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))


def _noise(seed: int, letters: bytes, count: int) -> bytes:
    return bytes(random.Random(seed).choices(letters, k=count))


FAR = _noise(1, bytes(range(256)), 32_768)
CASES = {
    "nothing": b"",
    "one byte": b"a",
    "two bytes": b"aa",
    "three bytes": b"aaa",
    "four bytes": b"aaaa",
    "every byte": bytes(range(256)),
    "every byte twice": bytes(range(256)) * 2,
    **{f"{n} alike": b"a" * n for n in (257, 258, 259, 260, 261, 262, 517, 5000)},
    "two letters": _noise(2, b"ab", 3000),
    "four letters": _noise(3, b"abcd", 3000),
    "bytes": _noise(4, bytes(range(256)), 3000),
    "as far as it goes": FAR + FAR[:300],
    "one too far": FAR + b"x" + FAR[:300],
    "beyond the window": _noise(5, b"abcdefgh", 70_000),
    "text": b'["affine blocks.0.attention.query.1"],["conv blocks.1.attention.key.0",{"bits":1}],' * 9,
}


@pytest.mark.parametrize("case", CASES)
def test_a_stream_is_what_the_rule_says_and_zlib_reads_it(case: str) -> None:
    data = CASES[case]
    stream = deflate(data)
    assert zlib.decompress(stream, -zlib.MAX_WBITS) == data
    assert stream == by_the_rule(data)
    assert inflate(stream, max(len(data), 2), "it") == data


def test_every_length_and_distance_has_its_code() -> None:
    for length in range(3, 259):
        data = b"ab" + b"x" * length + b"a" + b"x" * length + b"c"
        assert deflate(data) == by_the_rule(data)
    for distance in (*range(4, 600), *(d + e for d in DISTANCES[17:] for e in (-1, 0, 1)), 32_768):
        data = b"abc" + bytes(distance - 3) + b"abc"
        assert zlib.decompress(deflate(data), -zlib.MAX_WBITS) == data


def test_streams_that_can_not_be_otherwise_are_those_of_the_standard() -> None:
    """With fixed codes the RFC leaves no choice for these."""
    assert deflate(b"").hex() == "0300"
    assert deflate(b"a").hex() == "4b0400"


def test_a_string_is_found_32768_bytes_back_and_no_farther() -> None:
    near, far = CASES["as far as it goes"], CASES["one too far"]
    assert len(deflate(near)) < len(deflate(FAR)) + 10
    assert len(deflate(far)) > len(deflate(FAR)) + 200


STREAM = deflate(b"a text, a text, a text")
BROKEN = {
    "nothing": (b"", "it: ends too early"),
    "its beginning": (STREAM[:-1], "it: ends too early"),
    "something after it": (STREAM + b"\0", "it: has bytes after its end"),
    "two streams": (STREAM * 2, "it: has bytes after its end"),
    "a block of a kind that is not": (b"\xff" * 9, r"it: is not DEFLATE \(Error -3"),
    "a zlib header": (zlib.compress(b"a text"), "it: is not DEFLATE"),
    "a distance beyond the beginning": (filled("110" + symbol(257) + "00000" + symbol(256)), "it: is not DEFLATE"),
    "one byte too many": (deflate(bytes(101)), "it: takes more than the 100 bytes that are allowed"),
    "far too many, and no end": (deflate(bytes(258 * 50))[:-2], "it: takes more than the 100 bytes"),
    "many empty blocks": (b"\0\0\0\xff\xff" * 100, "it: takes 500 bytes, for 100 at most"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_stream_is_refused(case: str) -> None:
    stream, message = BROKEN[case]
    with pytest.raises(ArtifactError, match=message):
        inflate(stream, 100, "it")


def test_a_bomb_takes_no_memory() -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = compressor.compress(bytes(2**25)) + compressor.flush()
    assert len(bomb) < 2**16
    tracemalloc.start()
    with pytest.raises(ArtifactError, match="it: takes more than the 1048576 bytes"):
        inflate(bomb, 2**20, "it")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_a_long_text_takes_memory_for_its_window_only() -> None:
    data = _noise(6, bytes(range(256)), 100_000)
    tracemalloc.start()
    deflate(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 9_000_000
