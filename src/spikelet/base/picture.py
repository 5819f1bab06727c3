"""One picture, from the bytes of its file to bytes of pixels. Data sets and `spikelet run` read pictures by this alone.

    file -> header: kind, size, bits a pixel -> decoded -> upright, as its EXIF data says -> laid on a ground where
            transparent -> grey or RGB -> cut about the centre and resized (bilinear, antialiased) to a size asked for

The kinds are AVIF, BMP, GIF, JPEG (MPO too), PNG, PPM, TIFF and WebP; an animation or a file of several pages gives its
first. Nothing is decoded before its header says that it has at most `max_pixels` pixels, 2^26 unless told otherwise:
such a picture takes up to 1.1 GiB while it is read. Damaged EXIF data is passed over, and the picture used as it lies.
Transparency: ground.py; a picture whose alpha is 255 everywhere, and one without alpha, do not depend on the ground.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import PictureError
from spikelet.base.ground import WHITE, Ground
from spikelet.base.regular import read_regular
from spikelet.base.stand_in import LONGEST, stand_in

MAX_PIXELS = 1 << 26
MAX_FILE_BYTES = 1 << 28
MAX_SCANS = 100  # of a progressive JPEG; ten are usual, and each costs as much time as a whole picture
KINDS = ("AVIF", "BMP", "GIF", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP")
_GREY = ("1", "L", "LA", "La")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_ORIENTATION = 0x0112  # of EXIF: what to do to see the picture upright
_DEEP = re.compile(r";(12|16|32)[A-Z]")  # how Pillow names channels that it would cut to 8 bits


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture as it is used, and what its file held.

    pixels: uint8 [1, H, W] grey or [3, H, W] RGB.
    kind: of the file, such as "PNG".
    mode: of the file's pixels, as Pillow names it: "L" is grey, "P" a palette.
    width, height: of the whole picture, upright.
    transparent: whether a pixel was not opaque, so that the ground shows.
    """

    pixels: NDArray[np.uint8]
    kind: str
    mode: str
    width: int
    height: int
    transparent: bool


def read_picture(
    source: bytes | Path,
    name: str,
    *,
    channels: int | None = None,
    size: tuple[int, int] | None = None,
    ground: Ground = WHITE,
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """The picture in `source`.

    Args:
        source: the bytes of a file, or the path of one.
        name: what errors call it.
        channels: 1 for grey, 3 for RGB, None for grey where the picture is grey and RGB where it is not.
        size: width and height to bring it to, None for its own. The largest centred part of these proportions is used.
        ground: what transparent pixels are laid on.
        max_pixels: the largest picture that is decoded.
    Raises:
        FileNotFoundError, PermissionError: no such file, or it may not be read.
        FileRefused: a folder, FIFO, socket or device, or a file of more than 256 MiB.
        PictureError: not a picture of these kinds, damaged, of more than 8 bits a channel, or too large.
    """
    data = read_regular(source, MAX_FILE_BYTES) if isinstance(source, Path) else source
    try:
        with _quietly():
            return _read(data, channels, size, ground, max_pixels)
    except PictureError as error:
        raise PictureError(f"{name} cannot be used: {error}") from None
    except Exception as error:  # Pillow lets through whatever its parsers raise
        raise PictureError(f"{name} cannot be used: it is damaged ({_reason(error)}).") from error


def endings() -> set[str]:
    """The ends of names, small letters, of the kinds of pictures that are read."""
    from PIL import Image

    return {ending for ending, kind in Image.registered_extensions().items() if kind in KINDS}


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps to itself what Pillow warns of and logs: damage that it passes over, or that its exceptions tell."""
    logger, nobody = logging.getLogger("PIL"), logging.NullHandler()
    logger.addHandler(nobody)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeHandler(nobody)


@contextlib.contextmanager
def _stderr_closed() -> Iterator[None]:
    """Sends to nowhere what C code writes to standard error: libtiff prints each damage that it meets."""
    try:
        kept = os.dup(2)
    except OSError:  # this process has no standard error
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}{': ' if text else ''}{text[:150]}"


def _read(data: bytes, channels: int | None, size: tuple[int, int] | None, ground: Ground, max_pixels: int) -> Picture:
    from PIL import Image, ImageOps

    with _opened(data, max_pixels) as opened:
        with _stderr_closed() if opened.format == "TIFF" else contextlib.nullcontext():
            opened.load()
        upright = _upright(opened)
        flat, transparent = _laid_on(ground, upright)
    form = "L" if channels == 1 or (channels is None and flat.mode in _GREY) else "RGB"
    image = flat if flat.mode == form else flat.convert(form)
    if size is not None and image.size != size:
        image = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.uint8)
    pixels = np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
    return Picture(pixels, str(opened.format), upright.mode, upright.width, upright.height, transparent)


def _opened(data: bytes, max_pixels: int) -> Any:
    """The picture with its header read and checked, and nothing decoded."""
    from PIL import Image, UnidentifiedImageError

    Image.init()
    try:
        opened = Image.open(io.BytesIO(data), formats=[kind for kind in KINDS if kind in Image.OPEN])
    except UnidentifiedImageError:
        if instead := stand_in(data[:LONGEST]):
            raise PictureError(f"it is {instead}.") from None
        raise PictureError(f"it is not a whole picture of a kind that is read here ({', '.join(KINDS)}).") from None
    except Image.DecompressionBombError:
        raise PictureError(f"it has more than the {max_pixels} pixels that are read. Make it smaller first.") from None
    if not 0 < opened.width * opened.height <= max_pixels:
        raise PictureError(
            f"it has {opened.width} x {opened.height} pixels; 1 to {max_pixels} are read. Make it smaller first."
        )
    deep = [str(tile[3]) for tile in opened.tile if _DEEP.search(str(tile[3]))]
    if deep or opened.mode not in (*_GREY, *_COLOUR):
        raise PictureError(
            f"its pixels are of mode {opened.mode}, more than 8 bits a channel. Convert it to 8 bits first."
        )
    if opened.format in ("JPEG", "MPO") and data.count(b"\xff\xda") > MAX_SCANS:
        raise PictureError(f"it is a JPEG of more than {MAX_SCANS} scans. Save it anew.")
    return opened


def _upright(image: Any) -> Any:
    """The picture turned as its EXIF data says; as it lies where that is absent or damaged."""
    from PIL import Image

    how = Image.Transpose
    turns = {
        2: how.FLIP_LEFT_RIGHT, 3: how.ROTATE_180, 4: how.FLIP_TOP_BOTTOM, 5: how.TRANSPOSE, 6: how.ROTATE_270,
        7: how.TRANSVERSE, 8: how.ROTATE_90,
    }  # fmt: skip
    try:
        turn = turns.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # whatever its parser raises
        turn = None
    return image if turn is None else image.transpose(turn)


def _laid_on(ground: Ground, image: Any) -> tuple[Any, bool]:
    """The picture without transparency, and whether it had any."""
    from PIL import Image

    if image.mode not in _ALPHA and "transparency" not in image.info:
        return image, False
    plain = image.convert("LA") if image.mode == "La" else image
    whole = plain if plain.mode == "RGBA" else plain.convert("RGBA")
    alpha = whole.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return image, False
    grey = image.mode in _GREY and ground.is_grey
    form, colour = ("L", ground.red) if grey else ("RGB", (ground.red, ground.green, ground.blue))
    flat = Image.new(form, image.size, colour)
    flat.paste(whole.convert(form) if grey else whole, mask=alpha)  # an RGB picture takes RGBA as it is
    return flat, True
