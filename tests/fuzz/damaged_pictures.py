"""Damaged pictures through the reader, `spikelet run` and, some of them, a folder of classes."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from spikelet import save
from spikelet.base.picture import read_picture
from spikelet.data import load
from spikelet.graph import ir
from tests.fuzz.damage import damaged, damaged_png
from tests.fuzz.judge import Fault, command, read
from tests.nodes import linear

KINDS = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "GIF": ("L", "P", "RGB"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"),
    "WEBP": ("RGB", "RGBA"),
    "PPM": ("1", "L", "RGB"),
}
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "PNG": ({}, {"transparency": 0}, {"interlace": 1}),
    "JPEG": ({}, {"progressive": True}),
    "TIFF": ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "packbits"}),
    "WEBP": ({}, {"lossless": True}),
}
IN_A_FOLDER = 8  # one of so many


class DamagedPictures:
    """One damaged picture after another; `folder` is for their files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = folder / "model.safetensors"
        save(small_model(), self.model)
        self.whole = [data for kind in KINDS for data in _pictures(kind)]
        for k in range(2):
            path = folder / "set" / "train" / "ab"[k] / "whole.png"
            path.parent.mkdir(parents=True)
            Image.new("L", (8, 8), k).save(path)

    def attempt(self, rng: random.Random) -> str:
        """Reads one picture in each way; says what came of it."""
        data = rng.choice(self.whole)
        data = damaged_png(data, rng) if data.startswith(b"\x89PNG") and rng.random() < 0.5 else damaged(data, rng)
        path = self.folder / "picture.png"
        path.write_bytes(data)
        found = read(lambda: read_picture(data, "picture"))
        if (command("run", self.model, path) is None) != (found is None):
            raise Fault("the reader and the command do not agree whether it can be used")
        if rng.randrange(IN_A_FOLDER) == 0:
            self._in_a_folder(data, found is not None)
        return "used" if found is not None else "refused"

    def _in_a_folder(self, data: bytes, usable: bool) -> None:
        path = self.folder / "set" / "train" / "a" / "damaged.png"
        path.write_bytes(data)
        splits = read(lambda: load(self.folder / "set", image_size=8, validation=0))
        path.unlink()
        if (splits is not None) != usable:
            raise Fault("the reader of one picture and of a folder do not agree whether it can be used")


def small_model() -> ir.IntGraph:
    """A graph of two layers, which reads 8 x 8 grey pixels."""
    draw = np.random.default_rng(0)
    hidden, out = (draw.integers(-127, 128, shape).astype(np.int8) for shape in ((8, 64), (3, 8)))
    return ir.IntGraph.of_logits(
        nodes=(
            ir.Input("x", (), (1, 8, 8)),
            ir.Flatten("flat", ("x",)),
            linear("hidden", ("flat",), hidden, 8),
            ir.Lif("spikes", ("hidden",), 128, 256, 8, 900, "hard", ir.Membrane(2, 9)),
            linear("out", ("spikes",), out, 8),
            ir.SumTime("logits", ("out",)),
        ),
        time_steps=2,
        logit_scale=0.01,
        labels=("a", "b", "c"),
    )


def _pictures(kind: str) -> list[bytes]:
    """Whole files of one kind in every mode, with EXIF data and without, and an animation where there may be one."""
    draw = np.random.default_rng(1)
    found = []
    for mode in KINDS[kind]:
        image = _image(mode, draw)
        for options in OPTIONS.get(kind, ({},)):
            found += [data for exif in _exifs(options) if (data := _saved(image, kind, options, exif)) is not None]
    if kind in ("GIF", "PNG", "TIFF", "WEBP"):
        frames = [_image("RGB", draw) for _ in range(3)]
        out = io.BytesIO()
        frames[0].save(out, kind, save_all=True, append_images=frames[1:])
        found.append(out.getvalue())
    return found


def _image(mode: str, draw: np.random.Generator) -> Image.Image:
    pixels = draw.integers(0, 256, (12, 9, 4)).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 200)
    return Image.fromarray(pixels).convert("L" if mode == "F" else mode).convert(mode)


def _exifs(options: dict[str, Any]) -> tuple[bytes | None, ...]:
    """With EXIF data and without; without alone where libtiff writes the file, which complains of it."""
    return (None,) if "compression" in options else (None, _exif())


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8769] = 6, "maker", {0x9000: b"0231", 0xA002: 9}
    return exif.tobytes()


def _saved(image: Image.Image, kind: str, options: dict[str, Any], exif: bytes | None) -> bytes | None:
    """The bytes of a file; None where this kind takes no such options."""
    out = io.BytesIO()
    try:
        image.save(out, kind, **options, **({"exif": exif} if exif else {}))
    except (OSError, ValueError, TypeError, RuntimeError):
        return None
    return out.getvalue()
