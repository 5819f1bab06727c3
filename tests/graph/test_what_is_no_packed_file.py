"""A file that is something else is named, and told by what it looks like, before it is read whole."""

from __future__ import annotations

import builtins
import gzip
import io
import json
import math
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save as safetensors_of

from spikelet import SpikeletError, zoo
from spikelet.base.errors import ArtifactError
from spikelet.graph.file.artifact import dumps, load, loads
from tests.artifact_parts import assert_same_graph, small_graph


def _torch(**options: Any) -> bytes:
    data = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, data, **options)
    return data.getvalue()


def _picture(kind: str) -> bytes:
    data = io.BytesIO()
    Image.new("L", (8, 8)).save(data, kind)
    return data.getvalue()


def _zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("model.safetensors", dumps(small_graph()))
    return data.getvalue()


def _array() -> bytes:
    data = io.BytesIO()
    np.save(data, np.zeros(100))
    return data.getvalue()


POINTER = b"version https" + b":" + b"//git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
LOOKALIKES: dict[str, tuple[Callable[[], bytes], str]] = {
    "git lfs": (lambda: POINTER, "a Git LFS pointer, which stands for the file (git lfs pull fetches it)"),
    "web page": (lambda: b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
    "web page with a mark": (lambda: b"\xef\xbb\xbf<HTML>", "a web page"),
    "gzip": (lambda: gzip.compress(dumps(small_graph())), "a gzip file (unpack it first)"),
    "zip": (_zip, "a zip file, as torch.save makes"),
    "torch": (_torch, "a zip file, as torch.save makes"),
    "old torch": (lambda: _torch(_use_new_zipfile_serialization=False), "a pickle, as an old torch.save makes"),
    **{f"pickle {p}": (lambda p=p: pickle.dumps({"a": 1}, p), "a pickle") for p in range(2, 6)},
    "list pickle": (lambda: pickle.dumps([1.0], 2), "a pickle"),
    "png": (lambda: _picture("PNG"), "a PNG picture"),
    "jpeg": (lambda: _picture("JPEG"), "a JPEG picture"),
    "npy": (_array, "a NumPy array"),
    "weights": (lambda: safetensors_of({"conv.weight": np.zeros(3, np.float32)}), "a safetensors file of weights"),
    "weights with words": (
        lambda: safetensors_of({"w": np.zeros(3, np.float32)}, metadata={"format": "pt"}),
        "a safetensors file of weights",
    ),
    "onnx": (lambda: b"\x08\x07\x12\x07pytorch\x1a\x032.1:\xff\x01" + bytes(300), "an ONNX model"),
    "json": (lambda: json.dumps({"config": {}}).encode(), "a JSON file"),
    "tar": (lambda: bytes(257) + b"ustar\x0000" + bytes(800), "a tar file"),
    "hdf5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(300), "an HDF5 file"),
}


@pytest.mark.parametrize("kind", LOOKALIKES)
def test_a_file_says_what_it_looks_like_by_its_own_name(kind: str, tmp_path: Path) -> None:
    make, what = LOOKALIKES[kind]
    data = make()
    (tmp_path / "mine.safetensors").write_bytes(data)
    sentence = f"{tmp_path / 'mine.safetensors'}: this is no packed file of spikelet; it looks like {what}"
    for read in (load, zoo.load):
        with pytest.raises(ArtifactError, match=f"^{re.escape(sentence)}"):
            read(tmp_path / "mine.safetensors")
    with pytest.raises(ArtifactError, match=r"^this is no packed file of spikelet; it looks like "):
        loads(data)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "file: has 0 bytes, fewer than the 8 of the header's length."),
        (b"hello", "file: has 5 bytes, fewer than the 8 of the header's length."),
        (b"hello world, this is text", "header: is said to take"),
        (bytes(100), "header: must start with '{', got b''."),
        (dumps(small_graph())[:-1], "file: its tensors take"),
    ],
)
def test_every_error_about_a_file_begins_with_its_name(data: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(data)
    with pytest.raises(ArtifactError, match=f"^{re.escape(str(tmp_path))}.a.safetensors: {re.escape(sentence)}"):
        load(tmp_path / "a.safetensors")
    with pytest.raises(ArtifactError, match=f"^{re.escape(sentence)}"):
        loads(data)


def test_no_shipped_model_looks_like_anything_else() -> None:
    for name in zoo.names():
        assert_same_graph(zoo.load(name), zoo.load(name))


def _sparse(path: Path, begin: bytes) -> Path:
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(2**30)
    return path


@pytest.mark.parametrize("begin", [b"", b"\x08" + bytes(7) + b"{}      ", dumps(small_graph())[:-1]])
def test_a_sparse_gigabyte_is_refused_by_its_header(
    begin: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, most = _sparse(tmp_path / "big.safetensors", begin), [0]
    real = builtins.open

    def watched(*args: Any, **options: Any) -> Any:
        file = real(*args, **options)
        read = file.read

        class Watched:
            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

            def __enter__(self) -> Watched:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def read(self, size: int) -> bytes:
                most.append(size)
                return read(size)

        return Watched()

    monkeypatch.setattr(builtins, "open", watched)
    with pytest.raises(SpikeletError, match=r"big\.safetensors: "):
        load(path)
    assert max(most) <= 2**20


@pytest.mark.parametrize("value", ["1", math.nan, math.inf, 1.5, True, 0, -1], ids=repr)
@pytest.mark.parametrize("name", ["max_bytes", "max_operations"])
def test_a_limit_is_a_whole_number(name: str, value: Any, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(dumps(small_graph()))
    for read, source in ((loads, dumps(small_graph())), (load, tmp_path / "a.safetensors")):
        with pytest.raises(ArtifactError, match=rf"^{name} must be a whole number from 1, got "):
            read(source, **{name: value})  # type: ignore[operator]


def test_limits_may_be_numpy_s() -> None:
    graph = loads(dumps(small_graph()), max_bytes=np.int64(2**30), max_operations=np.int64(2**40))  # type: ignore[arg-type]
    assert_same_graph(graph, small_graph())


def test_an_error_about_the_graph_names_the_file_too(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(dumps(small_graph()))
    with pytest.raises(ArtifactError, match=r"a\.safetensors: nodes: take up to \d+ operations a sample"):
        load(path, max_operations=1)
