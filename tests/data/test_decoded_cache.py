"""The cache of decoded pictures costs a warning at most, and nothing in it is believed that is not ours and whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from spikelet.data.readers import decoded_cache
from spikelet.data.readers.decoded_cache import Decoded, cache_folder, recall

MADE = Decoded(np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4), 1)
OTHER = Decoded(MADE.pixels + 1, 0)


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch) -> Path:
    """The file in which MADE lies under "abc"."""
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path / "cache"))
    recall("abc", 1, lambda: MADE)
    (file,) = (tmp_path / "cache" / "decoded").iterdir()
    return file


def same(one: Decoded, other: Decoded) -> bool:
    return np.array_equal(one.pixels, other.pixels) and one.transparent == other.transparent


def test_what_was_kept_is_recalled(kept):
    found = recall("abc", 1, lambda: OTHER)
    assert same(found, MADE)
    assert found.pixels.flags.writeable  # torch takes no other


def test_a_damaged_file_is_made_anew(kept):
    whole = kept.read_bytes()
    changed = [bytes([*whole[:k], whole[k] ^ 1, *whole[k + 1 :]]) for k in range(0, len(whole), 5)]
    for content in (b"", whole[:39], whole[:100], whole[:-1], whole + b"0", b"something else", *changed):
        kept.write_bytes(content)
        assert same(recall("abc", 1, lambda: OTHER), OTHER)
        assert same(recall("abc", 1, lambda: MADE), OTHER)
    assert [path.name for path in kept.parent.iterdir()] == ["abc.pixels"]


def test_a_file_of_another_number_of_pictures_is_made_anew(kept):
    two = Decoded(np.zeros((2, 1, 4, 4), np.uint8), 0)
    assert same(recall("abc", 2, lambda: two), two)


def test_a_file_of_another_user_is_not_believed(kept, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: kept.stat().st_uid + 1)
    monkeypatch.setattr(decoded_cache, "_TRUSTED", frozenset())
    assert same(recall("abc", 1, lambda: OTHER), OTHER)


def test_a_fifo_or_folder_in_its_place_costs_a_warning_at_most(kept):
    kept.unlink()
    os.mkfifo(kept)
    with pytest.warns(UserWarning, match="could not be kept"):
        assert same(recall("abc", 1, lambda: OTHER), OTHER)
    kept.unlink()
    kept.mkdir()
    with pytest.warns(UserWarning, match="could not be kept"):
        assert same(recall("abc", 1, lambda: OTHER), OTHER)


def test_a_cache_that_cannot_be_written_costs_a_warning_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SPIKELET_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=r"could not be kept \(in .*file/decoded.* Set SPIKELET_CACHE"):
        assert same(recall("abc", 1, lambda: MADE), MADE)


def test_a_user_without_a_home_reads_without_a_cache(monkeypatch):
    monkeypatch.delenv("SPIKELET_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder() is None
    with pytest.warns(UserWarning, match=r"could not be kept \(the user has no home folder\).* Set SPIKELET_CACHE"):
        assert same(recall("abc", 1, lambda: MADE), MADE)


def test_an_interrupted_write_leaves_no_file(kept, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(decoded_cache, "_digest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recall("def", 1, lambda: MADE)
    assert list(kept.parent.iterdir()) == [kept]


def test_the_cache_lies_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("SPIKELET_CACHE", "here")
    assert cache_folder() == Path("here")
    monkeypatch.delenv("SPIKELET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "there")
    assert cache_folder() == Path("there/spikelet")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "spikelet"
