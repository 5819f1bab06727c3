"""`run`, `verify` and `profile` on damaged and odd pictures and arrays: the right values, or one line and code 2."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikelet
from spikelet.base.ground import Ground
from spikelet.cli.grounds import ground_for
from tests.support.pictures import read_picture

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def ink(tmp_path: Path) -> Path:
    """Black ink on a transparent ground."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[2:6, 3:5, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "ink.png")
    return tmp_path / "ink.png"


def test_transparency_is_laid_on_white_unless_another_ground_is_asked_for(ink: Path) -> None:
    picture = read_picture(ink, (1, 8, 8), 2)
    assert picture.done == "8 x 8 RGBA, transparent, laid on white, to grey"
    assert (picture.pixels[0] == 0).sum() == 8
    black = read_picture(ink, (1, 8, 8), 2, Ground.named("black"))
    assert black.done == "8 x 8 RGBA, transparent, laid on black, to grey"
    assert not black.pixels.any()


def test_the_ground_is_an_option_of_run(packed: Path, ink: Path, command: Callable[..., Any]) -> None:
    white, named, black = (
        command("run", packed, ink, *words).output for words in ((), ("--ground", "#ffffff"), ("--ground", "black"))
    )
    assert white == named
    assert "laid on white" in white
    assert "laid on black" in black
    assert white.splitlines()[2:] != black.splitlines()[2:]
    done = command("run", packed, ink, "--ground", "pink")
    assert done.exit_code == 2
    assert done.stderr == "error: ground must be 'white', 'black' or a colour '#rrggbb', got 'pink'.\n"


def test_a_packed_file_keeps_the_ground_of_its_training(
    packed: Path, ink: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    graph = spikelet.load(packed)
    meta = {**graph.meta, "data_options": json.dumps({"ground": "#204060"})}
    spikelet.save(dataclasses.replace(graph, meta=meta), tmp_path / "blue.safetensors")
    assert "laid on #204060" in command("run", tmp_path / "blue.safetensors", ink).output
    assert "laid on white" in command("run", tmp_path / "blue.safetensors", ink, "--ground", "white").output
    for words in ("verify", "profile"):
        assert command(words, tmp_path / "blue.safetensors", ink).exit_code == 0


def test_other_pictures_are_laid_on_the_ground_of_the_training(packed: Path, ink: Path, tmp_path: Path) -> None:
    from spikelet.cli.sources import Choice, Packed, samples_of

    graph = spikelet.load(packed)
    for k in range(2):
        (tmp_path / "set" / "test" / str(k)).mkdir(parents=True)
        Image.open(ink).convert("LA").save(tmp_path / "set" / "test" / str(k) / "ink.png")
    for text, levels in (('{"ground":"black"}', [0]), ("", [0, 255])):
        named = dataclasses.replace(graph, meta={**graph.meta, "data_options": text})
        _, samples = samples_of(Packed("model", named), Choice(str(tmp_path / "set")))
        assert samples.x.unique().tolist() == levels


@pytest.mark.parametrize(
    "options",
    ["", "[", "[1]", '{"ground":3}', '{"ground":"pink"}', "[" * 4000, '{"ground":"black"}' + " " * 5000, "9" * 4000],
)
def test_a_ground_that_a_file_says_badly_is_white(options: str) -> None:
    assert str(ground_for({"data_options": options}, None)) == "white"


HEADER = b"\x93NUMPY\x01\x00\x76\x00"


def _npy(text: str, data: bytes = b"") -> bytes:
    return HEADER + text.ljust(117).encode() + b"\n" + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an .npy file, or its header is damaged"),
        (b"PK\3\4" + bytes(60), "is not an .npy file"),
        (HEADER, "is not an .npy file"),
        (b"\x93NUMPY\x09\x00\x76\x00" + bytes(200), "is not an .npy file"),
        (_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 8, 8"), "is not an .npy file"),
        (_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 8, 8),"), "is not an .npy file"),
        (_npy("'''"), "is not an .npy file"),
        (_npy("(" * 117), "is not an .npy file"),
        (_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,), }"), r"got uint8 \[1099511627776\]"),
        (_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 8, 8), }"), r"got uint8 \[-1, 8, 8\]"),
        (_npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 8, 8), }", b"cos\nsystem\n"), "got object"),
        (_npy("{'descr': '>f8', 'fortran_order': False, 'shape': (1, 8, 8), }", bytes(512)), "got >f8"),
        (
            _npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 8, 8), }", bytes(63)),
            "holds less than the 64 bytes",
        ),
        (
            _npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 8, 8), }", bytes(65)),
            "holds more than the 64 bytes",
        ),
    ],
)
def test_a_damaged_array_is_one_line(
    content: bytes, message: str, tmp_path: Path, packed: Path, command: Callable[..., Any]
) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    for name in ("run", "verify", "profile"):
        done = command(name, packed, tmp_path / "x.npy")
        assert done.exit_code == 2
        assert done.stderr.startswith(f"error: {tmp_path / 'x.npy'} ")
        assert done.stderr.count("\n") == 1
    with pytest.raises(ValueError, match=message):
        read_picture(tmp_path / "x.npy", (1, 8, 8), 2)


def test_the_order_of_an_array_in_its_file_does_not_matter(tmp_path: Path) -> None:
    array = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    np.save(tmp_path / "x.NPY.npy", np.asfortranarray(array))
    assert np.array_equal(read_picture(tmp_path / "x.NPY.npy", (1, 8, 8), 2).pixels, array)


def test_a_fifo_in_the_place_of_an_image_is_refused_at_once(
    tmp_path: Path, packed: Path, command: Callable[..., Any]
) -> None:
    for name in ("pipe.npy", "pipe.png"):
        os.mkfifo(tmp_path / name)
        done = command("run", packed, tmp_path / name)
        assert done.exit_code == 2
        assert done.stderr == f"error: {tmp_path / name} is a FIFO; give a regular file.\n"


def test_a_damaged_picture_is_one_line(tmp_path: Path, packed: Path, command: Callable[..., Any]) -> None:
    Image.new("L", (300, 300), 7).save(tmp_path / "whole.png", exif=b"\x00\x08\x00\x02\x01\x12\x00\x03")
    whole = (tmp_path / "whole.png").read_bytes()
    assert command("run", packed, tmp_path / "whole.png").exit_code == 0, "EXIF data is not needed"
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_bytes(b"<html>not found</html>")
    for name in ("half.png", "text.png"):
        done = command("run", packed, tmp_path / name)
        assert done.exit_code == 2
        assert done.stderr.startswith(f"error: {tmp_path / name} cannot be used: it is ")
        assert "0x" not in done.stderr
        assert done.stderr.count("\n") == 1
