"""An empty file, a pointer or a web page in the place of a picture, a table or weights is named as what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spikelet.base.errors import SpikeletError
from spikelet.base.picture import read_picture
from spikelet.data.readers.tables import open_table
from spikelet.train.weights import FILE, read_weights

IN_ITS_PLACE = (
    (b"", "it is an empty file"),
    (b"version https:\noid sha256:0\nsize 1\n", "it is a Git LFS pointer"),
    (b"\n<!DOCTYPE html><html><body>404</body></html>", "it is a web page"),
)


def picture(path: Path) -> None:
    pytest.importorskip("PIL")
    read_picture(path, str(path))


def table(path: Path) -> None:
    pytest.importorskip("datasets")
    open_table(path)


def weights(path: Path) -> None:
    read_weights(path.parent)


@pytest.mark.parametrize(("data", "words"), IN_ITS_PLACE, ids=["nothing", "pointer", "page"])
@pytest.mark.parametrize(
    ("read", "name"), [(picture, "a.png"), (table, "a.parquet"), (table, "a.arrow"), (weights, FILE)]
)
def test_what_lies_in_a_files_place_is_named(
    read: Callable[[Path], None], name: str, data: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SpikeletError, match=words) as refused:
        read(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value)
