"""IDX files: what is written is read, and nothing that is broken is."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from spikelet.data.readers.idx import read_idx

ARRAY = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)


def idx_bytes(array: np.ndarray) -> bytes:
    """An IDX file's content."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


WHOLE = idx_bytes(ARRAY)
ZIPPED = gzip.compress(WHOLE, mtime=0)


@pytest.mark.parametrize(
    "array", [ARRAY, ARRAY.reshape(24), ARRAY[:0], ARRAY.reshape(1, 1, 24, 1)], ids=lambda a: str(a.shape)
)
def test_an_array_comes_back_plain_and_gzipped(array, tmp_path):
    (tmp_path / "a-ubyte").write_bytes(idx_bytes(array))
    (tmp_path / "a-ubyte.gz").write_bytes(gzip.compress(idx_bytes(array)))
    for name in ("a-ubyte", "a-ubyte.gz"):
        back = read_idx(tmp_path / name)
        assert back.dtype == np.uint8
        assert np.array_equal(back, array)


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_every_truncation_is_refused(length, tmp_path):
    (tmp_path / "cut").write_bytes(WHOLE[:length])
    with pytest.raises(ValueError, match=r"ends within its (header|data): [0-9]+ bytes expected, [0-9]+ found"):
        read_idx(tmp_path / "cut")


def test_every_truncation_of_a_gzip_file_is_refused(tmp_path):
    for length in range(len(ZIPPED)):
        (tmp_path / "cut.gz").write_bytes(ZIPPED[:length])
        with pytest.raises(ValueError, match=r"is not a complete gzip file|ends within its header"):
            read_idx(tmp_path / "cut.gz")


def test_every_flipped_bit_of_a_gzip_file_is_refused_or_harmless(tmp_path):
    refused = 0
    for bit in range(8 * len(ZIPPED)):
        damaged = bytearray(ZIPPED)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "flip.gz").write_bytes(damaged)
        try:
            assert np.array_equal(read_idx(tmp_path / "flip.gz"), ARRAY)
        except ValueError:
            refused += 1
    assert refused > 8 * (len(ZIPPED) - 10)  # only the 10-byte header has bits without meaning


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x01" + WHOLE[1:], "begins with 01 00 08 03"),
        (WHOLE[:2] + b"\x0d" + WHOLE[3:], "begins with 00 00 0d 03"),
        (WHOLE[:3] + b"\x00" + WHOLE[4:], "begins with 00 00 08 00"),
        (WHOLE + b"\x00", "goes on after the 24 bytes"),
        (struct.pack(">HBB2I", 0, 8, 2, 2**32 - 1, 2**32 - 1), "claims 18446744065119617025 bytes"),
        (b"<html>not found</html>", "begins with 3c 68 74 6d"),
    ],
)
def test_what_is_no_idx_file_is_refused(content, message, tmp_path):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(tmp_path / "bad")


def test_a_plain_file_with_a_gzip_name_is_refused(tmp_path):
    (tmp_path / "plain.gz").write_bytes(WHOLE)
    with pytest.raises(ValueError, match="is not a complete gzip file"):
        read_idx(tmp_path / "plain.gz")
