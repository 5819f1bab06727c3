"""Regular files are read in memory of their length, whatever limit they are read under."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from spikelet.base.errors import FileRefused
from spikelet.base.regular import read_regular


def test_memory_is_that_of_the_file_not_of_the_limit(tmp_path: Path):
    path = tmp_path / "small"
    path.write_bytes(b"few bytes")
    tracemalloc.start()
    try:
        assert read_regular(path, 1 << 40) == b"few bytes"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_file_of_the_limit_is_read_and_a_longer_one_is_refused(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    assert read_regular(path, 8) == b"12345678"
    with pytest.raises(FileRefused, match="has 8 bytes, more than the 7"):
        read_regular(path, 7)


def test_an_empty_file_is_empty(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert read_regular(path, 8) == b""
