"""One picture: what is decoded is Pillow's pixels, laid on a ground that is said; what can't be is one sentence."""

from __future__ import annotations

import io
import math
import os
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikelet.base.errors import FileRefused, PictureError
from spikelet.base.ground import Ground
from spikelet.base.picture import MAX_PIXELS, read_picture

Image = pytest.importorskip("PIL.Image")

DRAW = np.random.default_rng(0)
GREY = DRAW.integers(0, 256, (5, 7)).astype(np.uint8)
COLOUR = DRAW.integers(0, 256, (5, 7, 3)).astype(np.uint8)
ALPHA = DRAW.integers(0, 256, (5, 7)).astype(np.uint8)


def encoded(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(width: int, height: int, scan_lines: bytes = b"") -> bytes:
    """A grey PNG of any size, whose data may be anything."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(scan_lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF"])
def test_a_grey_picture_gives_its_bytes(kind: str) -> None:
    picture = read_picture(encoded(Image.fromarray(GREY), kind), "x")
    assert np.array_equal(picture.pixels, GREY[None])
    assert (picture.kind, picture.width, picture.height, picture.transparent) == (kind, 7, 5, False)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF"])
def test_a_picture_in_colour_gives_its_bytes(kind: str) -> None:
    assert np.array_equal(read_picture(encoded(Image.fromarray(COLOUR), kind), "x").pixels, COLOUR.transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_channels_are_what_pillow_converts_to(mode: str) -> None:
    image = Image.fromarray(COLOUR).convert(mode)
    data = encoded(image, "TIFF" if mode == "CMYK" else "PNG")
    for channels, form in ((1, "L"), (3, "RGB")):
        expected = np.asarray(Image.open(io.BytesIO(data)).convert(form))
        found = read_picture(data, "x", channels=channels).pixels
        assert np.array_equal(found, expected[None] if channels == 1 else expected.transpose(2, 0, 1))
    assert len(read_picture(data, "x").pixels) == (1 if mode in ("1", "L", "LA") else 3)


def test_a_size_is_a_cut_about_the_centre_and_a_bilinear_resize() -> None:
    image = Image.fromarray(np.kron(COLOUR, np.ones((4, 4, 1), np.uint8)))
    middle = image.resize((6, 6), Image.Resampling.BILINEAR, box=(4, 0, 24, 20))
    found = read_picture(encoded(image), "x", size=(6, 6)).pixels
    assert np.array_equal(found, np.asarray(middle).transpose(2, 0, 1))
    part = image.crop((4, 0, 24, 20))
    assert np.array_equal(read_picture(encoded(image), "x", size=(20, 20)).pixels, np.asarray(part).transpose(2, 0, 1))


@pytest.mark.parametrize("colour", ["white", "black", "#10c8ff"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_laid_on_the_ground(mode: str, colour: str) -> None:
    ground = Ground.named(colour)
    colours = np.repeat(GREY[..., None], 3, 2) if mode == "LA" else COLOUR
    image = Image.fromarray(np.dstack([colours, ALPHA])).convert(mode)
    below = np.array([ground.red, ground.green, ground.blue])
    a = ALPHA[..., None].astype(np.float64)
    expected = np.rint((a * colours + (255 - a) * below) / 255).astype(np.uint8).transpose(2, 0, 1)
    picture = read_picture(encoded(image), "x", ground=ground)
    assert picture.transparent
    assert len(picture.pixels) == (1 if mode == "LA" and ground.is_grey else 3)
    assert np.array_equal(picture.pixels, expected[: len(picture.pixels)])


def test_black_ink_on_nothing_is_seen_on_white_and_not_on_black() -> None:
    ink = np.zeros((20, 20, 4), np.uint8)
    ink[5:15, 9:11, 3] = 255
    data = encoded(Image.fromarray(ink))
    on_white = read_picture(data, "x", channels=1).pixels[0]
    assert np.array_equal(on_white == 0, ink[..., 3] == 255)
    assert np.array_equal(on_white == 255, ink[..., 3] == 0)
    assert not read_picture(data, "x", channels=1, ground=Ground.named("black")).pixels.any()


def test_a_colour_that_stands_for_transparent_is_transparent() -> None:
    grey = encoded(Image.fromarray(np.array([[9, 200]], np.uint8)), transparency=9)
    assert read_picture(grey, "x").pixels.tolist() == [[[255, 200]]]
    colour = encoded(Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)), transparency=(1, 2, 3))
    assert read_picture(colour, "x").pixels.tolist() == [[[255, 4]], [[255, 5]], [[255, 6]]]
    indexed = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    indexed.putpalette([10, 20, 30, 40, 50, 60])
    for kind in ("PNG", "GIF"):
        picture = read_picture(encoded(indexed, kind, transparency=1), "x")
        assert picture.pixels.tolist() == [[[10, 255]], [[20, 255]], [[30, 255]]]


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_alpha_of_255_depends_on_no_ground(mode: str) -> None:
    image = Image.fromarray(COLOUR).convert(mode)
    options = {"transparency": bytes([255] * 256)} if mode == "P" else {}
    one, other = (read_picture(encoded(image, **options), "x", ground=Ground.named(g)) for g in ("white", "#123456"))
    assert np.array_equal(one.pixels, other.pixels)
    assert not one.transparent


@pytest.mark.parametrize("text", ["", "grey", "#12345", "#1234567", "#12345g", "white\n", None, 3, (0, 0, 0)])
def test_a_ground_of_another_name_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r"^ground must be 'white', 'black' or a colour '#rrggbb', got "):
        Ground.named(text)


def test_a_ground_says_its_name() -> None:
    assert [str(Ground.named(text)) for text in ("white", "#000000", "#10C8ff")] == ["white", "black", "#10c8ff"]


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_is_turned_upright(turn: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(Image.fromarray(COLOUR), exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert np.array_equal(read_picture(data, "x").pixels, expected.transpose(2, 0, 1))


@pytest.mark.parametrize(
    "exif",
    [
        b"\x00\x08\x00\x02\x01\x12\x00\x03",
        b"Exif\0\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x05\0\0\0\x01\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0",
    ],
)
def test_damaged_exif_data_leaves_the_picture_as_it_lies(exif: bytes) -> None:
    assert np.array_equal(read_picture(encoded(Image.fromarray(GREY), exif=exif), "x").pixels, GREY[None])


def test_the_first_of_an_animation_is_read() -> None:
    frames = [Image.new("L", (3, 2), level) for level in (10, 20, 30)]
    for kind in ("GIF", "TIFF", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert set(read_picture(data, "x", channels=1).pixels.ravel().tolist()) == {10}


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "JPEG", "PPM", "TIFF", "WEBP"])
def test_a_truncated_picture_is_refused(kind: str) -> None:
    data = encoded(Image.fromarray(np.kron(COLOUR, np.ones((9, 9, 1), np.uint8))), kind)
    for part in (0, 1, 10, len(data) // 3, len(data) // 2):
        with pytest.raises(PictureError, match=r"^cat\.png cannot be used: it is (damaged|not a whole|an empty)"):
            read_picture(data[:part], "cat.png")


@pytest.mark.parametrize(
    ("dtype", "kind"), [(np.uint16, "PNG"), (np.uint16, "TIFF"), (np.int32, "TIFF"), (np.float32, "TIFF")]
)
def test_more_than_8_bits_are_refused(dtype: type, kind: str) -> None:
    with pytest.raises(PictureError, match=r"x cannot be used: its pixels are of mode .*, more than 8 bits"):
        read_picture(encoded(Image.fromarray(GREY.astype(dtype)), kind), "x")


def test_colours_of_16_bits_are_refused_as_grey_ones_are() -> None:
    lines = b"".join(b"\0" + bytes(6 * 2) for _ in range(2))
    deep = png(2, 2, lines)
    header = deep[16:24] + b"\x10\x02\0\0\0"
    deep = deep[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + deep[33:]
    with pytest.raises(PictureError, match="of mode RGB, more than 8 bits a channel"):
        read_picture(deep, "x")


@pytest.mark.parametrize("size", [(13_000, 13_000), (8193, 8192), (2**31 - 1, 1), (2**31 - 1, 2**31 - 1)])
def test_a_picture_too_large_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match=r"^x cannot be used: it has .*67108864.*Make it smaller first"):
        read_picture(png(*size), "x")
    assert MAX_PIXELS == 2**26


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
def test_the_largest_picture_takes_the_memory_that_is_said(tmp_path: Path) -> None:
    side = math.isqrt(MAX_PIXELS)
    image = Image.new("RGBA", (side, side))
    image.putpixel((0, 0), (1, 2, 3, 4))
    image.save(tmp_path / "large", "WEBP", lossless=True, method=0)  # of all kinds, it takes the most
    del image
    code = f"""
import pathlib
from spikelet.base.picture import read_picture
def peak():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) >> 10
before = peak()
read_picture(pathlib.Path({str(tmp_path / "large")!r}), "x", channels=3, size=(8, 8))
assert peak() - before < 1.15 * 1024, peak() - before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_largest_picture_is_an_argument() -> None:
    data = encoded(Image.fromarray(GREY))
    assert read_picture(data, "x", max_pixels=35).pixels.shape == (1, 5, 7)
    with pytest.raises(PictureError, match="it has 7 x 5 pixels; 1 to 34 are read"):
        read_picture(data, "x", max_pixels=34)


@pytest.mark.parametrize(
    "raised", [KeyError("a"), MemoryError(), RecursionError("deep"), struct.error("x"), OverflowError]
)
def test_whatever_pillow_raises_is_one_sentence(raised: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any) -> None:
        raise raised

    data = encoded(Image.fromarray(GREY))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail, raising=False)
    with pytest.raises(PictureError, match=r"^a\.png cannot be used: it is damaged \((\w+)(: .*)?\)\.$"):
        read_picture(data, "a.png")


def test_nothing_is_printed_of_a_damaged_picture(capfd: pytest.CaptureFixture[str]) -> None:
    whole = encoded(Image.fromarray(np.kron(COLOUR, np.ones((9, 9, 1), np.uint8))), "TIFF", compression="tiff_deflate")
    samples = b"\x15\x01\x03\x00\x01\x00\x00\x00"  # of a pixel, by a tag of the header
    assert samples in whole
    for damaged in (whole.replace(samples + b"\3", samples + b"\x2a"), whole[:20] + bytes(60) + whole[80:]):
        with pytest.raises(PictureError):
            read_picture(damaged, "x")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("data", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"<svg/>", b"\0" * 64])
def test_what_no_kind_of_ours_begins_with_is_not_opened(data: bytes) -> None:
    with pytest.raises(PictureError, match=r"it is not a whole picture of a kind that is read here \(AVIF, BMP, "):
        read_picture(data, "x")


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = encoded(Image.fromarray(COLOUR), "JPEG", progressive=True)
    scan = data[data.index(b"\xff\xda") : -2]
    with pytest.raises(PictureError, match="a JPEG of more than 100 scans"):
        read_picture(data[:-2] + scan * 100 + data[-2:], "x")


def test_a_file_is_read_as_its_bytes_are(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(encoded(Image.fromarray(GREY)))
    assert np.array_equal(read_picture(tmp_path / "a", "a").pixels, GREY[None])


def test_only_regular_files_below_a_size_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for path, what in (
            (tmp_path, "a folder"),
            (tmp_path / "pipe", "a FIFO"),
            (tmp_path / "socket", "a socket"),
            (Path("/dev/zero"), "a device"),
        ):
            with pytest.raises(FileRefused, match=f"is {what}; give a regular file"):
                read_picture(path, "x")
    with pytest.raises(FileRefused, match="sparse has 1099511627776 bytes, more than the 268435456"):
        read_picture(tmp_path / "sparse", "x")
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "nothing", "x")
